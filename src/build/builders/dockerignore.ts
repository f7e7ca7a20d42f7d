/**
 * .dockerignore: patterns are relative to the root of the context, `*` and `?` stay within a folder, `**` crosses
 * folders, a match takes everything below it, `!` takes back, the last match decides.
 * https://docs.docker.com/build/concepts/context/#dockerignore-files
 */

interface Rule {
  readonly isExcluding: boolean;
  readonly pattern: RegExp;
}

/** Whether a path (relative, no trailing slash) is left out; `undefined` when the text ignores nothing. */
export function parseDockerignore(text: string): ((path: string) => boolean) | undefined {
  const rules = text.replace(/^\ufeff/, '').split('\n').map(readRule).filter((rule) => rule !== undefined);
  if (!rules.some((rule) => rule.isExcluding)) return undefined;
  return (path) => rules.findLast((rule) => rule.pattern.test(path))?.isExcluding ?? false;
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
  return { isExcluding, pattern: new RegExp(`^${toExpression(parts.join('/'))}(?:/.*)?$`, 's') };
}

/** Go's filepath.Match with Docker's `**`. A class that is not closed stands for itself. */
function toExpression(pattern: string): string {
  return pattern.replaceAll(/\*\*\/?|\*|\?|\[\^?(?:\\.|[^\]\\])+\]|\\.|[^]/g, (token) => {
    if (token.startsWith('**')) return token.endsWith('/') ? '(?:.*/)?' : '.*';
    if (token === '*') return '[^/]*';
    if (token === '?') return '[^/]';
    if (token.length > 2 && token.startsWith('[')) return token.replaceAll(/(?<!^\[)\[/g, '\\[');
    return token.replace(/^\\(?=.)/s, '').replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
  });
}
