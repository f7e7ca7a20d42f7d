/** Numbered releases of code and config: every change is one, and each can be undone. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appFolder, bootForge, dockerfileApp, until, writeFiles, type Command, type RunningForge } from '../support/forge.ts';

let forge: RunningForge;
let folder: string;

const server = (text: string): string => `
if (process.env.BROKEN) throw new Error('the config is broken');
require('node:http').createServer((_request, response) => response.end('${text} ' + (process.env.COLOR ?? 'none'))).listen(process.env.PORT);
`;

beforeAll(async () => {
  forge = await bootForge({ settings: { drainTimeout: '2' } });
  folder = await appFolder(dockerfileApp('one', server('one')));
  expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
});
afterAll(async () => await forge.remove());

const ok = async (command: PromiseLike<Command>): Promise<string> => {
  const ended = await command;
  expect(ended).toMatchObject({ exitCode: 0 });
  return ended.stdout;
};
const ssh = (...words: readonly string[]) => forge.ssh$(words);
const body = async (): Promise<string> => (await forge.get('hello', '/')).body;
interface Listed { readonly version: number; readonly isCurrent: boolean; readonly hasFailed: boolean; readonly reason: string; readonly commit?: string }
const releases = async (): Promise<readonly Listed[]> => await forge.json<readonly Listed[]>('releases:list', 'hello');
const pushText = async (text: string): Promise<void> => {
  await writeFiles(folder, { 'server.js': server(text) });
  expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
};

describe('releases', () => {
  it('are made by pushes and config changes, with actor and reason', async () => {
    await ok(ssh('config:set', 'hello', 'COLOR=red'));
    await pushText('two');
    expect(await body()).toBe('two red');
    expect(await releases()).toMatchObject([
      { version: 3, isCurrent: true, reason: expect.stringMatching(/^Deploy [0-9a-f]{7}$/) as string },
      { version: 2, reason: 'Set COLOR' },
      { version: 1, reason: expect.stringMatching(/^Deploy/) as string },
    ]);
  });

  it('differ by names, never by values', async () => {
    await ok(ssh('config:set', 'hello', 'COLOR=sup3rs3cret', 'SIZE=1'));
    const diff = await ok(ssh('releases:diff', 'hello', 'v3'));
    expect(diff).toContain('+SIZE ~COLOR');
    expect(diff + (await ok(ssh('releases:info', 'hello'))) + JSON.stringify(await forge.json('releases:info', 'hello', 'v4'))).not.toContain('sup3rs3cret');
    expect((await ssh('releases:info', 'hello', 'v99')).exitCode).toBe(4);
    expect((await ssh('releases:info', 'hello', '-1')).exitCode).toBe(2);
  });

  it('of a config that does not start leave everything as it was, and say so', async () => {
    const before = await forge.json('config:list', 'hello');
    const { exitCode, all } = await ssh('config:set', 'hello', 'BROKEN=1', 'COLOR=black');
    expect(exitCode).toBe(1);
    expect(all).toContain('the config is broken');
    expect(await forge.json('config:list', 'hello')).toEqual(before);
    expect(await body()).toBe('two sup3rs3cret');
    expect((await releases())[0]).toMatchObject({ hasFailed: true, isCurrent: false });
  });

  it('of changes that were deferred come with the next restart', async () => {
    await ok(ssh('config:set', '--no-restart', 'hello', 'COLOR=green'));
    expect(await body()).toBe('two sup3rs3cret');
    await ok(ssh('ps:restart', 'hello'));
    expect(await body()).toBe('two green');
  });
});

describe('a rollback', () => {
  it('brings back code and config as a new release, without a build', async () => {
    const { length } = await releases();
    const output = await ok(ssh('releases:rollback', 'hello', 'v2'));
    expect(output).not.toContain('Building');
    expect(await body()).toBe('one red');
    expect(await forge.json('config:list', 'hello')).toEqual({ COLOR: 'red' });
    const [current] = await releases();
    expect(current).toMatchObject({ version: length + 1, isCurrent: true, reason: 'Rollback to v2' });
    expect(current?.commit).toBe((await releases()).at(-1)?.commit);
  });

  it('without a release goes to the one before, and back again', async () => {
    await ok(ssh('rollback', 'hello'));
    expect(await body()).toBe('two green');
    await ok(ssh('rollback', 'hello'));
    expect(await body()).toBe('one red');
  });

  it('of the code alone keeps the config, of the config alone the code', async () => {
    await ok(ssh('releases:rollback', 'hello', 'v3', '--code-only'));
    expect(await body()).toBe('two red');
    await ok(ssh('config:set', 'hello', 'COLOR=blue'));
    await ok(ssh('releases:rollback', 'hello', 'v1', '--config-only'));
    expect(await body()).toBe('two none');
    expect((await ssh('releases:rollback', 'hello', 'v1', '--config-only', '--code-only')).exitCode).toBe(2);
  });

  it('to what never served, never was or serves already is refused', async () => {
    const all = await releases();
    const failed = all.find(({ hasFailed }) => hasFailed);
    expect(await ssh('releases:rollback', 'hello', `v${failed?.version}`)).toMatchObject({ exitCode: 5, all: expect.stringContaining('never served') as string });
    expect((await ssh('releases:rollback', 'hello', 'v99')).exitCode).toBe(4);
    expect(await ssh('releases:rollback', 'hello', `v${all[0]?.version}`)).toMatchObject({ exitCode: 5, all: expect.stringContaining('serves now') as string });
    expect(await releases()).toHaveLength(all.length);
  });

  it('does not stand in the way of the next push', async () => {
    await ok(ssh('releases:rollback', 'hello', 'v1'));
    await pushText('three');
    expect(await body()).toBe('three none');
  });
});

describe('a locked app', () => {
  it('refuses new releases with the reason, and still scales and restarts', async () => {
    await ok(ssh('apps:lock', 'hello', '--reason', "'a migration runs'"));
    const before = await releases();
    expect(await ssh('config:set', 'hello', 'X=1')).toMatchObject({ exitCode: 5, all: expect.stringContaining('a migration runs') as string });
    expect((await ssh('rollback', 'hello')).exitCode).toBe(5);
    await writeFiles(folder, { 'server.js': server('four') });
    const pushed = await forge.push(folder, 'hello');
    expect(pushed).toMatchObject({ exitCode: 1, all: expect.stringContaining('a migration runs') as string });
    await ok(ssh('ps:scale', 'hello', 'web=2'));
    await ok(ssh('ps:restart', 'hello'));
    expect(await releases()).toEqual(before);
    await ok(ssh('apps:unlock', 'hello'));
    expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
    expect(await body()).toBe('four none');
  });
});

describe('an app that recreates its instances', () => {
  it('never runs two at a time, and gets the old one back when the new one fails', async () => {
    const single = await appFolder(dockerfileApp('single', server('first')));
    expect(await forge.push(single, 'single')).toMatchObject({ exitCode: 0 });
    await ok(ssh('strategy:set', 'single', 'recreate'));
    const { all } = await ssh('config:set', 'single', 'COLOR=red');
    expect(all).toContain('Stopping web.1 first');
    expect((await forge.get('single', '/')).body).toBe('first red');
    expect((await ssh('config:set', 'single', 'BROKEN=1')).exitCode).toBe(1);
    await until('the old release serves again', async () => (await forge.get('single', '/')).body === 'first red');
    expect(await forge.instances('single')).toHaveLength(1);
  });
});
