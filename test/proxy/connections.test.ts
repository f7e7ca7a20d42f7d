import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fetchText, openStage, route, type Stage } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage({ responseTimeoutMs: 600 });
});
afterEach(() => stage.close());

describe('connections to apps', () => {
  test('are kept and used again, after HEAD and DELETE with a body too', async () => {
    let connections = 0;
    const app = await stage.app('web.1@v1', (request, response) => {
      request.resume();
      response.end('ok');
    });
    app.server.on('connection', () => (connections += 1));
    await stage.serve([route('a.test', app)]);
    for (const method of ['GET', 'HEAD', 'DELETE', 'POST', 'GET']) await fetchText(stage.port, '/', { method, ...(method === 'GET' || method === 'HEAD' ? {} : { body: 'x', headers: { 'content-length': '1' } }) });
    expect(connections).toBe(1);
  });

  test('a GET on a connection that the app has just closed is sent again; a POST is not', async () => {
    const requests: string[] = [];
    const app = await stage.bytesApp('web.1@v1', (socket) => {
      let count = 0;
      socket.on('data', (data) => {
        const line = data.toString().split(' HTTP')[0] ?? '';
        requests.push(line);
        count += 1;
        // The second request on a connection meets its end.
        if (count === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        else socket.destroy();
      });
    });
    await stage.serve([route('a.test', app)]);
    expect((await fetchText(stage.port, '/1')).body).toBe('ok');
    expect((await fetchText(stage.port, '/2')).body).toBe('ok');
    expect((await fetchText(stage.port, '/3', { method: 'POST', body: 'x' })).response.statusCode).toBe(502);
    expect(requests).toEqual(['GET /1', 'GET /2', 'GET /2', 'POST /3']);
  });

  test('a target that refuses connections is passed over, also for a POST', async () => {
    const dead = await stage.app('web.1@v1', () => undefined);
    await dead.stop();
    const app = await stage.app('web.2@v1', (request, response) => request.pipe(response));
    await stage.serve([route('a.test', dead, app)]);
    for (let count = 0; count < 4; count += 1) expect((await fetchText(stage.port, '/', { method: 'POST', body: 'hello' })).body).toBe('hello');
  });

  test('requests spread over the targets', async () => {
    const counts = [0, 0, 0];
    const apps = await Promise.all(counts.map((_count, index) => stage.app(`web.${index}@v1`, (_request, response) => {
      counts[index] = (counts[index] ?? 0) + 1;
      response.end();
    })));
    await stage.serve([route('a.test', ...apps)]);
    for (let count = 0; count < 30; count += 1) await fetchText(stage.port, '/');
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(8);
  });
});
