/** What a visitor notices of deploys, crashes and an engine that goes away: nothing. */
import { createServer, type AddressInfo } from 'node:net';
import { request } from 'node:http';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCuttableSocket, type CuttableSocket } from '../support/cuttable-socket.ts';
import { appFolder, bootForge, dockerfileApp, until, writeFiles, type RunningForge } from '../support/forge.ts';
import { startLoad } from '../support/load.ts';

/** Answers with `text`; `/stream` sends a line every 100 ms for 20 s. Says when it is told to end. */
const server = (text: string): string => `
const http = require('node:http');
http.createServer((request, response) => {
  if (request.url !== '/stream') return response.end('${text}');
  let lines = 0;
  const timer = setInterval(() => {
    response.write('line ' + ++lines + '\\n');
    if (lines === 200) { clearInterval(timer); response.end('end of ${text}\\n'); }
  }, 100);
}).listen(process.env.PORT);
process.on('SIGTERM', () => { console.log('${text} told to end'); process.exit(0); });
`;

let forge: RunningForge;
let engine: CuttableSocket;
let folder: string;

beforeAll(async () => {
  engine = await openCuttableSocket(join(await mkdtemp(join(tmpdir(), 'forge-engine-')), 'docker.sock'), '/var/run/docker.sock');
  forge = await bootForge({ hasOwnProxy: true, settings: { dockerSocket: engine.path } });
  folder = await appFolder(dockerfileApp('v1', server('v1')));
  expect(await forge.push(folder, 'site')).toMatchObject({ exitCode: 0 });
});
afterAll(async () => {
  await forge.remove();
  await engine.cut();
});

const load = (perSecond: number) => startLoad({ port: forge.http, host: 'site.localhost', perSecond });
const served = async (): Promise<string> => (await forge.get('site')).body;
const logLines = async (): Promise<string[]> => (await forge.ssh$(['apps:logs', 'site', '-n', '1000'])).stdout.split('\n');

/** Asks for the 20 s response; resolves to its body. */
function stream(): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = request({ host: '127.0.0.1', port: forge.http, path: '/stream', agent: false, headers: { host: `site.localhost:${forge.http}` } }, (response) => {
    let body = '';
    response.on('data', (part: Buffer) => (body += part.toString()));
    response.on('error', reject);
    response.on('end', () => resolve(body));
  });
  asked.on('error', reject);
  asked.end();
  return promise;
}

describe('visitors', () => {
  it('notice nothing of five deploys: requests over kept connections, and one response that streams throughout', async () => {
    const requests = load(60);
    await until('requests are answered', async () => requests.soFar.answered > 10);
    let isStreaming = true;
    const streamed = stream().finally(() => (isStreaming = false));
    for (const text of ['v2', 'v3', 'v4', 'v5', 'v6']) {
      await writeFiles(folder, { 'server.js': server(text) });
      expect(await forge.push(folder, 'site')).toMatchObject({ exitCode: 0 });
      expect((await forge.get('site')).body).toBe(text);
    }
    // The deploys may have taken longer than the response.
    const toldMeanwhile = (await logLines()).some((line) => line.endsWith('v1 told to end'));
    if (isStreaming) expect(toldMeanwhile).toBe(false);
    const body = await streamed;
    expect(body.trimEnd().split('\n').length).toBe(201);
    expect(body).toContain('end of v1');
    const { failures, bodies, answered } = await requests.stop();
    expect(failures).toEqual([]);
    expect(answered).toBeGreaterThan(100);
    expect(bodies).toEqual(['v1', 'v2', 'v3', 'v4', 'v5', 'v6']);
    await until('the old instances are gone', async () => (await forge.instances('site')).join() === 'web.1@v6', 60_000);
    const told = (await logLines()).flatMap((line) => /(v\d) told to end$/.exec(line)?.[1] ?? []);
    expect(told.sort()).toEqual(['v1', 'v2', 'v3', 'v4', 'v5']);
  });

  it('notice nothing of a kill -9 of the control plane; restarted, it knows everything', async () => {
    const before = await Promise.all([forge.json('apps:info', 'site'), forge.deployments('site'), forge.instances('site'), forge.json('keys:list')]);
    const requests = load(200);
    await until('requests are answered', async () => requests.soFar.answered > 50);
    await forge.end('SIGKILL');
    const seen = requests.soFar.answered;
    await until('requests are answered without it', async () => requests.soFar.answered > seen + 200);
    await forge.begin();
    const again = requests.soFar.answered;
    expect(await Promise.all([forge.json('apps:info', 'site'), forge.deployments('site'), forge.instances('site'), forge.json('keys:list')])).toEqual(before);
    await writeFiles(folder, { 'server.js': server('v7') });
    expect(await forge.push(folder, 'site')).toMatchObject({ exitCode: 0 });
    await until('requests are answered with it', async () => requests.soFar.answered > again + 200);
    const { failures, bodies } = await requests.stop();
    expect(failures).toEqual([]);
    expect(bodies).toEqual(['v6', 'v7']);
  });
});

describe('a kill -9 of the control plane during a build', () => {
  it('ends the deployment as failed (interrupted), leaves nothing behind, and the same push works afterwards', async () => {
    const dockerfile = 'FROM forge-test/node:24\nWORKDIR /app\nCOPY . .\nRUN test -e /app/quick || sleep 300 # survives nothing\nCMD ["node", "server.js"]\n';
    const sleepers = async (): Promise<boolean> => (await execa('ps', ['-eo', 'args'])).stdout.includes('|| sleep 300 # survives nothing');
    await writeFiles(folder, { Dockerfile: dockerfile, 'server.js': server('v8') });
    await forge.commit(folder);
    const pushing = forge.git$(folder, ['push', forge.remote('site'), 'main']).then((command) => command);
    await until('the build runs', sleepers);
    const before = await served();
    await forge.end('SIGKILL');
    expect((await pushing).exitCode).not.toBe(0);
    await forge.begin();
    expect((await forge.deployments('site'))[0]).toMatchObject({ status: 'failed', failure: expect.stringContaining('interrupted') });
    expect(await served()).toBe(before);
    await until('the build is gone', async () => !(await sleepers()));
    expect(await forge.instances('site')).toEqual([expect.stringMatching(/^web\.1@v\d+$/)]);
    await writeFiles(folder, { quick: '' });
    expect(await forge.push(folder, 'site')).toMatchObject({ exitCode: 0 });
    expect((await forge.get('site')).body).toBe('v8');
  });
});

describe('a kill -9 of the control plane during a start', () => {
  it('ends the deployment as failed (interrupted), removes what was starting, and keeps what served', async () => {
    const before = await served();
    await writeFiles(folder, { 'server.js': 'setInterval(() => {}, 1000);\n' });
    await forge.commit(folder);
    const pushing = forge.git$(folder, ['push', forge.remote('site'), 'main']).then((command) => command);
    await until('the new instance runs', async () => (await forge.instances('site')).length === 2 && (await forge.deployments('site'))[0]?.status === 'starting');
    await forge.end('SIGKILL');
    expect((await pushing).exitCode).not.toBe(0);
    await forge.begin();
    expect((await forge.deployments('site'))[0]).toMatchObject({ status: 'failed', failure: expect.stringContaining('interrupted') });
    await until('what was starting is gone', async () => (await forge.instances('site')).length === 1);
    expect(await served()).toBe(before);
  });
});

describe('a Docker Engine that goes away', () => {
  it('is named to who pushes; apps go on serving, and forge works again once it is back', async () => {
    const before = await served();
    await engine.cut();
    await writeFiles(folder, { 'server.js': server('v9') });
    const refused = await forge.push(folder, 'site');
    expect(refused.all).toContain('the Docker Engine does not answer');
    expect(refused.all).not.toContain('internal error');
    expect(refused.exitCode).not.toBe(0);
    expect(await served()).toBe(before);
    expect((await forge.ssh$(['apps:list'])).exitCode).toBe(0);
    const listed = await forge.ssh$(['ps:list', 'site']);
    expect(listed.stderr).toContain('the Docker Engine does not answer');
    expect(listed.exitCode).toBe(69);
    await engine.restore();
    expect(await forge.git$(folder, ['push', '--force', forge.remote('site'), 'main'])).toMatchObject({ exitCode: 0 });
    expect(await served()).toBe('v9');
  });

  it('does not keep forge from starting; apps serve, and all is well once it is back', async () => {
    expect(await forge.push(await appFolder(dockerfileApp('other')), 'other')).toMatchObject({ exitCode: 0 });
    const before = await served();
    // Both apps, throughout: the routes of one are never made without those of the other.
    const loads = ['site.localhost', 'other.localhost'].map((host) => startLoad({ port: forge.http, host, perSecond: 100 }));
    await engine.cut();
    await forge.restart();
    expect((await forge.ssh$(['apps:list', '-q'])).stdout).toBe('other\nsite');
    await engine.restore();
    await until('instances can be listed', async () => (await forge.ssh$(['ps:list', 'site'])).exitCode === 0);
    expect((await forge.ssh$(['ps:restart', 'site'])).exitCode).toBe(0);
    const results = await Promise.all(loads.map(async (each) => await each.stop()));
    expect(results.flatMap(({ failures }) => failures)).toEqual([]);
    expect(results.map(({ bodies }) => bodies)).toEqual([[before], ['other']]);
    expect((await forge.ssh$(['apps:destroy', 'other', '--confirm', 'other'])).exitCode).toBe(0);
  });

  it('and comes back without an app’s instance: it is started anew', async () => {
    const name = await until('the old instance is gone', async () => {
      const names = await forge.instances('site');
      return names.length === 1 && names[0];
    });
    const before = await served();
    const { instances } = await forge.json<{ instances: { containerId: string }[] }>('ps:list', 'site');
    await engine.cut();
    await execa('docker', ['rm', '-f', ...instances.map(({ containerId }) => containerId)]);
    await engine.restore();
    await until('it serves again', async () => (await served()) === before, 60_000);
    await until('it is listed', async () => (await forge.instances('site')).join() === name);
  });
});

describe('a start that cannot be', () => {
  const start = async (...words: readonly string[]) => await execa(join(import.meta.dirname, '../../bin/forge'), words, { reject: false, all: true, timeout: 60_000 });

  it('names a port that is in use', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await until('it listens', async () => taken.listening);
    const port = String((taken.address() as AddressInfo).port);
    const data = await mkdtemp(join(tmpdir(), 'forge-start-'));
    for (const flags of [['--http', port, '--ssh', '0'], ['--http', '0', '--ssh', port]]) {
      const ended = await start('up', '--data', data, '--bind', '127.0.0.1', ...flags);
      expect(ended.exitCode).not.toBe(0);
      expect(ended.all).toContain(port);
      expect(ended.all).toMatch(/in use|EADDRINUSE/);
      expect(ended.all).not.toContain('internal error');
    }
    taken.close();
  });

  it('refuses a second forge on the same data directory, which goes on undisturbed', async () => {
    const ended = await start('serve', '--data', forge.data, '--ssh', '0', '--http', '0');
    expect(ended).toMatchObject({ exitCode: 5, all: expect.stringContaining('another forge is running on this data directory') });
    expect((await forge.ssh$(['version'])).exitCode).toBe(0);
  });

  it('refuses a data directory of a newer version and changes nothing in it', async () => {
    const before = await served();
    await forge.end('SIGTERM');
    const database = new Database(join(forge.data, 'forge.db'));
    database.prepare(`INSERT INTO migrations (number, name, applied_at) VALUES (9999, 'future', '2100-01-01T00:00:00Z')`).run();
    const ended = await start('serve', '--data', forge.data, '--ssh', '0', '--http', '0');
    expect(ended).toMatchObject({ exitCode: 5, all: expect.stringContaining('data directory of a newer version: its schema is 9999') });
    expect(await served()).toBe(before);
    database.prepare(`DELETE FROM migrations WHERE number = 9999`).run();
    database.close();
    await forge.begin();
    expect((await forge.ssh$(['apps:list', '-q'])).stdout).toContain('site');
  });
});
