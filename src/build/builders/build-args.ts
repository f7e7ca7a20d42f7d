/** What a Dockerfile build may know of the app. Pure but for the CA file. */
import { readFileSync } from 'node:fs';
import type { Config } from '../../config.ts';
import { ForgeError } from '../../errors.ts';
import type { BuildRequest } from '../build-request.ts';

type BuildSettings = Pick<Config, 'buildExtraCa' | 'buildHttpProxy' | 'buildHttpsProxy' | 'buildNoProxy'>;

/**
 * The config keys that the app names as build args; proxies, which every Dockerfile knows without declaring them and
 * which stay out of the image's history; and SOURCE_VERSION, GIT_REV (the commit) and FORGE_EXTRA_CA (PEM) if the
 * Dockerfile declares them by ARG.
 */
export function buildArgsOf({ settings, config, origin, source }: BuildRequest, build: BuildSettings): Record<string, string> {
  const declared = declaredArgs(source.files.get('Dockerfile') ?? '');
  const args: Record<string, string> = { ...proxyArgs(build) };
  if (origin.kind === 'git') for (const name of ['SOURCE_VERSION', 'GIT_REV']) if (declared.has(name)) args[name] = origin.commit;
  if (build.buildExtraCa !== '' && declared.has('FORGE_EXTRA_CA')) args['FORGE_EXTRA_CA'] = readCa(build.buildExtraCa);
  for (const name of settings.buildArgs) {
    const value = config[name];
    // Those are instructions to BuildKit itself, such as which frontend runs.
    if (value !== undefined && !name.startsWith('BUILDKIT_')) args[name] = value;
  }
  return args;
}

/** Names declared by ARG anywhere in a Dockerfile, continuation lines included. */
export function declaredArgs(dockerfile: string): ReadonlySet<string> {
  const joined = dockerfile.replaceAll(/\\[ \t]*\r?\n/g, ' ');
  const words = [...joined.matchAll(/^[ \t]*ARG[ \t]+(.+)$/gim)].flatMap((match) => (match[1] ?? '').trim().split(/\s+/));
  return new Set(words.map((word) => word.replace(/=.*$/s, '')));
}

/** Both spellings: tools differ in which they read. */
function proxyArgs({ buildHttpProxy, buildHttpsProxy, buildNoProxy }: BuildSettings): Record<string, string> {
  const values = { http_proxy: buildHttpProxy, https_proxy: buildHttpsProxy, no_proxy: buildNoProxy };
  const set = Object.entries(values).filter(([, value]) => value !== '');
  return Object.fromEntries(set.flatMap(([name, value]) => [[name, value], [name.toUpperCase(), value]]));
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ForgeError('invalid', `the setting buildExtraCa names ${path}, which cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
