/** What git would refuse only after the hook has said yes, refused before anything is built. Pure; imports only leaves. */
import type { RefUpdate } from '../domain.ts';
import { parseBranch } from '../names.ts';

/** What the repository holds, and what the pushed objects are. */
export interface PushedObjects {
  /** Object id by full ref name. */
  readonly refs: ReadonlyMap<string, string>;
  /** Type by object id, such as `commit` or `tag`. */
  readonly types: ReadonlyMap<string, string>;
}

export interface Refusal {
  readonly message: string;
  readonly hint?: string;
}

const branchPrefix = 'refs/heads/';
const tagPrefix = 'refs/tags/';

export const isZero = (id: string): boolean => /^0+$/.test(id);

/** The first reason against the push, `undefined` when git will take every ref. */
export function checkUpdates(updates: readonly RefUpdate[], objects: PushedObjects): Refusal | undefined {
  const created = updates.filter(({ newId }) => !isZero(newId)).map(({ ref }) => ref);
  const names = collectNames([...objects.refs.keys(), ...created]);
  for (const update of updates) {
    const refusal = checkName(update) ?? checkOldId(update, objects) ?? checkObject(update, objects) ?? checkConflict(update, names);
    if (refusal) return refusal;
  }
  return undefined;
}

function checkName({ ref, newId }: RefUpdate): Refusal | undefined {
  const prefix = [branchPrefix, tagPrefix].find((start) => ref.startsWith(start));
  if (prefix === undefined) return { message: `${shown(ref)} is neither a branch nor a tag: forge stores nothing else` };
  // Whatever got in by another way may go.
  if (isZero(newId)) return undefined;
  const name = ref.slice(prefix.length);
  if (name === 'HEAD') return { message: 'a branch or tag cannot be called HEAD' };
  try {
    parseBranch(name);
    return undefined;
  } catch {
    return { message: `${shown(name)} is not a name for a branch or a tag`, hint: 'use letters, digits, - _ . and /, not beginning with -, at most 200 characters' };
  }
}

function checkOldId({ ref, oldId }: RefUpdate, { refs }: PushedObjects): Refusal | undefined {
  const current = refs.get(ref);
  if ((current ?? '') === (isZero(oldId) ? '' : oldId)) return undefined;
  return { message: `another push changed ${ref} meanwhile`, hint: 'push again (pull first if it is not yours)' };
}

function checkObject({ ref, newId }: RefUpdate, { types }: PushedObjects): Refusal | undefined {
  if (isZero(newId)) return undefined;
  const type = types.get(newId);
  if (type === undefined) {
    return {
      message: `${newId.slice(0, 12)} for ${ref} is missing here: an earlier push came from a shallow clone and left its history out`,
      hint: 'push a new commit on top of the one that is live, for example with git revert',
    };
  }
  if (!ref.startsWith(branchPrefix) || type === 'commit') return undefined;
  const hint = type === 'tag' ? `push the commit it names: git push <remote> <tag>^{commit}:${ref}` : 'push a commit';
  return { message: `a branch holds a commit, and ${newId.slice(0, 12)} for ${ref.slice(branchPrefix.length)} is a ${type}`, hint };
}

/** Every ref, and for every folder that refs need one of them: with these a conflict is found without walking all refs for each. */
interface Names {
  readonly refs: ReadonlySet<string>;
  readonly below: ReadonlyMap<string, string>;
}

function collectNames(refs: readonly string[]): Names {
  const below = new Map<string, string>();
  for (const ref of refs) for (const folder of foldersOf(ref)) below.set(folder, ref);
  return { refs: new Set(refs), below };
}

function foldersOf(ref: string): string[] {
  const folders: string[] = [];
  for (let slash = ref.indexOf('/'); slash > 0; slash = ref.indexOf('/', slash + 1)) folders.push(ref.slice(0, slash));
  return folders;
}

/** `main` and `main/x` cannot both exist: one is a file where the other needs a folder. */
function checkConflict({ ref, newId }: RefUpdate, { refs, below }: Names): Refusal | undefined {
  if (isZero(newId)) return undefined;
  const other = below.get(ref) ?? foldersOf(ref).find((folder) => refs.has(folder));
  if (other === undefined) return undefined;
  return { message: `${ref} cannot exist beside ${other}`, hint: `use another name, or delete ${other} first` };
}

const shown = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
