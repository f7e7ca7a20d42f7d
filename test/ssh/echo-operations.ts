/** Operations that say what reached them; each test asks for what it wants to see. */
import { once } from 'node:events';
import type { HandleSession, Session } from '../../src/domain.ts';
import { ForgeError, abortError } from '../../src/errors.ts';
import { untilAborted } from '../../src/wait.ts';

export interface Seen {
  /** Abort reasons of sessions that ran `hang`, in order. */
  readonly aborted: string[];
  /** Sessions that run `hang` now. */
  running: number;
}

export const createSeen = (): Seen => ({ aborted: [], running: 0 });

export function createEchoOperations(seen: Seen): HandleSession {
  const hang = async ({ signal, stderr }: Session): Promise<number> => {
    seen.running += 1;
    stderr.write('hanging\n');
    try {
      return await untilAborted(new Promise<number>(() => undefined), signal);
    } finally {
      seen.running -= 1;
      seen.aborted.push(abortError(signal).message);
    }
  };
  const commands: Record<string, HandleSession> = {
    hang,
    status: async ({ argv }) => Number(argv[1]),
    echo,
    both,
    terminal,
    lines: async ({ stdout, stderr }) => {
      stdout.write('one\ntwo\r\n');
      stderr.write('three\n');
      return 0;
    },
    about: async ({ argv, actor, gitProtocol, stdout }) => {
      stdout.write(JSON.stringify({ argv: argv.slice(1), actor: actor.name, gitProtocol }));
      return 0;
    },
    fail: async () => {
      throw new ForgeError('conflict', 'it is there already', { hint: 'remove it first', details: ['first line', 'second line'] });
    },
    crash: async () => {
      throw new TypeError('secret detail');
    },
  };
  return async (session) => {
    const command = commands[session.argv[0] ?? ''];
    if (!command) throw new ForgeError('invalid', `no command ${JSON.stringify(session.argv[0])}`, { hint: 'see help' });
    return await command(session);
  };
}

const echo: HandleSession = async ({ stdin, stdout }) => {
  for await (const chunk of stdin) if (!stdout.write(chunk)) await once(stdout, 'drain');
  return 0;
};

const both: HandleSession = async ({ argv, stdout, stderr }) => {
  for (let line = 0; line < Number(argv[1]); line += 1) {
    stdout.write(`out ${line}\n`);
    stderr.write(`err ${line}\n`);
  }
  return 3;
};

/** Prints the terminal's size, now and whenever it changes, and ends at a line that is `q`. */
const terminal: HandleSession = async ({ terminal: screen, stdin, stdout }) => {
  if (!screen) return 1;
  stdout.write(`size ${screen.columns}x${screen.rows}\n`);
  screen.onResize((columns, rows) => void stdout.write(`size ${columns}x${rows}\n`));
  for await (const chunk of stdin) {
    stdout.write(`keys ${JSON.stringify(String(chunk))}\n`);
    if (String(chunk).includes('q')) return 7;
  }
  return 2;
};
