import { describe, expect, it } from 'vitest';
import { checkUpdates } from '../../src/hook/check-updates.ts';

const zero = '0'.repeat(40);
const live = '1'.repeat(40);
const commit = '2'.repeat(40);
const tag = '3'.repeat(40);
const objects = {
  refs: new Map([['refs/heads/main', live], ['refs/heads/dir/x', live]]),
  types: new Map([[commit, 'commit'], [tag, 'tag']]),
};
const refusalOf = (ref: string, newId = commit, oldId = objects.refs.get(ref) ?? zero) => checkUpdates([{ ref, oldId, newId }], objects)?.message;

describe('the hook', () => {
  it.each([
    ['refs/heads/main', commit],
    ['refs/heads/new', commit],
    ['refs/tags/v1', tag],
    ['refs/heads/main', zero],
    ['refs/heads/größe/ü', commit],
  ])('lets %s through', (ref, id) => {
    expect(refusalOf(ref, id)).toBeUndefined();
  });

  it.each([
    ['refs/heads/main', tag, 'a branch holds a commit, and 333333333333 for main is a tag'],
    ['refs/heads/main', '4'.repeat(40), 'came from a shallow clone'],
    ['refs/heads/main/x', commit, 'cannot exist beside refs/heads/main'],
    ['refs/heads/dir', commit, 'cannot exist beside refs/heads/dir/x'],
    ['refs/heads/-x', commit, 'is not a name'],
    ['refs/heads/a..b', commit, 'is not a name'],
    ['refs/heads/a b', commit, 'is not a name'],
    ['refs/heads/x.lock', commit, 'is not a name'],
    [`refs/heads/${'x'.repeat(201)}`, commit, 'is not a name'],
    ['refs/heads/HEAD', commit, 'cannot be called HEAD'],
    ['refs/notes/commits', commit, 'neither a branch nor a tag'],
    ['HEAD', commit, 'neither a branch nor a tag'],
  ])('refuses %s → %s', (ref, id, message) => {
    expect(refusalOf(ref, id)).toContain(message);
  });

  it('refuses an update whose old id is no longer the ref', () => {
    expect(refusalOf('refs/heads/main', commit, commit)).toBe('another push changed refs/heads/main meanwhile');
    expect(refusalOf('refs/heads/main', commit, zero)).toContain('meanwhile');
    expect(refusalOf('refs/heads/gone', commit, live)).toContain('meanwhile');
  });

  it('refuses two new refs that cannot exist together', () => {
    const both = ['refs/heads/a', 'refs/heads/a/b'].map((ref) => ({ ref, oldId: zero, newId: commit }));
    expect(checkUpdates(both, objects)?.message).toBe('refs/heads/a cannot exist beside refs/heads/a/b');
  });
});

it('takes forty thousand refs beside as many in a moment', () => {
  const refs = new Map(Array.from({ length: 40_000 }, (_, index) => [`refs/tags/old-${index}`, live]));
  const updates = Array.from({ length: 40_000 }, (_, index) => ({ ref: `refs/tags/new-${index}`, oldId: zero, newId: commit }));
  const began = performance.now();
  expect(checkUpdates(updates, { ...objects, refs })).toBeUndefined();
  expect(performance.now() - began).toBeLessThan(3_000);
});
