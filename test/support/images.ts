/** Images that tests run, kept in the engine under a tag made from their content: made once, found afterwards. */
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';

/** Debian with CA certificates, python3 and Node; every other test image is built on it. */
export const nodeImage = 'forge-test/node:24';

export interface TestImage {
  /** `forge-test/<name>` */
  readonly name: string;
  readonly dockerfile: string;
  /** Contents by file name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** The reference of the image, built if this content was not built here before. */
export async function testImage({ name, dockerfile, files = {} }: TestImage): Promise<string> {
  await ensureNodeImage();
  const key = createHash('sha256').update(JSON.stringify([dockerfile, files])).digest('hex').slice(0, 16);
  const reference = `forge-test/${name}:${key}`;
  if (await hasImage(reference)) return reference;
  const directory = await mkdtemp(join(tmpdir(), 'forge-image-'));
  try {
    for (const [path, content] of Object.entries({ Dockerfile: dockerfile, ...files })) await writeFile(join(directory, path), content);
    await execa('docker', ['build', '--quiet', '--tag', reference, directory]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  return reference;
}

/** Makes `nodeImage` from the distribution's packages and the Node that runs the tests; needs root and mmdebstrap. */
export async function ensureNodeImage(): Promise<void> {
  if (await hasImage(nodeImage)) return;
  const directory = await mkdtemp(join(tmpdir(), 'forge-image-'));
  try {
    const archive = join(directory, 'root.tar');
    await execa('mmdebstrap', ['--variant=minbase', '--include=ca-certificates,netbase,python3-minimal', await hostSuite(), archive]);
    await execa('docker', ['import', archive, 'forge-test/base:import']);
    await rm(archive);
    await cp(process.execPath, join(directory, 'node'));
    await writeFile(join(directory, 'Dockerfile'), 'FROM forge-test/base:import\nCOPY node /usr/local/bin/node\n');
    await execa('docker', ['build', '--quiet', '--tag', nodeImage, directory]);
    await execa('docker', ['rmi', 'forge-test/base:import'], { reject: false });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A Node program that does what its config asks for, by the variable DO. */
export const behaviourImage = (): Promise<string> =>
  testImage({ name: 'behaviour', dockerfile: `FROM ${nodeImage}\nWORKDIR /app\nCOPY app.js .\nCMD ["node", "app.js"]\n`, files: { 'app.js': behaviour } });

const behaviour = `
const http = require('node:http');
const { DO = 'serve', PORT } = process.env;
const answer = (request, response) => {
  if (request.url === '/crash') process.exit(3);
  if (request.url === '/env') return response.end(JSON.stringify(process.env));
  response.statusCode = request.url === '/broken' ? 500 : 200;
  response.end('hello from ' + process.env.DYNO);
};
const listen = (port, address) => http.createServer(answer).listen(port, address, () => console.log('listening on ' + port));
const actions = {
  serve: () => listen(PORT),
  exit: () => { console.error('cannot read the settings'); process.exit(3); },
  'wrong-port': () => listen(3000),
  loopback: () => listen(PORT, '127.0.0.1'),
  silent: () => { console.log('thinking'); setInterval(() => {}, 1000); },
  memory: () => { const kept = []; for (;;) kept.push(Buffer.alloc(8 << 20, 1)); },
  work: () => setInterval(() => console.log('working'), 1000),
  graceful: () => {
    process.on('SIGTERM', () => { console.log('got SIGTERM'); setTimeout(() => process.exit(0), 200); });
    listen(PORT);
  },
  stubborn: () => { process.on('SIGTERM', () => {}); listen(PORT); },
};
actions[DO]();
`;

async function hasImage(reference: string): Promise<boolean> {
  const { exitCode } = await execa('docker', ['image', 'inspect', reference], { reject: false });
  return exitCode === 0;
}

async function hostSuite(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8');
  return /^VERSION_CODENAME=(.+)$/m.exec(release)?.[1] ?? 'bookworm';
}
