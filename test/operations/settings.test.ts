import { describe, expect, test } from 'vitest';
import { ForgeError } from '../../src/errors.ts';
import { findAudit } from '../../src/store/audit.ts';
import { getApp, updateApp } from '../../src/store/apps.ts';
import { openStage, release } from './stage.ts';

describe('settings', () => {
  test('each is stored, shown, and restarts the app where that makes it live', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    release(stage.store, 'hello');
    await stage.ok('builder:set', 'hello', 'dockerfile');
    await stage.ok('build-args:set', 'hello', 'TOKEN', 'TOKEN', 'REV');
    expect(await stage.run(['branch:set', 'hello', 'production'])).toMatchObject({ status: 5, stderr: expect.stringContaining('hello has no repository yet') as string });
    stage.branches.set('hello', 'main');
    await stage.ok('branch:set', 'hello', 'production');
    expect(stage.asked).toEqual([]);
    await stage.ok('ports:set', 'hello', '3000');
    await stage.ok('checks:set', 'hello', '--path', '/healthz', '--timeout', '120', '--drain-timeout=5');
    await stage.ok('limits:set', 'hello', 'web', '--memory', '1G', '--pids', '100', '--no-restart');
    expect(stage.asked).toEqual(['change hello', 'change hello']);
    expect(getApp(stage.store, 'hello')).toMatchObject({
      settings: { builder: 'dockerfile', buildArgs: ['TOKEN', 'REV'], port: 3000, checks: { web: [{ probe: { kind: 'http', path: '/healthz' }, waitMs: 120_000 }] }, drainTimeoutMs: 5000 },
      formation: { web: { quantity: 1, limits: { memoryBytes: 1024 ** 3, cpuShares: 1024, pids: 100 } } },
    });
    const info = await stage.ok('apps:info', 'hello');
    for (const part of ['dockerfile', 'production', 'TOKEN REV', 'startup GET /healthz', '1 × 1G']) expect(info).toContain(part);
    await stage.ok('builder:set', 'hello', 'auto');
    await stage.ok('ports:set', 'hello', 'auto');
    await stage.ok('build-args:set', 'hello');
    await stage.ok('checks:set', 'hello', '--tcp');
    expect(getApp(stage.store, 'hello').settings).toMatchObject({ builder: undefined, port: undefined, buildArgs: [], checks: { web: [{ probe: { kind: 'tcp' }, waitMs: 120_000 }] } });
  });

  test('capabilities become fewer, in any spelling, and come back', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    const kept = async (...words: string[]) => {
      await stage.ok('caps:set', 'hello', ...words);
      return getApp(stage.store, 'hello').settings.capabilities;
    };
    expect(await kept('CAP_NET_BIND_SERVICE', 'chown')).toEqual(['CHOWN', 'NET_BIND_SERVICE']);
    expect(await stage.ok('apps:info', 'hello')).toContain('CHOWN NET_BIND_SERVICE');
    expect(await kept('none')).toEqual([]);
    expect(await kept('auto')).toBeUndefined();
  });

  test('limits leave a quantity as it is when their turn has come', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    const limits = { memoryBytes: 1024 ** 3, cpuShares: 512, pids: 64 };
    stage.meanwhile = () => updateApp(stage.store, 'hello', { formation: { web: { quantity: 3, limits } } });
    expect(JSON.parse(await stage.ok('limits:set', 'hello', 'web', '--pids', '100', '--json'))).toMatchObject({ limits: { ...limits, pids: 100 } });
    expect(getApp(stage.store, 'hello').formation).toEqual({ web: { quantity: 3, limits: { ...limits, pids: 100 } } });
  });

  test.each([
    ['builder:set', 'make'], ['ports:set', '0'], ['ports:set', '65536'], ['ports:set', '08'], ['branch:set', '-x'], ['build-args:set', 'A-B'],
    ['checks:set', '--path', 'healthz'], ['checks:set', '--tcp', '--path', '/x'], ['checks:set'], ['limits:set', 'web'], ['limits:set', 'web', '--memory', 'lots'], ['limits:set', 'web', '--memory', '1K'], ['limits:set', 'Web!', '--pids', '64'],
    ['caps:set'], ['caps:set', 'SYS_ADMIN'], ['caps:set', 'NET_RAW'], ['caps:set', 'CHOWN', 'all'], ['caps:set', 'none', 'CHOWN'],
  ])('%s %s %s %s is refused', async (name, ...words) => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    expect((await stage.run([name, 'hello', ...words])).status).toBe(2);
  });

  test('a change that does not come up is not stored, said so, and ends with the failure', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    release(stage.store, 'hello');
    stage.failure = new ForgeError('failed', 'web.1 exited with status 1', { details: ['Error: no DATABASE_URL'] });
    const { status, stderr } = await stage.run(['ports:set', 'hello', '3000']);
    expect(status).toBe(1);
    expect(stderr).toContain('not in force and not stored; v1 goes on serving');
    expect(stderr).toContain('Error: no DATABASE_URL');
    expect(getApp(stage.store, 'hello').settings.port).toBeUndefined();
    expect(findAudit(stage.store)[0]).toMatchObject({ action: 'ports:set', details: { port: '3000', outcome: 'failed' } });
  });
});
