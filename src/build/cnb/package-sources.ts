/**
 * Where this machine's own npm and go get packages from. The builder is told at its making, so that buildpacks, which
 * begin without either client, take them from the same places and name none themselves.
 */
import { runProcess } from '../../run-process.ts';

export interface PackageSourcesOptions {
  /** PATH, and whatever the clients read: npm_config_registry, GOPROXY, GOSUMDB win. */
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

const askTimeoutMs = 30_000;

/** Variables by name; one whose client is missing here is left out. */
export async function packageSources({ environment, signal }: PackageSourcesOptions): Promise<Readonly<Record<string, string>>> {
  const ask = async (file: string, args: readonly string[]): Promise<string> => {
    const { exitCode, stdout } = await runProcess(file, args, { env: environment, signal, timeoutMs: askTimeoutMs }).catch(() => ({ exitCode: 127, stdout: '' }));
    return exitCode === 0 ? stdout.trim() : '';
  };
  const [registry, go] = await Promise.all([environment['npm_config_registry'] ?? ask('npm', ['config', 'get', 'registry']), ask('go', ['env', 'GOPROXY', 'GOSUMDB'])]);
  const [proxy = '', sums = ''] = go.split('\n');
  const found = { npm_config_registry: registry, GOPROXY: environment['GOPROXY'] ?? proxy, GOSUMDB: environment['GOSUMDB'] ?? sums };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => /^[\x21-\x7e]{1,500}$/.test(value)));
}
