import { describe, expect, it } from 'vitest';
import { runImage } from '../build/cnb/cnb-world.ts';
import { fixture, readApp, readSbom, useBuilder, visit } from './app-build.ts';

const builder = useBuilder();

describe('a Go app', () => {
  it('has a process type for each of its commands, lists its modules, and rebuilds to the identical image', async () => {
    const world = builder();
    const image = await world.build('commands', await fixture(world, 'go-commands'));
    expect(Object.keys(image.processTypes).sort()).toEqual(['web', 'worker']);
    await visit(image, async (app) => expect(await app.get('/')).toMatchObject({ body: 'nil is 00000000-0000-0000-0000-000000000000' }));
    expect(await runImage(image, ['worker'])).toBe('worked');
    expect((await readSbom(image, 'forge_go')).map(({ purl }) => purl)).toContain('pkg:golang/github.com/google/uuid@v1.6.0');
    const before = world.output().length;
    expect((await world.build('commands', await fixture(world, 'go-commands'))).digest).toBe(image.digest);
    expect(world.output().slice(before)).not.toContain('Installing Go');
  }, 400_000);

  it('of the example folder answers', async () => {
    const image = await builder().build('commands', await builder().source(await readApp('examples/go')));
    await visit(image, async (app) => expect((await app.get('/')).body).toMatch(/^Hello from go1\./));
  }, 400_000);

  it.each([
    ['does not compile', { 'go.mod': 'module a\n\ngo 1.24\n', 'main.go': 'package main\n\nfunc main() { nonsense() }\n' }, 'a does not compile (exit status 1).'],
    ['asks for a Go that does not exist', { 'go.mod': 'module a\n\ngo 1.24\n\ntoolchain go1.24.99\n', 'main.go': 'package main\n\nfunc main() {}\n' }, 'Go 1.24.99 is not to be had from the module proxy'],
    ['has no program', { 'go.mod': 'module a\n\ngo 1.24\n', 'a.go': 'package a\n' }, 'The module has no program'],
  ])('that %s: says so', async (_, files, message) => {
    const world = builder();
    await expect(world.build('commands', await world.source(files))).rejects.toMatchObject({ code: 'failed' });
    expect(world.output()).toContain(message);
  }, 400_000);
});
