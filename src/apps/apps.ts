/** What may be asked of an app as a thing, and what forge does by itself to finish what was interrupted. */
import { findApp, findApps } from '../store/apps.ts';
import { clone, type Cloned, type CloneRequest } from './clone.ts';
import { destroy, removeEverything } from './destroy.ts';
import type { AppParts, AppRequest } from './parts.ts';
import { exportApp, type ExportRequest } from './export/export-app.ts';
import { importApp, type Imported, type ImportRequest } from './export/import-app.ts';
import { finishRenames, rename, type RenameRequest } from './rename.ts';

export interface Apps {
  rename(request: RenameRequest): Promise<void>;
  clone(request: CloneRequest): Promise<Cloned>;
  /** Removes the app with everything that is its own: instances, network, volumes, images, repository, logs, rows. */
  destroy(request: AppRequest & { readonly app: string }): Promise<void>;
  /** Everything of the app in one file, sealed under a passphrase. */
  export(request: ExportRequest): Promise<void>;
  /** An app from such a file: all of it or nothing. */
  import(request: ImportRequest): Promise<Imported>;
  /** Goes on with renames and removals that were interrupted. Throws nothing: what cannot be done yet is tried again by the next call. */
  finishInterrupted(): Promise<void>;
}

export function createApps(parts: AppParts): Apps {
  return {
    rename: (request) => rename(request, parts),
    clone: (request) => clone(request, parts),
    destroy: (request) => destroy(request, parts),
    export: (request) => exportApp(request, parts),
    import: (request) => importApp(request, parts),
    finishInterrupted: () => finishInterrupted(parts),
  };
}

async function finishInterrupted(parts: AppParts): Promise<void> {
  const onError = (error: unknown) => parts.log.warn({ err: error }, 'what was interrupted could not be finished yet; forge tries again');
  await finishRenames(parts).catch(onError);
  for (const { name, isBeingRemoved } of findApps(parts.store)) {
    if (!isBeingRemoved) continue;
    // Taken: it is being removed, or made, right now.
    using turn = parts.queue.takeIfFree(name, 'a removal');
    // Asked again: while others were removed it may have gone, been made anew, or become whole.
    if (turn && findApp(parts.store, name)?.isBeingRemoved) await removeEverything(name, parts).catch(onError);
  }
  await parts.volumes.sweep().catch(onError);
}
