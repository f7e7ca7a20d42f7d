import { describe, expect, it, vi } from 'vitest';
import { createLive, type LiveParts } from '../../src/deploy/live.ts';
import type { Instance, RouteTable } from '../../src/domain.ts';
import { ForgeError } from '../../src/errors.ts';
import { untilAborted } from '../../src/wait.ts';
import { silentLog } from '../store/open-test-store.ts';

const instance = (name: string, version = 1): Instance => ({
  name, app: 'hello', version, type: name.split('.')[0] ?? '', ordinal: Number(name.split('.')[1]), containerId: `${name}-v${version}`, address: '10.0.0.2', port: 8080, isRunning: true, deploymentId: 'd',
});

const never = new Promise<never>(() => undefined);
const retireOptions = { drainTimeoutMs: 30_000, webSocketGraceMs: 5_000, stopTimeoutMs: 10_000 };

/** Routes on a proxy and an engine that keep the books; `proxy` replaces a part of that proxy. */
function openStage(proxy: Partial<LiveParts['proxy']> = {}) {
  const done: string[] = [];
  const stopping = new AbortController();
  const live = createLive({
    proxy: {
      apply: async ({ routes }: RouteTable) => void done.push(`route ${routes.flatMap(({ targets }) => targets.map(({ id }) => id)).join()}`),
      drained: async ([id], { webSocketGraceMs }) => void done.push(`drain ${id}, close its WebSockets after ${webSocketGraceMs} ms`),
      ...proxy,
    },
    runtime: {
      retire: async (instances) => {
        done.push(...instances.map(({ containerId }) => `stop ${containerId}`));
        return [];
      },
    },
    domain: 'localhost',
    controlSocket: '/none',
    signal: stopping.signal,
    log: silentLog,
  });
  return { live, done, stopping };
}

const away = { apply: (_table: RouteTable, signal: AbortSignal) => untilAborted(never, signal) };

describe('retiring', () => {
  it('stops an instance only after its requests have ended', async () => {
    const { live, done } = openStage();
    await live.retire([instance('web.1')], retireOptions);
    expect(done).toEqual(['drain hello/web.1@v1/web.1-v1, close its WebSockets after 5000 ms', 'stop web.1-v1']);
  });

  it('does not let an old worker run beside the new one for as long as an old web instance answers somebody', async () => {
    const answered = Promise.withResolvers<void>();
    const { live, done } = openStage({ drained: async ([id]) => await (id?.includes('web.1') ? answered.promise : undefined) });
    const retired = live.retire([instance('web.1'), instance('worker.1')], retireOptions);
    await expect.poll(() => done).toEqual(['stop worker.1-v1']);
    expect(['web.1-v1', 'worker.1-v1'].map((id) => live.retiring.has(id))).toEqual([true, false]);
    answered.resolve();
    await retired;
    expect(done).toEqual(['stop worker.1-v1', 'stop web.1-v1']);
    expect(live.retiring.has('web.1-v1')).toBe(false);
  });

  it('leaves what is draining to the next start when forge stops', async () => {
    const { live, done, stopping } = openStage({ drained: (_ids, { signal }) => untilAborted(never, signal) });
    const retired = live.retire([instance('web.1')], retireOptions);
    stopping.abort();
    await retired;
    expect(done).toEqual([]);
  });
});

describe('retiring that is called off', () => {
  it('leaves those running whose requests have not ended, and no one else', async () => {
    const { live, done } = openStage({ drained: async ([id], { signal }) => void (id?.includes('web.1') && (await untilAborted(never, signal))) });
    const leaving = new AbortController();
    const retired = live.retire([instance('web.1'), instance('worker.1')], { ...retireOptions, signal: leaving.signal });
    await expect.poll(() => done).toEqual(['stop worker.1-v1']);
    leaving.abort();
    await retired;
    expect(done).toEqual(['stop worker.1-v1']);
    expect(live.retiring.has('web.1-v1')).toBe(false);
  });

  it('is waited for by type where that is what matters', async () => {
    const { live } = openStage({ drained: async ([id], { signal }) => void (id?.includes('web.1') && (await untilAborted(never, signal))) });
    const leaving = new AbortController();
    const retired = live.retire([instance('web.1')], { ...retireOptions, signal: leaving.signal });
    await live.untilRetired('hello', leaving.signal, (type) => type === 'worker');
    const waiting = live.untilRetired('hello', AbortSignal.timeout(20), (type) => type === 'web');
    await expect(waiting).rejects.toThrow('canceled');
    leaving.abort();
    await retired;
  });
});

describe('a proxy that is away', () => {
  it('is what a change names after a boot, not the engine, which has told what runs', async () => {
    const { live, stopping } = openStage(away);
    const restoring = live.restore(new Map([['hello', [instance('web.1')]]]));
    restoring.catch(() => undefined);
    await live.untilRestored();
    expect(live.servingOf('hello')).toEqual([instance('web.1')]);
    const swapping = live.swap('hello', [instance('web.1', 2)]);
    stopping.abort();
    await expect(swapping).rejects.toThrow('the proxy did not take the new routes');
    await expect(restoring).rejects.toThrow('the proxy did not take the new routes');
    expect(live.servingOf('hello')).toEqual([instance('web.1')]);
  });

  it('is not waited for long once forge stops', async () => {
    const { live, stopping } = openStage(away);
    const startedAt = performance.now();
    const restoring = live.restore(new Map());
    stopping.abort(new ForgeError('canceled', 'forge is being stopped'));
    await expect(restoring).rejects.toMatchObject({ code: 'timeout' });
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  it('gets what serves by then when it is back, not what was found at the boot', async () => {
    let isAway = true;
    const tables: RouteTable[] = [];
    const { live } = openStage({
      apply: async (table) => {
        tables.push(table);
        if (isAway) throw new ForgeError('unavailable', 'the proxy did not answer');
      },
    });
    await expect(live.restore(new Map([['hello', [instance('web.1')]]]))).rejects.toThrow('did not answer');
    isAway = false;
    await live.swap('hello', [instance('web.1', 2)]);
    await live.restore(new Map([['hello', [instance('web.1')]]]));
    expect(tables.at(-1)?.routes[0]?.targets[0]?.id).toContain('web.1@v2');
  });
});

describe('route tables', () => {
  it('are numbered upwards also when the clock steps back', async () => {
    const numbers: number[] = [];
    const { live } = openStage({ apply: async ({ version }: RouteTable) => void numbers.push(version) });
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-01-01T12:00:00Z') });
    await live.restore(new Map());
    vi.setSystemTime(new Date('2026-01-01T11:00:00Z'));
    await live.swap('hello', [instance('web.1')]);
    await live.swap('hello', []);
    vi.useRealTimers();
    expect(numbers).toEqual([numbers[0], (numbers[0] ?? 0) + 1, (numbers[0] ?? 0) + 2]);
  });
});
