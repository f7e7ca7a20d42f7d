import { describe, expect, it } from 'vitest';
import { fixture, readApp, readSbom, useBuilder, visit } from './app-build.ts';

const builder = useBuilder();

describe('an npm app without a build step', () => {
  it('runs on the version that engines asks for, and leaves at SIGTERM', async () => {
    const image = await builder().build('express', await fixture(builder(), 'node-express'));
    await visit(image, async (app) => {
      expect(await app.get('/')).toMatchObject({ status: 200, body: expect.stringMatching(/^express on v24\.\d+\.\d+, production$/) as string });
      const stopped = await app.stop();
      expect(stopped.status).toBe(0);
      expect(stopped.ms).toBeLessThan(5000);
    });
  });

  it('lists its software, and nothing in the list changes from build to build', async () => {
    const image = await builder().build('express', await fixture(builder(), 'node-express'));
    const names = (await readSbom(image, 'forge_nodejs')).map(({ purl }) => purl);
    expect(names).toEqual(expect.arrayContaining([expect.stringMatching(/^pkg:generic\/node@24\./), expect.stringMatching(/^pkg:npm\/express@5\./)]));
  });

  it('keeps its dependencies when only a line of code changed, and gives the identical image when nothing did', async () => {
    const world = builder();
    const first = await world.build('express-again', await fixture(world, 'node-express'));
    const before = world.output().length;
    expect((await world.build('express-again', await fixture(world, 'node-express'))).digest).toBe(first.digest);
    const code = (await readApp('test/fixtures/apps/node-express'))['server.js'] ?? '';
    const changed = await world.build('express-again', await fixture(world, 'node-express', { 'server.js': `${code}// changed\n` }));
    expect(changed.digest).not.toBe(first.digest);
    const output = world.output().slice(before);
    expect(output.match(/Dependencies are unchanged: kept from the last build/g)).toHaveLength(2);
    expect(output).not.toContain('Installing');
  });

  it('gives the identical image in a build that starts from nothing', async () => {
    const world = builder();
    const [one, other] = [await world.build('clean-one', await fixture(world, 'node-express')), await world.build('clean-other', await fixture(world, 'node-express'))];
    expect(other.digest).toBe(one.digest);
  });
});

describe.each(['node-pnpm', 'node-yarn'])('%s: an app with a build script', (name) => {
  it('is built with its development dependencies, runs without them, and rebuilds to the identical image', async () => {
    const world = builder();
    const first = await world.build(name, await fixture(world, name));
    await visit(first, async (app) => expect(await app.get('/')).toMatchObject({ body: '3600000 three is odd' }));
    const before = world.output().length;
    expect((await world.build(name, await fixture(world, name))).digest).toBe(first.digest);
    expect(world.output().slice(before)).toContain('Dependencies are unchanged: restoring them');
    const components = (await readSbom(first, 'forge_nodejs')).map(({ name: component }) => component);
    expect(components).toContain('ms');
  });
});

describe('other apps', () => {
  it('of several packages find each other', async () => {
    const world = builder();
    const image = await world.build('workspaces', await fixture(world, 'node-workspaces'));
    await visit(image, async (app) => expect(await app.get('/')).toMatchObject({ body: 'two hours: 7200000' }));
    expect((await world.build('workspaces', await fixture(world, 'node-workspaces'))).digest).toBe(image.digest);
  });

  it('with a module in C++ are compiled, and again at each build, to the same bytes', async () => {
    const world = builder();
    const image = await world.build('native', await fixture(world, 'node-native'));
    await visit(image, async (app) => expect(await app.get('/')).toMatchObject({ body: 'compiled' }));
    expect((await world.build('native', await fixture(world, 'node-native'))).digest).toBe(image.digest);
  });

  it('of the example folder answer', async () => {
    const image = await builder().build('hello', await builder().source(await readApp('examples/hello')));
    await visit(image, async (app) => {
      expect((await app.get('/')).body).toContain('Hello from forge');
      expect((await app.get('/nothing')).status).toBe(404);
      expect((await app.stop()).status).toBe(0);
    });
  });

  it('run on another major that they ask for', async () => {
    const world = builder();
    const image = await world.build('older', await world.source({ 'package.json': '{"scripts":{"start":"node s.js"}}', '.nvmrc': 'lts/jod\n', 's.js': "require('http').createServer((_, r) => r.end(process.version)).listen(process.env.PORT)" }));
    await visit(image, async (app) => expect((await app.get('/')).body).toMatch(/^v22\./));
  });
});

describe('an app that cannot be built', () => {
  it.each([
    ['asks for a Node.js that does not exist', { 'package.json': '{"engines":{"node":"99"},"scripts":{"start":"node x"}}' }, 'No Node.js fits "99" (engines.node in package.json).'],
    ['has a lockfile that does not fit', { 'package.json': '{"dependencies":{"ms":"2.1.3"},"scripts":{"start":"node x"}}', 'package-lock.json': '{"lockfileVersion":3,"packages":{"":{}}}' }, 'npm could not install the dependencies (exit status 1)'],
    ['says nothing to start', { 'package.json': '{}' }, 'Nothing says how this app starts.'],
    ['has a build script that fails', { 'package.json': '{"scripts":{"build":"echo no such module && exit 3","start":"node x"}}' }, 'The script build of package.json failed (exit status 3).'],
  ])('%s: says so', async (_, files, message) => {
    const world = builder();
    await expect(world.build('bad', await world.source(files))).rejects.toMatchObject({ code: 'failed' });
    expect(world.output()).toContain(message);
  });
});
