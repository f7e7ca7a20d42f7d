/** What a source holds, collected entry by entry while it streams: paths, the files that forge reads, and the limits. */
import { ForgeError } from '../errors.ts';
import type { Source } from '../domain.ts';
import { checkSymlinkChains, type SourceEntry } from './source-entry.ts';

/** Largest file whose contents forge reads itself. */
const maxReadBytes = 1024 * 1024;
/** By its specification a pointer is shorter. */
const maxPointerBytes = 1024;
const pointerStart = 'version https://git-lfs.github.com/spec/v1';

/** Files in the root whose contents are kept. Everything else is only a path. */
const readNames: ReadonlySet<string> = new Set([
  'Procfile', 'app.json', 'project.toml', 'package.json', 'requirements.txt', 'pyproject.toml', 'static.json', 'Dockerfile',
  '.dockerignore', 'Dockerfile.dockerignore', '.gitmodules', 'go.mod', '.nvmrc', '.node-version', '.python-version', 'runtime.txt',
]);

export interface SourceLimits {
  /** All files together. */
  readonly maxBytes: number;
  /** Files, folders and links together. */
  readonly maxEntries: number;
}

export interface SourceContents {
  /** Whether the file's bytes are wanted whole, however it is stored. */
  wants(entry: SourceEntry): boolean;
  /** Whether the entry is to be stored; false for a folder that is there already. Throws `invalid` past a limit. */
  add(entry: SourceEntry): boolean;
  /** Looks at a file's bytes. */
  read(entry: SourceEntry, bytes: Buffer): void;
  /** Checks what needs the whole, and returns it. */
  finish(): Omit<Source, 'tarPath'>;
}

/** An empty collection that enforces the limits. */
export function createSourceContents(limits: SourceLimits): SourceContents {
  const paths = new Set<string>();
  const files = new Map<string, string>();
  const symlinks = new Map<string, string>();
  let sizeBytes = 0;
  let entries = 0;

  const add = (entry: SourceEntry): boolean => {
    const key = entry.type === 'directory' ? `${entry.name}/` : entry.name;
    if (paths.has(key) && entry.type === 'directory') return false;
    if (paths.has(entry.name) || paths.has(`${entry.name}/`)) throw refused(`${JSON.stringify(entry.name)} is in it twice`);
    if (entry.type === 'link' && (!paths.has(entry.target) || symlinks.has(entry.target))) {
      throw refused(`the hard link ${JSON.stringify(entry.name)} → ${JSON.stringify(entry.target)} does not name an earlier file of it`);
    }
    addParents(entry.name, paths);
    paths.add(key);
    if (entry.type === 'symlink') symlinks.set(entry.name, entry.target);
    sizeBytes += entry.sizeBytes;
    entries += 1;
    if (entries > limits.maxEntries) throw refused(`it has more than ${limits.maxEntries} files and folders`, 'sourceMaxEntries');
    if (sizeBytes > limits.maxBytes) throw refused(`its files are larger than ${limits.maxBytes} bytes together`, 'sourceMaxBytes');
    return true;
  };

  const wants = ({ name, type, sizeBytes: length }: SourceEntry): boolean => type === 'file' && readNames.has(name) && length <= maxReadBytes;

  return {
    add,
    wants,
    read(entry, bytes) {
      if (entry.type !== 'file') return;
      if (bytes.length <= maxPointerBytes && bytes.toString('latin1', 0, pointerStart.length) === pointerStart) throw lfsPointer(entry.name);
      if (wants(entry)) files.set(entry.name, bytes.toString('utf8'));
    },
    finish() {
      checkSymlinkChains(symlinks);
      checkSubmodules(files.get('.gitmodules'), paths);
      return { sizeBytes, paths, files };
    },
  };
}

/** Adds the folders above a name; a file or link among them would redirect what is stored below it. */
function addParents(name: string, paths: Set<string>): void {
  for (let slash = name.lastIndexOf('/'); slash > 0; slash = name.lastIndexOf('/', slash - 1)) {
    const parent = name.slice(0, slash);
    if (paths.has(`${parent}/`)) return;
    if (paths.has(parent)) throw refused(`${JSON.stringify(name)} lies below ${JSON.stringify(parent)}, which is no folder`);
    paths.add(`${parent}/`);
  }
}

/** `git archive` stores a submodule as an empty folder; a build without its files would fail in an obscure way. */
function checkSubmodules(gitmodules: string | undefined, paths: ReadonlySet<string>): void {
  const empty = new Set<string>();
  for (const line of (gitmodules ?? '').split('\n')) {
    const [key, value] = line.split('=', 2).map((part) => part.trim());
    if (key === 'path' && value) empty.add(value);
  }
  if (empty.size === 0) return;
  for (const path of paths) {
    for (let slash = path.indexOf('/'); slash > 0 && slash < path.length - 1; slash = path.indexOf('/', slash + 1)) empty.delete(path.slice(0, slash));
  }
  if (empty.size === 0) return;
  throw new ForgeError('invalid', `the app uses git submodules, whose files are not part of a push: ${[...empty].slice(0, 10).join(', ')}`, {
    hint: 'add the files to the repository (git subtree, or a package manager), or deploy the folder with them: forge deploy',
  });
}

const lfsPointer = (name: string): ForgeError =>
  new ForgeError('invalid', `${JSON.stringify(name)} is a Git LFS pointer: the file itself is not part of a push`, {
    hint: 'store the file in git itself (git lfs migrate export --include=…), or deploy the folder with it: forge deploy',
  });

const refused = (reason: string, setting?: string): ForgeError =>
  new ForgeError('invalid', `the source was refused: ${reason}`, setting === undefined ? {} : { hint: `the limit is forge's setting ${setting}` });
