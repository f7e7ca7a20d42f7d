import { describe, expect, it } from 'vitest';
import { planUpdates } from '../../src/git/plan-updates.ts';

const zero = '0'.repeat(40);
const one = '1'.repeat(40);
const two = '2'.repeat(40);
const fresh = { app: 'hello', head: 'main', branches: [] };
const used = { app: 'hello', head: 'main', branches: ['main', 'dev'] };
const update = (ref: string, newId = two, oldId = zero) => ({ ref, oldId, newId });

describe('the plan of a push', () => {
  it.each([
    ['the only branch of a first push', [update('refs/heads/trunk')], fresh, { branch: 'trunk', oldId: zero, commit: two, isFirst: true }],
    ['main among the branches of a first push', [update('refs/heads/a'), update('refs/heads/main')], fresh, { branch: 'main', oldId: zero, commit: two, isFirst: true }],
    ['the deploy branch among other refs', [update('refs/tags/v1'), update('refs/heads/main', two, one), update('refs/heads/dev')], used, { branch: 'main', oldId: one, commit: two, isFirst: false }],
    ['nothing of a first tag', [update('refs/tags/v1')], fresh, undefined],
    ['nothing of another branch', [update('refs/heads/dev')], used, undefined],
    ['nothing of a deletion', [update('refs/heads/dev', zero, one)], used, undefined],
    ['a deploy branch that somebody chose and nobody pushed yet', [update('refs/heads/live')], { app: 'hello', head: 'live', branches: ['main'] }, { branch: 'live', oldId: zero, commit: two, isFirst: false }],
  ])('deploys %s', (_name, updates, state, expected) => {
    expect(planUpdates(updates, state).deploy).toEqual(expected);
  });

  it('says of every other ref what becomes of it', () => {
    expect(planUpdates([update('refs/tags/v1'), update('refs/heads/dev', zero, one)], used).notices).toEqual([
      'Storing the tag v1, not deploying it: only main deploys.',
      'To deploy it: git push <remote> v1^{commit}:refs/heads/main',
      'Deleting the branch dev',
    ]);
    expect(planUpdates([update('refs/tags/v1')], fresh).notices[0]).toBe('Storing the tag v1, not deploying it: only a branch deploys.');
  });

  it('refuses to delete the deploy branch, and a first push of several branches without a usual one', () => {
    expect(() => planUpdates([update('refs/heads/main', zero, one)], used)).toThrow('main is the branch that hello deploys: it cannot be deleted');
    expect(() => planUpdates([update('refs/heads/a'), update('refs/heads/b')], fresh)).toThrow('this one has 2: a, b');
  });
});
