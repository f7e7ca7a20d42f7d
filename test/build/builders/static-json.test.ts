import { describe, expect, test } from 'vitest';
import { nginxConf } from '../../../src/build/builders/nginx-conf.ts';
import { servedPath } from '../../../src/build/builders/static-files.ts';
import { parseStaticJson } from '../../../src/build/builders/static-json.ts';

describe('static.json', () => {
  test('is read as Heroku defines it, and what forge does not do is a warning', () => {
    expect(
      parseStaticJson('{"root":"./dist/","clean_urls":true,"routes":{"/**":"index.html"},"error_page":"e/404.html","https_only":true,"headers":{"/a":{"X-Y":"z"}}}'),
    ).toEqual({
      root: 'dist',
      hasCleanUrls: true,
      routes: [{ path: '/**', file: 'index.html' }],
      errorPage: 'e/404.html',
      headers: [{ path: '/a', name: 'X-Y', value: 'z' }],
      redirects: [],
      warnings: ['static.json: https_only is left out: this version of forge serves no HTTPS'],
    });
  });

  test.each([
    '{"root":"../x"}',
    '{"root":"/a/../../etc"}',
    '{"routes":{"/a\\"; } server {":"index.html"}}',
    '{"routes":{"/**":"index.html\\"; return 200"}}',
    '{"routes":{"/x y":"index.html"}}',
    '{"headers":{"/":{"X-A":"a\\"; root /etc; #"}}}',
    '{"headers":{"/":{"X-A":"$request_body"}}}',
    '{"headers":{"/":{"X-A":"a\\r\\nSet-Cookie: x"}}}',
    '{"headers":{"/":{"X A":"a"}}}',
    '{"error_page":"a;b"}',
    '{"redirects":{"/a":{"url":"javascript:alert(1)"}}}',
    '{"redirects":{"/a":{"url":"/b\\"; }"}}}',
    '{"redirects":{"/a":{"url":"/b","status":200}}}',
    '{"clean_urls":"yes"}',
    '[1]',
    '{',
  ])('%s is refused', (text) => {
    expect(() => parseStaticJson(text)).toThrow(expect.objectContaining({ code: 'invalid' }) as Error);
  });
});

describe('the web server’s configuration', () => {
  test('tries files, folders, then the routes', () => {
    const conf = nginxConf(parseStaticJson('{"clean_urls":true,"routes":{"/app/**":"index.html","/x/*.y":"/z.html"}}'), '404.html');
    expect(conf).toContain('try_files $uri $uri.html $uri/ $forge_route =404;');
    expect(conf).toContain('"~^/app/.*$" "/index.html";');
    expect(conf).toContain('"~^/x/[^/]*\\.y$" "/z.html";');
    expect(conf).toContain('error_page 404 /404.html;');
    expect(conf).toContain('listen @PORT@;');
  });

  test('asks for revalidation unless the app says otherwise', () => {
    const conf = nginxConf(parseStaticJson('{"headers":{"/assets/**":{"cache-control":"max-age=9"}}}'), undefined);
    expect(conf).toContain('default "no-cache";\n    "~^/assets/.*$" "max-age=9";');
    expect(conf.match(/add_header cache-control/gi)).toHaveLength(1);
  });
});

test.each([
  ['index.html', '', 'index.html'],
  ['./a/b.css', '', 'a/b.css'],
  ['dist/a.css', 'dist', 'a.css'],
  ['distant/a.css', 'dist', undefined],
  ['.env', '', undefined],
  ['a/.git/config', '', undefined],
  ['.well-known/acme', '', '.well-known/acme'],
  ['a/.well-known/x', '', undefined],
  ['static.json', '', undefined],
  ['dist/static.json', 'dist', undefined],
  ['dist/', 'dist', undefined],
])('Of %s with the root %j, %s is served', (name, root, expected) => {
  expect(servedPath(name, root)).toBe(expected);
});
