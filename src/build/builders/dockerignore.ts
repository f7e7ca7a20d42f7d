/**
 * .dockerignore: patterns are relative to the root of the context, `*` and `?` stay within a folder, `**` crosses
 * folders, a match takes everything below it, `!` takes back, the last match decides.
 * https://docs.docker.com/build/concepts/context/#dockerignore-files
 * No regular expressions: the patterns are a stranger's, and those can take forever.
 */
import { ForgeError } from '../../errors.ts';

const maxRules = 1000;

/** One character of a name: itself, any (`?`), any number of any (`*`), or one of a class. */
type Token = string | { readonly kind: 'any' | 'many' } | { readonly kind: 'class'; readonly isNegated: boolean; readonly ranges: readonly (readonly [string, string])[] };
type Segment = readonly Token[] | '**';

interface Rule {
  readonly isExcluding: boolean;
  readonly segments: readonly Segment[];
}

/** Whether a path (relative, no trailing slash) is left out; `undefined` when the text ignores nothing. Throws `invalid` for more than 1000 patterns. */
export function parseDockerignore(text: string): ((path: string) => boolean) | undefined {
  const rules = text.replace(/^\ufeff/, '').split('\n').map(readRule).filter((rule) => rule !== undefined);
  if (rules.length > maxRules) throw new ForgeError('invalid', `.dockerignore has more than ${maxRules} patterns`);
  if (!rules.some((rule) => rule.isExcluding)) return undefined;
  return (path) => {
    const names = path.split('/');
    return rules.findLast((rule) => matches(rule.segments, names))?.isExcluding ?? false;
  };
}

function readRule(raw: string): Rule | undefined {
  const line = raw.trim();
  if (line === '' || raw.startsWith('#')) return undefined;
  const isExcluding = !line.startsWith('!');
  const parts: string[] = [];
  for (const part of (isExcluding ? line : line.slice(1)).trim().split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  if (parts.length === 0) return undefined;
  return { isExcluding, segments: parts.map((part) => (part === '**' ? part : tokensOf(part))) };
}

/** Whether the pattern matches the path or a folder above it. `reach` holds how many segments can be used up by the names so far. */
function matches(segments: readonly Segment[], names: readonly string[]): boolean {
  let reach = openFolders(segments, new Set([0]));
  for (const name of names) {
    const next = new Set<number>();
    for (const index of reach) {
      const segment = segments[index];
      if (segment === undefined) continue;
      if (segment === '**') {
        next.add(index);
        if (index === segments.length - 1) return true;
      } else if (matchesName(segment, name)) next.add(index + 1);
    }
    reach = openFolders(segments, next);
    if (reach.has(segments.length)) return true;
  }
  return false;
}

/** `**` may stand for no folder at all, except at the end: `a/**` is what is in a, not a itself. */
function openFolders(segments: readonly Segment[], reach: Set<number>): Set<number> {
  for (const index of reach) if (segments[index] === '**' && index < segments.length - 1) reach.add(index + 1);
  return reach;
}

/** The usual greedy match that goes back only to the last `*`. */
function matchesName(tokens: readonly Token[], name: string): boolean {
  const characters = [...name];
  let [at, token, starAt, starToken] = [0, 0, 0, -1];
  while (at < characters.length) {
    const current = tokens[token];
    if (isMany(current)) {
      [starAt, starToken] = [at, token];
      token += 1;
    } else if (current !== undefined && takes(current, characters[at] ?? '')) {
      at += 1;
      token += 1;
    } else if (starToken >= 0) {
      starAt += 1;
      [at, token] = [starAt, starToken + 1];
    } else return false;
  }
  return tokens.slice(token).every(isMany);
}

const isMany = (token: Token | undefined): boolean => typeof token === 'object' && token.kind === 'many';

function takes(token: Token, character: string): boolean {
  if (typeof token === 'string') return token === character;
  if (token.kind !== 'class') return true;
  return token.ranges.some(([from, to]) => from <= character && character <= to) !== token.isNegated;
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const characters = [...text];
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? '';
    const end = character === '[' ? characters.indexOf(']', at + 2) : -1;
    if (character === '*') tokens.push({ kind: 'many' });
    else if (character === '?') tokens.push({ kind: 'any' });
    else if (end > 0) {
      tokens.push(classOf(characters.slice(at + 1, end)));
      at = end;
    } else if (character === '\\' && at + 1 < characters.length) {
      at += 1;
      tokens.push(characters[at] ?? '');
    } else tokens.push(character);
  }
  return tokens;
}

function classOf(content: readonly string[]): Token {
  const isNegated = content[0] === '^';
  const listed = content.slice(isNegated ? 1 : 0);
  const ranges: [string, string][] = [];
  for (let at = 0; at < listed.length; at += 1) {
    const from = listed[at] ?? '';
    const isRange = listed[at + 1] === '-' && at + 2 < listed.length;
    ranges.push([from, isRange ? (listed[at + 2] ?? '') : from]);
    if (isRange) at += 2;
  }
  return { kind: 'class', isNegated, ranges };
}
