import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildpackEntries } from '../../../src/build/cnb/buildpack-entries.ts';
import { builderMetadata } from '../../../src/build/cnb/create-builder.ts';
import { readBuilder } from '../../../src/build/cnb/builder-facts.ts';
import { readRecipe } from '../../../src/build/cnb/lifecycle.ts';

const root = resolve(import.meta.dirname, '../../..');

describe('this repository’s buildpacks in a builder', () => {
  const { buildpacks, entries, order } = buildpackEntries(resolve(root, 'buildpacks'));

  it('stand where the lifecycle looks, executable and whole, without their tests', () => {
    const node = buildpacks.find(({ id }) => id === 'forge/nodejs');
    const folder = `cnb/buildpacks/forge_nodejs/${node?.version}`;
    expect(entries).toContainEqual(expect.objectContaining({ path: `${folder}/bin/build`, mode: 0o755 }));
    expect(entries.some(({ path }) => path === `${folder}/buildpack.toml`)).toBe(true);
    expect(entries.filter(({ path, linkTo }) => /\/(tests?|__pycache__)\//.test(path) || linkTo !== undefined)).toEqual([]);
  });

  it('are all named by the order that builds try', () => {
    for (const { id } of buildpacks) expect(order).toContain(`id = "${id}"`);
  });

  it('are described by a label that forge itself reads like any builder’s', () => {
    const label = builderMetadata('forge.local/run:1', buildpacks, readRecipe(resolve(root, 'builder/lifecycle')));
    const image = { Id: 'sha256:1', Config: { Env: ['CNB_USER_ID=1000', 'CNB_GROUP_ID=1000'], Labels: { 'io.buildpacks.builder.metadata': label } } };
    expect(readBuilder('forge.local/builder:1', image)).toMatchObject({ platformApi: '0.13', runImage: 'forge.local/run:1', buildpacks });
  });
});
