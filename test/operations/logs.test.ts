import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { createApp, deleteApp } from '../../src/store/apps.ts';
import { openStage } from './stage.ts';

const terminal = { columns: 80, rows: 24, onResize: () => undefined };

describe('logs', () => {
  const line = { at: '2026-11-21T10:00:00.123456789Z', process: 'web.1', text: 'listening' };

  test('lines carry time and process', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    stage.logLines.push(line, { ...line, process: 'worker.1', text: 'ready' });
    expect(await stage.ok('logs', 'hello', '-n', '5', '-p', 'web', '-p', 'worker.1')).toBe(
      '2026-11-21T10:00:00.123456789Z app[web.1]: listening\n2026-11-21T10:00:00.123456789Z app[worker.1]: ready\n',
    );
    expect(stage.logQueries[0]).toMatchObject({ lines: 5, processes: ['web', 'worker.1'], follow: false });
    expect(JSON.parse((await stage.ok('logs', 'hello', '--json')).split('\n')[0] ?? '')).toEqual(line);
    expect((await stage.run(['logs', 'hello', '-p', '../x'])).status).toBe(2);
  });

  test('following does not go on into another app of the same name', async () => {
    const stage = openStage();
    const name = 'hello';
    await stage.ok('apps:create', name);
    const read = stage.services.logs.read;
    stage.services.logs.read = async function* (...request) {
      yield* read(request[0], { ...request[1], follow: false });
      deleteApp(stage.store, name);
      stage.clock.now = new Date(stage.clock.now.getTime() + 1);
      createApp(stage.store, { name });
      yield { ...line, text: 'of somebody else' };
    };
    stage.logLines.push(line);
    const { status, stdout, stderr } = await stage.run(['logs', name, '-f']);
    expect({ status, stderr }).toMatchObject({ status: 4, stderr: expect.stringContaining('hello is no longer the app') as string });
    expect(stdout).toContain('listening');
    expect(stdout).not.toContain('somebody else');
  });

  test('following ends with the session, and with Ctrl-C in a terminal', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    const stdin = new PassThrough();
    const following = stage.run(['logs', 'hello', '-f'], { terminal, stdin });
    stdin.write('\x03');
    expect(await following).toMatchObject({ status: 0 });
    const gone = new AbortController();
    const left = stage.run(['logs', 'hello', '-f'], { signal: gone.signal });
    gone.abort();
    expect((await left).status).toBeLessThanOrEqual(130);
  });
});
