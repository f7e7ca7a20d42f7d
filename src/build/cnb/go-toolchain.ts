/** A Go toolchain new enough to compile the lifecycle: the machine's, else one that the machine's older Go fetches as a module. */
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { ForgeError } from '../../errors.ts';
import { runProcess } from '../../run-process.ts';

const fetchTimeoutMs = 5 * 60_000;
const usualPlaces = ['/usr/local/go/bin', '/usr/lib/go-1.26/bin', '/usr/lib/go-1.25/bin', '/usr/lib/go-1.24/bin', '/usr/lib/go/bin', '/usr/bin'];

export interface GoOptions {
  /** Oldest version that will do. */
  readonly least: string;
  /** Version to fetch where the machine's is older. */
  readonly fetch: string;
  readonly cacheDir: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Absolute path of a `go` that is new enough. Throws `unavailable` saying what to install. */
export async function findGo(options: GoOptions): Promise<string> {
  const fetched = join(options.cacheDir, 'go', options.fetch, 'bin', 'go');
  if (existsSync(fetched)) return fetched;
  const places = [...(options.environment['PATH'] ?? '').split(':'), ...usualPlaces].filter((place) => place.startsWith('/'));
  const candidates = [...new Set(places.map((place) => join(place, 'go')))].filter((path) => existsSync(path));
  for (const path of candidates) {
    const version = await goVersion(path, options);
    if (version && compareVersions(version, options.least) >= 0) return path;
  }
  const older = candidates[0];
  if (older) return await fetchToolchain(older, fetched, options);
  throw new ForgeError('unavailable', `compiling the buildpacks lifecycle needs Go, which is not installed`, { hint: 'as root: apt-get install golang-go (any version: it fetches the one that is needed)' });
}

/** Negative, zero or positive as `a` is older than, equal to or newer than `b`; parts that are missing count as 0. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map((part) => Number.parseInt(part, 10) || 0)) as [number[], number[]];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

async function goVersion(path: string, options: GoOptions): Promise<string | undefined> {
  const { stdout } = await runProcess(path, ['version'], { env: { ...options.environment, GOTOOLCHAIN: 'local' }, signal: options.signal });
  return /go version go(\d+(?:\.\d+)*)/.exec(stdout)?.[1];
}

/** Toolchains are published as modules; the module cache drops the executable bits, so the copy sets them again. */
async function fetchToolchain(go: string, fetched: string, options: GoOptions): Promise<string> {
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  const module = `golang.org/toolchain@v0.0.1-go${options.fetch}.linux-${arch}`;
  const env = { ...options.environment, GOTOOLCHAIN: 'local', GOFLAGS: '-modcacherw' };
  const { exitCode, stdout, stderr } = await runProcess(go, ['mod', 'download', '-json', module], { cwd: '/', env, signal: options.signal, timeoutMs: fetchTimeoutMs });
  const directory = /"Dir": "([^"]+)"/.exec(stdout)?.[1];
  if (exitCode !== 0 || !directory) {
    throw new ForgeError('unavailable', `could not fetch Go ${options.fetch}, which compiling the buildpacks lifecycle needs`, { details: `${stderr}${stdout}`.trimEnd().split('\n').slice(-10) });
  }
  const root = join(fetched, '..', '..');
  const aside = `${root}.${process.pid}.part`;
  await mkdir(join(root, '..'), { recursive: true });
  await cp(directory, aside, { recursive: true });
  const tools = join('pkg', 'tool', `linux_${arch}`);
  for (const folder of ['bin', tools]) {
    for (const name of await readdir(join(aside, folder))) await chmod(join(aside, folder, name), 0o755);
  }
  await rename(aside, root);
  return fetched;
}
