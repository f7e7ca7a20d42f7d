import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createStaticBuilder } from '../../../src/build/builders/static.ts';
import { connectDocker } from '../../../src/docker/connect.ts';
import type { Image } from '../../../src/domain.ts';
import { removeAppImages, testBuild } from '../../support/build-request.ts';

const docker = connectDocker('/var/run/docker.sock');
const script = `/* ${'words that compress well '.repeat(200)} */`;
const files: Record<string, string> = {
  'public/index.html': '<h1>home</h1>',
  'public/404.html': '<h1>missing</h1>',
  'public/about.html': 'about',
  'public/docs/index.html': 'docs',
  'public/assets/app.js': script,
  'public/assets/empty/x.txt': 'x',
  'public/.env': 'SECRET=1',
  'public/.well-known/check': 'ok',
  'secret.txt': 'outside',
  'static.json': JSON.stringify({
    root: 'public',
    clean_urls: true,
    routes: { '/app/**': 'index.html' },
    headers: { '/assets/**': { 'Cache-Control': 'max-age=60' } },
    redirects: { '/old': { url: '/about', status: 302 } },
  }),
};
let directory: string;
let container: string;
let address: string;
let image: Image;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'forge-static-'));
  image = await build(files);
  const options = ['--detach', '--label', 'forge.test=build', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--memory', '64m', '--env', 'PORT=5123'];
  container = (await execa('docker', ['run', ...options, image.reference])).stdout;
  const { stdout } = await execa('docker', ['inspect', '--format', '{{.NetworkSettings.IPAddress}}', container]);
  address = `http://${stdout}:5123`;
  await vi.waitUntil(() => fetch(address).then((response) => response.ok, () => false), { timeout: 20_000 });
});
afterAll(async () => {
  if (container) await execa('docker', ['rm', '--force', container]);
  await removeAppImages('static-test');
  await rm(directory, { recursive: true });
});

async function build(content: Record<string, string>, mtime = new Date(0)): Promise<Image> {
  const request = await testBuild({ directory, files: content, mtime, app: 'static-test' });
  const config = { buildMemory: 2 ** 31, buildTimeout: 280_000, cacheDir: join(tmpdir(), 'forge-test-cache') };
  return await createStaticBuilder({ docker, dataId: 'builder-tests', config }).build(request);
}

const get = (path: string, headers: Record<string, string> = {}) => fetch(address + path, { headers, redirect: 'manual' });

test('A static app is served by a user without rights, on the port that it is told', () => {
  expect(image).toMatchObject({ builder: 'static', user: '65534:65534', exposedPorts: [], processTypes: { web: {} } });
});

test.each([
  ['/', 200, 'text/html; charset=utf-8', '<h1>home</h1>'],
  ['/about', 200, 'text/html; charset=utf-8', 'about'],
  ['/docs/', 200, 'text/html; charset=utf-8', 'docs'],
  ['/app/any/where', 200, 'text/html; charset=utf-8', '<h1>home</h1>'],
  ['/assets/app.js', 200, 'application/javascript; charset=utf-8', script],
  ['/.well-known/check', 200, 'application/octet-stream', 'ok'],
  ['/nothing', 404, 'text/html; charset=utf-8', '<h1>missing</h1>'],
  ['/assets/empty/', 404, 'text/html; charset=utf-8', '<h1>missing</h1>'],
  ['/.env', 404, 'text/html; charset=utf-8', '<h1>missing</h1>'],
  ['/%2eenv', 404, 'text/html; charset=utf-8', '<h1>missing</h1>'],
  ['/static.json', 404, 'text/html; charset=utf-8', '<h1>missing</h1>'],
  ['/secret.txt', 404, 'text/html; charset=utf-8', '<h1>missing</h1>'],
])('%s answers %i as %s', async (path, status, type, body) => {
  const response = await get(path);
  expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([status, type, body]);
});

test('Folders and redirects lead on without naming a host or port', async () => {
  expect((await get('/docs')).headers.get('location')).toBe('/docs/');
  const old = await get('/old');
  expect([old.status, old.headers.get('location')]).toEqual([302, '/about']);
});

test('Files are compressed as the client takes them', async () => {
  for (const encoding of ['br', 'gzip']) {
    const response = await get('/assets/app.js', { 'accept-encoding': encoding });
    expect(response.headers.get('content-encoding')).toBe(encoding);
    expect(response.headers.get('vary')).toBe('Accept-Encoding');
    expect(await response.text()).toBe(script);
  }
});

test('Files can be revalidated by ETag and read in ranges', async () => {
  const first = await get('/assets/app.js', { 'accept-encoding': 'identity' });
  const etag = first.headers.get('etag') ?? '';
  expect(first.headers.get('last-modified')).toBeNull();
  expect(first.headers.get('cache-control')).toBe('max-age=60');
  expect((await get('/')).headers.get('cache-control')).toBe('no-cache');
  expect((await get('/assets/app.js', { 'accept-encoding': 'identity', 'if-none-match': etag })).status).toBe(304);
  const range = await get('/assets/app.js', { 'accept-encoding': 'identity', range: 'bytes=0-8' });
  expect([range.status, await range.text()]).toEqual([206, script.slice(0, 9)]);
});

test('Its log goes to the container’s, with the client that the proxy names', async () => {
  await get('/about', { 'x-forwarded-for': '192.0.2.7' });
  await expect.poll(async () => (await execa('docker', ['logs', container])).stdout).toContain('192.0.2.7 - - ');
});

test('The same files give the same image whatever their times; an edit of equal length gives another ETag', async () => {
  expect((await build(files, new Date())).digest).toBe(image.digest);
  const other = await build({ ...files, 'public/index.html': '<h1>hoem</h1>' });
  expect(other.digest).not.toBe(image.digest);
});

test('A root without files is refused', async () => {
  await expect(build({ 'static.json': '{"root":"nowhere"}' })).rejects.toThrow('there is nothing to serve in nowhere/');
  await expect(build({ 'index.html': 'x', 'static.json': '{"routes":{"/**":"gone.html"}}' })).rejects.toThrow('there is no file gone.html');
});
