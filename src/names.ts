/**
 * One validator per kind of name, used at every entrance (SSH, HTTP, control socket, app files).
 * Each returns the value, or what it names, or throws `invalid` with what was expected and what was found.
 */
import { ForgeError } from './errors.ts';

const appName = /^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$/;
const reservedAppNames = new Set(['forge', 'www']);
const reservedProcessTypes = new Set(['run', 'predeploy', 'postdeploy']);
const processType = /^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$/;
const volumeName = /^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$/;
/** Nothing may be mounted there or below: the kernel's, the engine's, the programs of the image, and what buildpack images start with. */
const closedPaths = [
  '/proc', '/sys', '/dev', '/boot', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/usr/bin', '/usr/sbin', '/usr/lib', '/usr/lib32', '/usr/lib64', '/usr/libexec',
  '/cnb', '/layers', '/run/docker.sock', '/var/run/docker.sock',
];
/** Files that the engine writes, or that say who users are and where names and libraries come from: a volume is a folder, and would hide them. */
const closedEtc = new Set(['hosts', 'hostname', 'resolv.conf', 'mtab', 'passwd', 'group', 'shadow', 'gshadow', 'nsswitch.conf', 'ssl', 'ld.so.cache', 'ld.so.conf', 'ld.so.conf.d', 'ld.so.preload']);
/** A volume in place of these would hide the whole system; below them is the app's affair. */
const closedItself = new Set(['/usr', '/usr/local', '/usr/local/bin', '/usr/local/lib', '/usr/local/sbin', '/etc', '/run', '/var', '/var/run', '/workspace']);
const envKey = /^[A-Za-z_][A-Za-z0-9_]*$/;
const label = /^[A-Za-z0-9][A-Za-z0-9 ._@+-]{0,62}$/;
const imageReference =
  /^(?:[a-z0-9]+(?:[.-][a-z0-9]+)*(?::\d{1,5})?\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;
const domainLabel = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** An app's name, also its host label: 1 to 30 of a-z 0-9 -, no `--` at places 3-4 (punycode), not reserved. */
export function parseAppName(value: string): string {
  if (!appName.test(value) || value.slice(2, 4) === '--') {
    throw invalid('app name', value, '1 to 30 of a-z, 0-9 and -, beginning with a letter, not ending with -');
  }
  if (reservedAppNames.has(value)) throw invalid('app name', value, 'another name: this one is reserved');
  return value;
}

/** A process type of a Procfile, such as `web`. Not what the containers of one-off commands and of a deploy's tasks are called. */
export function parseProcessType(value: string): string {
  if (!processType.test(value)) throw invalid('process type', value, '1 to 30 of a-z, 0-9 and -');
  if (reservedProcessTypes.has(value)) throw invalid('process type', value, 'another name: forge itself calls its one-off commands and tasks so');
  return value;
}

/** The name of an environment variable. */
export function parseEnvKey(value: string): string {
  if (!envKey.test(value)) throw invalid('config key', value, 'letters, digits and _, not beginning with a digit');
  return value;
}

/** What a person calls a key or a token: "laptop", "ci@github". */
export function parseLabel(value: string): string {
  if (!label.test(value)) throw invalid('name', value, '1 to 63 letters, digits, spaces and . _ @ + -');
  return value;
}

/** A release as people write it, `v42` or `42`; returns its number. */
export function parseVersion(value: string): number {
  const match = /^v?([1-9]\d{0,8})$/.exec(value);
  if (!match) throw invalid('release', value, 'a number such as v3');
  return Number(match[1]);
}

/** A branch: what `git check-ref-format --branch` takes, without what forge never wants (leading -, @{). */
export function parseBranch(value: string): string {
  const isBad =
    value.length === 0 || value.length > 200 || /^[-/.]|[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{|\/\/|\/\.|\.lock(\/|$)|[/.]$/.test(value) || value === '@';
  if (isBad) throw invalid('branch', value, 'a name that git takes for a branch');
  return value;
}

/** An OCI image reference: `name[:tag][@sha256:…]`, without a leading `-` by construction. */
export function parseImageReference(value: string): string {
  if (value.length > 500 || !imageReference.test(value)) throw invalid('image reference', value, 'name[:tag][@sha256:<64 hex>]');
  return value;
}

/** What a person calls a volume of an app. */
export function parseVolumeName(value: string): string {
  if (!volumeName.test(value)) throw invalid('volume name', value, '1 to 30 of a-z, 0-9 and -, beginning with a letter, not ending with -');
  return value;
}

/** Where a volume appears in an app's instances: absolute, as the kernel would print it, and not over what makes a container work. */
export function parseMountPath(value: string): string {
  const parts = value.split('/').slice(1);
  const isPlain = value.startsWith('/') && value.length <= 200 && parts.every((part) => part !== '' && part !== '.' && part !== '..' && !/[\x00-\x1f\x7f:]/.test(part));
  if (!isPlain) throw invalid('mount path', value, 'an absolute path such as /data, without . or .. parts, : or a slash at its end');
  const closed = closedPaths.find((path) => value === path || value.startsWith(`${path}/`));
  const isOfSystem = closedItself.has(value) || (parts[0] === 'etc' && closedEtc.has(parts[1] ?? ''));
  if (closed !== undefined || isOfSystem) throw invalid('mount path', value, `a path of the app's own: ${closed ?? value} belongs to the system of the image`);
  return value;
}

/** A domain without scheme, port or trailing dot, lower case. */
export function parseDomain(value: string): string {
  const labels = value.split('.');
  if (value.length > 253 || !labels.every((part) => domainLabel.test(part))) {
    throw invalid('domain', value, 'a host name such as example.com, without http:// and without a port');
  }
  return value;
}

function invalid(kind: string, value: string, expected: string): ForgeError {
  const shown = JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  return new ForgeError('invalid', `${shown} is not a valid ${kind}: expected ${expected}`);
}
