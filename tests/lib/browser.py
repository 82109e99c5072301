"""A browser without scripts, for the platform's own pages: cookies, forms by their fields, redirects."""
import http.client
import re
from urllib.parse import urlencode


class Browser:
    def __init__(self, paas, url, headers=None):
        self.paas, self.path, self.jar, self.headers = paas, url, {}, headers or {}
        self.load('GET')

    def load(self, method, body=None):
        conn = http.client.HTTPConnection('127.0.0.1', self.paas.port, timeout=30)
        head = {'Host': f'localhost:{self.paas.port}', 'Accept': 'text/html,*/*;q=0.8', 'User-Agent': 'Tester/1 <b>',
                'Cookie': '; '.join(f'{k}={v}' for k, v in self.jar.items()), **self.headers}
        if body is not None:
            head['Content-Type'] = 'application/x-www-form-urlencoded'
        conn.request(method, self.path, body, head)
        r = conn.getresponse()
        self.text, self.status, self.head = r.read().decode(), r.status, r.headers
        conn.close()
        for line in r.headers.get_all('Set-Cookie') or []:
            assert 'HttpOnly' in line and 'SameSite=Lax' in line and 'Path=/' in line, line
            name, _, value = line.partition(';')[0].partition('=')
            self.jar[name] = value
            if 'Max-Age=0' in line:
                del self.jar[name]
        if r.status == 303:
            self.path = r.headers['Location']
            return self.load('GET')
        assert "default-src 'none'" in r.headers['Content-Security-Policy'] and '<script' not in self.text
        assert r.headers['X-Frame-Options'] == 'DENY' and 'no-store' in ', '.join(r.headers.get_all('Cache-Control'))
        return self

    def fields(self):
        return dict(re.findall(r'name="(\w+)" type="\w+"[^>]*value="([^"]*)"', self.text)) | \
            dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', self.text))

    def submit(self, action, **fill):
        return self.load('POST', urlencode({**self.fields(), **fill, 'action': action}))

    @property
    def title(self):
        return re.search('<title>(.*)</title>', self.text).group(1)
