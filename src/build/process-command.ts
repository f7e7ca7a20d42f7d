/** How a line of a Procfile becomes what a container runs. Pure. */
import type { Image, ProcessCommand, ProcessTypes } from '../domain.ts';

/** Words that only a shell knows; a line that begins with one needs it. */
const shellWords = new Set([
  '.', ':', '!', '[[', 'alias', 'case', 'cd', 'command', 'eval', 'exec', 'exit', 'export', 'for', 'if', 'set', 'source', 'test', 'trap', 'ulimit', 'umask',
  'unset', 'until', 'wait', 'while',
]);

/**
 * A line as argv. Plain and quoted words run as they are, so that images without a shell work; anything a shell must
 * expand runs through `/bin/sh -c`, replaced by the command where the line is a single one, so that signals reach it.
 */
export function commandWords(line: string): readonly string[] {
  return shellFreeWords(line) ?? ['/bin/sh', '-c', isSingleCommand(line) ? `exec ${line}` : line];
}

/** The line's words, if a program can be started with them; `undefined` when it takes a shell to read the line. */
export function shellFreeWords(line: string): readonly string[] | undefined {
  const words = plainWords(line);
  return words?.[0] !== undefined && !shellWords.has(words[0]) && !words[0].includes('=') ? words : undefined;
}

/**
 * Process types of an image made without buildpacks. The command replaces the image's CMD and keeps its ENTRYPOINT, as
 * `docker run` does, except an ENTRYPOINT in shell form, which would ignore the command. Without a Procfile `web` is
 * what the image runs by itself.
 */
export function imageProcessTypes(procfile: ReadonlyMap<string, string>, entrypoint: readonly string[]): ProcessTypes {
  if (procfile.size === 0) return { web: { entrypoint: undefined, command: undefined } };
  return mapLines(procfile, (line) => lineCommand(line, isShellForm(entrypoint)));
}

/**
 * How a line runs as a task of a deploy: as a line of the Procfile would, so an ENTRYPOINT gets its words as arguments.
 * Buildpack images run it through their launcher, which gives a single argument to bash; the ENTRYPOINT of static images
 * is forge's own and takes no commands.
 */
export function taskCommand(line: string, { launcher, builder }: Pick<Image, 'launcher' | 'builder'>, entrypoint: readonly string[]): ProcessCommand {
  return launcher === undefined ? lineCommand(line, builder === 'static' || isShellForm(entrypoint)) : { entrypoint: [launcher], command: [line] };
}

/** Such an entrypoint ignores what comes after it. */
const isShellForm = (entrypoint: readonly string[]): boolean => entrypoint.length === 3 && /(^|\/)(sh|bash|ash|dash)$/.test(entrypoint[0] ?? '') && entrypoint[1] === '-c';

function lineCommand(line: string, replacesEntrypoint: boolean): ProcessCommand {
  const [file = '', ...args] = commandWords(line);
  return replacesEntrypoint ? { entrypoint: [file], command: args } : { entrypoint: undefined, command: [file, ...args] };
}

const mapLines = (procfile: ReadonlyMap<string, string>, toCommand: (line: string) => ProcessCommand): ProcessTypes =>
  Object.fromEntries([...procfile].map(([type, line]) => [type, toCommand(line)]));

/** The words, if no shell is needed to find them: bare words and quotes without expansions. One pass: the line is a stranger's. */
function plainWords(line: string): string[] | undefined {
  const parts = /(\s+)|'([^']*)'|"([^"$`\\!]*)"|([\w./:,=@%+-]+)/y;
  const text = line.trim();
  const words: string[] = [];
  let word: string | undefined;
  while (parts.lastIndex < text.length) {
    const part = parts.exec(text);
    if (part === null) return undefined;
    const [, blank, single, double, bare] = part;
    if (blank === undefined) word = (word ?? '') + (single ?? double ?? bare);
    else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  return word === undefined ? words : [...words, word];
}

/** Whether `exec` may stand before the line: one simple command, no assignment before it, no list, pipe, group or keyword. */
function isSingleCommand(line: string): boolean {
  const unquoted = line.trim().replaceAll(/'[^']*'|"(?:[^"\\]|\\.)*"|\\./g, 'q');
  if (/[;&|(){}\n`]/.test(unquoted.replaceAll(/\$\{\w[^}]*\}|&>|[0-9]*>&[0-9-]|\$\(/g, (match) => (match === '$(' ? '(' : 'v')))) return false;
  const [first = ''] = unquoted.split(/\s+/);
  return !shellWords.has(first) && !/^\w+=/.test(first);
}
