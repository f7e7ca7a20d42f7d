/** Pushes that do not get as far as a start: each says why, the ref stays where it was, and what served goes on serving. */
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { execa } from 'execa';
import { appFolder, bootForge, dockerfileApp, until, writeFiles, type Command, type RunningForge } from '../support/forge.ts';

const dockerfile = (...lines: readonly string[]): string => ['FROM forge-test/node:24', 'WORKDIR /app', 'COPY . .', ...lines, 'CMD ["node", "server.js"]', ''].join('\n');

let forge: RunningForge;
/** Its app `site` serves "one" throughout. */
let folder: string;
let liveCommit: string;

beforeAll(async () => {
  forge = await bootForge();
  folder = await appFolder(dockerfileApp('one'));
  expect(await forge.push(folder, 'site')).toMatchObject({ exitCode: 0 });
  liveCommit = (await forge.git$(folder, ['rev-parse', 'HEAD'])).stdout.trim();
});
afterAll(async () => await forge.remove());

const refOf = async (app: string): Promise<string> => (await forge.git$(folder, ['ls-remote', forge.remote(app), 'refs/heads/main'])).stdout.split('\t')[0] ?? '';

/** Pushes these files on top of what serves; nothing may have changed afterwards. */
async function pushInVain(files: Readonly<Record<string, string>>): Promise<Command> {
  await forge.git$(folder, ['checkout', '-q', '-f', '-B', 'main', liveCommit]);
  await writeFiles(folder, files);
  const pushed = await forge.push(folder, 'site', 'main');
  expect(pushed.exitCode).not.toBe(0);
  expect(pushed.all).toContain('pre-receive hook declined');
  expect(await refOf('site')).toBe(liveCommit);
  expect((await forge.get('site')).body).toBe('one');
  const [newest] = await forge.deployments('site');
  expect(newest?.status).toBe('failed');
  return pushed;
}

describe('a build that fails', () => {
  it('shows its output, keeps the old version, and runs again with the same push', async () => {
    const { all } = await pushInVain({ Dockerfile: dockerfile('RUN echo compiling the thing && echo no such header >&2 && exit 7') });
    expect(all).toContain('compiling the thing');
    expect(all).toContain('no such header');
    expect(all).toContain('ended with status 7');
    const before = (await forge.deployments('site')).length;
    const again = await forge.git$(folder, ['push', forge.remote('site'), 'main']);
    expect(again.all).toContain('ended with status 7');
    const deployments = await forge.deployments('site');
    expect(deployments.length).toBe(before + 1);
    const log = await forge.ssh$(['deployments:logs', deployments[0]?.id ?? '']);
    expect(log.stdout).toContain('no such header');
    expect(log.stdout).toContain('ended with status 7');
  });

  it('lists what was looked for when no builder matches', async () => {
    const nothing = await appFolder({ 'readme.md': 'hello' });
    const { all, exitCode } = await forge.push(nothing, 'nobuilder');
    expect(all).toContain('forge found nothing that it knows how to build');
    expect(all).toMatch(/dockerfile: Dockerfile/);
    expect(all).toMatch(/cnb: .*package\.json/);
    expect(all).toContain('found instead: readme.md');
    expect(exitCode).not.toBe(0);
  });

  it('says which image of a FROM line could not be had', async () => {
    const { all } = await pushInVain({ Dockerfile: 'FROM 127.0.0.1:9/nobody/nothing:1\nCMD ["true"]\n' });
    expect(all).toContain('the Dockerfile needs the image 127.0.0.1:9/nobody/nothing:1');
  });

  it('names the line of a broken Procfile: duplicates and merge markers', async () => {
    expect((await pushInVain({ Procfile: 'web: node server.js\nweb: node other.js\n' })).all).toContain('Procfile, line 2: the process type web is there twice, first in line 1');
    const { all } = await pushInVain({ Procfile: '<<<<<<< HEAD\nweb: node server.js\n=======\nweb: node other.js\n>>>>>>> theirs\n' });
    expect(all).toContain('Procfile, line 1: a merge conflict is not resolved');
  });

  it('names path, expectation and what was found in a broken app.json', async () => {
    const { all } = await pushInVain({ 'app.json': '{\n  // how many\n  "formation": { "web": { "quantity": "two" } }\n}\n' });
    expect(all).toContain('app.json: formation.web.quantity: expected number, found "two"');
    expect(all).not.toContain('Building');
    expect((await pushInVain({ 'app.json': '{\n  "formation": {\n' })).all).toMatch(/app\.json, line \d: not valid JSON/);
  });

  it('refuses a symbolic link that leads out of the tree', async () => {
    await forge.git$(folder, ['checkout', '-q', '-f', '-B', 'main', liveCommit]);
    await mkdir(join(folder, 'config'));
    await symlink('../../../../etc/passwd', join(folder, 'config/secrets'));
    const pushed = await forge.push(folder, 'site');
    expect(pushed.exitCode).not.toBe(0);
    expect(pushed.all).toContain('config/secrets');
    expect(pushed.all).toMatch(/leads out|outside/);
    expect(await refOf('site')).toBe(liveCommit);
  });

  it('says so when an image to deploy does not exist', async () => {
    const deployed = await forge.ssh$(['deploy', 'site', '--image', '127.0.0.1:9/nobody/nothing:1']);
    expect(deployed.all).toMatch(/could not pull the image 127\.0\.0\.1:9\/nobody\/nothing:1|there is no image 127\.0\.0\.1:9\/nobody\/nothing:1/);
    expect(deployed.exitCode).not.toBe(0);
    expect((await forge.ssh$(['deploy', 'site', '--image', 'Not/An Image'])).exitCode).toBe(2);
    expect((await forge.get('site')).body).toBe('one');
  });
});

describe('a build whose client goes away', () => {
  it('is stopped, recorded as canceled, and leaves ref and app as they were', async () => {
    await forge.git$(folder, ['checkout', '-q', '-f', '-B', 'main', liveCommit]);
    await writeFiles(folder, { Dockerfile: dockerfile('RUN echo began-to-wait && sleep 300') });
    await forge.commit(folder);
    const pushing = forge.git$(folder, ['push', forge.remote('site'), 'main'], { isGroup: true });
    const ended = pushing.then((command) => command);
    await until('the build runs', async () => (await sleepers()) > 0);
    process.kill(-pushing.pid, 'SIGKILL');
    await ended;
    await until('the deployment is canceled', async () => (await forge.deployments('site'))[0]?.status === 'canceled');
    await until('the build has stopped', async () => (await sleepers()) === 0);
    expect(await refOf('site')).toBe(liveCommit);
    expect((await forge.get('site')).body).toBe('one');
  });

  it('is stopped by deployments:cancel too, and the turn is free again', async () => {
    const pushing = forge.git$(folder, ['push', forge.remote('site'), 'main']);
    const ended = pushing.then((command) => command);
    await until('the build runs', async () => (await sleepers()) > 0);
    const [running] = await forge.deployments('site');
    expect(running?.status).toBe('building');
    expect((await forge.ssh$(['deployments:cancel', running?.id ?? ''])).exitCode).toBe(0);
    const { all, exitCode } = await ended;
    expect(all).toContain('canceled by admin');
    expect(exitCode).not.toBe(0);
    expect((await forge.deployments('site'))[0]?.status).toBe('canceled');
    await until('the build has stopped', async () => (await sleepers()) === 0);
    expect((await forge.ssh$(['deployments:cancel', running?.id ?? ''])).exitCode).toBe(4);
    expect((await forge.ssh$(['ps:restart', 'site'])).exitCode).toBe(0);
    expect((await forge.get('site')).body).toBe('one');
  });

  /** How many of this test's build steps run on the machine. */
  const sleepers = async (): Promise<number> => {
    const { stdout } = await execa('ps', ['-eo', 'args']);
    return stdout.split('\n').filter((line) => line.startsWith('/bin/sh -c echo began-to-wait')).length;
  };
});

describe('what is unusual and fine', () => {
  it('takes a Procfile with CRLF lines and an app.json with comments, and tells unknown keys', async () => {
    const app = await appFolder({ ...dockerfileApp('crlf'), Procfile: 'web: node server.js\r\nworker: node server.js\r\n', 'app.json': '// about\n{ "description": "x", "colour": "red" }\n' });
    const { all, exitCode } = await forge.push(app, 'crlf');
    expect(exitCode).toBe(0);
    expect(all).toContain('app.json: colour is not a key that forge knows');
    expect((await forge.get('crlf')).body).toBe('crlf');
  });

  it('takes a hundred thousand files', async () => {
    const app = await appFolder({ ...dockerfileApp('many'), '.dockerignore': 'many\n' });
    await forge.commit(app);
    const files = Array.from({ length: 100_000 }, (_, index) => `M 100644 inline many/${index % 300}/file-${index}.txt\ndata 2\nx\n`).join('');
    await execa('git', ['fast-import', '--quiet', '--force'], { cwd: app, input: `commit refs/heads/main\ncommitter T <t@example.com> 1700000000 +0000\ndata 4\nmany\nfrom refs/heads/main^0\n${files}\n` });
    const pushed = await forge.git$(app, ['push', forge.remote('many'), 'main']);
    expect(pushed).toMatchObject({ exitCode: 0 });
    expect((await forge.get('many')).body).toBe('many');
  });
});

describe('limits', () => {
  it('end a build that takes too long or too much memory, each named as such', async () => {
    await using limited = Object.assign(await bootForge({ settings: { buildMemory: '128M', buildTimeout: '8', sourceMaxEntries: '20' } }), { [Symbol.asyncDispose]: async () => await limited.remove() });
    const hungry = await appFolder({ Dockerfile: 'FROM forge-test/node:24\nRUN node -e "const kept = []; setInterval(() => kept.push(Buffer.alloc(8 << 20, 1)), 20)"\n' });
    const memory = await limited.push(hungry, 'hungry');
    expect(memory.all).toMatch(/used more memory than the limit of 128M/);
    expect(memory.exitCode).not.toBe(0);
    const slow = await appFolder({ Dockerfile: 'FROM forge-test/node:24\nRUN sleep 300\n' });
    const time = await limited.push(slow, 'slow');
    expect(time.all).toContain('the build did not end within its time limit of 8 s (setting buildTimeout)');
    expect(time.exitCode).not.toBe(0);
    const wide = await appFolder(Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`file-${index}`, 'x'])));
    const files = await limited.push(wide, 'wide');
    expect(files.all).toContain('it has more than 20 files and folders');
    expect(files.exitCode).not.toBe(0);
  });

  it('refuse a deploy before building when the disk is nearly full, with the figures', async () => {
    await using full = Object.assign(await bootForge({ settings: { minFreeBytes: '900T' } }), { [Symbol.asyncDispose]: async () => await full.remove() });
    const pushed = await full.push(await appFolder(dockerfileApp('x')), 'full');
    expect(pushed.all).toMatch(/is nearly full: [\d.]+ GiB of [\d.]+ GiB free, 921600 GiB needed; nothing was built/);
    expect(pushed.all).not.toContain('Building');
    expect(pushed.exitCode).not.toBe(0);
  });
});
