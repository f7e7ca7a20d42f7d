import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { extract } from 'tar-stream';
import { appOfUrl } from '../../src/cli/app-of-folder.ts';
import { dataDirectory } from '../../src/cli/data-directory.ts';
import { inputCommands } from '../../src/cli/input-commands.ts';
import { operations } from '../../src/operations/operations.ts';
import { release } from '../operations/stage.ts';
import { temporaryDirectory } from '../store/open-test-store.ts';
import { forge, openConsole } from './open-console.ts';

describe('without a running forge', () => {
  test('a command says that nothing answers, and where', async () => {
    const data = temporaryDirectory();
    const { status, stdout, stderr } = await forge(['apps'], { env: { FORGE_DATA: data } });
    expect({ status, stdout }).toEqual({ status: 69, stdout: '' });
    expect(stderr).toContain(`forge is not running: nothing answers at ${data}/run/admin.sock`);
    expect(stderr).toContain('forge up');
  });

  test('version, help and the reference of settings answer all the same', async () => {
    const { version } = JSON.parse(readFileSync(resolve('package.json'), 'utf8')) as { version: string };
    expect(await forge(['version'])).toEqual({ status: 0, stdout: `forge ${version}\n`, stderr: '' });
    expect((await forge(['--version', '--json'])).stdout).toBe(`{"version":"${version}"}\n`);
    const { stdout } = await forge([]);
    for (const part of ['config:set', 'On this machine', 'builder:create']) expect(stdout).toContain(part);
    expect((await forge(['help', 'ps:scale'])).stdout).toContain('forge ps:scale APP');
    expect((await forge(['help', 'up'])).stdout).toContain('forge up [--data DIR]');
    expect((await forge(['config', 'docs'])).stdout).toContain('| `domain` | `--domain` |');
  });

  test('a unit of systemd names the data directory that was asked for', async () => {
    const { status, stdout } = await forge(['systemd-unit', 'forge', '--data', '/srv/x', '--proxy-dir', '/srv/y', '--door-dir', '/srv/z', '--cache-dir', '/srv/c']);
    expect(status).toBe(0);
    expect(stdout).toContain('/srv/x');
  });

  test('daemons refuse flags that there are not', async () => {
    expect(await forge(['serve', '--frobnicate', 'x'])).toMatchObject({ status: 2, stderr: expect.stringContaining('there is no flag --frobnicate') });
    expect(await forge(['up', '--http', 'many'])).toMatchObject({ status: 2, stderr: expect.stringContaining('--http: expected a number, found "many"') });
    expect(await forge(['proxy', 'fast'])).toMatchObject({ status: 2, stderr: expect.stringContaining('takes no words: "fast"') });
    expect((await forge(['serve', '--help'])).stdout).toContain('forge serve');
  });
});

describe('with a running forge', () => {
  test('words, stdin, output and exit status pass through untouched', async () => {
    const console = await openConsole();
    expect(await console.forge(['apps:create', 'hello'])).toMatchObject({ status: 0 });
    const value = 'two words\n"quotes" \'$HOME\' ü😀 \\ --json';
    expect(await console.forge(['config:set', 'hello', `A=${value}`])).toMatchObject({ status: 0, stderr: '' });
    expect((await console.forge(['config:get', 'hello', 'A'])).stdout).toBe(`${value}\n`);
    const big = 'x'.repeat(120_000);
    expect((await console.forge(['config:set', 'hello', `BIG=${big}`])).status).toBe(0);
    expect((await console.forge(['config:get', 'hello', 'BIG'])).stdout).toBe(`${big}\n`);
    expect((await console.forge(['config:import', 'hello'], { stdin: 'B=from a file\n' })).stdout).toContain('Set B');
    expect(await console.forge(['run', 'hello', 'true', '--data', 'x'])).toMatchObject({ status: 3 });
    expect(console.oneOffs[0]?.argv).toEqual(['true', '--data', 'x']);
    expect(await console.forge(['apps:info', 'ghost'])).toMatchObject({ status: 4, stdout: '', stderr: expect.stringContaining('there is no app "ghost"') });
  });

  test('a command in a loop leaves the loop’s input alone', async () => {
    const console = await openConsole();
    for (const app of ['one', 'two', 'three']) await console.ok('apps:create', app);
    const script = `while read app; do "$0" "$1" --data "$2" apps:url "$app"; done`;
    const { promise, resolve: done } = Promise.withResolvers<string>();
    const { execFile } = await import('node:child_process');
    execFile('bash', ['-c', script, process.execPath, resolve('src/cli/main.ts'), console.data], (_error, stdout) => done(stdout)).stdin?.end('one\ntwo\nthree\n');
    expect((await promise).trim().split('\n')).toHaveLength(3);
  });

  test('only commands that read stdin get it', () => {
    expect([...inputCommands].sort()).toEqual(operations.filter(({ readsStdin }) => readsStdin).flatMap(({ name, aliases = [] }) => [name, ...aliases]).sort());
  });

  test('completion of bash answers with commands, flags and the apps there are', async () => {
    const console = await openConsole();
    for (const app of ['hello', 'help-desk', 'other']) await console.ok('apps:create', app);
    const folder = temporaryDirectory();
    writeFileSync(join(folder, 'forge'), `#!/bin/sh\nexec "${process.execPath}" "${resolve('src/cli/main.ts')}" --data "${console.data}" "$@"\n`, { mode: 0o755 });
    const script = (await forge(['completion', 'bash'])).stdout;
    writeFileSync(join(folder, 'completion'), script);
    const ask = async (line: string): Promise<string[]> => {
      const bash = `source "$1/completion"; COMP_LINE=$2 COMP_POINT=\${#2}; _forge; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { execFile } = await import('node:child_process');
      const { promise, resolve: done } = Promise.withResolvers<string>();
      execFile('bash', ['-c', bash, 'bash', folder, line], { env: { PATH: `${folder}:${process.env['PATH']}` } }, (_error, stdout) => done(stdout));
      return (await promise).split('\n').filter(Boolean).sort();
    };
    expect(await ask('forge dep')).toEqual(['deploy', 'deployments', 'deployments:cancel', 'deployments:info', 'deployments:list', 'deployments:logs']);
    // Bash has split the word at the colon: what stands before it is not repeated.
    expect(await ask('forge config:s')).toEqual(['set']);
    expect(await ask('forge logs he')).toEqual(['hello', 'help-desk']);
    expect(await ask('forge ps:restart -a o')).toEqual(['other']);
    expect(await ask('forge logs hello --f')).toEqual(['--follow']);
    expect(await ask('forge apps:create ')).toEqual([]);
  });
});

test.each(['bash', 'zsh', 'fish'])('the completion of %s', async (shell) => {
  expect((await forge(['completion', shell])).stdout).toMatchSnapshot();
});

describe('the data directory', () => {
  const file = (text: string): string => {
    const path = join(temporaryDirectory(), 'forge.env');
    writeFileSync(path, text);
    return path;
  };

  test('is that of the flag, else of the variable, else of the installation, else here', () => {
    const environmentFile = file('FORGE_HTTP=80\nFORGE_DATA="/var/lib/forge"\n');
    expect(dataDirectory({ flag: 'a', env: { FORGE_DATA: '/b' }, cwd: '/x', environmentFile })).toBe('/x/a');
    expect(dataDirectory({ flag: undefined, env: { FORGE_DATA: '/b' }, cwd: '/x', environmentFile })).toBe('/b');
    expect(dataDirectory({ flag: undefined, env: {}, cwd: '/x', environmentFile })).toBe('/var/lib/forge');
    expect(dataDirectory({ flag: undefined, env: {}, cwd: '/x', environmentFile: '/nowhere' })).toBe('/x/.forge');
  });
});

describe('deploying a folder', () => {
  function project(): string {
    const folder = join(temporaryDirectory(), 'Hello');
    const files: Readonly<Record<string, string>> = {
      'Procfile': 'web: node server.js', 'server.js': 'x'.repeat(200_000), '.gitignore': 'node_modules/\n*.log\n', '.dockerignore': 'docs\nProcfile\n', 'docs/a.md': '', 'src/docs/b.md': 'kept',
      'node_modules/x/index.js': '', 'app.log': '', 'sub/.gitignore': '!keep.log\n/only-here\n', 'sub/keep.log': 'kept', 'sub/only-here': '', 'sub/deeper/only-here': 'kept', '.git/config': '', '.forge/secrets.key': 'canary', 'empty': '',
    };
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(folder, path, '..'), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    return folder;
  }

  async function entriesOf(tar: Readable): Promise<Record<string, number>> {
    const found: Record<string, number> = {};
    const reading = tar.pipe(extract());
    for await (const entry of reading) {
      found[entry.header.name] = (await buffer(entry)).length;
    }
    return found;
  }

  test('packs what git and docker would send, and nothing of forge’s', async () => {
    const { packFolder } = await import('../../src/cli/pack-folder.ts');
    expect(await entriesOf(packFolder(project()))).toEqual({
      '.dockerignore': 14, '.gitignore': 20, 'Procfile': 19, 'empty': 0, 'server.js': 200_000, 'src/': 0, 'src/docs/': 0, 'src/docs/b.md': 4,
      'sub/': 0, 'sub/.gitignore': 21, 'sub/deeper/': 0, 'sub/deeper/only-here': 4, 'sub/keep.log': 4,
    });
  });

  test('streams it to the app of the folder’s remote, else of its name', async () => {
    const console = await openConsole();
    const folder = project();
    expect((await console.forge(['deploy'], { cwd: folder })).status).toBe(0);
    expect(console.asked[0]).toBe('deploy folder hello');
    execFileSync('git', ['init', '-q', folder]);
    execFileSync('git', ['-C', folder, 'remote', 'add', 'forge', 'ssh://forge@host:2222/shop.git']);
    expect((await console.forge(['deploy', folder])).status).toBe(0);
    expect(console.asked).toContain('deploy folder shop');
    expect((await console.forge(['deploy', folder, '--app', 'third'])).status).toBe(0);
    expect(console.asked).toContain('deploy folder third');
    expect((await console.forge(['deploy', '--image', 'nginx:1.27'], { cwd: folder })).status).toBe(0);
    expect(console.asked).toContain('deploy image shop');
  });

  test('refuses what is no folder, and a folder whose name is no app', async () => {
    const console = await openConsole();
    expect(await console.forge(['deploy', '/nowhere', '--app', 'x'])).toMatchObject({ status: 2, stderr: expect.stringContaining('/nowhere is no folder') });
    const odd = join(temporaryDirectory(), 'My_App');
    mkdirSync(odd);
    expect(await console.forge(['deploy', odd])).toMatchObject({ status: 2, stderr: expect.stringContaining('forge deploy --app APP') });
  });

  test.each([
    ['ssh://forge@host:2222/hello', 'hello'], ['forge@host:hello.git', 'hello'], ['http://x:y@forge.example.com/hello.git/', 'hello'], ['forge@host:/hello', 'hello'], ['', ''],
  ])('the app of %s is %s', (url, app) => {
    expect(appOfUrl(url)).toBe(app);
  });
});

test('a failed change keeps its exit status on the way', async () => {
  const console = await openConsole();
  await console.ok('apps:create', 'hello');
  release(console.store, 'hello');
  expect((await console.forge(['ps:scale', 'hello', 'web=many'])).status).toBe(2);
});
