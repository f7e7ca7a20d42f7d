/** The whole of a forge in one file, written while it works, and brought back on another machine. */
import { chmod, copyFile, mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectDocker } from '../../src/docker/connect.ts';
import { createReport } from '../../src/report.ts';
import { ensureLocalBuilder } from '../build/cnb/cnb-world.ts';
import { appFolder, bootForge, dockerfileApp, until, writeFiles, type RunningForge } from '../support/forge.ts';
import { startLoad } from '../support/load.ts';

const program = join(import.meta.dirname, '../../bin/forge');
/** Answers with its config, and with what its volume has. */
const server = (text: string) => `const { readFileSync, existsSync } = require('node:fs');
require('node:http').createServer((request, response) => response.end([${JSON.stringify(text)}, process.env.GREETING, existsSync('/data/note') ? readFileSync('/data/note', 'utf8') : ''].join(' '))).listen(process.env.PORT);
process.on('SIGTERM', () => process.exit(0));
`;

let old: RunningForge;
let fresh: RunningForge | undefined;
let place: string;
let file: string;
let shop: string;
let keyPath: string;
let references: string[];

const restore = async (...words: string[]) => await execa(program, ['restore', ...words], { reject: false, all: true });

beforeAll(async () => {
  await ensureLocalBuilder(connectDocker('/var/run/docker.sock'), createReport([]));
  place = await mkdtemp(join(tmpdir(), 'forge-backup-'));
  file = join(place, 'forge.backup');
  old = await bootForge();
  keyPath = join(place, 'key');
  await copyFile(old.keyPath, keyPath);
  await copyFile(`${old.keyPath}.pub`, `${keyPath}.pub`);
  await chmod(keyPath, 0o600);
}, 600_000);
afterAll(async () => {
  await fresh?.remove();
});

describe('a backup', () => {
  it('is written while requests are answered and pushes go on, losing none of them', async () => {
    shop = await appFolder(dockerfileApp('', server('shop')));
    expect(await old.push(shop, 'shop')).toMatchObject({ exitCode: 0 });
    expect(await old.ssh$(['config:set', 'shop', 'GREETING=hello-wörld'])).toMatchObject({ exitCode: 0 });
    expect(await old.ssh$(['volumes:create', 'shop', 'data'])).toMatchObject({ exitCode: 0 });
    expect(await old.ssh$(['volumes:mount', 'shop', 'data', '/data'])).toMatchObject({ exitCode: 0 });
    expect(await old.forge$(['run', 'shop', 'sh', '-c', 'printf kept > /data/note'])).toMatchObject({ exitCode: 0 });
    expect(await old.push(await appFolder({ 'index.html': '<p>static</p>' }), 'pages')).toMatchObject({ exitCode: 0 });
    expect(await old.push(await appFolder({ 'package.json': '{"name":"nodeapp","version":"1.0.0","scripts":{"start":"node server.js"}}', 'server.js': server('packed') }), 'packed')).toMatchObject({ exitCode: 0 });
    expect((await old.get('shop')).body).toBe('shop hello-wörld kept');

    const other = await appFolder(dockerfileApp('other'));
    const load = startLoad({ port: old.http, host: 'shop.localhost', perSecond: 50 });
    const pushing = old.push(other, 'other');
    const backup = await old.forge$(['backup', '--to', file]);
    const pushed = await pushing;
    const { failures, bodies } = await load.stop();
    expect(backup).toMatchObject({ exitCode: 0 });
    expect(pushed).toMatchObject({ exitCode: 0 });
    expect(failures).toEqual([]);
    expect(bodies).toEqual(['shop hello-wörld kept']);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(backup.all).toContain('-----> Volume data of shop');
    expect(await readdir(join(old.data, 'tmp'))).toEqual([]);
  });

  it('comes to an admin elsewhere on stdout, and to nobody else', async () => {
    const path = join(place, 'remote.backup');
    const { exitCode } = await execa('sh', ['-c', 'exec ssh -F /dev/null -i "$1" -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -p "$2" forge@127.0.0.1 backup > "$3"', 'sh', keyPath, String(old.ssh), path], { reject: false, stdin: 'ignore' });
    expect(exitCode).toBe(0);
    expect(await restore(path, '--check')).toMatchObject({ exitCode: 0, all: expect.stringContaining('is whole: 4 apps') });
    const key = await old.newKey('deployer');
    expect(await old.ssh$(['keys:add', 'deployer', '--app', 'shop', '--permission', 'manage'], { input: await readFile(`${key}.pub`) })).toMatchObject({ exitCode: 0 });
    const refused = await old.ssh$(['backup'], { key });
    expect(refused.exitCode).not.toBe(0);
    expect(refused.stderr).toContain('needs an admin');
    expect(refused.stdout).toBe('');
    expect((await old.ssh$(['backup', '--to', '/tmp/x'])).stderr).toContain('--to');
  });

  it('is listed with how it ended', async () => {
    const { stdout } = await old.ssh$(['backup:list']);
    expect(stdout).toMatch(/operator +to who asked +\S+ +done/);
    expect(stdout).toMatch(/schedule +none/);
  });

  it('is not written over a file that is there', async () => {
    const again = await old.forge$(['backup', '--to', file]);
    expect(again.all).toContain('exists already: nothing was written');
    expect(again.exitCode).not.toBe(0);
  });
});

describe('a restore', () => {
  it('refuses a data directory that holds a forge, and one in use', async () => {
    expect(await restore(file, '--data', old.data)).toMatchObject({ exitCode: 5, all: expect.stringContaining('another forge is running') });
    await old.end('SIGTERM');
    expect(await restore(file, '--data', old.data)).toMatchObject({ exitCode: 5, all: expect.stringContaining('holds a forge already') });
    await old.begin();
    expect((await old.get('shop')).body).toBe('shop hello-wörld kept');
  });

  it('takes nothing from a file that is cut off, changed or something else, and leaves nothing', async () => {
    const whole = await readFile(file);
    const [cut, changed, foreign] = [join(place, 'cut'), join(place, 'changed'), join(place, 'foreign')];
    await writeFile(cut, whole.subarray(0, Math.floor(whole.length * 0.7)));
    const bytes = Buffer.from(whole);
    for (let at = 1000; at < bytes.length; at += 100_000) bytes[at] = (bytes[at] as number) ^ 0x55;
    await writeFile(changed, bytes);
    await writeFile(foreign, 'not a backup');
    for (const [path, message] of [[cut, 'is cut off or damaged'], [changed, 'is cut off or damaged'], [foreign, 'is no backup of forge'], [join(place, 'absent'), 'cannot be read']] as const) {
      const target = join(place, 'target');
      expect(await restore(path, '--data', target)).toMatchObject({ exitCode: expect.not.stringMatching('^0$'), all: expect.stringContaining(message) });
      expect(await readdir(place)).not.toContain('target');
    }
  });

  it('brings every URL back on another machine', async () => {
    const database = new Database(join(old.data, 'forge.db'), { readonly: true });
    references = database.prepare(`SELECT DISTINCT json_extract(image, '$.reference') AS reference FROM releases`).all().map((row) => (row as { reference: string }).reference);
    const { volume } = database.prepare('SELECT engine_name AS volume FROM volumes').get() as { volume: string };
    const oldId = (await readFile(join(old.data, 'id'), 'utf8')).trim();
    database.close();
    await old.remove();
    await execa('docker', ['rmi', '-f', ...references], { reject: false });
    for (const reference of references) expect((await execa('docker', ['image', 'inspect', reference], { reject: false })).exitCode).not.toBe(0);

    fresh = await bootForge({
      adminKeyPath: keyPath,
      prepare: async (data) => {
        await execa('docker', ['volume', 'create', '--label', `forge.data=${oldId}`, '--label', 'forge.role=volume', volume]);
        const refused = await restore(file, '--data', data);
        expect(refused).toMatchObject({ exitCode: 5, all: expect.stringContaining('has a volume of this backup already: data of shop') });
        await expect(readdir(data)).rejects.toMatchObject({ code: 'ENOENT' });
        for (const reference of references) expect((await execa('docker', ['image', 'inspect', reference], { reject: false })).exitCode).not.toBe(0);
        await execa('docker', ['volume', 'rm', volume]);
        const restored = await restore(file, '--data', data);
        expect(restored).toMatchObject({ exitCode: 0, all: expect.stringContaining('=====> Restored into') });
        expect((await readdir(data)).filter((name) => /^\.restore|unfinished|before-restore/.test(name))).toEqual([]);
      },
    });
    const forge = fresh;
    for (const [app, body] of [['shop', 'shop hello-wörld kept'], ['pages', '<p>static</p>'], ['packed', 'packed  ']] as const) {
      await until(`${app} answers`, async () => (await forge.get(app)).status === 200, 60_000);
      expect((await forge.get(app)).body).toBe(body);
    }
    expect((await forge.ssh$(['config:get', 'shop', 'GREETING'])).stdout.trim()).toBe('hello-wörld');
    expect((await forge.ssh$(['apps:list', '-q'])).stdout).toMatch(/packed\npages\nshop/);
    const git = await execa('git', ['-C', join(forge.data, 'repos/shop.git'), '-c', 'safe.directory=*', 'fsck', '--full'], { reject: false, all: true });
    expect(git).toMatchObject({ exitCode: 0 });
  });

  it('of apps that take the next push with the old key, a change of config and a destroy', async () => {
    const forge = fresh as RunningForge;
    await writeFiles(shop, { 'server.js': server('shop two') });
    expect(await forge.push(shop, 'shop')).toMatchObject({ exitCode: 0 });
    expect((await forge.get('shop')).body).toBe('shop two hello-wörld kept');
    expect(await forge.ssh$(['config:set', 'packed', 'GREETING=set'])).toMatchObject({ exitCode: 0 });
    expect((await forge.get('packed')).body).toBe('packed set ');
    expect(await forge.push(await appFolder({ 'package.json': '{"name":"nodeapp","version":"1.0.1","scripts":{"start":"node server.js"}}', 'server.js': server('packed two') }), 'packed', '+main')).toMatchObject({ exitCode: 0 });
    expect((await forge.get('packed')).body).toBe('packed two set ');
    expect(await forge.ssh$(['apps:destroy', 'packed', '--confirm', 'packed'])).toMatchObject({ exitCode: 0 });
    const id = (await readFile(join(forge.data, 'id'), 'utf8')).trim();
    expect((await execa('docker', ['images', '-q', `forge-${id}/packed`])).stdout).toBe('');
  });
});
