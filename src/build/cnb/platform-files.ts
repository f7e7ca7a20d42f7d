/** What a build sees of the platform: /platform/env, certificate authorities, proxies, the app's own order of buildpacks. */
import { readFileSync } from 'node:fs';
import type { ArchiveEntry } from '../../docker/archive.ts';
import type { Origin } from '../../domain.ts';
import { ForgeError } from '../../errors.ts';

/** Where the bundle stands in the build container. */
const bundlePath = '/etc/forge-build/ca-certificates.pem';
export const orderPath = '/etc/forge-build/order.toml';
const systemBundle = '/etc/ssl/certs/ca-certificates.crt';
/** What the tools of the usual languages read. The lifecycle hands container variables on only for proxies, so these go to /platform/env. */
const bundleVariables = ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS', 'npm_config_cafile', 'PIP_CERT', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO'];

/**
 * Variables of a build, the later winning: certificates, the commit, project.toml, the app's config. All of the config is
 * there while building, as on Heroku.
 */
export function buildVariables(options: {
  readonly origin: Origin;
  readonly projectEnv: Readonly<Record<string, string>>;
  readonly config: Readonly<Record<string, string>>;
  readonly hasBundle: boolean;
}): Record<string, string> {
  const { origin, projectEnv, config, hasBundle } = options;
  return {
    ...(hasBundle ? Object.fromEntries(bundleVariables.map((name) => [name, bundlePath])) : {}),
    ...(origin.kind === 'git' ? { SOURCE_VERSION: origin.commit } : {}),
    ...projectEnv,
    ...config,
  };
}

/** The files below / of the build container that carry these variables and the bundle. */
export function platformEntries(options: { variables: Readonly<Record<string, string>>; bundle: string | undefined; order: string | undefined; uid: number; gid: number }): ArchiveEntry[] {
  const owner = { uid: options.uid, gid: options.gid };
  return [
    { path: 'platform/' },
    { path: 'platform/env/' },
    ...Object.entries(options.variables).map(([name, value]) => ({ path: `platform/env/${name}`, content: value, mode: 0o400, ...owner })),
    { path: 'etc/forge-build/' },
    ...(options.bundle === undefined ? [] : [{ path: bundlePath.slice(1), content: options.bundle }]),
    ...(options.order === undefined ? [] : [{ path: orderPath.slice(1), content: options.order }]),
  ];
}

/** The system's authorities and the further ones in one file, or `undefined` without further ones. Throws `invalid` for a file that is no PEM. */
export function readBundle(extraCa: string, system = systemBundle): string | undefined {
  if (extraCa === '') return undefined;
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw new ForgeError('invalid', `buildExtraCa: ${path} cannot be read`, { cause: error });
    }
  };
  const extra = read(extraCa);
  if (!extra.includes('-----BEGIN CERTIFICATE-----')) throw new ForgeError('invalid', `buildExtraCa: ${extraCa} holds no PEM certificate`);
  if (extraCa === system) return extra;
  return `${read(system).trimEnd()}\n${extra}`;
}

/** Proxy settings as container variables, in both spellings. */
export function proxyVariables(config: { readonly buildHttpProxy: string; readonly buildHttpsProxy: string; readonly buildNoProxy: string }): string[] {
  const named = { http_proxy: config.buildHttpProxy, https_proxy: config.buildHttpsProxy, no_proxy: config.buildNoProxy };
  return Object.entries(named).filter(([, value]) => value !== '').flatMap(([name, value]) => [`${name}=${value}`, `${name.toUpperCase()}=${value}`]);
}

/** order.toml of the buildpacks that project.toml names, or `undefined` when it names none. Throws `invalid` for one the builder does not have. */
export function orderFor(wanted: readonly { readonly id: string | undefined; readonly version: string | undefined; readonly uri: string | undefined }[], available: readonly { readonly id: string; readonly version: string }[]): string | undefined {
  if (wanted.length === 0) return undefined;
  const groups = wanted.map(({ id, version, uri }) => {
    if (id === undefined) throw new ForgeError('invalid', `project.toml: the buildpack ${uri ?? ''} is not part of the builder`, { hint: 'name one of the builder by id; buildpacks from other places need a builder that has them' });
    const found = available.find((one) => one.id === id && (version === undefined || one.version === version));
    if (!found) {
      throw new ForgeError('invalid', `project.toml: the builder has no buildpack ${id}${version === undefined ? '' : `@${version}`}`, { details: available.map((one) => `${one.id}@${one.version}`) });
    }
    return `[[order.group]]\nid = ${JSON.stringify(found.id)}\nversion = ${JSON.stringify(found.version)}\n`;
  });
  return `[[order]]\n${groups.join('')}`;
}
