/** Decides what may enter a source: every name and link of an untrusted archive goes through here. Pure. */
import { ForgeError } from '../errors.ts';

/** An entry as it is stored; `undefined` from `readEntry` means it is left out. */
export interface SourceEntry {
  /** Relative, without `./`; without a trailing slash for folders too. */
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'link';
  /** Target of a link: verbatim for symlinks, a name in the source for hard links. */
  readonly target: string;
  readonly mode: number;
  readonly sizeBytes: number;
}

/** What a tar says about an entry; `linkname` and `type` may be missing or wrong. */
export interface EntryHeader {
  readonly name: string;
  readonly type?: string | null;
  readonly linkname?: string | null;
  readonly mode?: number;
  readonly size?: number;
}

const maxPathBytes = 4096;
const maxNameBytes = 255;
/** Bounds the work that following all symlinks may take; a tree of 50,000 links needs a tenth. */
const maxChainChars = 200_000_000;

const types: Readonly<Record<string, SourceEntry['type']>> = {
  file: 'file',
  'contiguous-file': 'file',
  directory: 'directory',
  symlink: 'symlink',
  link: 'link',
};

/** Checks one tar header. Throws `invalid` naming the entry when it may not be part of a source. */
export function readEntry(header: EntryHeader): SourceEntry | undefined {
  const name = readName(header.name, 'the archive');
  if (name === '' || isGitData(name)) return undefined;
  const type = types[header.type ?? ''];
  if (!type) throw refused(name, `is a ${header.type ?? 'kind of entry that forge does not know'}`, 'files, folders and links only');
  const target = header.linkname ?? '';
  if (type === 'symlink') checkSymlink(name, target);
  return {
    name,
    type,
    target: type === 'link' ? readName(target, `the hard link ${shown(name)}`) : target,
    // Without setuid, setgid and sticky: nothing in a source needs them.
    mode: (header.mode ?? 0o644) & 0o777,
    sizeBytes: type === 'file' ? (header.size ?? 0) : 0,
  };
}

/**
 * Follows every symlink through the others, as a file system would, and throws `invalid` for one that ends outside.
 * What `readEntry` checks by name alone is not enough: `a/b → ../..` is the root, and `c → a/b/..` above it.
 */
export function checkSymlinkChains(symlinks: ReadonlyMap<string, string>): void {
  const budget = { chars: maxChainChars };
  for (const [name, target] of symlinks) {
    if (isEscaping(name, symlinks, budget)) throw leaves(name, target);
  }
}

function isEscaping(start: string, symlinks: ReadonlyMap<string, string>, budget: { chars: number }): boolean {
  const pending = start.split('/').reverse();
  // Each element is the whole path down to it.
  const at: string[] = [];
  // As Linux does: more than 40 links is a loop, which leads nowhere.
  for (let hops = 0; hops <= 40; ) {
    const part = pending.pop();
    if (part === undefined) return false;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (at.pop() === undefined) return true;
      continue;
    }
    const path = at.length === 0 ? part : `${at.at(-1)}/${part}`;
    at.push(path);
    budget.chars -= path.length;
    if (budget.chars < 0) throw new ForgeError('invalid', 'the source was refused: its symlinks lead through each other in too many ways');
    const target = symlinks.get(path);
    if (target === undefined) continue;
    hops += 1;
    at.pop();
    pending.push(...target.split('/').reverse());
  }
  return false;
}

function readName(raw: string, where: string): string {
  if (raw.includes('\0')) throw refused(raw, 'has a NUL byte in its name', 'ordinary names');
  if (raw.includes('\ufffd')) throw refused(raw, 'has a name that is not UTF-8', 'names in UTF-8');
  if (raw.startsWith('/')) throw refused(raw, `is an absolute path in ${where}`, 'paths below the root of the app');
  const parts = raw.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw refused(raw, `leaves the source by .. in ${where}`, 'paths below the root of the app');
  if (parts.some((part) => Buffer.byteLength(part) > maxNameBytes)) throw refused(raw, `has a name longer than ${maxNameBytes} bytes`, 'shorter names');
  const name = parts.join('/');
  if (Buffer.byteLength(name) > maxPathBytes) throw refused(raw, `has a path longer than ${maxPathBytes} bytes`, 'shorter paths');
  return name;
}

const isGitData = (name: string): boolean => name === '.git' || name.startsWith('.git/') || name.includes('/.git/') || name.endsWith('/.git');

function checkSymlink(name: string, target: string): void {
  if (target === '' || target.includes('\0')) throw refused(name, 'is a symlink without a target', 'a relative target');
  if (Buffer.byteLength(target) > maxPathBytes) throw refused(name, `is a symlink whose target is longer than ${maxPathBytes} bytes`, 'a shorter target');
  if (target.startsWith('/')) throw leaves(name, target);
  let depth = name.split('/').length - 1;
  for (const part of target.split('/')) {
    if (part === '' || part === '.') continue;
    depth += part === '..' ? -1 : 1;
    if (depth < 0) throw leaves(name, target);
  }
}

const shown = (text: string): string => JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);

const refused = (name: string, what: string, expected: string): ForgeError =>
  new ForgeError('invalid', `the source was refused: ${shown(name)} ${what}; expected ${expected}`);

const leaves = (name: string, target: string): ForgeError =>
  new ForgeError('invalid', `the source was refused: the symlink ${shown(name)} → ${shown(target)} leads out of the app's files`, {
    hint: 'point it to a file of the app by a relative path, or remove it',
  });
