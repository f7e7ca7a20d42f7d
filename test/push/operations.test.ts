/** What a person does with an app besides pushing it, over SSH and by the command on the machine. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { execa } from 'execa';
import { chattyApp } from '../support/chatty-app.ts';
import { bootForge, until, type Command, type RunningForge } from '../support/forge.ts';

let forge: RunningForge;
let folder: string;
beforeAll(async () => {
  forge = await bootForge({ settings: { drainTimeout: '2' } });
  folder = await chattyApp();
  expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
});
afterAll(async () => await forge.remove());

const ok = async (command: PromiseLike<Command>): Promise<string> => {
  const ended = await command;
  expect(ended).toMatchObject({ exitCode: 0 });
  return ended.stdout;
};
const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
const environment = async (): Promise<Record<string, string>> => JSON.parse((await forge.get('hello', '/env')).body);
const containersOf = async (type: string): Promise<string[]> =>
  (await forge.json<{ instances: { name: string; containerId: string }[] }>('ps:list', 'hello')).instances.filter(({ name }) => name.startsWith(type)).map(({ containerId }) => containerId).sort();

describe('config', () => {
  const values: Readonly<Record<string, string>> = {
    SPACES: '  two  words ',
    QUOTES: `it's "quoted" \\ and \`back\``,
    DOLLAR: '$HOME ${PATH} $(id) !!',
    EQUALS: 'a=b==c',
    LINES: 'first\nsecond\r\n\tthird\n',
    UTF8: 'grüße 🛠 日本',
    EMPTY: '',
    LONG: 'x'.repeat(64 * 1024),
  };

  it('reaches the running app byte for byte, from words and from stdin, in one restart each', async () => {
    const { LONG = '', ...short } = values;
    await ok(forge.ssh$(['config:set', 'hello', ...Object.entries(short).map(([key, value]) => quoted(`${key}=${value}`))]));
    await ok(forge.forge$(['config:import', 'hello'], { input: JSON.stringify({ LONG }) }));
    expect(await environment()).toMatchObject(values);
    for (const [key, value] of Object.entries(short)) expect((await forge.json<{ value: string }>('config:get', 'hello', key)).value).toBe(value);
    expect((await ok(forge.ssh$(['config:get', 'hello', 'EQUALS']))).trim()).toBe('a=b==c');
    expect((await forge.deployments('hello')).map(({ status }) => status)).toEqual(['succeeded', 'succeeded', 'succeeded']);
  });

  it('leaves the commit as it was: GIT_REV is still the pushed one', async () => {
    expect((await environment())['GIT_REV']).toBe((await forge.git$(folder, ['rev-parse', 'HEAD'])).stdout.trim());
  });

  it('that the app cannot start with is told, and the old config stays in force', async () => {
    const before = await containersOf('web');
    const { exitCode, all } = await forge.ssh$(['config:set', 'hello', 'BROKEN=1']);
    expect(exitCode).toBe(1);
    expect(all).toContain('the config is broken');
    expect(all).toMatch(/Set BROKEN: not in force and not stored; v\d+ goes on serving as it was/);
    expect((await environment())['BROKEN']).toBeUndefined();
    expect(await containersOf('web')).toEqual(before);
    await ok(forge.ssh$(['config:unset', 'hello', 'BROKEN']));
    expect((await forge.get('hello')).status).toBe(200);
  });

  it('set without a restart is in force after the next ps:restart', async () => {
    await ok(forge.ssh$(['config:set', 'hello', 'LATER=yes', '--no-restart']));
    expect((await environment())['LATER']).toBeUndefined();
    await ok(forge.ssh$(['ps:restart', 'hello']));
    expect((await environment())['LATER']).toBe('yes');
  });
});

describe('processes', () => {
  it('scale up and down; a worker’s scale never touches web', async () => {
    const web = await until('what earlier changes replaced is gone', async () => {
      const found = await containersOf('web');
      return found.length === 1 && found;
    });
    await ok(forge.ssh$(['ps:scale', 'hello', 'worker=2']));
    expect(await containersOf('web')).toEqual(web);
    expect((await containersOf('worker')).length).toBe(2);
    await ok(forge.ssh$(['ps:scale', 'hello', 'web=2', 'worker=1']));
    expect(await containersOf('web')).toEqual(expect.arrayContaining(web));
    expect((await containersOf('web')).length).toBe(2);
    const answers = await Promise.all(Array.from({ length: 8 }, async () => (await forge.get('hello')).body));
    expect(new Set(answers)).toEqual(new Set(['hello from web.1', 'hello from web.2']));
    await until('one worker is left', async () => (await containersOf('worker')).length === 1);
  });

  it('at web=0 answer 503 with forge’s page, and 200 again at web=1', async () => {
    await ok(forge.ssh$(['ps:scale', 'hello', 'web=0']));
    const down = await forge.get('hello');
    expect(down.status).toBe(503);
    expect(down.body).toContain('503 Not running');
    await until('web is gone', async () => (await containersOf('web')).length === 0);
    await ok(forge.ssh$(['ps:scale', 'hello', 'web=1', 'worker=0']));
    expect((await forge.get('hello')).status).toBe(200);
  });

  it('of an unknown type are refused with the names of the known ones', async () => {
    const { exitCode, stderr } = await forge.ssh$(['ps:scale', 'hello', 'wokrer=1']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('hello has no process type "wokrer"');
    expect(stderr).toContain('its process types: web, worker');
  });

  it('stop, start and restart; a stopped app answers 503, an unknown host 404 without naming an app', async () => {
    await ok(forge.ssh$(['ps:stop', 'hello']));
    expect((await forge.get('hello')).status).toBe(503);
    expect(await forge.instances('hello')).toEqual([]);
    expect((await forge.ssh$(['ps:restart', 'hello'])).exitCode).toBe(5);
    await ok(forge.ssh$(['ps:start', 'hello']));
    expect((await forge.get('hello')).status).toBe(200);
    const before = await containersOf('web');
    await ok(forge.ssh$(['ps:restart', 'hello']));
    expect((await forge.get('hello')).status).toBe(200);
    await until('the old instance is gone', async () => {
      const now = await containersOf('web');
      return now.length === 1 && now[0] !== before[0];
    });
    const unknown = await forge.get('hullo');
    expect(unknown.status).toBe(404);
    expect(unknown.body).not.toMatch(/hello|hullo/);
  });

  it('have their limits in the engine', async () => {
    const { stdout } = await execa('docker', ['inspect', '--format', '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.CpuShares}}', ...(await containersOf('web'))]);
    expect(stdout.trim()).toBe(`${512 * 1024 * 1024} 512 1024`);
  });
});

describe('run', () => {
  const exits = (status: number) => `process.exit(${status})`;

  it('returns the command’s exit status, without and with a terminal, from both doors', async () => {
    expect((await forge.ssh$(['run', 'hello', 'node', '-e', quoted(exits(7))])).exitCode).toBe(7);
    expect((await forge.ssh$(['run', 'hello', '--', 'node', '-e', quoted(exits(8))])).exitCode).toBe(8);
    expect((await forge.ssh$(['run', 'hello', 'node', '-e', quoted(`process.stdout.isTTY || process.exit(1); ${exits(9)}`)], { flags: ['-tt'] })).exitCode).toBe(9);
    expect((await forge.forge$(['run', 'hello', 'node', '-e', exits(10)])).exitCode).toBe(10);
    expect((await forge.forge$(['run', 'hello', '--', 'node', '-e', exits(11)])).exitCode).toBe(11);
    expect((await forge.ssh$(['run', 'hello', 'true'])).exitCode).toBe(0);
  });

  it('keeps words whole, gives the config, the further variables and stdin', async () => {
    const script = 'console.log(JSON.stringify([process.argv.slice(1), process.env.EQUALS, process.env.EXTRA, require("node:fs").readFileSync(0, "utf8")]))';
    const { stdout } = await forge.ssh$(['run', '-e', quoted('EXTRA=a b'), 'hello', 'node', '-e', quoted(script), quoted('two words'), '-n'], { input: 'from outside' });
    expect(JSON.parse(stdout)).toEqual([['two words', '-n'], 'a=b==c', 'a b', 'from outside']);
  });

  it('says so when there is no such program, and leaves no container behind', async () => {
    const { exitCode, all } = await forge.ssh$(['run', 'hello', 'no-such-program']);
    expect(exitCode).toBe(127);
    expect(all).toContain('no-such-program');
    const id = readFileSync(join(forge.data, 'id'), 'utf8').trim();
    const left = await execa('docker', ['ps', '-aq', '--filter', `label=forge.data=${id}`, '--filter', 'label=forge.type=run']);
    expect(left.stdout).toBe('');
  });
});
