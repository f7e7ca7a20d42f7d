/** Where this machine's apt gets its own distribution from: base images use the same mirrors and proxies. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ForgeError } from '../errors.ts';
import { runProcess } from '../run-process.ts';

export interface AptSources {
  readonly suite: string;
  /** One-line entries (`deb [signed-by=…] URI suite components`) of the distribution itself. */
  readonly lines: readonly string[];
  /** apt.conf lines for proxies and certificates that the host's apt uses. */
  readonly options: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

interface Entry {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  readonly signedBy: string | undefined;
}

const distributionKeyrings = /\/(debian|ubuntu)-archive-[\w-]*keyring\.(gpg|pgp|asc)$|\/(debian|ubuntu)-archive-[\w.-]+$/;
const wantedComponents = ['main', 'universe'];

/** Reads the host's configuration. Throws `unavailable` when it has no mirror for the suite. */
export async function readAptSources(suite: string | undefined, signal: AbortSignal): Promise<AptSources> {
  const wanted = suite ?? hostSuite(readFileSync('/etc/os-release', 'utf8'));
  const lines = selectLines(readEntries('/etc/apt'), wanted);
  if (lines.length === 0) {
    throw new ForgeError('unavailable', `this machine's apt has no mirror for ${wanted}`, { hint: `add one to /etc/apt/sources.list, such as: deb <mirror> ${wanted} main` });
  }
  return { suite: wanted, lines, options: await readAptOptions(signal), environment: {} };
}

/** `bookworm`, `noble`… from /etc/os-release. */
export function hostSuite(osRelease: string): string {
  const found = /^(?:VERSION_CODENAME|UBUNTU_CODENAME)="?([a-z]+)"?$/m.exec(osRelease)?.[1];
  if (!found) throw new ForgeError('unavailable', '/etc/os-release names no release of Debian or Ubuntu', { hint: 'builders are made on Debian 12/13 and Ubuntu 22.04/24.04' });
  return found;
}

/** The distribution's own entries for a suite, its updates and its security fixes; third-party repositories are left out. */
export function selectLines(entries: readonly Entry[], suite: string): string[] {
  const suites = new Set([suite, `${suite}-updates`, `${suite}-security`]);
  const lines = entries.flatMap((entry) => {
    if (entry.signedBy !== undefined && !distributionKeyrings.test(entry.signedBy)) return [];
    const components = entry.components.filter((component) => wantedComponents.includes(component));
    if (components.length === 0) return [];
    const options = entry.signedBy === undefined ? '' : `[signed-by=${entry.signedBy}] `;
    return entry.suites.filter((name) => suites.has(name)).flatMap((name) => entry.uris.map((uri) => `deb ${options}${uri} ${name} ${components.join(' ')}`));
  });
  return [...new Set(lines)];
}

/** `deb [options] URI suite components…` lines; comments and deb-src are skipped. */
export function parseOneLine(text: string): Entry[] {
  return text.split('\n').flatMap((line) => {
    const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line.replace(/#.*$/, '').trim());
    if (!match?.[2] || !match[3]) return [];
    const signedBy = /signed-by=(\S+)/.exec(match[1] ?? '')?.[1];
    return [{ uris: [match[2]], suites: [match[3]], components: words(match[4]), signedBy }];
  });
}

/** Stanzas of the deb822 format (`Types: deb` …). */
export function parseStanzas(text: string): Entry[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const lines = stanza.split('\n').filter((line) => !line.startsWith('#'));
    const field = (name: string): string | undefined => {
      const at = lines.findIndex((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`));
      if (at === -1) return undefined;
      const more = lines.slice(at + 1).findIndex((line) => !/^\s/.test(line));
      return [lines[at]?.slice(name.length + 1), ...lines.slice(at + 1, more === -1 ? undefined : at + 1 + more)].join(' ').trim();
    };
    if (!words(field('Types')).includes('deb') || field('Enabled')?.toLowerCase() === 'no') return [];
    const signedBy = field('Signed-By');
    // A key written into the stanza itself belongs to a third party.
    return [{ uris: words(field('URIs')), suites: words(field('Suites')), components: words(field('Components')), signedBy }];
  });
}

const words = (text = ''): string[] => text.split(/\s+/).filter((word) => word !== '');

function readEntries(directory: string): Entry[] {
  const parts = join(directory, 'sources.list.d');
  const files = [join(directory, 'sources.list'), ...(existsSync(parts) ? readdirSync(parts).sort().map((name) => join(parts, name)) : [])];
  return files.filter((path) => existsSync(path)).flatMap((path) => {
    if (path.endsWith('.sources')) return parseStanzas(readFileSync(path, 'utf8'));
    return path.endsWith('.list') ? parseOneLine(readFileSync(path, 'utf8')) : [];
  });
}

async function readAptOptions(signal: AbortSignal): Promise<string[]> {
  const { stdout } = await runProcess('/usr/bin/apt-config', ['dump', 'Acquire'], { env: { PATH: '/usr/bin:/bin' }, signal });
  return stdout.split('\n').filter((line) => /^Acquire::https?::[\w:.-]*(Proxy|CaInfo|CaPath|Verify-Peer|Verify-Host)\S* "[^"]+";$/i.test(line)).map((line) => line.replace(/;$/, ''));
}
