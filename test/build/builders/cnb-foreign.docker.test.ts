/** A builder image that is not forge's: another base and layout, another user, its own buildpack and run image. */
import { mkdtemp, cp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { acquireLifecycle } from '../../../src/build/cnb/lifecycle.ts';
import type { CnbBuilder } from '../../../src/build/builders/cnb.ts';
import { ensureNodeImage, nodeImage } from '../../support/images.ts';
import { cacheDir, type CnbWorld, createCnbWorld, environment, root, runImage, withSettings } from '../cnb/cnb-world.ts';

const uid = 4242;
const gid = 2424;

const buildpack = {
  'buildpack.toml': 'api = "0.8"\n[buildpack]\nid = "acme/shout"\nversion = "2.3.4"\n[[stacks]]\nid = "*"\n',
  'bin/detect': '#!/usr/bin/env bash\n[[ -f shout.txt ]] || { echo "no shout.txt"; exit 100; }\n',
  'bin/build': `#!/usr/bin/env bash
set -euo pipefail
layers=$1
echo "---> Acme shouts as $(id -u):$(id -g)"
mkdir -p "$layers/voice/env.launch"
printf '[types]\\nlaunch = true\\ncache = true\\n' > "$layers/voice.toml"
printf 'LOUD' > "$layers/voice/env.launch/VOICE.override"
tr a-z A-Z < shout.txt > "$layers/voice/shouted.txt"
printf '[[processes]]\\ntype = "web"\\ncommand = "cat %s/voice/shouted.txt"\\ndefault = true\\n' "$layers" > "$layers/launch.toml"
`,
};

const metadata = (run: string): string =>
  JSON.stringify({
    description: 'Acme',
    stack: { runImage: { image: run, mirrors: null } },
    buildpacks: [{ id: 'acme/shout', version: '2.3.4' }],
    lifecycle: { version: '0.20.11', api: { buildpack: '0.7', platform: '0.7' }, apis: { platform: { deprecated: [], supported: ['0.11', '0.12'] } } },
  });

let world: CnbWorld;
let cnb: CnbBuilder;
let builder: string;
let run: string;

beforeAll(async () => {
  await ensureNodeImage();
  world = await createCnbWorld();
  builder = `forge-test/acme-builder:${world.dataId}`;
  run = `forge-test/acme-run:${world.dataId}`;
  await makeImages();
  cnb = withSettings(world, { builder });
}, 600_000);
afterAll(async () => {
  await world.close();
  await execa('docker', ['rmi', '-f', builder, run], { reject: false });
});

async function makeImages(): Promise<void> {
  const lifecycle = await acquireLifecycle({ recipeDir: join(root, 'builder', 'lifecycle'), cacheDir, environment, report: world.report, signal: AbortSignal.timeout(600_000) });
  const context = await mkdtemp(join(tmpdir(), 'forge-acme-'));
  try {
    for (const name of ['lifecycle', 'launcher']) await cp(join(lifecycle.directory, name), join(context, name));
    for (const [path, content] of Object.entries(buildpack)) await writeFile(join(context, path.replace('/', '_')), content, { mode: 0o755 });
    const folder = '/cnb/buildpacks/acme_shout/2.3.4';
    const links = ['analyzer', 'detector', 'restorer', 'builder', 'exporter'].map((phase) => `ln -s lifecycle /cnb/lifecycle/${phase}`).join(' && ');
    await writeFile(join(context, 'order.toml'), '[[order]]\n[[order.group]]\nid = "acme/shout"\nversion = "2.3.4"\n');
    await writeFile(join(context, 'Dockerfile'), [
      `FROM ${nodeImage}`,
      `ENV CNB_USER_ID=${uid} CNB_GROUP_ID=${gid} CNB_STACK_ID=acme.stack HOME=/srv/acme`,
      'COPY lifecycle launcher /cnb/lifecycle/',
      `COPY buildpack.toml ${folder}/buildpack.toml`,
      `COPY bin_detect ${folder}/bin/detect`,
      `COPY bin_build ${folder}/bin/build`,
      'COPY order.toml /cnb/order.toml',
      `RUN ${links} && printf '[[images]]\\nimage = "%s"\\n' ${run} > /cnb/run.toml && mkdir -p /srv/acme && chown ${uid}:${gid} /srv/acme`,
      `LABEL io.buildpacks.builder.metadata='${metadata(run)}'`,
      `USER ${uid}:${gid}`,
    ].join('\n'));
    await writeFile(join(context, 'Dockerfile.run'), `FROM ${nodeImage}\nENV CNB_USER_ID=${uid} ACME=yes\nLABEL io.buildpacks.stack.id=acme.stack io.buildpacks.base.id=acme\nUSER 4343:${gid}\n`);
    await execa('docker', ['build', '-q', '-t', run, '-f', join(context, 'Dockerfile.run'), context]);
    await execa('docker', ['build', '-q', '-t', builder, context]);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

describe('a builder image from elsewhere', () => {
  it('builds with its own user, buildpacks, run image and platform API', async () => {
    const source = await world.source({ 'shout.txt': 'hello there\n' });
    const image = await world.build('acme', source, { cnb, procfile: new Map([['worker', 'echo "$VOICE $1" and on']]) });
    expect(world.output()).toContain(`---> Acme shouts as ${uid}:${gid}`);
    expect(image.user).toBe(`4343:${gid}`);
    expect(image.processTypes).toEqual({
      web: { entrypoint: ['/cnb/process/web'], command: [] },
      worker: { entrypoint: ['/cnb/lifecycle/launcher'], command: ['echo "$VOICE $1" and on'] },
    });
    const { stdout } = await execa('docker', ['run', '--rm', '--entrypoint', '/cnb/process/web', image.reference]);
    expect(stdout).toBe('HELLO THERE');
    expect(await runImage(image, ['echo "$VOICE $ACME"'])).toBe('LOUD yes');
    const again = await world.build('acme', source, { cnb });
    expect(again.digest).toBe(image.digest);
  });

  it('says what its own buildpacks looked for', async () => {
    const failure = world.build('acme', await world.source({ 'package.json': '{}' }), { cnb });
    const { details } = (await failure.catch((error: unknown) => error)) as { details: string[] };
    expect(details).toContain('  acme/shout: no shout.txt');
  });

  it('is refused with the reason when it is no builder at all', async () => {
    await expect(world.build('acme', await world.source({ a: 'b' }), { cnb: withSettings(world, { builder: nodeImage }) })).rejects.toMatchObject({
      code: 'invalid',
      message: `${nodeImage} cannot be used as a builder: it has no label io.buildpacks.builder.metadata`,
    });
  });
});
