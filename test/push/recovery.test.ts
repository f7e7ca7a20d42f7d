/** What fails around forge, and what visitors and pushers notice of it: the machine restarts, the engine is killed, forge stands still, the disk is full. */
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appFolder, bootForge, dockerfileApp, until, writeFiles, type RunningForge } from '../support/forge.ts';
import { ensureNodeImage, nodeImage } from '../support/images.ts';
import { startLoad } from '../support/load.ts';
import { openCuttableSocket, type CuttableSocket } from '../support/cuttable-socket.ts';
import { startPrivateEngine, type PrivateEngine } from '../support/private-engine.ts';

/** As long as somebody asks for; a minute is what an operator's debugger or a starved machine takes. */
const stoppedMs = Number(process.env['FORGE_TEST_STOPPED_MS'] ?? 5_000);
const isRoot = process.getuid?.() === 0;

const text = (name: string) => ({ 'server.js': dockerfileApp(name)['server.js'] as string });
const served = async (forge: RunningForge): Promise<string> => (await forge.get('site')).body;
const unfinished = async (forge: RunningForge): Promise<number> => (await forge.deployments('site')).filter(({ status }) => !['succeeded', 'failed', 'canceled', 'superseded'].includes(status)).length;

describe('beside the machine’s engine', () => {
  let forge: RunningForge;
  let engine: CuttableSocket;
  let folder: string;

  beforeAll(async () => {
    engine = await openCuttableSocket(join(await mkdtemp(join(tmpdir(), 'forge-engine-')), 'docker.sock'), '/var/run/docker.sock');
    forge = await bootForge({ hasOwnProxy: true, settings: { dockerSocket: engine.path } });
    folder = await appFolder(dockerfileApp('v1'));
    expect(await forge.push(folder, 'site')).toMatchObject({ exitCode: 0 });
  });
  afterAll(async () => {
    await forge.remove();
    await engine.cut();
  });

  it('a forge that stands still for a while costs visitors nothing; a push that came meanwhile goes on with it', async () => {
    const load = startLoad({ port: forge.http, host: 'site.localhost', perSecond: 60 });
    process.kill(forge.pid, 'SIGSTOP');
    const before = load.soFar.answered;
    await writeFiles(folder, text('v2'));
    const pushing = forge.push(folder, 'site');
    try {
      await until('visitors are answered for that long', async () => load.soFar.answered - before > (60 * stoppedMs) / 1000, 2 * stoppedMs + 30_000);
      expect(await served(forge)).toBe('v1');
    } finally {
      process.kill(forge.pid, 'SIGCONT');
    }
    expect(await pushing).toMatchObject({ exitCode: 0 });
    expect(await served(forge)).toBe('v2');
    expect(await unfinished(forge)).toBe(0);
    expect(await load.stop()).toMatchObject({ failures: [], bodies: ['v1', 'v2'] });
  });

  const startOrders = {
    'forge, then the engine, then the proxy': async () => {
      await forge.begin();
      await engine.restore();
      await forge.beginProxy();
    },
    'the proxy, then forge, then the engine': async () => {
      await forge.beginProxy();
      await forge.begin();
      await engine.restore();
    },
    'the engine, then the proxy, then forge': async () => {
      await engine.restore();
      await forge.beginProxy();
      await forge.begin();
    },
  };
  it.each(Object.entries(startOrders))('a machine that restarts serves what it served, whatever comes up first: %s', async (_order, start) => {
    await until('one instance runs', async () => (await forge.instances('site')).length === 1);
    const before = [await served(forge), await forge.json('releases:list', 'site')];
    const { instances } = await forge.json<{ instances: { containerId: string; isRunning: boolean }[] }>('ps:list', 'site');
    await engine.cut();
    await forge.end('SIGKILL');
    await forge.endProxy('SIGKILL');
    await execa('docker', ['kill', ...instances.filter(({ isRunning }) => isRunning).map(({ containerId }) => containerId)]);
    await start();
    await until('the app answers again', async () => (await served(forge)) === before[0], 60_000);
    await until('operations work', async () => (await forge.ssh$(['ps:list', 'site'])).exitCode === 0);
    expect(await forge.json('releases:list', 'site')).toEqual(before[1]);
    expect(await unfinished(forge)).toBe(0);
  });
});

describe.skipIf(!isRoot)('on a disk of its own', () => {
  let forge: RunningForge;
  let folder: string;
  const mounted: string[] = [];
  const ballast = () => join(forge.data, 'ballast');

  const mountData = async (data: string): Promise<void> => {
    const mountPoint = await mkdtemp(join(tmpdir(), 'forge-disk-'));
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'forge-test', mountPoint]);
    mounted.push(mountPoint);
    await mkdir(join(mountPoint, 'data'), { mode: 0o700 });
    await symlink(join(mountPoint, 'data'), data);
  };
  /** To the last byte. */
  const fill = async (): Promise<void> => {
    await execa('dd', ['if=/dev/zero', `of=${ballast()}`, 'bs=64k'], { reject: false });
    await execa('dd', ['if=/dev/zero', `of=${ballast()}`, 'bs=512', 'oflag=append', 'conv=notrunc'], { reject: false });
  };

  beforeAll(async () => {
    forge = await bootForge({ hasOwnProxy: true, settings: { minFreeBytes: '0' }, prepare: mountData });
    folder = await appFolder(dockerfileApp('v1'));
    expect(await forge.push(folder, 'site')).toMatchObject({ exitCode: 0 });
  });
  afterAll(async () => {
    await forge.remove();
    for (const path of mounted) {
      await execa('umount', [path]);
      await rm(path, { recursive: true });
    }
  });

  it('a push to a full disk is refused, apps serve, and the same push works once there is room', async () => {
    const load = startLoad({ port: forge.http, host: 'site.localhost', perSecond: 60 });
    await fill();
    await writeFiles(folder, text('v2'));
    const refused = await forge.push(folder, 'site');
    expect(refused.exitCode).not.toBe(0);
    expect(refused.all).toMatch(/disk is full|No space left on device/);
    expect(await served(forge)).toBe('v1');
    await rm(ballast());
    expect(await forge.push(folder, 'site')).toMatchObject({ exitCode: 0 });
    expect(await served(forge)).toBe('v2');
    expect(await unfinished(forge)).toBe(0);
    expect((await load.stop()).failures).toEqual([]);
  });

  it('a disk that becomes full during a build ends in one release, served and recorded alike, as soon as there is room', async () => {
    const gate = join(await mkdtemp(join(tmpdir(), 'forge-gate-')), 'gate');
    await writeFiles(folder, { ...text('v3'), Dockerfile: `FROM forge-test/node:24\nWORKDIR /app\nCOPY . .\nRUN sleep 3 # ${gate}\nCMD ["node", "server.js"]\n` });
    await forge.commit(folder);
    const pushing = forge.git$(folder, ['push', forge.remote('site'), 'main']).then((command) => command);
    await until('the build runs', async () => (await forge.deployments('site'))[0]?.status === 'building');
    await fill();
    const { exitCode } = await pushing;
    const after = await served(forge);
    expect(after).toBe(exitCode === 0 ? 'v3' : 'v2');
    await rm(ballast());
    await writeFiles(folder, text('v4'));
    expect(await forge.push(folder, 'site')).toMatchObject({ exitCode: 0 });
    expect(await served(forge)).toBe('v4');
    expect(await unfinished(forge)).toBe(0);
    expect((await forge.deployments('site')).map(({ status }) => status).slice(0, 2)).toEqual(['succeeded', exitCode === 0 ? 'succeeded' : 'failed']);
  });

  it('forge comes up on a full disk, and apps serve', async () => {
    await fill();
    await forge.end('SIGKILL');
    await forge.begin();
    expect((await forge.ssh$(['apps:list', '-q'])).stdout).toBe('site');
    expect(await served(forge)).toBe('v4');
    await rm(ballast());
    await writeFiles(folder, text('v5'));
    expect(await forge.push(folder, 'site')).toMatchObject({ exitCode: 0 });
  });
});

/** Two engines on one machine can get in each other's way: run it where nobody else is, or in a network namespace. */
describe.skipIf(!isRoot || !process.env['FORGE_TEST_OWN_ENGINE'])('with an engine of its own', () => {
  let engine: PrivateEngine | undefined;
  let forge: RunningForge;
  let folder: string;

  beforeAll(async () => {
    await ensureNodeImage();
    engine = await startPrivateEngine([nodeImage]);
    forge = await bootForge({ hasOwnProxy: true, settings: { dockerSocket: engine.socketPath, networkPool: '10.213.0.0/20' } });
    folder = await appFolder(dockerfileApp('v1'));
    expect(await forge.push(folder, 'site')).toMatchObject({ exitCode: 0 });
  });
  afterAll(async () => {
    await forge.remove();
    await engine?.remove();
  });

  it('killed while it serves and started again, the app serves again by itself', async () => {
    await engine?.kill();
    expect((await forge.ssh$(['ps:list', 'site'])).stderr).toContain('the Docker Engine does not answer');
    await engine?.start();
    await until('the app answers again', async () => (await served(forge)) === 'v1', 60_000);
    await until('one instance runs', async () => (await forge.instances('site')).join() === 'web.1@v1', 60_000);
  });

  it('killed during a deploy, the push is refused with the reason, the old release serves, nothing is left, and the same push works', async () => {
    await writeFiles(folder, { 'server.js': `setTimeout(() => {}, 60_000);\n` });
    await forge.commit(folder);
    const pushing = forge.git$(folder, ['push', forge.remote('site'), 'main']).then((command) => command);
    await until('the new instance runs', async () => (await forge.instances('site')).length === 2, 60_000);
    await engine?.kill();
    const { exitCode, all } = await pushing;
    expect(exitCode).not.toBe(0);
    expect(all).toMatch(/Docker Engine|ended/);
    await engine?.start();
    await until('the old release answers', async () => (await served(forge)) === 'v1', 60_000);
    await until('nothing else is left', async () => (await engine?.docker('ps', '-aq'))?.split('\n').filter(Boolean).length === 1, 60_000);
    expect(await unfinished(forge)).toBe(0);
    await writeFiles(folder, text('v2'));
    expect(await forge.push(folder, 'site')).toMatchObject({ exitCode: 0 });
    expect(await served(forge)).toBe('v2');
  });
});
