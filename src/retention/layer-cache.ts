import type { ImageLayer } from '../docker/image-layers.ts';
import type { LayersOf } from './parts.ts';

const maxImages = 20_000;

/** Reads an image's layers once: they never change. */
export function createLayerCache(read: LayersOf): LayersOf {
  const known = new Map<string, readonly ImageLayer[]>();
  return async (id, signal) => {
    const found = known.get(id);
    if (found) return found;
    const layers = await read(id, signal);
    if (known.size >= maxImages) known.clear();
    known.set(id, layers);
    return layers;
  };
}
