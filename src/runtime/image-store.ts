/** Images of releases as things: removed, copied out of the engine and into it. */
import type { Readable } from 'node:stream';
import type { Docker } from '../docker/connect.ts';
import { findImage, removeImage } from '../docker/images.ts';
import { findNamesOfImage, loadImages, saveImages, tagImage } from '../docker/saved-images.ts';
import { keptImageName } from '../labels.ts';

export interface ImageStore {
  /** Takes all its names away; one that a container uses, or that is gone already, is left. */
  remove(reference: string): Promise<void>;
  /** What `docker save` gives, without names. Throws `not-found`. */
  save(reference: string, signal: AbortSignal): Promise<Readable>;
  /** What `docker load` takes. The caller has taken all names out of it but forge's own. */
  load(archive: Readable, signal: AbortSignal): Promise<void>;
  /** Id of the image, `undefined` when the engine has none such. */
  idOf(reference: string): Promise<string | undefined>;
  /** A name that says whose it is, so that nobody takes it for rubbish. */
  keep(app: string, reference: string): Promise<void>;
}

export function createImageStore({ docker, dataId }: { readonly docker: Docker; readonly dataId: string }): ImageStore {
  const idOf = async (reference: string): Promise<string | undefined> => (await findImage(docker, reference))?.id;
  return {
    idOf,
    remove: async (reference) => {
      const names = await findNamesOfImage(docker, reference);
      if (names === undefined) return;
      for (const name of names.length > 0 ? names : [reference]) await removeImage(docker, name);
    },
    save: async (reference, signal) => await saveImages(docker, [(await idOf(reference)) ?? reference], signal),
    load: (archive, signal) => loadImages(docker, archive, signal),
    keep: async (app, reference) => await tagImage(docker, reference, keptImageName({ dataId, app, reference })),
  };
}
