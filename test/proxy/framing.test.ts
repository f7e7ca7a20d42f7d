import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { exchangeBytes, openStage, rawClient, route, type Stage } from './stage.ts';

let stage: Stage;
/** What reached the app: head and body of each request. */
const seen: { readonly line: string; readonly headers: string[]; readonly body: string }[] = [];

beforeAll(async () => {
  stage = await openStage({ headerTimeoutMs: 1000 });
  const app = await stage.app('web.1@v1', (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      seen.push({ line: `${request.method} ${request.url}`, headers: request.rawHeaders, body: Buffer.concat(chunks).toString() });
      response.end(`app: ${request.method} ${request.url}`);
    });
  });
  await stage.serve([route('a.test', app), route('b.test', app)]);
});
afterAll(() => stage.close());
beforeEach(() => {
  seen.length = 0;
});

const get = (...lines: string[]): string => `${['GET / HTTP/1.1', ...lines].join('\r\n')}\r\n\r\n`;

describe('requests that two servers could read differently are refused', () => {
  const cases: readonly (readonly [name: string, bytes: string, status: number])[] = [
    ['Content-Length beside Transfer-Encoding', 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG', 400],
    ['Transfer-Encoding beside Content-Length', 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n', 400],
    ['two equal Content-Lengths', 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx', 400],
    ['two different Content-Lengths', 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy', 400],
    ['a list of Content-Lengths', 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1, 1\r\n\r\nx', 400],
    ['a signed Content-Length', 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: +1\r\n\r\nx', 400],
    ['a Content-Length in hex', 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0x1\r\n\r\nx', 400],
    ['another coding before chunked', 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n', 400],
    ['chunked twice', 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['identity coding', 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: identity\r\n\r\n', 400],
    ['a coding hidden by a control character', 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n', 400],
    ['a space before the colon', 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n', 400],
    ['chunks in HTTP/1.0', 'POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['a chunk size that is no number', 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n', 400],
    ['a chunk size with a sign', 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n', 400],
    ['a chunk size beyond all numbers', 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n', 400],
    ['a header folded onto a second line', get('Host: a.test', 'X-A: one', ' two'), 400],
    ['a folded Transfer-Encoding', 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n', 400],
    ['bare line feeds', 'GET / HTTP/1.1\nHost: a.test\n\n', 400],
    ['a bare line feed after one header', 'GET / HTTP/1.1\r\nHost: a.test\nX-A: b\r\n\r\n', 400],
    ['a bare carriage return in a value', get('Host: a.test', 'X-A: b\rX-B: c'), 400],
    ['a NUL in a value', get('Host: a.test', 'X-A: b\0c'), 400],
    ['two Hosts', get('Host: a.test', 'Host: b.test'), 400],
    ['two equal Hosts', get('Host: a.test', 'Host: a.test'), 400],
    ['no Host', get('X-A: b'), 400],
    ['no Host in HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', 400],
    ['a Host with a path', get('Host: a.test/x'), 400],
    ['a Host with a user', get('Host: x@a.test'), 400],
    ['a list of Hosts', get('Host: a.test, b.test'), 400],
    ['a URL of another host than the Host header', 'GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n', 400],
    ['a URL with another scheme', 'GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n', 400],
    ['the asterisk form', 'OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n', 400],
    ['CONNECT', 'CONNECT a.test:80 HTTP/1.1\r\nHost: a.test\r\n\r\n', 405],
    ['TRACE', 'TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n', 405],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['an upgrade with a body', 'POST / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n\r\nGET ', 400],
    ['an unknown version', 'GET / HTTP/1.9\r\nHost: a.test\r\n\r\n', 400],
    ['an unknown expectation', get('Host: a.test', 'Expect: 200-maybe'), 417],
    ['a head larger than the limit', get('Host: a.test', `X-A: ${'x'.repeat(40_000)}`), 431],
    ['a path larger than the limit', `GET /${'x'.repeat(40_000)} HTTP/1.1\r\nHost: a.test\r\n\r\n`, 431],
    ['thousands of headers', get('Host: a.test', ...Array.from({ length: 8000 }, (_, index) => `a${index}: b`)), 431],
    ['something that is not HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400],
  ];
  test.each(cases)('%s', async (_name, bytes, status) => {
    const answer = await exchangeBytes(stage.port, bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toMatch(/\r\nX-Request-Id: [\w-]+\r\n/);
    expect(answer.match(/^HTTP\/1\.1/gm)).toHaveLength(1);
    expect(seen.filter(({ body }) => body !== '' || !bytes.includes('chunked'))).toEqual([]);
  });
});

describe('what is unusual and valid arrives as one request', () => {
  test('a DELETE with a chunked body is one request with its body', async () => {
    const inner = 'GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n';
    const client = rawClient(stage.port);
    client.send(`DELETE /thing HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`);
    await client.until((text) => text.includes('app: DELETE /thing'));
    client.send('GET /after HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
    await client.untilClosed();
    expect(seen.map(({ line }) => line)).toEqual(['DELETE /thing', 'GET /after']);
    expect(seen[0]?.body).toBe(inner);
  });

  test.each(['GET', 'DELETE', 'OPTIONS', 'HEAD', 'PURGE'])('a %s with a length and a body is one request with its body', async (method) => {
    await exchangeBytes(stage.port, `${method} /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nConnection: close\r\n\r\nGET /`);
    expect(seen.map(({ line, body }) => [line, body])).toEqual([[`${method} /x`, 'GET /']]);
  });

  test('pipelined requests are answered in their order', async () => {
    const answer = await exchangeBytes(stage.port, `${get('Host: a.test')}GET /2 HTTP/1.1\r\nHost: b.test\r\n\r\nGET /3 HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`);
    expect(answer.match(/app: \S+ \S+/g)?.map((line) => line.replace(/HTTP.*/, ''))).toEqual(['app: GET /', 'app: GET /2', 'app: GET /3']);
  });

  test('an upgrade to HTTP/2 is not handed on: the request is answered in HTTP/1.1, its body included', async () => {
    const upgrade = 'Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA';
    const answer = await exchangeBytes(stage.port, `POST /x HTTP/1.1\r\nHost: a.test\r\n${upgrade}\r\nContent-Length: 5\r\n\r\nGET /`);
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    expect(seen.map(({ line, body }) => [line, body])).toEqual([['POST /x', 'GET /']]);
    expect(seen[0]?.headers.some((text) => /^(upgrade|http2-settings)$|h2c/i.test(text))).toBe(false);
  });

  test('a URL of the same host is handed on as a path', async () => {
    await exchangeBytes(stage.port, 'GET http://A.test/p?q=1 HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
    expect(seen.map(({ line }) => line)).toEqual(['GET /p?q=1']);
  });

  test('a broken chunk in the middle of a body never becomes a complete request', async () => {
    const answer = await exchangeBytes(stage.port, 'POST /half HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxx\r\n');
    expect(answer).not.toContain('app:');
    expect(seen).toEqual([]);
  });
});

describe('headers', () => {
  const headersOf = async (...lines: string[]): Promise<Map<string, string[]>> => {
    await exchangeBytes(stage.port, get('Host: a.test', ...lines, ...(lines.some((line) => line.startsWith('Connection')) ? [] : ['Connection: close'])));
    const found = new Map<string, string[]>();
    const raw = seen[0]?.headers ?? [];
    for (let index = 0; index < raw.length; index += 2) {
      const name = (raw[index] as string).toLowerCase();
      found.set(name, [...(found.get(name) ?? []), raw[index + 1] as string]);
    }
    return found;
  };

  test('what a client claims about itself is replaced', async () => {
    const headers = await headersOf('X-Forwarded-For: 6.6.6.6', 'x-forwarded-proto: https', 'X-Forwarded-Host: evil', 'X-FORWARDED-PORT: 1', 'X-Forwarded-Prefix: /x',
      'X-Request-Id: mine', 'Forwarded: for=6.6.6.6', 'X-Real-IP: 6.6.6.6', 'Proxy: http://evil', 'X_Forwarded_For: 6.6.6.6', 'X_Request_Id: mine');
    expect(headers.get('x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(headers.get('x-forwarded-proto')).toEqual(['http']);
    expect(headers.get('x-forwarded-host')).toEqual(['a.test']);
    expect(headers.get('x-forwarded-port')).toEqual(['80']);
    expect(headers.get('x-request-id')?.[0]).toMatch(/^[0-9a-f]{18}-/);
    for (const name of ['x-forwarded-prefix', 'forwarded', 'x-real-ip', 'proxy', 'x_forwarded_for', 'x_request_id']) expect(headers.has(name), name).toBe(false);
  });

  test('headers of one connection, and those that Connection names, end at the proxy', async () => {
    const headers = await headersOf('Connection: close, X-Secret, Host, Cookie', 'X-Secret: 1', 'Cookie: a=b', 'Keep-Alive: timeout=5', 'Proxy-Connection: keep-alive', 'TE: trailers, deflate', 'Proxy-Authorization: x');
    expect(headers.has('x-secret')).toBe(false);
    expect(headers.get('cookie')).toEqual(['a=b']);
    expect(headers.get('host')).toEqual(['a.test']);
    expect(headers.get('te')).toEqual(['trailers']);
    for (const name of ['keep-alive', 'proxy-connection', 'proxy-authorization']) expect(headers.has(name), name).toBe(false);
  });

  test('repeated headers, unusual bytes and the Host with its port pass unchanged', async () => {
    const client = rawClient(stage.port);
    client.send('GET / HTTP/1.1\r\nHost: A.Test:8080\r\nX-A: one\r\nX-A: two\r\nX-B: caf\xe9\r\nConnection: close\r\n\r\n');
    await client.untilClosed();
    const raw = seen[0]?.headers ?? [];
    expect(raw.slice(raw.indexOf('X-A'), raw.indexOf('X-A') + 6)).toEqual(['X-A', 'one', 'X-A', 'two', 'X-B', 'caf\xe9']);
    expect(raw[1]).toBe('A.Test:8080');
    expect(raw[raw.indexOf('x-forwarded-port') + 1]).toBe('8080');
  });

  test('a head that does not come to its end is cut off', async () => {
    const client = rawClient(stage.port);
    client.send('GET / HTTP/1.1\r\nHost: a.test\r\nX-Slow: ');
    expect(await client.untilClosed()).toMatch(/^HTTP\/1.1 408 /);
  });

  test('a connection that says nothing at all is closed', async () => {
    await rawClient(stage.port).untilClosed();
  });
});
