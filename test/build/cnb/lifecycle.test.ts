import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import tar from 'tar-stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { downloadRelease } from '../../../src/build/cnb/download-release.ts';
import { compareVersions } from '../../../src/build/cnb/go-toolchain.ts';
import { acquireLifecycle, descriptor, goBuildArgs, lifecycleEntries, readRecipe } from '../../../src/build/cnb/lifecycle.ts';
import { createReport } from '../../../src/report.ts';

const recipeDir = resolve(import.meta.dirname, '../../../builder/lifecycle');
const signal = AbortSignal.timeout(20_000);
let archive: Buffer;
let server: Server;
let url: string;
let requests = 0;
let directory: string;

beforeAll(async () => {
  const pack = tar.pack();
  pack.entry({ name: 'lifecycle.toml' }, 'theirs');
  pack.entry({ name: 'lifecycle/', type: 'directory' });
  pack.entry({ name: 'lifecycle/lifecycle', mode: 0o755 }, 'the lifecycle');
  pack.entry({ name: 'lifecycle/analyzer', type: 'symlink', linkname: 'lifecycle' });
  pack.entry({ name: 'lifecycle/launcher', mode: 0o755 }, 'the launcher');
  pack.entry({ name: 'lifecycle/launcher.sbom.cdx.json' }, '{}');
  pack.finalize();
  archive = gzipSync(await buffer(pack as unknown as Readable));
  server = createServer((request, response) => {
    requests += 1;
    response.statusCode = request.url === '/lifecycle.tgz' ? 200 : 404;
    response.end(request.url === '/lifecycle.tgz' ? archive : '');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/lifecycle.tgz`;
});
afterAll(() => server.close());
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'forge-lifecycle-'));
  return async () => await rm(directory, { recursive: true });
});

const checksum = (): string => createHash('sha256').update(archive).digest('hex');

describe('the lifecycle’s release archive', () => {
  it('is used when its checksum is the recorded one, and once', async () => {
    const options = { recipeDir, cacheDir: directory, release: { url, sha256: checksum() }, environment: {}, report: createReport([]), signal };
    const lifecycle = await acquireLifecycle(options);
    const entries = await lifecycleEntries(lifecycle);
    expect(entries.map(({ path, linkTo, mode }) => [path, linkTo ?? mode])).toEqual([
      ['cnb/lifecycle/', undefined],
      ['cnb/lifecycle/lifecycle', 0o755],
      ['cnb/lifecycle/launcher', 0o755],
      ...['analyzer', 'builder', 'creator', 'detector', 'exporter', 'extender', 'rebaser', 'restorer'].map((phase) => [`cnb/lifecycle/${phase}`, 'lifecycle']),
      ['cnb/lifecycle/lifecycle.toml', undefined],
    ]);
    expect(String(entries[1]?.content)).toBe('the lifecycle');
    const before = requests;
    expect(await acquireLifecycle(options)).toEqual(lifecycle);
    expect(requests).toBe(before);
  });

  it('is refused, and nothing of it kept, when the checksum differs', async () => {
    const wrong = '0'.repeat(64);
    await expect(acquireLifecycle({ recipeDir, cacheDir: directory, release: { url, sha256: wrong }, environment: {}, report: createReport([]), signal })).rejects.toMatchObject({
      code: 'failed',
      message: `${url} has the wrong checksum: expected sha256 ${wrong}, got ${checksum()}`,
    });
    await expect(readFile(join(directory, 'lifecycle'))).rejects.toThrow();
  });

  it('cannot be had where the network does not have it', async () => {
    const missing = url.replace('lifecycle.tgz', 'gone');
    await expect(downloadRelease({ url: missing, sha256: 'x' }, { files: ['lifecycle'], directory, signal })).rejects.toMatchObject({ code: 'unavailable', message: `${missing} cannot be had (status 404)` });
    await expect(downloadRelease({ url: 'http://127.0.0.1:1/x', sha256: 'x' }, { files: [], directory, signal })).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('compiling the lifecycle', () => {
  it('sets the versions that the binaries report', () => {
    const args = goBuildArgs({ version: '1.2.3', commit: 'abcdef0123' }, '/out');
    expect(args).toContain('-s -w -X github.com/buildpacks/lifecycle/cmd.Version=1.2.3 -X github.com/buildpacks/lifecycle/cmd.SCMCommit=abcdef01 -X github.com/buildpacks/lifecycle/cmd.SCMRepository=github.com/buildpacks/lifecycle');
    expect(args).toContain('-mod=readonly');
  });

  it('needs a Go that is new enough, by number and not by text', () => {
    const recipe = readRecipe(recipeDir);
    expect(descriptor(recipe)).toContain(`version = "${recipe.version}"`);
    expect(compareVersions('1.24.4', recipe.go.least)).toBe(0);
    expect(compareVersions('1.26', '1.24.4')).toBeGreaterThan(0);
    expect(compareVersions('1.19.8', '1.24.4')).toBeLessThan(0);
  });
});
