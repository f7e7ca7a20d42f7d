/** Decides what a session's words mean: git's two services, a greeting where a shell was asked for, else an operation. */
import type { HandleSession, Session } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { parseAppName } from '../names.ts';
import { reportError } from './report-error.ts';

/** Handles one of git's services on an app's repository; authorizes by itself. Resolves to the exit status. */
export type HandleGit = (session: Session, app: string) => Promise<number>;

export interface DispatchTargets {
  readonly push: HandleGit;
  readonly fetch: HandleGit;
  readonly operations: HandleSession;
  readonly log: Log;
}

/** One row per kind of command; the first that matches runs. */
interface Command {
  readonly matches: (words: readonly string[]) => boolean;
  readonly run: HandleSession;
}

/** A handler that never rejects: failures are written to the session's stderr and become its exit status. */
export function createDispatch(targets: DispatchTargets): HandleSession {
  const commands: readonly Command[] = [
    { matches: (words) => words.length === 0, run: greet },
    { matches: isGit('receive-pack'), run: async (session) => await targets.push(session, appOf(session.argv)) },
    { matches: isGit('upload-pack'), run: async (session) => await targets.fetch(session, appOf(session.argv)) },
    { matches: isGit('upload-archive'), run: refuseArchive },
    { matches: isFileCopy, run: refuseCopy },
    { matches: () => true, run: targets.operations },
  ];
  return async (session) => {
    try {
      const argv = joinGit(session.argv);
      const command = commands.find(({ matches }) => matches(argv));
      if (!command) throw new Error('no command matches');
      return await command.run(argv === session.argv ? session : { ...session, argv });
    } catch (error) {
      return reportError(error, session.stderr, targets.log);
    }
  };
}

const isGit = (service: string) => (words: readonly string[]): boolean => words[0] === `git-${service}`;

/** OpenSSH hands over the path of its sftp-server where a client asks for SFTP. */
const isFileCopy = ([program]: readonly string[]): boolean => program !== undefined && /(^|\/)(scp|rsync|sftp-server|internal-sftp)$/.test(program);

/** `git receive-pack x` is what some clients send for `git-receive-pack x`. */
function joinGit(argv: readonly string[]): readonly string[] {
  const [program, service, ...rest] = argv;
  return program === 'git' && service !== undefined ? [`git-${service}`, ...rest] : argv;
}

/** The app of `git-receive-pack '/hello.git'`: one leading and one trailing slash and the `.git` are git's habits. */
function appOf(argv: readonly string[]): string {
  const [service, path, ...rest] = argv;
  if (path === undefined || rest.length > 0) throw new ForgeError('invalid', `${service} takes one path, the app's name`);
  const name = path.replace(/^\//, '').replace(/\/$/, '').replace(/\.git$/, '');
  if (name.includes('/')) {
    throw new ForgeError('invalid', `${JSON.stringify(path)} has folders: a repository's path is the app's name and nothing else`, {
      hint: 'set the remote to ssh://forge@<host>/<app>, or forge@<host>:<app>',
    });
  }
  return parseAppName(name);
}

const greet: HandleSession = async ({ actor, stdout }) => {
  stdout.write(
    `Hello ${actor.name}, forge knows you. There is no shell here:\n` +
      '  deploy       git push ssh://forge@<this host>/<app> main\n' +
      '  all the rest ssh forge@<this host> help\n',
  );
  return 0;
};

const refuseArchive: HandleSession = async () => {
  throw new ForgeError('forbidden', 'git archive --remote is not served', { hint: 'git clone the app and run git archive there' });
};

const refuseCopy: HandleSession = async ({ argv }) => {
  throw new ForgeError('forbidden', `${argv[0]} is not served: there are no files to copy here`, { hint: 'git clone fetches an app’s source' });
};
