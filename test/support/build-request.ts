/** A build as a push would ask for it, from files given as text. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { execa } from 'execa';
import { pack } from 'tar-stream';
import type { BuildRequest } from '../../src/build/build-request.ts';
import { detect } from '../../src/build/detect.ts';
import { receiveSource } from '../../src/build/source.ts';
import { defaultSettings, type AppSettings } from '../../src/domain.ts';
import { createReport } from '../../src/report.ts';

export interface TestBuild extends BuildRequest {
  /** What a pusher has read so far. */
  output(): string;
  /** Resolves once the output holds the text. */
  waitForOutput(text: string): Promise<void>;
}

export interface TestBuildOptions extends Partial<Pick<BuildRequest, 'config' | 'signal' | 'origin' | 'app'>> {
  readonly directory: string;
  readonly files: Readonly<Record<string, string>>;
  readonly buildArgs?: readonly string[];
  readonly mtime?: Date;
}

/** Removes what builds of an app left in the engine, except what is still in use. */
export async function removeAppImages(app: string): Promise<void> {
  const { stdout } = await execa('docker', ['image', 'ls', '--format', '{{.Repository}}:{{.Tag}}', `forge/${app}`]);
  if (stdout !== '') await execa('docker', ['rmi', ...new Set(stdout.split('\n'))], { reject: false });
}

export async function testBuild(options: TestBuildOptions): Promise<TestBuild> {
  const { directory, files, buildArgs = [], mtime = new Date(0), signal = AbortSignal.timeout(120_000) } = options;
  const packer = pack();
  for (const [name, content] of Object.entries(files)) packer.entry({ name, mtime }, content);
  packer.finalize();
  const id = randomBytes(8).toString('hex');
  const limits = { maxBytes: 100_000_000, maxEntries: 10_000 };
  const source = await receiveSource(Readable.from(packer), { path: join(directory, `${id}.tar`), limits, signal });
  const settings: AppSettings = { ...defaultSettings, buildArgs };
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
  return {
    app: options.app ?? `test-${id}`,
    deploymentId: id,
    source,
    plan: detect(source, settings),
    settings,
    config: options.config ?? {},
    origin: options.origin ?? { kind: 'git', branch: 'main', commit: 'c0ffee' },
    report: createReport([stream]),
    signal,
    output: () => text,
    waitForOutput: async (wanted) => {
      while (!text.includes(wanted)) {
        const { promise, resolve } = Promise.withResolvers<void>();
        stream.once('data', () => resolve());
        await promise;
      }
    },
  };
}
