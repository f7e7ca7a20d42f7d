import { execa } from 'execa';
import { beforeAll, describe, expect, it } from 'vitest';
import { makeBaseImage } from '../../../src/build/base-image.ts';
import { inspectBuilder } from '../../../src/build/cnb/builder-facts.ts';
import { createBuilder, type CreatedBuilder, localBuilder } from '../../../src/build/cnb/create-builder.ts';
import { connectDocker } from '../../../src/docker/connect.ts';
import { createReport } from '../../../src/report.ts';
import { cacheDir, environment, root } from './cnb-world.ts';

const docker = connectDocker('/var/run/docker.sock');
const report = createReport([]);
const signal = AbortSignal.timeout(900_000);
const create = async (): Promise<CreatedBuilder> => await createBuilder({ docker, root, cacheDir, environment, report, signal });
let made: CreatedBuilder;

beforeAll(async () => {
  made = await create();
}, 900_000);

const inBuilder = async (...argv: string[]): Promise<string> => (await execa('docker', ['run', '--rm', '--network=none', '--entrypoint', argv[0] ?? '', made.reference, ...argv.slice(1)])).stdout;

describe('forge builder:create', () => {
  it('makes nothing a second time, in less than a second', async () => {
    const started = performance.now();
    expect(await create()).toEqual({ ...made, isNew: false });
    expect(performance.now() - started).toBeLessThan(1000);
  });

  it('makes a builder that any platform can read', async () => {
    const facts = await inspectBuilder(docker, localBuilder, signal);
    expect(facts).toMatchObject({ id: made.id, uid: 1000, gid: 1000, platformApi: '0.13', runImage: made.runImage });
    expect(facts.buildpacks.map(({ id }) => id)).toEqual(expect.arrayContaining(['forge/go', 'forge/nodejs', 'forge/procfile', 'forge/python', 'forge/static']));
    const { stdout } = await execa('docker', ['image', 'inspect', '--format', '{{index .Config.Labels "io.buildpacks.base.distro.name"}} {{.Config.User}}', made.runImage]);
    expect(stdout).toMatch(/^(debian|ubuntu) 1000:1000$/);
  });

  it('puts the lifecycle where it belongs, one binary under the names of its phases', async () => {
    expect(await inBuilder('/cnb/lifecycle/lifecycle', '-version').catch((error: { stderr?: string }) => error.stderr ?? '')).toBeDefined();
    const listing = await inBuilder('/bin/ls', '-l', '/cnb/lifecycle');
    for (const phase of ['analyzer', 'detector', 'restorer', 'builder', 'exporter', 'rebaser', 'creator']) expect(listing).toContain(`${phase} -> lifecycle`);
    expect(await inBuilder('/bin/cat', '/cnb/lifecycle/lifecycle.toml')).toContain('supported = ["0.7", "0.8"');
  });

  it('gives builds compilers and headers, and apps neither', async () => {
    expect(await inBuilder('/usr/bin/gcc', '-dumpversion')).toMatch(/^\d+/);
    expect(await inBuilder('/bin/ls', '/usr/include/openssl/ssl.h', '/usr/include/python3.11/Python.h').catch(() => inBuilder('/bin/ls', '/usr/include/openssl/ssl.h'))).toContain('ssl.h');
    await expect(execa('docker', ['run', '--rm', '--entrypoint', '/usr/bin/gcc', made.runImage, '--version'])).rejects.toThrow();
    const whoami = await execa('docker', ['run', '--rm', '--entrypoint', '/usr/bin/id', made.runImage]);
    expect(whoami.stdout).toBe('uid=1000(forge) gid=1000(forge) groups=1000(forge)');
  });
});

describe('a base image', () => {
  it('comes from the root file system in the cache when the engine lost it, and changes with what is laid on top', async () => {
    const make = async (content: string) =>
      await makeBaseImage({ docker, name: 'registry', variant: 'essential', packages: ['docker-registry'], cacheDir, report, signal, setup: { files: [{ path: 'etc/forge-test', content }], config: { env: { GREETING: 'a $b "c"' } } } });
    const first = await make('one');
    const second = await make('two');
    expect(second.reference).not.toBe(first.reference);
    const { stdout } = await execa('docker', ['run', '--rm', '--network=none', second.reference, '/bin/sh', '-c', 'cat /etc/forge-test; printenv GREETING']);
    expect(stdout).toBe('twoa $b "c"');
    await execa('docker', ['rmi', first.reference, second.reference]);
    expect((await make('two')).reference).toBe(second.reference);
    await execa('docker', ['rmi', second.reference]);
  }, 120_000);

  it('is refused at once for a release that this machine has no mirror of', async () => {
    const failure = makeBaseImage({ docker, name: 'other', suite: 'warty', variant: 'essential', packages: [], cacheDir, report, signal });
    await expect(failure).rejects.toMatchObject({ code: 'unavailable', message: "this machine's apt has no mirror for warty" });
  });
});
