import { describe, expect, test } from 'vitest';
import { parseDockerignore } from '../../../src/build/builders/dockerignore.ts';

describe('.dockerignore', () => {
  test.each([
    ['node_modules', ['node_modules', 'node_modules/a/b'], ['src/node_modules', 'node_modules2']],
    ['/build/', ['build', 'build/x'], ['src/build']],
    ['*.md', ['README.md'], ['docs/README.md']],
    ['**/*.md', ['README.md', 'docs/a/README.md'], ['README.mdx']],
    ['docs/**', ['docs/a', 'docs/a/b'], ['docs2/a']],
    ['*\n!src\n!package.json', ['a', 'b/c'], ['src', 'src/x/y', 'package.json']],
    ['*.md\n!README.md', ['NOTES.md'], ['README.md']],
    ['a?c', ['abc'], ['a/c', 'abbc']],
    ['[a-c]x', ['ax', 'cx/y'], ['dx', '^x']],
    ['[^a]x', ['bx'], ['ax']],
    ['a/../b', ['b'], ['a']],
    ['file.(1)+', ['file.(1)+'], ['filex(1)+']],
    ['# comment\r\n\r\nx\r\n', ['x'], ['# comment']],
  ])('%j leaves out %j and keeps %j', (text, ignored, kept) => {
    const isIgnored = parseDockerignore(text);
    for (const path of ignored) expect(isIgnored?.(path), path).toBe(true);
    for (const path of kept) expect(isIgnored?.(path), path).toBe(false);
  });

  test('that ignores nothing needs no filter', () => {
    expect(parseDockerignore('# nothing\n\n!x\n.\n')).toBeUndefined();
  });
});
