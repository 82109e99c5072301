"""The pages in a real browser: headless Chromium with scripts off and on a phone's screen, driven from
the outside. What the standard library's client cannot tell: that the content policy lets the style
in, that cookies and forms work as sent, that every field has a label, that nothing is wider than a phone."""
import shutil
import threading
import urllib.request
import json

import pytest

from api_client import Client
from platform_under_test import wait_for

selenium = pytest.importorskip('selenium', reason='needs python3-selenium')
from selenium import webdriver  # noqa: E402
from selenium.common.exceptions import WebDriverException  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

pytestmark = pytest.mark.skipif(not (shutil.which('chromium') and shutil.which('chromedriver')),
                                reason='needs chromium and chromium-driver')


@pytest.fixture
def browser(tmp_path):
    options = webdriver.ChromeOptions()
    for flag in ('--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--window-size=390,844',
                 '--no-first-run', '--disable-background-networking', '--disable-component-update',
                 f'--user-data-dir={tmp_path}/profile'):
        options.add_argument(flag)
    options.add_experimental_option('prefs', {'profile.managed_default_content_settings.javascript': 2})
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    driver = webdriver.Chrome(service=Service(shutil.which('chromedriver')), options=options)
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()
    shutil.rmtree(tmp_path / 'profile', ignore_errors=True)


class Waiting(threading.Thread):
    def __init__(self, paas, a):
        super().__init__(daemon=True)
        self.req = urllib.request.Request(paas.url.replace('localhost', '127.0.0.1') + a['cli_url'],
                                          headers={'Authorization': 'Bearer ' + a['token']})
        self.got = None
        self.start()

    def run(self):
        with urllib.request.urlopen(self.req, timeout=120) as r:
            self.got = json.loads(r.read())


def fill(browser, **fields):
    for name, text in fields.items():
        e = browser.find_element(By.NAME, name)
        e.clear()
        e.send_keys(text)


def press(browser, text):
    """Until the page is another one: a click does not wait for what it starts."""
    browser.execute_script('document.documentElement.dataset.left = "1"')
    next(b for b in browser.find_elements(By.TAG_NAME, 'button') if b.text == text).click()
    wait_for('the next page', lambda: arrived(browser))


def arrived(browser):
    try:
        return browser.execute_script('return document.readyState == "complete" && !document.documentElement.dataset.left')
    except WebDriverException:  # between two pages
        return False


def check_page(browser):
    """Style is in force, all fields are labelled, it fits a phone, nothing was refused."""
    main = browser.find_element(By.TAG_NAME, 'main')
    assert main.value_of_css_property('padding-left') == '24px'
    assert browser.find_element(By.TAG_NAME, 'html').get_attribute('lang') == 'en'
    for field in browser.find_elements(By.CSS_SELECTOR, 'input:not([type=hidden])'):
        label = browser.find_element(By.CSS_SELECTOR, f'label[for="{field.get_attribute("id")}"]')
        assert label.text and label.is_displayed()
    for e in browser.find_elements(By.CSS_SELECTOR, 'main, input:not([type=hidden]), button'):
        box = e.rect
        assert box['x'] >= 0 and box['x'] + box['width'] <= browser.get_window_size()['width'], (e.tag_name, box)
        if e.tag_name in ('input', 'button'):
            assert box['height'] >= 36  # for fingers
    refused = [x for x in browser.get_log('browser') if 'Refused' in x['message'] or 'Content Security' in x['message']]
    assert not refused, refused


def test_login_in_chromium(paas, browser):
    c = Client(paas, paas.token)
    paas.new_user('chromium@example.com')
    a = c.with_token(None)('POST', '/auth', {'description': 'paasctl on <laptop>'}, want=201).json
    client = Waiting(paas, a)
    browser.get(paas.url + a['browser_url'])
    assert browser.title == 'Log in'
    check_page(browser)
    fill(browser, email='chromium@example.com', password='wrong horse')
    press(browser, 'Log in')
    alert = browser.find_element(By.CSS_SELECTOR, '[role=alert]')
    assert 'is wrong' in alert.text and browser.find_element(By.NAME, 'email').get_attribute('value') == 'chromium@example.com'
    check_page(browser)
    fill(browser, password='correct horse')
    press(browser, 'Log in')
    assert browser.title == 'Approve this login?'
    check_page(browser)
    text = browser.find_element(By.TAG_NAME, 'main').text
    assert 'paasctl on <laptop>' in text and a['code'] in text and 'chromium@example.com' in text
    cookies = {k['name']: k for k in browser.get_cookies()}
    assert cookies['paas_session']['httpOnly'] and cookies['paas_session']['sameSite'] == 'Lax'
    press(browser, 'Approve')
    assert browser.title == 'Logged in'
    token = wait_for('the token', lambda: client.got)['access_token']
    assert c.with_token(token).get('/account', want=200).json['email'] == 'chromium@example.com'
    # the session lasts; another account can be used in its place
    a = c.with_token(None)('POST', '/auth', {}, want=201).json
    browser.get(paas.url + a['browser_url'])
    assert browser.title == 'Approve this login?'
    press(browser, 'Use another account')
    assert browser.title == 'Log in'
    assert 'paas_session' not in {k['name'] for k in browser.get_cookies()}


def test_a_page_in_a_frame_is_refused(paas, browser, tmp_path):
    c = Client(paas, paas.token)
    a = c.with_token(None)('POST', '/auth', {}, want=201).json
    page = tmp_path / 'frame.html'
    page.write_text(f'<!doctype html><title>Evil</title><iframe src="{paas.url}{a["browser_url"]}"></iframe>')
    browser.get(page.as_uri())
    browser.switch_to.frame(0)
    assert 'Log in' not in browser.page_source


def test_an_invitation_in_chromium(paas, browser):
    c = Client(paas, paas.token)
    i = c('POST', '/invitations', {'email': 'invited@example.com'}, want=201).json
    browser.get(i['url'])
    assert 'invited@example.com' in browser.find_element(By.TAG_NAME, 'main').text
    check_page(browser)
    fill(browser, name='In Vited', password='correct horse', again='correct horse')
    press(browser, 'Make my account')
    assert browser.title == 'Welcome'
    assert 'invited@example.com' in [u['email'] for u in c.get('/users').json]
