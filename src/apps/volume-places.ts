/**
 * What an archive puts where. An entry below a symlink would be unpacked to where the link leads, or out of the volume, and
 * something in place of a folder would take the folder's files with it: both are refused, so that nothing is lost unnoticed.
 */
import { ForgeError } from '../errors.ts';
import type { VolumeEntry } from './volume-entry.ts';

/** Folders and symlinks are remembered; the memory for more is forge's own. */
const maxPlaces = 1_000_000;

export interface VolumePlaces {
  /** Throws `invalid` for an entry that would be lost, or would make others lost. */
  take(entry: Pick<VolumeEntry, 'name' | 'type' | 'linkname'>): void;
}

export function createVolumePlaces(): VolumePlaces {
  const folders = new Set<string>();
  const symlinks = new Set<string>();
  /** Adds the folders above. */
  const enter = (path: string, shown: string): void => {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const folder = path.slice(0, at);
      if (folders.has(folder)) return;
      if (symlinks.has(folder)) throw refused(shown, `lies below ${inVolume(folder)}, which is a symlink in the backup`);
      folders.add(folder);
    }
  };
  return {
    take: ({ name, type, linkname }) => {
      const path = name.replace(/\/$/, '');
      enter(path, path);
      if (type === 'link') enter(linkname ?? '', path);
      if (type === 'directory' ? symlinks.has(path) : folders.has(path)) throw refused(path, 'is in the backup as a folder and as something else');
      if (type === 'directory') folders.add(path);
      // A hard link to a symlink is one too.
      else if (type === 'symlink' || (type === 'link' && symlinks.has(linkname ?? ''))) symlinks.add(path);
      else symlinks.delete(path);
      if (folders.size + symlinks.size > maxPlaces) throw new ForgeError('invalid', `the backup was refused: it has more than ${maxPlaces} folders and symlinks`);
    },
  };
}

/** As in the archive: without the folder that it is unpacked in. */
const inVolume = (path: string): string => JSON.stringify(path.slice(path.indexOf('/') + 1).slice(0, 200));

const refused = (path: string, why: string): ForgeError =>
  new ForgeError('invalid', `the backup was refused: ${inVolume(path)} ${why}`, { hint: 'make the archive again: tar writes a symlink as itself, without what is behind it' });
