import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CnbWorld, createCnbWorld, ensureLocalBuilder, leftOver, runImage, type SourceFiles, withSettings } from '../cnb/cnb-world.ts';

const manifest = (extra: object = {}): string => JSON.stringify({ name: 'hello', version: '1.0.0', private: true, scripts: { start: 'node server.js' }, ...extra });
const server = `require('node:http').createServer((_, response) => response.end('hello')).listen(process.env.PORT);`;

let world: CnbWorld;
let hello: SourceFiles;

beforeAll(async () => {
  world = await createCnbWorld();
  await ensureLocalBuilder(world.docker, world.report);
  hello = await world.source({ 'package.json': manifest(), 'server.js': server });
}, 600_000);
afterAll(async () => await world.close());

describe('a build with the local builder', () => {
  it('makes an image that is in the engine, by digest, with process types that start through the launcher', async () => {
    const image = await world.build('hello', hello);
    expect(image.reference).toMatch(/^127\.0\.0\.1:\d+\/apps\/hello@sha256:[0-9a-f]{64}$/);
    expect(image).toMatchObject({ builder: 'cnb', user: '1000:1000', exposedPorts: [], launcher: '/cnb/lifecycle/launcher', processTypes: { web: { entrypoint: ['/cnb/process/web'] } } });
    expect(image.reference.endsWith(image.digest)).toBe(true);
    expect(await runImage(image, ['node -p "process.argv.length" && echo "two words"'])).toBe('1\ntwo words');
    expect(world.output()).toContain('       Buildpacks: forge/nodejs');
  });

  it('gives the identical digest when nothing has changed', async () => {
    const first = await world.build('hello', hello);
    const second = await world.build('hello', hello);
    expect(second.digest).toBe(first.digest);
    const changed = await world.build('hello', await world.source({ 'package.json': manifest(), 'server.js': `${server}\n// changed` }));
    expect(changed.digest).not.toBe(first.digest);
  });

  it('installs from npm and PyPI with the further authorities that the setting names', async () => {
    const node = await world.build('hello', await world.source({ 'package.json': manifest({ dependencies: { 'is-odd': '3.0.1' } }), 'server.js': server }));
    expect(await runImage(node, [`node -p "require('is-odd')(3)"`])).toBe('true');
    const python = await world.build('pip', await world.source({ 'requirements.txt': 'itsdangerous==2.2.0\n', Procfile: 'web: python3 -m http.server $PORT\n' }), { procfile: new Map([['web', 'python3 -m http.server $PORT']]) });
    expect(await runImage(python, ['python3 -c "import itsdangerous; print(itsdangerous.URLSafeSerializer.__name__)"'])).toBe('URLSafeSerializer');
  }, 300_000);

  it('hands the app its config while it builds, byte for byte, and no credentials', async () => {
    const value = 'a "b" $c\nnew line é=1 ';
    const script = `const fs = require('fs'); fs.writeFileSync('seen.json', JSON.stringify({ value: process.env.MY_VALUE, names: Object.keys(process.env), pid1: fs.readFileSync('/proc/1/environ', 'utf8') }))`;
    const files = { 'package.json': manifest({ scripts: { start: 'node server.js', build: 'node build.js' } }), 'build.js': script, 'server.js': server };
    const image = await world.build('hello', await world.source(files), { config: { MY_VALUE: value } });
    const seen = JSON.parse(await runImage(image, ['cat /workspace/seen.json'])) as { value: string; names: string[]; pid1: string };
    expect(seen.value).toBe(value);
    expect(seen.names.filter((name) => /REGISTRY|AUTH|DOCKER/.test(name))).toEqual([]);
    expect(seen.pid1).not.toContain('CNB_REGISTRY_AUTH');
  });

  it('leaves out what project.toml excludes and sets what it sets', async () => {
    const files = {
      'project.toml': '[_]\nschema-version = "0.2"\n[io.buildpacks]\nexclude = ["secret/", "*.log"]\n[[io.buildpacks.build.env]]\nname = "COLOUR"\nvalue = "teal"\n',
      'package.json': manifest({ scripts: { start: 'node server.js', build: 'echo "colour is $COLOUR"' } }),
      'server.js': server,
      'secret/key': 'x',
      'a.log': 'x',
    };
    const image = await world.build('hello', await world.source(files));
    expect(world.output()).toContain('colour is teal');
    expect((await runImage(image, ['ls /workspace'])).split('\n')).not.toEqual(expect.arrayContaining(['secret']));
    expect(await runImage(image, ['ls /workspace/*.log 2>/dev/null || echo none'])).toBe('none');
  });

  it('gives the build no capability, no new privileges and the limits that are set', async () => {
    const script = `const fs = require('fs'); console.log(fs.readFileSync('/proc/self/status', 'utf8').split('\\n').filter((l) => /^(Uid|CapBnd|NoNewPrivs)/.test(l)).join(' ')); console.log('socket ' + fs.existsSync('/var/run/docker.sock'))`;
    await world.build('hello', await world.source({ 'package.json': manifest({ scripts: { start: 'node server.js', build: 'node build.js' } }), 'build.js': script, 'server.js': server }));
    expect(world.output()).toMatch(/Uid:\s+1000\s+1000\s+1000\s+1000 CapBnd:\s+0+ NoNewPrivs:\s+1/);
    expect(world.output()).toContain('socket false');
  });
});

describe('a build that fails', () => {
  it('says so with its exit status, after its own output, and leaves nothing behind', async () => {
    const source = await world.source({ 'package.json': manifest({ scripts: { build: 'echo "cannot find the frobnicator" && exit 3' } }), 'server.js': server });
    await expect(world.build('hello', source)).rejects.toMatchObject({ code: 'failed', message: expect.stringContaining('the build failed') as string });
    expect(world.output()).toContain('cannot find the frobnicator');
    expect(await leftOver(world)).toEqual([]);
  });

  it('lists what was looked for when no buildpack takes the app', async () => {
    const failure = world.build('nothing', await world.source({ 'notes.txt': 'hi' }));
    await expect(failure).rejects.toMatchObject({ code: 'failed', message: 'no buildpack takes this app', hint: expect.stringContaining('package.json') as string });
    const { details } = (await failure.catch((error: unknown) => error)) as { details: string[] };
    expect(details.join('\n')).toMatch(/forge\/nodejs: .*package\.json/);
  });

  it('names memory when that was the limit', async () => {
    const source = await world.source({ 'package.json': manifest({ scripts: { build: `node -e "const all = []; for (;;) all.push(Buffer.alloc(16 << 20, 1))"` } }), 'server.js': server });
    const cnb = withSettings(world, { buildMemory: '256M' });
    await expect(world.build('hello', source, { cnb })).rejects.toMatchObject({ code: 'exhausted', message: 'the build needed more than its memory limit of 256M' });
  });

  it('names time when that was the limit, and stops', async () => {
    const source = await world.source({ 'package.json': manifest({ scripts: { build: 'node -e "setInterval(() => {}, 1000)"' } }), 'server.js': server });
    const cnb = withSettings(world, { buildTimeout: '8' });
    await expect(world.build('hello', source, { cnb })).rejects.toMatchObject({ code: 'timeout', message: expect.stringContaining('longer than its limit') as string });
    expect(await leftOver(world)).toEqual([]);
  });

  it('stops when it is canceled', async () => {
    const source = await world.source({ 'package.json': manifest({ scripts: { build: 'echo now-waiting && node -e "setInterval(() => {}, 1000)"' } }), 'server.js': server });
    const leaving = new AbortController();
    const build = world.build('hello', source, { signal: leaving.signal });
    await expect.poll(() => world.output(), { timeout: 60_000 }).toContain('now-waiting');
    leaving.abort();
    await expect(build).rejects.toMatchObject({ code: 'canceled' });
    expect(await leftOver(world)).toEqual([]);
  });

  it('clears away at the next start what a killed forge left', async () => {
    await execa('docker', ['create', '--label', `forge.data=${world.dataId}`, '--label', 'forge.build=gone', '--name', `forge-build-${world.dataId}`, 'forge.local/builder:latest']);
    await execa('docker', ['volume', 'create', '--label', `forge.data=${world.dataId}`, '--label', 'forge.build=gone', `forge-layers-${world.dataId}`]);
    await world.cnb.sweep();
    expect(await leftOver(world)).toEqual([]);
  });

  it('says what to do when a foreign builder cannot be pulled', async () => {
    const cnb = withSettings(world, { builder: 'forge.local/no-such-builder:1' });
    await expect(world.build('hello', hello, { cnb })).rejects.toMatchObject({ message: 'the builder forge.local/no-such-builder:1 is not on this machine and cannot be pulled' });
  });
});
