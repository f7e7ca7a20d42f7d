import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const source = join(root, 'src');

/** Folder → folders it may import besides the leaves (files directly in src/) and itself. docs/architecture.md explains the table. */
const mayImport: Record<string, readonly string[]> = {
  docker: [],
  store: [],
  git: [],
  hook: ['control'],
  relay: ['control'],
  proxy: [],
  build: ['docker', 'cron'],
  runtime: ['docker'],
  deploy: ['git', 'build', 'runtime', 'proxy', 'store', 'control'],
  apps: ['deploy', 'git', 'build', 'runtime', 'store', 'cron'],
  backup: ['docker', 'runtime', 'store', 'git', 'cron'],
  operations: ['apps', 'backup', 'cron', 'deploy', 'jobs', 'retention', 'runtime', 'store', 'git'],
  ssh: ['operations', 'git', 'control', 'store'],
  api: ['operations', 'git', 'control'],
  cli: ['backup', 'operations', 'control', 'build', 'runtime', 'proxy', 'docker', 'ssh'],
  control: [],
  cron: [],
  jobs: ['deploy', 'runtime', 'store', 'cron'],
  retention: ['docker', 'store', 'deploy'],
  // With main.ts, the only place that knows every folder.
  wire: ['apps', 'backup', 'docker', 'store', 'git', 'control', 'proxy', 'build', 'runtime', 'deploy', 'operations', 'ssh', 'api', 'jobs', 'retention'],
};

/** Each third-party library has one door. */
const doors: Record<string, RegExp> = {
  dockerode: /^docker\//,
  ssh2: /^ssh\//,
  'better-sqlite3': /^(store\/database|file-lock)\.ts$/,
  undici: /^proxy\//,
  execa: /^run-process\.ts$/,
  pino: /^log\.ts$/,
  croner: /^cron\/schedule\.ts$/,
};

interface SourceFile {
  /** Path below src/, with slashes. */
  readonly path: string;
  readonly text: string;
  readonly lines: number;
  readonly imports: readonly string[];
}

const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path): SourceFile => {
    const text = readFileSync(join(source, path), 'utf8');
    const imports = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] as string);
    return { path, text, lines: text.split('\n').length - 1, imports };
  });

const folderOf = (path: string): string => (path.includes('/') ? (path.split('/')[0] as string) : '');
const targetOf = (file: SourceFile, specifier: string): string => relative(source, resolve(source, dirname(file.path), specifier));

describe('the architecture', () => {
  it('lets each folder import only what its row in the table names', () => {
    const wrong = files.flatMap((file) => {
      const from = folderOf(file.path);
      if (from === '') return [];
      return file.imports
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => targetOf(file, specifier))
        .filter((target) => folderOf(target) !== '' && folderOf(target) !== from && !mayImport[from]?.includes(folderOf(target)))
        .map((target) => `${file.path} → ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  it('keeps the leaves free of everything else', () => {
    const wrong = files
      .filter(({ path }) => folderOf(path) === '' && path !== 'main.ts')
      .flatMap((file) => file.imports.filter((specifier) => specifier.startsWith('./') && specifier.includes('/', 2)).map((specifier) => `${file.path} → ${specifier}`));
    expect(wrong).toEqual([]);
  });

  it('has no import cycles', () => {
    expect(findCycle()).toBeUndefined();
  });

  it('imports each third-party library through its one door', () => {
    const wrong = files.flatMap((file) => file.imports.filter((name) => doors[name] && !doors[name].test(file.path)).map((name) => `${file.path} → ${name}`));
    expect(wrong).toEqual([]);
  });

  it('keeps every file within 300 lines', () => {
    expect(files.filter(({ lines }) => lines > 300).map(({ path, lines }) => `${path}: ${lines}`)).toEqual([]);
  });

  it('keeps every function within 60 lines, and 95 of 100 within 30', () => {
    const lengths = files.flatMap(functionLengths);
    expect(lengths.filter(({ lines }) => lines > 60)).toEqual([]);
    const sorted = lengths.map(({ lines }) => lines).sort((a, b) => a - b);
    expect(sorted[Math.floor(sorted.length * 0.95)]).toBeLessThanOrEqual(35);
  });

  it('names files in kebab case, after what they hold, never utils or helpers', () => {
    const wrong = files.map(({ path }) => path).filter((path) => !/^([a-z0-9-]+\/)*[a-z0-9-]+\.ts$/.test(path) || /(^|\/)(utils?|helpers?|common|manager|service|index)\.ts$/.test(path));
    expect(wrong).toEqual([]);
  });

  it('leaves nothing unfinished by its own words', () => {
    expect(files.filter(({ text }) => /\b(TODO|FIXME|XXX|HACK)\b/.test(text)).map(({ path }) => path)).toEqual([]);
  });

  it('lets what starts at every push and login import only builtins of Node', () => {
    const seen = new Set<string>();
    const visit = (path: string): string[] => {
      if (seen.has(path)) return [];
      seen.add(path);
      const file = files.find((one) => one.path === path);
      return (file?.imports ?? []).flatMap((name) => (name.startsWith('.') ? visit(targetOf(file as SourceFile, name)) : name.startsWith('node:') ? [] : [`${path} → ${name}`]));
    };
    expect(files.filter(({ path }) => /^(hook|relay)\//.test(path)).flatMap(({ path }) => visit(path))).toEqual([]);
  });
});

function functionLengths(file: SourceFile): { name: string; lines: number }[] {
  const tree = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true);
  const found: { name: string; lines: number }[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body) {
      const [start, end] = [node.getStart(), node.getEnd()].map((position) => tree.getLineAndCharacterOfPosition(position).line) as [number, number];
      found.push({ name: `${file.path}:${start + 1}`, lines: end - start + 1 });
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

function findCycle(): string[] | undefined {
  const graph = new Map(files.map((file) => [file.path, file.imports.filter((name) => name.startsWith('.')).map((name) => targetOf(file, name))]));
  const done = new Set<string>();
  const walk = (path: string, trail: string[]): string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return undefined;
    for (const next of graph.get(path) ?? []) {
      const cycle = walk(next, [...trail, path]);
      if (cycle) return cycle;
    }
    done.add(path);
    return undefined;
  };
  for (const { path } of files) {
    const cycle = walk(path, []);
    if (cycle) return cycle;
  }
  return undefined;
}
