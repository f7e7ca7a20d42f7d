/** What becomes of whole apps: renamed, cloned, removed. */
import { existsSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appFolder, bootForge, dockerfileApp, until, type Command, type RunningForge } from '../support/forge.ts';

const server = `
const fs = require('node:fs');
console.log('started as ' + process.env.FORGE_APP);
require('node:http').createServer((request, response) => {
  let kept = '';
  try { if (request.url === '/keep') fs.writeFileSync('/data/kept', 'kept'); kept = fs.readFileSync('/data/kept', 'utf8'); } catch {}
  setTimeout(() => response.end([process.env.FORGE_APP, process.env.FORGE_RELEASE, process.env.SECRET, kept].join(' ')), 20);
}).listen(process.env.PORT);
process.on('SIGTERM', () => process.exit(0));
`;

let forge: RunningForge;
let folder: string;
beforeAll(async () => {
  forge = await bootForge({ settings: { drainTimeout: '5' } });
  folder = await appFolder(dockerfileApp('hello', server));
  expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
  await ok(forge.ssh$(['volumes:create', 'hello', 'data']));
  await ok(forge.ssh$(['volumes:mount', 'hello', 'data', '/data']));
  await ok(forge.ssh$(['config:set', 'hello', 'SECRET=canary-77']));
  await forge.get('hello', '/keep');
});
afterAll(async () => await forge.remove());

const ok = async (command: PromiseLike<Command>): Promise<string> => {
  const ended = await command;
  expect(ended.exitCode, ended.all).toBe(0);
  return ended.stdout;
};
const body = async (app: string): Promise<string> => (await forge.get(app)).body;
const dataId = (): string => readFileSync(join(forge.data, 'id'), 'utf8').trim();
const engine = async (...words: string[]): Promise<string[]> => (await execa('docker', words)).stdout.split('\n').filter(Boolean);
const volumesOf = async (): Promise<string[]> => await engine('volume', 'ls', '-q', '--filter', `label=forge.data=${dataId()}`, '--filter', 'label=forge.role=volume');
const traces = async (app: string): Promise<Record<string, readonly string[]>> => ({
  containers: await engine('ps', '-a', '-q', '--filter', `label=forge.data=${dataId()}`, '--filter', `label=forge.app=${app}`),
  networks: await engine('network', 'ls', '-q', '--filter', `label=forge.data=${dataId()}`, '--filter', `label=forge.app=${app}`),
  repository: existsSync(join(forge.data, 'repos', `${app}.git`)) ? ['there'] : [],
  logs: existsSync(join(forge.data, 'logs', app)) ? ['there'] : [],
  rows: rowsNaming(app),
});
const none = { containers: [], networks: [], repository: [], logs: [], rows: [] };

/** Tables with the name anywhere, besides the audit, which keeps it. */
function rowsNaming(app: string): string[] {
  const db = new Database(join(forge.data, 'forge.db'), { readonly: true });
  try {
    const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'audit'").pluck().all() as string[];
    return tables.filter((table) => (db.prepare(`SELECT * FROM "${table}"`).all() as object[]).some((row) => Object.values(row).includes(app)));
  } finally {
    db.close();
  }
}

describe('a renamed app', () => {
  it('answers under its new name with all that it had, and no request was lost', async () => {
    await ok(forge.forge$(['keys:add', 'mate', '--app', 'hello', '--permission', 'manage'], { input: readFileSync(`${await forge.newKey('mate')}.pub`, 'utf8') }));
    const statuses: string[] = [];
    let isDone = false;
    const visitor = async (): Promise<void> => {
      while (!isDone) {
        const [old, fresh] = await Promise.all([forge.get('hello'), forge.get('greeter')]);
        statuses.push(old.status === 200 || fresh.status === 200 ? 'served' : `${old.status} ${fresh.status}`);
      }
    };
    const visitors = Promise.all([visitor(), visitor(), visitor()]);
    await ok(forge.ssh$(['apps:rename', 'hello', 'greeter']));
    isDone = true;
    await visitors;
    expect(new Set(statuses)).toEqual(new Set(['served']));
    expect(statuses.length).toBeGreaterThan(5);
    expect(await body('greeter')).toBe('greeter v3 canary-77 kept');
    expect((await forge.get('hello')).status).toBe(404);
    expect(await traces('hello')).toEqual(none);
  });

  it('keeps releases, code, logs, permissions and its next push', async () => {
    expect((await forge.json<{ version: number }[]>('releases:list', 'greeter')).map(({ version }) => version)).toEqual([3, 2, 1]);
    expect(await ok(forge.ssh$(['logs', 'greeter', '-n', '50']))).toContain('started as hello');
    expect((await forge.json<{ name: string; access?: string; apps?: string[] }[]>('keys:list')).map((key) => JSON.stringify(key)).join()).toContain('greeter');
    expect(await forge.git$(folder, ['ls-remote', forge.remote('greeter')])).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('refs/heads/main') });
    expect(await forge.push(folder, 'greeter')).toMatchObject({ exitCode: 0 });
    await ok(forge.ssh$(['releases:rollback', 'greeter', 'v2']));
    expect(await body('greeter')).toMatch(/^greeter v5/);
    await ok(forge.ssh$(['config:set', 'greeter', 'SECRET=canary-77']));
  });

  it('leaves its old name to others, who get nothing of it', async () => {
    await ok(forge.ssh$(['apps:create', 'hello']));
    await ok(forge.ssh$(['volumes:create', 'hello', 'data']));
    expect(await volumesOf()).toHaveLength(2);
    await ok(forge.ssh$(['apps:destroy', 'hello', '--confirm', 'hello']));
    expect(await body('greeter')).toMatch(/^greeter v6 canary-77 kept/);
    await ok(forge.ssh$(['releases:rollback', 'greeter', 'v3', '--code-only']));
    expect(await volumesOf()).toHaveLength(1);
  });

  it('is what it was when its instances do not start under the new name, or the name is taken', async () => {
    await ok(forge.ssh$(['apps:create', 'taken']));
    expect(await forge.ssh$(['apps:rename', 'greeter', 'taken'])).toMatchObject({ exitCode: 5 });
    await ok(forge.ssh$(['apps:destroy', 'taken', '--confirm', 'taken']));
    const picky = await appFolder(dockerfileApp('picky', `if (process.env.FORGE_APP !== 'picky') process.exit(3);\nrequire('node:http').createServer((request, response) => response.end('picky')).listen(process.env.PORT);\nprocess.on('SIGTERM', () => process.exit(0));\n`));
    expect(await forge.push(picky, 'picky')).toMatchObject({ exitCode: 0 });
    for (const strategy of ['swap', 'recreate']) {
      await ok(forge.ssh$(['strategy:set', 'picky', strategy]));
      await ok(forge.ssh$(['ps:restart', 'picky']));
      expect((await forge.ssh$(['apps:rename', 'picky', 'other'])).exitCode).toBe(1);
      expect(await body('picky')).toBe('picky');
      expect((await forge.get('other')).status).toBe(404);
      expect(await traces('other')).toEqual(none);
    }
    await ok(forge.ssh$(['apps:destroy', 'picky', '--confirm', 'picky']));
  });

  it('is one or the other when forge is killed in the middle', async () => {
    for (const delayMs of [150, 400, 700, 1000, 1400]) {
      const from = (await forge.json<{ apps: { name: string }[] }>('apps:list')).apps.map(({ name }) => name)[0] as string;
      const to = from === 'greeter' ? 'hello' : 'greeter';
      const renaming = forge.ssh$(['apps:rename', from, to]);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await forge.end('SIGKILL');
      await renaming;
      await forge.begin();
      const { apps } = await forge.json<{ apps: { name: string }[] }>('apps:list');
      expect(apps).toHaveLength(1);
      const [name] = apps.map((app) => app.name) as [string];
      await until(`${name} serves`, async () => (await forge.get(name)).status === 200);
      expect(await body(name)).toMatch(new RegExp(`^${name} v\\d+ canary-77 kept`));
      const other = name === 'greeter' ? 'hello' : 'greeter';
      await until(`nothing is left of ${other}`, async () => JSON.stringify(await traces(other)) === JSON.stringify(none), 10_000).catch(async () => expect(await traces(other)).toEqual(none));
    }
  });
});

describe('a cloned app', () => {
  let source = '';
  beforeAll(async () => {
    source = (await forge.json<{ apps: { name: string }[] }>('apps:list')).apps.map(({ name }) => name)[0] as string;
  });

  it('runs the same image with the same config, and empty volumes of its own', async () => {
    expect(await ok(forge.ssh$(['apps:clone', source, 'twin']))).toContain('volumes are empty: data');
    expect(await body('twin')).toBe('twin v1 canary-77 ');
    expect(await body(source)).toContain('kept');
    expect(await volumesOf()).toHaveLength(2);
    expect(await forge.git$(folder, ['ls-remote', forge.remote('twin')])).toMatchObject({ stdout: expect.stringContaining('refs/heads/main') });
    expect(await forge.ssh$(['apps:clone', source, 'twin'])).toMatchObject({ exitCode: 5 });
    await ok(forge.ssh$(['apps:clone', source, 'sleeper', '--skip-deploy']));
    expect((await forge.get('sleeper')).status).toBe(503);
    await ok(forge.ssh$(['apps:destroy', 'sleeper', '--confirm', 'sleeper']));
  });

  it('goes on when the app that it was cloned from is removed, which leaves nothing', async () => {
    await ok(forge.ssh$(['apps:destroy', source, '--confirm', source]));
    expect(await traces(source)).toEqual(none);
    await ok(forge.ssh$(['ps:restart', 'twin']));
    expect(await body('twin')).toBe('twin v1 canary-77 ');
    expect(await volumesOf()).toHaveLength(1);
  });
});

describe('a removed app', () => {
  it('stays removed when forge is killed while it removes', async () => {
    const removing = forge.ssh$(['apps:destroy', 'twin', '--confirm', 'twin']);
    await until('the removal has begun', async () => (new Database(join(forge.data, 'forge.db'), { readonly: true }).prepare('SELECT is_being_removed AS is_so FROM apps').pluck().get() ?? 1) === 1, 10_000);
    await forge.end('SIGKILL');
    await removing;
    await forge.begin();
    await until('nothing is left', async () => (await forge.json<{ apps: unknown[] }>('apps:list')).apps.length === 0);
    expect(await traces('twin')).toEqual(none);
    expect(await volumesOf()).toEqual([]);
    expect(await engine('images', '-q', '--filter', `label=forge.data=${dataId()}`)).toEqual([]);
    expect(await readdir(join(forge.data, 'deployments'))).toEqual([]);
    expect((await readdir(join(forge.data, 'repos'))).filter((name) => !name.startsWith('.'))).toEqual([]);
  });
});
