import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { wantedBy } from '../../../src/build/builders/cnb.ts';
import { buildVariables, orderFor, platformEntries, proxyVariables, readBundle } from '../../../src/build/cnb/platform-files.ts';
import { readProcessTypes } from '../../../src/build/cnb/process-types.ts';

const folder = mkdtempSync(join(tmpdir(), 'forge-platform-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const pem = (name: string): string => `-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----\n`;

describe('what a build sees of the platform', () => {
  it('is the commit, project.toml and the config, the later winning', () => {
    const variables = buildVariables({ origin: { kind: 'git', branch: 'main', commit: 'abc' }, projectEnv: { A: '1', B: '1' }, config: { B: '2' }, hasBundle: false });
    expect(variables).toEqual({ SOURCE_VERSION: 'abc', A: '1', B: '2' });
    expect(platformEntries({ variables: { B: 'x\n' }, bundle: undefined, order: undefined, uid: 3, gid: 4 })).toContainEqual({ path: 'platform/env/B', content: 'x\n', mode: 0o400, uid: 3, gid: 4 });
  });

  it('has the system’s authorities and the further ones in one file that every tool is told of', () => {
    const system = file('system.pem', pem('system'));
    expect(readBundle('', system)).toBeUndefined();
    expect(readBundle(file('extra.pem', pem('extra')), system)).toBe(pem('system') + pem('extra'));
    expect(readBundle(system, system)).toBe(pem('system'));
    expect(() => readBundle(file('bad.pem', 'nothing'), system)).toThrow('holds no PEM certificate');
    expect(() => readBundle(join(folder, 'gone'), system)).toThrow('cannot be read');
    const variables = buildVariables({ origin: { kind: 'folder' }, projectEnv: {}, config: {}, hasBundle: true });
    for (const name of ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS', 'npm_config_cafile', 'PIP_CERT', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO']) expect(variables[name]).toBe('/etc/forge-build/ca-certificates.pem');
  });

  it('has proxies in both spellings', () => {
    expect(proxyVariables({ buildHttpProxy: 'http://p', buildHttpsProxy: '', buildNoProxy: 'x' })).toEqual(['http_proxy=http://p', 'HTTP_PROXY=http://p', 'no_proxy=x', 'NO_PROXY=x']);
  });

  it('has the order of buildpacks that project.toml asks for, from those of the builder', () => {
    const available = [{ id: 'a/b', version: '1' }, { id: 'c/d', version: '2' }];
    const wanted = (id?: string, version?: string, uri?: string) => ({ id, version, uri });
    expect(orderFor([], available)).toBeUndefined();
    expect(orderFor([wanted('c/d')], available)).toBe('[[order]]\n[[order.group]]\nid = "c/d"\nversion = "2"\n');
    expect(() => orderFor([wanted('a/b', '9')], available)).toThrow('the builder has no buildpack a/b@9');
    expect(() => orderFor([wanted(undefined, undefined, 'docker://x')], available)).toThrow('is not part of the builder');
  });

  it('leaves out what project.toml excludes, or all but what it includes', () => {
    const excluding = wantedBy({ include: [], exclude: ['*.log', '/secret'] });
    expect(['a.js', 'a.log', 'deep/a.log', 'secret/key'].filter(excluding)).toEqual(['a.js']);
    const including = wantedBy({ include: ['/src'], exclude: [] });
    expect(['src/a.js', 'README.md', 'src/'].filter(including)).toEqual(['src/a.js', 'src/']);
  });
});

describe('process types of an image', () => {
  const label = (...processes: [type: string, buildpackID: string][]): string => JSON.stringify({ processes: processes.map(([type, buildpackID]) => ({ type, buildpackID })) });
  const own = (type: string) => ({ entrypoint: [`/cnb/process/${type}`], command: [] });
  const line = (command: string) => ({ entrypoint: ['/cnb/lifecycle/launcher'], command: [command] });

  it('are what buildpacks set, with the Procfile’s on top, all through the launcher', () => {
    expect(readProcessTypes(label(['web', 'acme/node'], ['console', 'acme/node']), new Map([['web', 'node a.js'], ['worker', 'node "b c.js"']]))).toEqual({
      web: line('node a.js'),
      console: own('console'),
      worker: line('node "b c.js"'),
    });
  });

  it('start by their own entry point when a buildpack took them from the Procfile', () => {
    for (const id of ['forge/procfile', 'heroku/procfile', 'paketo-buildpacks/procfile']) expect(readProcessTypes(label(['web', id]), new Map([['web', 'x']]))).toEqual({ web: own('web') });
  });
});
