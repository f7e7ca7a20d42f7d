/**
 * The pre-receive hook: asks forge whether the push may be, and deploys it on the way. It fails closed: anything but a
 * clear yes from forge is a no. Imports only Node's builtins and leaves.
 */
import { readFileSync } from 'node:fs';
import { runSession, type ClientReplies } from '../control/client.ts';
import type { RefUpdate } from '../domain.ts';
import { isForgeError } from '../errors.ts';
import { checkUpdates } from './check-updates.ts';
import { findSubmodules, openArchive, readPushedObjects } from './pushed-objects.ts';

/** Names of the variables that forge gives to receive-pack for its hook. */
const secretVariable = 'FORGE_PUSH_SECRET';
const socketVariable = 'FORGE_HOOK_SOCKET';
const maxInputBytes = 4 * 1024 * 1024;

/** Resolves to the exit status: 0 only when forge said yes. */
export async function preReceive(): Promise<number> {
  try {
    const updates = parseUpdates(readFileSync(0));
    const refusal = checkUpdates(updates, await readPushedObjects(updates));
    if (refusal) return refuse(refusal.message, refusal.hint);
    return await askForge(updates);
  } catch (error) {
    if (isForgeError(error)) return refuse(error.message, error.hint);
    return refuse(`the push could not be handled: ${(error as Error).message}`, 'push again');
  }
}

async function askForge(updates: readonly RefUpdate[]): Promise<number> {
  const secret = process.env[secretVariable];
  const socketPath = process.env[socketVariable];
  if (!secret || !socketPath) return refuse('this repository takes pushes only through forge', 'push to the address that apps:info shows');
  // What the hook starts has no use for the secret.
  delete process.env[secretVariable];
  return await runSession({
    socketPath,
    hello: { kind: 'hook', secret, updates },
    stdin: undefined,
    stdout: process.stdout,
    stderr: process.stderr,
    onMessage: (message, replies) => void sendArchive((message as { archive: string }).archive, updates, replies),
  });
}

/** Sends the files of a pushed commit, or says why they cannot be had. */
async function sendArchive(commit: string, updates: readonly RefUpdate[], replies: ClientReplies): Promise<void> {
  try {
    if (!updates.some(({ newId }) => newId === commit)) throw new Error(`${commit} was not pushed`);
    const submodules = await findSubmodules(commit);
    if (submodules.length > 0) {
      const hint = 'commit the files themselves (git rm --cached, then git add) or install them as packages';
      return replies.send({ refusal: `submodules are not supported: ${submodules.slice(0, 5).join(', ')}`, hint });
    }
    replies.send({ archive: commit });
    replies.sendStdin(openArchive(commit));
  } catch (error) {
    const why = (error as Error).message;
    replies.send({ refusal: isForgeError(error) ? `the pushed commit was refused: ${why}` : `git could not read the pushed commit: ${why}` });
  }
}

/** `<old> SP <new> SP <ref> LF` for each ref. */
function parseUpdates(input: Buffer): readonly RefUpdate[] {
  if (input.length > maxInputBytes) throw new Error(`it changes too many refs at once (${input.length} bytes of ref names)`);
  return input.toString().split('\n').filter(Boolean).map((line) => {
    const [oldId = '', newId = '', ...ref] = line.split(' ');
    return { oldId, newId, ref: ref.join(' ') };
  });
}

function refuse(message: string, hint?: string): number {
  process.stderr.write(` !     ${message}\n`);
  if (hint !== undefined) process.stderr.write(` !     ${hint}\n`);
  return 1;
}
