/** An app in one file: from one forge to another, whole or not at all. */
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import Database from 'better-sqlite3';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appFolder, bootForge, dockerfileApp, until, type Command, type RunningForge } from '../support/forge.ts';

const server = `
const fs = require('node:fs');
require('node:http').createServer((request, response) => {
  let kept = '';
  try { if (request.url === '/keep') fs.writeFileSync('/data/kept', Buffer.alloc(9e6, 'kept ')); kept = fs.readFileSync('/data/kept', 'utf8').length; } catch {}
  response.end([process.env.FORGE_APP, process.env.SECRET, kept].join(' '));
}).listen(process.env.PORT);
process.on('SIGTERM', () => process.exit(0));
`;
const passphrase = 'correct horse ü';

let home: RunningForge;
let away: RunningForge;
let folder: string;
/** Of all of it, on disk: an image is large. */
let path: string;
/** Without the image. */
let file: Buffer;
beforeAll(async () => {
  [home, away] = await Promise.all([bootForge({ settings: { drainTimeout: '2' } }), bootForge({ settings: { drainTimeout: '2' } })]);
  folder = await appFolder(dockerfileApp('hello', server));
  expect(await home.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
  await ok(home.ssh$(['volumes:create', 'hello', 'data']));
  await ok(home.ssh$(['volumes:mount', 'hello', 'data', '/data']));
  await ok(home.ssh$(['config:set', 'hello', 'SECRET=canary-4f1d']));
  await ok(home.ssh$(['limits:set', 'hello', 'web', '--memory', '300M']));
  await home.get('hello', '/keep');
  path = join(home.data, '..', 'hello.forge');
  await exported(path);
  await exported(`${path}.small`, '--without-image');
  file = readFileSync(`${path}.small`);
});
afterAll(async () => await Promise.all([home.remove(), away.remove()]));

const ok = async (command: PromiseLike<Command>): Promise<string> => {
  const ended = await command;
  expect(ended.exitCode, ended.all).toBe(0);
  return ended.stdout;
};
const sshWords = (forge: RunningForge): string[] => ['-F', '/dev/null', '-i', forge.keyPath, '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR', '-p', String(forge.ssh), 'forge@127.0.0.1'];
const exported = async (to: string, ...flags: string[]) => await execa('ssh', [...sshWords(home), 'apps:export', 'hello', ...flags], { stdout: { file: to }, buffer: { stdout: false, stderr: true }, input: `${passphrase}\n` });
const bring = async (content: Buffer, words: readonly string[], secret = passphrase): Promise<Command> => await away.ssh$(['apps:import', ...words], { input: Buffer.concat([Buffer.from(`${secret}\n`), content]) });
async function* withPassphrase(): AsyncGenerator<Buffer> {
  yield Buffer.from(`${passphrase}\n`);
  for await (const chunk of createReadStream(path)) yield chunk as Buffer;
}
const dataId = (forge: RunningForge): string => readFileSync(join(forge.data, 'id'), 'utf8').trim();
const traces = async (): Promise<unknown> => {
  const list = async (...words: string[]) => (await execa('docker', [...words, '--filter', `label=forge.data=${dataId(away)}`])).stdout.split('\n').filter(Boolean);
  const db = new Database(join(away.data, 'forge.db'), { readonly: true });
  const apps = db.prepare('SELECT name FROM apps').pluck().all();
  db.close();
  return { apps, containers: await list('ps', '-a', '-q'), volumes: await list('volume', 'ls', '-q'), repository: existsSync(join(away.data, 'repos', 'greeter.git')) };
};
const none = { apps: [], containers: [], volumes: [], repository: false };

describe('an exported app', () => {
  it('shows nothing of itself to who has not the passphrase', () => {
    for (const secret of ['canary-4f1d', 'FROM forge-test', 'kept kept', 'server.js']) expect(file.includes(secret)).toBe(false);
  });

  it('is not imported with another passphrase, cut off, changed, or when it is none, and nothing is left of it', async () => {
    const flipped = (at: number): Buffer => {
      const copy = Buffer.from(file);
      copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
      return copy;
    };
    for (const [content, secret, why] of [
      [file, 'another one entirely', 'passphrase is another one'],
      [file, 'short', 'expected 8 to 1000'],
      [file.subarray(0, 600), passphrase, 'ends before its end'],
      [file.subarray(0, Math.floor(file.length / 2)), passphrase, 'ends before its end'],
      [file.subarray(0, file.length - 3000), passphrase, 'ends before its end'],
      [flipped(575), passphrase, 'cannot be opened'],
      [flipped(1700), passphrase, 'cannot be opened'],
      [flipped(Math.floor(file.length / 2)), passphrase, 'cannot be opened'],
      [flipped(file.length - 2_000_000), passphrase, 'cannot be opened'],
      [Buffer.from('not an export'), passphrase, 'ends before its end'],
      [Buffer.alloc(0), passphrase, 'ends before its end'],
    ] as const) {
      const { exitCode, stderr } = await bring(content, ['greeter'], secret);
      expect(stderr).toContain(why);
      expect(exitCode).toBe(2);
    }
    expect(await traces()).toEqual(none);
  });

  it('of which an import is killed once its image is there leaves nothing after the next start, the image neither', async () => {
    // Both forges use one engine: the image must not be there.
    const { image } = (await home.json<{ image: { reference: string } }[]>('releases:list', 'hello'))[0] ?? { image: undefined };
    await ok(home.ssh$(['apps:destroy', 'hello', '--confirm', 'hello']));
    if (image) await execa('docker', ['rmi', '-f', image.reference], { reject: false });
    const images = async (): Promise<string> => (await execa('docker', ['images', '-q', `forge-${dataId(away)}/greeter`])).stdout;
    const input = new PassThrough();
    const importing = execa('ssh', [...sshWords(away), 'apps:import', 'greeter'], { input, reject: false });
    const size = statSync(path).size;
    input.write(`${passphrase}\n`);
    // The last of its volume does not come.
    createReadStream(path, { end: size - 100_000 }).pipe(input, { end: false });
    await until('the image is loaded', async () => (await images()) !== '', 120_000);
    await away.end('SIGKILL');
    input.destroy();
    await importing;
    await away.begin();
    await until('nothing of it is left', async () => JSON.stringify([await traces(), await images()]) === JSON.stringify([none, '']), 60_000);
  });

  it('answers on another forge with its config, files, limits and code', async () => {
    const words = [...sshWords(away), 'apps:import', 'greeter'];
    const { exitCode, stderr } = await execa('ssh', words, { input: Readable.from(withPassphrase()), reject: false });
    expect(exitCode, stderr).toBe(0);
    expect((await away.get('greeter')).body).toBe('greeter canary-4f1d 9000000');
    expect(await ok(away.ssh$(['config:get', 'greeter', 'SECRET']))).toContain('canary-4f1d');
    expect(await away.json('releases:list', 'greeter')).toMatchObject([{ version: 1, isCurrent: true, reason: expect.stringContaining('Import v4 of hello') }]);
    expect((await away.json<{ formation: { web: { limits: { memoryBytes: number } } } }>('apps:info', 'greeter')).formation.web.limits.memoryBytes).toBe(300 * 1024 * 1024);
    expect(await away.git$(folder, ['push', away.remote('greeter'), 'main'])).toMatchObject({ exitCode: 0, all: expect.stringContaining('up-to-date') });
    expect(await away.push(folder, 'greeter')).toMatchObject({ exitCode: 0 });
    expect((await away.get('greeter')).body).toBe('greeter canary-4f1d 9000000');
  });

  it('never takes the place of an app', async () => {
    expect(await bring(file, ['greeter'])).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('exists already') });
    expect((await away.get('greeter')).status).toBe(200);
  });

  it('without its image is imported as code that waits for a push', async () => {
    const { exitCode, all } = await bring(file, ['slim']);
    expect(exitCode, all).toBe(0);
    expect(all).toContain('push its code');
    expect(await away.git$(folder, ['push', away.remote('slim'), 'main'])).toMatchObject({ exitCode: 0 });
    expect((await away.get('slim')).body).toBe('slim canary-4f1d 9000000');
  });

  it('is imported by nobody but an admin', async () => {
    const key = await away.newKey('mate');
    await ok(away.forge$(['keys:add', 'mate', '--permission', 'manage'], { input: readFileSync(`${key}.pub`, 'utf8') }));
    expect(await away.ssh$(['apps:import', 'mine'], { key, input: Buffer.concat([Buffer.from(`${passphrase}\n`), file]) })).toMatchObject({ exitCode: 77 });
  });
});
