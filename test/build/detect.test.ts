import { describe, expect, test } from 'vitest';
import { defaultSettings, type AppSettings, type BuilderName, type Source } from '../../src/domain.ts';
import { detect } from '../../src/build/detect.ts';

const settings = (builder?: BuilderName): AppSettings => ({ ...defaultSettings, builder });
const sourceOf = (files: Record<string, string>): Source => ({
  tarPath: '/none',
  sizeBytes: 0,
  paths: new Set(Object.keys(files)),
  files: new Map(Object.entries(files)),
});
const planOf = (files: Record<string, string>, builder?: BuilderName) => {
  const { builder: name, reason } = detect(sourceOf(files), settings(builder));
  return `${name}: ${reason}`;
};

describe('the builder', () => {
  test.each<[string, Record<string, string>]>([
    ['cnb: found project.toml', { 'project.toml': '', Dockerfile: '' }],
    ['dockerfile: project.toml chooses dockerfile', { 'project.toml': '[forge]\nbuilder = "dockerfile"', Dockerfile: '', 'package.json': '{}' }],
    ['dockerfile: found Dockerfile', { Dockerfile: '', 'package.json': '{}', 'index.html': '' }],
    ['static: found index.html', { 'index.html': '' }],
    ['static: found static.json', { 'static.json': '{}', 'public/index.html': '' }],
    ['static: found public/index.html', { 'public/index.html': '' }],
    ['cnb: found package.json', { 'package.json': '{}', 'index.html': '' }],
    ['cnb: found Procfile', { Procfile: 'web: ./run', 'index.html': '' }],
    ['cnb: found Cargo.toml', { 'Cargo.toml': '' }],
  ])('is %s', (expected, files) => {
    expect(planOf(files)).toBe(expected);
  });

  test('that was set wins over what is found', () => {
    expect(planOf({ 'package.json': '{}', Dockerfile: '' }, 'cnb')).toBe('cnb: builder set to cnb');
    expect(planOf({ 'package.json': '{}', 'index.html': '' }, 'static')).toBe('static: builder set to static');
  });

  test('that was set and cannot work fails with the reason', () => {
    expect(() => planOf({ 'package.json': '{}' }, 'dockerfile')).toThrow('builder set to dockerfile, but there is no Dockerfile');
    expect(() => planOf({ 'package.json': '{}' }, 'static')).toThrow('builder set to static, but there is none of index.html, static.json, public/index.html');
    expect(() => planOf({ Notes: '' }, 'image')).toThrow('set to run a prebuilt image');
  });

  test('that nothing matches is an error with what was looked for and what is there', () => {
    expect(() => planOf({ 'README.md': '', 'app/package.json': '{}' })).toThrow(
      expect.objectContaining({
        code: 'invalid',
        message: 'forge found nothing that it knows how to build',
        details: expect.arrayContaining(['  dockerfile: Dockerfile', 'found instead: README.md']) as string[],
      }) as Error,
    );
    expect(() => planOf({})).toThrow(expect.objectContaining({ details: expect.arrayContaining(['the source has no files at all']) as string[] }) as Error);
  });
});

test('The plan carries the process types of the Procfile without release', () => {
  const plan = detect(sourceOf({ Dockerfile: '', Procfile: 'web: a\nrelease: b\nworker: c' }), settings());
  expect([...plan.procfile]).toEqual([['web', 'a'], ['worker', 'c']]);
});

test('Broken app files are found before anything is built', () => {
  expect(() => planOf({ Dockerfile: '', Procfile: 'web' })).toThrow('Procfile, line 1');
  expect(() => planOf({ Dockerfile: '', 'app.json': '{"formation":{"web":{"quantity":"two"}}}' })).toThrow('app.json: formation.web.quantity: expected number, found "two"');
  expect(() => planOf({ 'project.toml': 'x = [' })).toThrow('project.toml is not valid TOML');
  const linked = { ...sourceOf({ Dockerfile: '' }), paths: new Set(['Dockerfile', 'Procfile']) };
  expect(() => detect(linked, settings())).toThrow('Procfile is a link or larger than 1 MiB');
});

test('The plan carries what app.json and the release line ask for, and says what is left out', () => {
  const appJson = JSON.stringify({ env: { A: '1' }, formation: { worker: { quantity: 2, port: 3000 } }, scripts: { postdeploy: 'seed' } });
  const { appFile, warnings } = detect(sourceOf({ Dockerfile: '', Procfile: 'web: a\nrelease: b', 'app.json': appJson }), settings());
  expect(appFile.tasks).toMatchObject({ release: 'b', firstPostdeploy: 'seed' });
  expect(appFile.env['A']).toMatchObject({ value: '1' });
  expect(warnings).toEqual(['app.json: formation.worker.port is left out: only web is given requests']);
});
