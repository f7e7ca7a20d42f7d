import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import type { Actor } from '../../src/domain.ts';
import type { GitIo, ServeGit } from '../../src/git/fetch.ts';
import { createGitSessions } from '../../src/git/git-sessions.ts';

const ioOf = (name: string): GitIo => {
  const actor: Actor = { name, via: 'token', isAdmin: false, permission: 'deploy', apps: ['hello'] };
  return { actor, stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough(), gitProtocol: undefined, signal: new AbortController().signal };
};
const untilAborted: ServeGit = ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(1)));

it('one key cannot take every place, and nobody more than there are', async () => {
  const { bound, endSessionsOf } = createGitSessions({ perActor: 2, total: 3 });
  const serve = bound(untilAborted);
  const first = [serve(ioOf('ci'), 'hello'), serve(ioOf('ci'), 'hello')];
  await expect(serve(ioOf('ci'), 'hello')).rejects.toMatchObject({ code: 'unavailable', message: 'ci has 2 pushes and fetches under way, and no more at one time' });
  const other = serve(ioOf('laptop'), 'hello');
  await expect(serve(ioOf('third'), 'hello')).rejects.toMatchObject({ code: 'unavailable' });
  endSessionsOf('ci');
  for (const ended of await Promise.allSettled(first)) expect(ended).toMatchObject({ status: 'rejected', reason: { code: 'forbidden' } });
  await bound(async () => 0)(ioOf('ci'), 'hello');
  endSessionsOf('laptop');
  await expect(other).rejects.toThrow('laptop was removed');
});

it('a token that is revoked ends the push that it began, with an error and not with half an answer', async () => {
  const { bound, endSessionsOf } = createGitSessions();
  const push = bound(untilAborted)(ioOf('ci'), 'hello');
  endSessionsOf('ci');
  await expect(push).rejects.toMatchObject({ code: 'forbidden', message: 'ci was removed' });
});
