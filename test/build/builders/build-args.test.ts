import { expect, test } from 'vitest';
import { buildArgsOf, declaredArgs } from '../../../src/build/builders/build-args.ts';
import type { BuildRequest } from '../../../src/build/build-request.ts';

const none = { buildExtraCa: '', buildHttpProxy: '', buildHttpsProxy: '', buildNoProxy: '' };
const request = (dockerfile: string, buildArgs: string[]): BuildRequest =>
  ({
    source: { files: new Map([['Dockerfile', dockerfile]]) },
    settings: { buildArgs },
    config: { API_URL: 'https://x', SECRET: 's' },
    origin: { kind: 'git', branch: 'main', commit: 'c0ffee' },
  }) as unknown as BuildRequest;

test('A build sees only the config that the app names, and the commit where its Dockerfile declares it', () => {
  expect(buildArgsOf(request('FROM x\nARG SOURCE_VERSION', ['API_URL', 'GONE']), none)).toEqual({ API_URL: 'https://x', SOURCE_VERSION: 'c0ffee' });
  expect(buildArgsOf(request('FROM x\nARG SECRET', []), none)).toEqual({});
});

test('No config becomes an instruction to BuildKit', () => {
  const base = request('FROM x', ['BUILDKIT_SYNTAX']);
  expect(buildArgsOf({ ...base, config: { BUILDKIT_SYNTAX: 'evil/frontend' } }, none)).toEqual({});
});

test('Proxies are passed in both spellings, which every Dockerfile knows', () => {
  expect(buildArgsOf(request('FROM x', []), { ...none, buildHttpProxy: 'http://p:1' })).toEqual({ http_proxy: 'http://p:1', HTTP_PROXY: 'http://p:1' });
});

test('Declared args are found with defaults, in lists, in any case and over continued lines', () => {
  expect([...declaredArgs('arg A=1\nFROM x\n  ARG B C="x y"\nARG \\\n  D\n# ARG E\nRUN echo ARG F')]).toEqual(expect.arrayContaining(['A', 'B', 'C', 'D']));
  expect(declaredArgs('# ARG E\nRUN echo ARG F').size).toBe(0);
});
