/** What differs between two releases: names of variables and settings, never values. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { AppSettings, Release } from '../domain.ts';

/** Names by what happened to them, sorted. */
export interface NameDiff {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

export interface ReleaseDiff {
  readonly from: number;
  readonly to: number;
  /** Before and after; `undefined` where they are the same. */
  readonly image: readonly [string, string] | undefined;
  readonly commit: readonly [string | undefined, string | undefined] | undefined;
  readonly port: readonly [number, number] | undefined;
  readonly config: NameDiff;
  readonly processTypes: NameDiff;
  /** Names of the settings that differ. */
  readonly settings: readonly (keyof AppSettings)[];
}

export function diffReleases(from: Release, to: Release): ReleaseDiff {
  const settings = (Object.keys(to.settings) as (keyof AppSettings)[]).filter((key) => !isDeepStrictEqual(from.settings[key], to.settings[key]));
  return {
    from: from.version,
    to: to.version,
    image: differing(from.image.digest, to.image.digest),
    commit: differing(from.commit, to.commit),
    port: differing(from.port, to.port),
    config: diffNames(from.config, to.config),
    processTypes: diffNames(from.image.processTypes, to.image.processTypes),
    settings: settings.sort(),
  };
}

const differing = <T>(before: T, after: T): readonly [T, T] | undefined => (before === after ? undefined : [before, after]);

function diffNames(before: Readonly<Record<string, unknown>>, after: Readonly<Record<string, unknown>>): NameDiff {
  const [old, now] = [Object.keys(before).sort(), Object.keys(after).sort()];
  return {
    added: now.filter((name) => !Object.hasOwn(before, name)),
    removed: old.filter((name) => !Object.hasOwn(after, name)),
    changed: now.filter((name) => Object.hasOwn(before, name) && !isDeepStrictEqual(before[name], after[name])),
  };
}
