/**
 * One validator per kind of name, used at every entrance (SSH, HTTP, control socket, app files).
 * Each returns the value, or what it names, or throws `invalid` with what was expected and what was found.
 */
import { ForgeError } from './errors.ts';

const appName = /^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$/;
const reservedAppNames = new Set(['forge', 'www']);
const processType = /^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$/;
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

/** A process type of a Procfile, such as `web`. Not `run`: that is what the containers of one-off commands are called. */
export function parseProcessType(value: string): string {
  if (!processType.test(value)) throw invalid('process type', value, '1 to 30 of a-z, 0-9 and -');
  if (value === 'run') throw invalid('process type', value, 'another name: one-off commands are called run');
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
