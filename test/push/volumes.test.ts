/** Files of an app that outlive its releases. */
import { readFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { execa } from 'execa';
import { pack as tarPack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appFolder, bootForge, until, writeFiles, type Command, type RunningForge } from '../support/forge.ts';

/** Counts requests in /data/count, as a user that is not root; /seed has a file of the image. */
const counter = (mark: string): Record<string, string> => ({
  Dockerfile: 'FROM forge-test/node:24\nWORKDIR /app\nCOPY . .\nRUN mkdir /seed && echo planted > /seed/plant && chown -R 1234:1234 /seed\nUSER 1234\nCMD ["node", "server.js"]\n',
  'server.js': `
const fs = require('node:fs');
const read = (path) => { try { return fs.readFileSync(path, 'utf8'); } catch { return ''; } };
require('node:http').createServer((request, response) => {
  if (request.url === '/plant') return response.end(read('/seed/plant'));
  if (fs.existsSync('/data')) fs.writeFileSync('/data/count', String(Number(read('/data/count')) + 1));
  response.end('${mark} ' + read('/data/count'));
}).listen(process.env.PORT);
process.on('SIGTERM', () => process.exit(0));
`,
});

let forge: RunningForge;
let folder: string;
beforeAll(async () => {
  forge = await bootForge({ settings: { drainTimeout: '2' } });
  folder = await appFolder(counter('one'));
  expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
});
afterAll(async () => await forge.remove());

const ok = async (command: PromiseLike<Command>): Promise<string> => {
  const ended = await command;
  expect(ended.exitCode, ended.all).toBe(0);
  return ended.stdout;
};
const body = async (path = '/'): Promise<string> => (await forge.get('hello', path)).body;
const count = async (): Promise<number> => Number((await body()).split(' ')[1]);
/** A volume that the container of a command still holds goes with the next look, a minute later. */
const goneWithin = { timeout: 90_000 };
const engineVolumes = async (): Promise<string[]> => {
  const id = readFileSync(`${forge.data}/id`, 'utf8').trim();
  return (await execa('docker', ['volume', 'ls', '-q', '--filter', `label=forge.data=${id}`, '--filter', 'label=forge.role=volume'])).stdout.split('\n').filter(Boolean);
};
const backup = async (name: string, ...flags: string[]): Promise<Buffer> => {
  const child = execa('ssh', ['-F', '/dev/null', '-i', forge.keyPath, '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR', '-p', String(forge.ssh), 'forge@127.0.0.1', 'volumes:backup', 'hello', name, ...flags], { encoding: 'buffer', stdin: 'ignore' });
  return Buffer.from((await child).stdout);
};

describe('a volume', () => {
  it('is written by an app that is not root, and seen by one-off commands', async () => {
    await ok(forge.ssh$(['volumes:create', 'hello', 'data']));
    const said = await ok(forge.ssh$(['volumes:mount', 'hello', 'data', '/data']));
    expect(said).toContain('strategy:set hello recreate');
    expect(await count()).toBe(1);
    expect(await ok(forge.ssh$(['run', 'hello', 'cat', '/data/count']))).toBe('1');
    expect(await ok(forge.ssh$(['run', 'hello', 'stat', '-c', '%u', '/data']))).toBe('1234');
  });

  it('gets the files that the image has at its path, once', async () => {
    await ok(forge.ssh$(['volumes:create', 'hello', 'seed']));
    await ok(forge.ssh$(['volumes:mount', 'hello', 'seed', '/seed']));
    expect(await body('/plant')).toBe('planted\n');
    await ok(forge.ssh$(['run', 'hello', 'rm', '/seed/plant']));
    await ok(forge.ssh$(['ps:restart', 'hello']));
    expect(await body('/plant')).toBe('');
  });

  it('keeps its files through deploys, rollback and a restart of forge', async () => {
    const before = await count();
    await writeFiles(folder, counter('two'));
    expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
    expect(await body()).toBe(`two ${before + 1}`);
    await ok(forge.ssh$(['releases:rollback', 'hello']));
    expect(await body()).toBe(`one ${before + 2}`);
    await forge.restart('SIGKILL');
    expect(await count()).toBe(before + 3);
  });

  it('cannot be removed while it is mounted, and is listed with its path', async () => {
    const { exitCode, stderr } = await forge.ssh$(['volumes:remove', 'hello', 'data', '--confirm', 'data']);
    expect(exitCode).toBe(5);
    expect(stderr).toContain('volumes:unmount hello data');
    expect(await forge.json('volumes:list', 'hello')).toMatchObject([{ name: 'data', paths: ['/data'] }, { name: 'seed', paths: ['/seed'] }]);
  });

  it('comes back from a backup with the same bytes, owners and links', async () => {
    const script = "const fs=require('fs');const b=Buffer.alloc(3e6);for(let i=0;i<b.length;i++)b[i]=i*7%256;fs.writeFileSync('/data/big',b,{mode:0o600});fs.symlinkSync('/etc/hosts','/data/outside');fs.linkSync('/data/big','/data/same');fs.mkdirSync('/data/'+'d'.repeat(120));";
    await ok(forge.ssh$(['run', 'hello', 'node', '-e', `'${script.replaceAll("'", "'\\''")}'`]));
    const look = async () => await ok(forge.ssh$(['run', 'hello', 'sh', '-c', `'cd /data && find . | sort | xargs stat -c "%n %F %a %u %g %h" | grep -v "^./count" && sha256sum big && readlink outside'`]));
    const before = await look();
    expect(before).toContain('1234');
    for (const flags of [[], ['--gzip']]) {
      const archive = await backup('data', ...flags);
      await ok(forge.ssh$(['volumes:unmount', 'hello', 'data']));
      await ok(forge.ssh$(['volumes:remove', 'hello', 'data', '--confirm', 'data']));
      await ok(forge.ssh$(['volumes:create', 'hello', 'data']));
      await ok(forge.ssh$(['volumes:restore', 'hello', 'data'], { input: archive }));
      await ok(forge.ssh$(['volumes:mount', 'hello', 'data', '/data']));
      expect(await look()).toBe(before);
    }
    await expect.poll(engineVolumes, goneWithin).toHaveLength(2);
  });

  it('is not restored over files or under running instances unless that is what was asked for', async () => {
    const archive = await backup('data');
    expect(await forge.ssh$(['volumes:restore', 'hello', 'data', '--force'], { input: archive })).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('ps:stop hello') });
    await ok(forge.ssh$(['ps:stop', 'hello']));
    expect(await forge.ssh$(['volumes:restore', 'hello', 'data'], { input: archive })).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('--force') });
    await ok(forge.ssh$(['volumes:restore', 'hello', 'data', '--force'], { input: archive }));
    await ok(forge.ssh$(['ps:start', 'hello']));
    expect((await forge.get('hello')).status).toBe(200);
    await expect.poll(engineVolumes, goneWithin).toHaveLength(2);
  });

  it('stays as it was when a backup breaks off, is hostile or is none', async () => {
    const archive = await backup('data');
    const before = await count();
    await ok(forge.ssh$(['ps:stop', 'hello']));
    const hostile = async (name: string): Promise<Buffer> => {
      const pack = tarPack();
      pack.entry({ name }, 'evil');
      pack.finalize();
      const chunks: Buffer[] = [];
      for await (const chunk of pack) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks);
    };
    for (const [input, why] of [
      [archive.subarray(0, 1_000_000), 'no archive'],
      [archive.subarray(0, archive.length - 1024), 'end marker'],
      [await hostile('../../etc/passwd'), 'leaves the volume'],
      [await hostile('/etc/passwd'), 'absolute'],
      [Buffer.from('no archive at all'), 'no archive'],
      [Buffer.alloc(0), 'end marker'],
    ] as const) {
      const { exitCode, stderr } = await forge.ssh$(['volumes:restore', 'hello', 'data', '--force'], { input });
      expect(stderr).toContain(why);
      expect(exitCode).toBe(2);
    }
    await ok(forge.ssh$(['ps:start', 'hello']));
    expect(await count()).toBe(before + 1);
    await expect.poll(engineVolumes, goneWithin).toHaveLength(2);
  });

  it('goes with the container of a restore that was cut off by a kill of forge', async () => {
    const id = readFileSync(`${forge.data}/id`, 'utf8').trim();
    await forge.end('SIGKILL');
    const name = `forge-${id}-hello-data-0badcafe`;
    const labels = ['--label', `forge.data=${id}`, '--label', 'forge.role=volume'];
    await execa('docker', ['volume', 'create', ...labels, name]);
    await execa('docker', ['create', ...labels, '--label', 'forge.start=earlier', '--volume', `${name}:/volume`, 'forge-test/node:24']);
    const database = new Database(`${forge.data}/forge.db`);
    database.prepare('INSERT INTO dropped_volumes (engine_name) VALUES (?)').run(name);
    database.close();
    await forge.begin();
    await until('the volume is gone', async () => !(await engineVolumes()).includes(name), 20_000);
  });

  it('cannot be mounted over the system of the image, over another one, or by another app', async () => {
    for (const path of ['/', '/proc/x', '/etc', 'data', '/data/../etc', '/data/sub', '/layers']) expect((await forge.ssh$(['volumes:mount', 'hello', 'seed', path])).exitCode).not.toBe(0);
    await ok(forge.ssh$(['apps:create', 'other']));
    expect(await forge.ssh$(['volumes:mount', 'other', 'data', '/data'])).toMatchObject({ exitCode: 4 });
  });
});
