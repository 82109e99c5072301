"""Ten thousand apps: lists have each of them once, in order, whatever they are sorted by; one app is still found
and changed; paasd starts and stops."""
import pytest

from api_client import Client
from many_apps import multiply
from platform_under_test import Platform
from conftest import ROOT

N = 10000


def name_of(i):
    return f'many-{i:05d}'


@pytest.fixture(scope='module')
def c():
    p = Platform(ROOT)
    try:
        p.start()
        first = Client(p, p.token)
        first('POST', '/apps', {'name': 'many-first'}, want=201)
        first.close()
        multiply(p, 'many-first', N - 1, name_of)
        yield Client(p, p.token)
    finally:
        p.close()


@pytest.mark.parametrize('header, field, reverse, size', [
    (None, 'name', False, 200), ('id ..; max=1000;', 'id', False, 1000), ('name ..; order=desc,max=1000', 'name', True, 1000),
    ('created_at ..; max=999', 'created_at', False, 999), ('updated_at ..; max=1000, order=desc', 'updated_at', True, 1000)])
def test_pages(c, header, field, reverse, size):
    pages = c.pages('/apps', header)
    apps = [a for page in pages for a in page]
    assert [len(p) for p in pages[:-1]] == [size] * (len(pages) - 1) and len(apps) == N
    assert {a['name'] for a in apps} == {'many-first'} | {name_of(i) for i in range(N - 1)}
    keys = [a[field] for a in apps]
    assert keys == sorted(keys, reverse=reverse)


def test_from_the_middle(c):
    a = c('GET', '/apps', headers={'Range': f'name {name_of(5000)}..{name_of(5004)}; max=10'}, want=200)
    assert [x['name'] for x in a.json] == [name_of(i) for i in range(5000, 5005)]
    a = c('GET', '/apps', headers={'Range': f'name ]{name_of(5000)}..; max=3'}, want=206)
    assert [x['name'] for x in a.json] == [name_of(i) for i in range(5001, 5004)]


def test_one_of_them(c):
    a = c('GET', f'/apps/{name_of(7777)}', want=200).json
    assert c('GET', f'/apps/{a["id"]}', want=200).json['name'] == name_of(7777)
    assert [r['version'] for r in c('GET', f'/apps/{a["id"]}/releases', want=200).json] == [1, 2]
    c('PATCH', f'/apps/{a["id"]}', {'name': 'renamed-many'}, want=200)
    c('GET', f'/apps/{name_of(7777)}', want=404)
    c('PATCH', f'/apps/{a["id"]}', {'name': name_of(7776)}, want=422)
    c('PATCH', f'/apps/{a["id"]}', {'name': name_of(7777)}, want=200)
    # another one can be made, and goes
    c('POST', '/apps', {'name': 'one-more'}, want=201)
    c('DELETE', '/apps/one-more', want=200)


def test_of_another_user_there_are_none(c):
    other = c.with_token(c.paas.new_user('other@example.com'))
    assert other('GET', '/apps', want=200).json == []
