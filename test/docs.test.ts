/** The docs say what the program does: tables are printed from it, and every place that they name exists. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { operationsReference } from '../src/cli/operations-reference.ts';
import { configDocs } from '../src/config.ts';
import { errorTable } from '../src/errors.ts';

const root = resolve(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const pages = ['README.md', 'CHANGELOG.md', 'examples/README.md', ...markdownIn('docs')];

describe('what is printed from the program', () => {
  it('is the table of settings', () => {
    expect(between(read('docs/configuration.md'), '<!-- settings -->', '<!-- end of settings -->'), 'run: npm run docs').toBe(configDocs().trim());
  });

  it('is the reference of operations', () => {
    expect(read('docs/operations-reference.md'), 'run: npm run docs').toBe(operationsReference());
  });
});

test('every error code has its row, with its exit and HTTP status', () => {
  const rows = [...read('docs/operations.md').matchAll(/^\| `([a-z-]+)` \| (\d+) \| (\d+) \| \S.*\|$/gm)].map(([, code, exit, http]) => [code, { exit: Number(exit), http: Number(http) }]);
  expect(Object.fromEntries(rows)).toEqual(errorTable);
});

test('the table of imports is the one that the architecture test holds', () => {
  const held = [...read('test/architecture.test.ts').matchAll(/^ {2}(\w+): \[(.*)\],$/gm)].map(([, folder = '', names = '']) => [folder, names.replaceAll("'", '')]);
  const shown = [...read('docs/architecture.md').matchAll(/^\| (\w+) \| ([\w, –]+) \| .+ \|$/gm)].map(([, folder = '', names = '']) => [folder, names.replace('–', '')]);
  expect(Object.fromEntries(shown)).toMatchObject(Object.fromEntries(held));
  expect(held.length).toBeGreaterThan(10);
});

describe.each(pages)('%s', (page) => {
  const text = withoutCode(read(page));

  it('links to what exists', () => {
    const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? '').filter((target) => !/^https?:/.test(target));
    expect(targets.filter((target) => !leadsSomewhere(page, target))).toEqual([]);
  });

  it('names files that exist', () => {
    const named = [...text.matchAll(/`((?:src|test|bin|hooks|docs|buildpacks|builder|examples|bench)\/[\w./-]*)`/g)].map((match) => match[1] ?? '');
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});

test('decisions have a number each, a title, three parts, and a row in the index', () => {
  const files = readdirSync(join(root, 'docs/decisions')).filter((name) => name !== 'README.md');
  expect(files.filter((name) => !/^\d{4}-[a-z0-9-]+\.md$/.test(name))).toEqual([]);
  expect(new Set(files.map((name) => name.slice(0, 4))).size).toBe(files.length);
  const rows = [...read('docs/decisions/README.md').matchAll(/^\| \[(\d+)\]\((\d{4}-[a-z0-9-]+\.md)\) \| (.+) \|$/gm)];
  expect(rows.map(([, , name]) => name).sort()).toEqual(files.sort());
  for (const [, number, name = '', title] of rows) {
    const headings = [...read(`docs/decisions/${name}`).matchAll(/^#+ .+$/gm)].map(([heading]) => heading);
    expect(Number(name.slice(0, 4))).toBe(Number(number));
    expect(headings, name).toEqual([`# ${title}`, '## Context', '## Decision', expect.stringMatching(/^## What it costs/)]);
  }
});

test('the README stays short', () => {
  expect(read('README.md').split('\n').length).toBeLessThanOrEqual(121);
});

function markdownIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.md')).map((name) => join(folder, name));
}

function between(text: string, start: string, end: string): string {
  return text.slice(text.indexOf(start) + start.length, text.indexOf(end)).trim();
}

function withoutCode(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '');
}

function leadsSomewhere(page: string, target: string): boolean {
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? join(root, page) : resolve(root, dirname(page), path);
  if (!existsSync(file) || relative(root, file).startsWith('..')) return false;
  return anchor === undefined || anchorsOf(readFileSync(file, 'utf8')).has(anchor);
}

/** As GitHub makes them of headings. */
function anchorsOf(text: string): Set<string> {
  const headings = [...withoutCode(text).matchAll(/^#+ (.+)$/gm)].map((match) => match[1] ?? '');
  return new Set(headings.map((heading) => heading.toLowerCase().replaceAll(/[^\w\- ]/g, '').replaceAll(' ', '-')));
}
