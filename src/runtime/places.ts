/** Where instances stand in an app: `web.1`, `web.2`, `worker.1`. */
import type { Formation } from '../domain.ts';

export interface Place {
  readonly type: string;
  /** From 1. */
  readonly ordinal: number;
}

/** The places that a formation has. */
export const placesOf = (formation: Formation): Place[] =>
  Object.entries(formation).flatMap(([type, { quantity }]) => Array.from({ length: quantity }, (_, index) => ({ type, ordinal: index + 1 })));
