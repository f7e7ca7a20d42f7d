/** The Dockerfile of this repository: forge in a container takes a push and serves the app. */
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dockerfileApp, until, writeFiles } from '../support/forge.ts';
import { ensureNodeImage, nodeImage } from '../support/images.ts';

const root = resolve(import.meta.dirname, '../..');
const base = 'forge-test/container-base:latest';
const image = 'forge-test/container:latest';
const name = `forge-test-container-${process.pid}`;
const label = 'forge.test=container';
const npmVersion = '11.6.2';
let home = '';
let dataId = '';

const docker = async (...words: string[]): Promise<string> => (await execa('docker', words)).stdout;

/** Stands for node:24-slim where no image can be pulled: the test image with npm and what this host trusts. */
async function makeBase(): Promise<void> {
  await ensureNodeImage();
  const folder = join(home, 'base');
  await writeFiles(folder, {
    Dockerfile:
      `FROM ${nodeImage}\nCOPY npm /usr/local/lib/npm\nCOPY certs /usr/local/share/ca-certificates\n` +
      'RUN ln -s /usr/local/lib/npm/bin/npm-cli.js /usr/local/bin/npm && chmod +x /usr/local/lib/npm/bin/npm-cli.js && update-ca-certificates\n' +
      'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt\n',
    'certs/.keep': '',
  });
  await cp('/usr/local/share/ca-certificates', join(folder, 'certs'), { recursive: true });
  await execa('npm', ['pack', '--silent', `npm@${npmVersion}`], { cwd: home });
  await execa('tar', ['-xzf', `npm-${npmVersion}.tgz`], { cwd: home });
  await cp(join(home, 'package'), join(folder, 'npm'), { recursive: true });
  await docker('build', '--quiet', '--tag', base, folder);
}

async function removeEverything(): Promise<void> {
  await execa('docker', ['rm', '-f', '-v', name], { reject: false });
  if (dataId !== '') {
    const ours = ['--filter', `label=forge.data=${dataId}`];
    const containers = (await docker('ps', '-aq', ...ours)).split('\n').filter(Boolean);
    if (containers.length > 0) await docker('rm', '-f', '-v', ...containers);
    for (const network of (await docker('network', 'ls', '-q', ...ours)).split('\n').filter(Boolean)) await docker('network', 'rm', network);
  }
  await execa('docker', ['image', 'rm', '-f', image], { reject: false });
  await rm(home, { recursive: true, force: true });
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'forge-container-'));
  await makeBase();
  await execa('docker', ['build', '--quiet', '--build-arg', `BASE=${base}`, '--label', label, '--tag', image, root]);
}, 600_000);

afterAll(removeEverything, 120_000);

interface Addresses {
  readonly http: number;
  readonly ssh: number;
}

/** Starts forge in its container with the test's key as the admin's; free ports of the host's network. */
async function startForge(): Promise<Addresses> {
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(home, 'key')]);
  await docker('create', '--init', '--name', name, '--label', label, '--network', 'host', '-v', '/var/run/docker.sock:/var/run/docker.sock', image,
    'up', '--json', '--http', '0', '--ssh', '0', '--bind', '127.0.0.1', '--admin-key', '/etc/admin.pub');
  await docker('cp', join(home, 'key.pub'), `${name}:/etc/admin.pub`);
  await docker('start', name);
  const line = await until('forge serves', async () => {
    const { stdout, stderr } = await execa('docker', ['logs', name]);
    if ((await docker('inspect', '-f', '{{.State.Running}}', name)) !== 'true') throw new Error(`forge ended: ${stdout}\n${stderr}`);
    return stdout.split('\n').find((text) => text.startsWith('{') && text.includes('"http"'));
  });
  dataId = (await docker('exec', name, 'cat', '/data/id')).trim();
  return JSON.parse(line) as Addresses;
}

test('forge in a container takes a push over SSH, and the app answers', async () => {
  const { http, ssh } = await startForge();
  const app = await mkdtemp(join(home, 'app-'));
  await writeFiles(app, dockerfileApp('from a forge in a container'));
  const sshCommand = `ssh -F /dev/null -i ${join(home, 'key')} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=${join(home, 'known')} -o LogLevel=ERROR`;
  const git = async (...words: string[]) =>
    await execa('git', ['-c', 'user.name=T', '-c', 'user.email=t@example.com', ...words], { cwd: app, env: { GIT_SSH_COMMAND: sshCommand, GIT_CONFIG_NOSYSTEM: '1' }, all: true });
  await git('init', '-q', '-b', 'main');
  await git('add', '-A');
  await git('commit', '-q', '-m', 'Say hello');
  const push = await git('push', `ssh://forge@127.0.0.1:${ssh}/inside`, 'main');
  expect(push.all).toContain('=====> Application deployed:');
  const answer = await execa('curl', ['-fsS', '--max-time', '10', '-H', 'Host: inside.localhost', `http://127.0.0.1:${http}/`]);
  expect(answer.stdout).toBe('from a forge in a container');

  const destroyed = await execa('docker', ['exec', name, 'forge', 'apps:destroy', 'inside', '--confirm', 'inside'], { reject: false, all: true });
  expect(destroyed.all).not.toContain(' !     ');
  expect(await docker('ps', '-aq', '--filter', `label=forge.data=${dataId}`, '--filter', 'label=forge.app=inside')).toBe('');
}, 300_000);

test('the container stops at once when it is told to', async () => {
  const started = performance.now();
  await docker('stop', '-t', '30', name);
  expect(performance.now() - started).toBeLessThan(20_000);
  expect(await docker('inspect', '-f', '{{.State.ExitCode}}', name)).toBe('0');
});

test('what goes into the image is named one by one, so that no key or data of a checkout can get in', async () => {
  const ignore = await readFile(join(root, '.dockerignore'), 'utf8');
  expect(ignore.split('\n')[0]).toBe('*');
  const copied = [...(await readFile(join(root, 'Dockerfile'), 'utf8')).matchAll(/^COPY (?!--from)(\S+)/gm)].map((match) => match[1]);
  const allowed = ignore.split('\n').filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  for (const path of copied) expect(allowed.some((name) => path === name || path?.startsWith(`${name}/`)), `${path}`).toBe(true);
});
