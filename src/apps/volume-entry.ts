/** What may enter a volume from a backup: every name and link of an untrusted archive goes through here. Pure. */
import { ForgeError } from '../errors.ts';

/** What a tar says about an entry; all but the name may be missing or wrong. */
export interface VolumeEntryHeader {
  readonly name: string;
  readonly type?: string | null;
  readonly linkname?: string | null;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: number;
  readonly mtime?: Date;
}

export interface VolumeEntry {
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'link';
  readonly linkname?: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: Date;
}

/** Where the volume is in the archive that is unpacked. */
const root = 'volume';
const maxPathBytes = 4096;
const maxNameBytes = 255;
const maxId = 0xffff_fffe;
const types: Readonly<Record<string, VolumeEntry['type']>> = { file: 'file', 'contiguous-file': 'file', directory: 'directory', symlink: 'symlink', link: 'link' };

/**
 * The entry as it is unpacked, below `volume/`. Owners, permissions and the targets of symlinks stay as they were: the
 * archive is unpacked in a container that holds nothing but the volume. Throws `invalid` for what has no place in one.
 */
export function readVolumeEntry(header: VolumeEntryHeader): VolumeEntry {
  const name = placeOf(header.name);
  const type = types[header.type ?? ''];
  if (!type) throw refused(header.name, `is a ${header.type ?? 'thing that forge does not know'}; only files, folders and links are restored`);
  const linkname = header.linkname ?? '';
  if (type === 'symlink' && (linkname === '' || linkname.includes('\0') || Buffer.byteLength(linkname) > maxPathBytes)) throw refused(header.name, 'is a symlink without a usable target');
  if (name === root && type !== 'directory') throw refused(header.name, 'takes the place of the volume itself');
  return {
    name: type === 'directory' ? `${name}/` : name,
    type,
    ...(type === 'link' ? { linkname: placeOf(linkname) } : type === 'symlink' ? { linkname } : {}),
    mode: (header.mode ?? 0o644) & 0o7777,
    uid: idOf(header.uid),
    gid: idOf(header.gid),
    size: type === 'file' ? (header.size ?? 0) : 0,
    mtime: header.mtime ?? new Date(0),
  };
}

function placeOf(raw: string): string {
  if (raw.includes('\0') || raw.includes('\ufffd')) throw refused(raw, 'has a name that is not UTF-8');
  if (raw.startsWith('/')) throw refused(raw, 'is an absolute path');
  const parts = raw.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw refused(raw, 'leaves the volume by ..');
  const name = [root, ...parts].join('/');
  if (parts.some((part) => Buffer.byteLength(part) > maxNameBytes) || Buffer.byteLength(name) > maxPathBytes) throw refused(raw, 'has a name that is too long');
  return name;
}

const idOf = (id: number | undefined): number => (id !== undefined && Number.isInteger(id) && id >= 0 && id <= maxId ? id : 0);

const refused = (name: string, why: string): ForgeError =>
  new ForgeError('invalid', `the backup was refused: ${JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name)} ${why}`);
