/** Sessions that come through the machine's OpenSSH: sshd has checked the key, the relay says which one it was. */
import type { Readable, Writable } from 'node:stream';
import type { Actor, HandleSession, Terminal } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { parseCommand } from './parse-command.ts';
import { reportError } from './report-error.ts';
import { isGitProtocol } from './session.ts';

/** What the relay says first. */
export interface DoorHello {
  /** `SHA256:…` of the key that OpenSSH accepted. */
  readonly keyFingerprint: string;
  /** The command line as the client sent it; empty: a shell was asked for. */
  readonly command: string;
  readonly gitProtocol?: string;
}

export interface DoorConnection {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly terminal: Terminal | undefined;
  /** Aborts when the relay, and so the client, is gone. */
  readonly signal: AbortSignal;
  /** Writes out what is left and sends the exit status; never rejects. */
  exit(status: number): Promise<void>;
}

export interface DoorOptions {
  readonly findKeyByFingerprint: (fingerprint: string) => Actor | undefined;
  readonly handleSession: HandleSession;
  readonly log: Log;
}

export interface Door {
  /** Handles a relayed session to its end; never rejects. */
  handle(hello: DoorHello, connection: DoorConnection): Promise<void>;
  /** Ends the sessions of a key that was removed. */
  endSessionsOf(actorName: string): void;
}

/**
 * Who may connect to the door's socket may claim any key: its file mode lets in forge and the login account only, and
 * that account runs nothing but the relay. A key that is gone is refused even if sshd still knew it.
 */
export function createDoor(options: DoorOptions): Door {
  const revocations = new Set<{ readonly name: string; readonly controller: AbortController }>();
  return {
    handle: async (hello, connection) => {
      const revocation = { name: '', controller: new AbortController() };
      try {
        const actor = options.findKeyByFingerprint(hello.keyFingerprint);
        if (!actor) throw new ForgeError('unauthenticated', 'forge does not know this key (any more)', { hint: 'ask an admin to add it: forge keys:add' });
        revocation.name = actor.name;
        revocations.add(revocation);
        const signal = AbortSignal.any([connection.signal, revocation.controller.signal]);
        await connection.exit(await run(hello, { connection, actor, signal }, options.handleSession));
      } catch (error) {
        await connection.exit(reportError(error, connection.stderr, options.log));
      } finally {
        revocations.delete(revocation);
      }
    },
    endSessionsOf: (actorName) => {
      const reason = new ForgeError('forbidden', `the key ${actorName} was removed`);
      for (const { name, controller } of revocations) if (name === actorName) controller.abort(reason);
    },
  };
}

interface Caller {
  readonly connection: DoorConnection;
  readonly actor: Actor;
  readonly signal: AbortSignal;
}

async function run(hello: DoorHello, { connection, actor, signal }: Caller, handleSession: HandleSession): Promise<number> {
  const { stdin, stdout, stderr, terminal } = connection;
  const gitProtocol = hello.gitProtocol !== undefined && isGitProtocol(hello.gitProtocol) ? hello.gitProtocol : undefined;
  return await handleSession({ actor, argv: parseCommand(hello.command), stdin, stdout, stderr, terminal, gitProtocol, signal });
}
