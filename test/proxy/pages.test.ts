import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fetchText, openStage, route, type Stage } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage({ responseTimeoutMs: 600 });
});
afterEach(() => stage.close());

describe('pages of forge', () => {
  test('an unknown host gets a page that names no app, as HTML or text', async () => {
    const app = await stage.app('web.1@v1', (_request, response) => void response.end('app'));
    await stage.serve([route('secret-name.test', app)]);
    const html = await fetchText(stage.port, '/', { headers: { accept: 'text/html,*/*' } });
    expect([html.response.statusCode, html.response.headers['content-type']]).toEqual([404, 'text/html; charset=utf-8']);
    expect(html.body).toContain(String(html.response.headers['x-request-id']));
    const text = await fetchText(stage.port, '/');
    expect(text.response.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(html.body + text.body).not.toContain('secret-name');
  });

  test('an app without targets is a 503, an unreachable one a 502, a slow one a 504', async () => {
    const dead = await stage.app('web.1@v1', () => undefined);
    await dead.stop();
    const slow = await stage.app('web.1@v2', () => undefined);
    await stage.serve([route('a.test'), route('dead.test', dead), route('slow.test', slow)]);
    const status = async (host: string) => (await fetchText(stage.port, '/', { headers: { host } })).response.statusCode;
    expect(await status('a.test')).toBe(503);
    expect(await status('dead.test')).toBe(502);
    expect(await status('slow.test')).toBe(504);
  });

  test('before the first table every host is a 503', async () => {
    expect((await fetchText(stage.port, '/')).response.statusCode).toBe(503);
  });

  test("forge's own host streams to the control plane's socket, and says so when that is down", async () => {
    await stage.serve([]);
    const headers = { host: 'forge.test' };
    expect((await fetchText(stage.port, '/', { headers })).body).toContain('forge is not running');
    const control = createServer((request, response) => request.pipe(response)).listen(stage.controlSocket);
    await once(control, 'listening');
    const { body } = await fetchText(stage.port, '/hello.git/git-receive-pack', { method: 'POST', headers, body: Buffer.alloc(5_000_000, 'p') });
    expect(body.length).toBe(5_000_000);
    control.closeAllConnections();
    control.close();
  });
});
