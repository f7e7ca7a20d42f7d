import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { extract, pack as tarPack } from 'tar-stream';
import { expect, test } from 'vitest';
import { withOwnName } from '../../src/apps/export/own-image-name.ts';

const archive = (files: Record<string, unknown>): Readable => {
  const pack = tarPack();
  for (const [name, content] of Object.entries(files)) pack.entry({ name }, typeof content === 'string' ? content : JSON.stringify(content));
  pack.finalize();
  return Readable.from(pack);
};
async function renamed(files: Record<string, unknown>): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const entries = extract();
  const stream = withOwnName(archive(files), 'forge-d/hello:kept-1', new AbortController().signal);
  stream.on('error', (error) => entries.destroy(error));
  for await (const entry of stream.pipe(entries)) found[entry.header.name] = (await buffer(entry)).toString();
  return found;
}

test('an image archive has the one name that it is given', async () => {
  const found = await renamed({
    'manifest.json': [{ Config: 'c.json', RepoTags: ['node:24', 'other:1'], Layers: ['l'] }],
    'index.json': { manifests: [{ digest: 'sha256:1', annotations: { 'org.opencontainers.image.ref.name': 'node:24' } }] },
    repositories: { node: { 24: 'x' } },
    l: 'layer',
  });
  expect(JSON.parse(found['manifest.json'] ?? '')).toEqual([{ Config: 'c.json', RepoTags: ['forge-d/hello:kept-1'], Layers: ['l'] }]);
  expect(JSON.parse(found['index.json'] ?? '')).toEqual({ manifests: [{ digest: 'sha256:1' }] });
  expect(found['l']).toBe('layer');
  expect(found).not.toHaveProperty('repositories');
});

test('an image without a name gets it, and an archive of several images is refused', async () => {
  expect(JSON.parse((await renamed({ 'manifest.json': [{ RepoTags: null }] }))['manifest.json'] ?? '')).toEqual([{ RepoTags: ['forge-d/hello:kept-1'] }]);
  await expect(renamed({ 'manifest.json': [{ RepoTags: null }, { RepoTags: null }] })).rejects.toMatchObject({ code: 'invalid' });
});
