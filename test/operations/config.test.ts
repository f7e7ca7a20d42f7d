import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { setConfig } from '../../src/store/app-config.ts';
import { findAudit } from '../../src/store/audit.ts';
import { findRelease } from '../../src/store/releases.ts';
import { openStage, release } from './stage.ts';

const key = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,20}$/);
/** What an argument can hold: everything but NUL; unpaired surrogates have no UTF-8. */
const value = fc
  .oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: fc.constantFrom(...'a"\'\\$`= \n\r\t#{}ü😀-') }), fc.constant('x'.repeat(64 * 1024)))
  .filter((text) => !text.includes('\0') && text.isWellFormed());

test('values set on the command line come back byte for byte', async () => {
  const stage = openStage();
  await stage.ok('apps:create', 'hello');
  await fc.assert(
    fc.asyncProperty(key, value, async (name, text) => {
      await stage.ok('config:set', 'hello', `${name}=${text}`);
      expect(await stage.ok('config:get', 'hello', name)).toBe(`${text}\n`);
      expect((JSON.parse(await stage.ok('config:list', 'hello', '--json')) as Record<string, string>)[name]).toBe(text);
    }),
    { numRuns: 60 },
  );
});

test('what config:list prints as JSON is what config:import takes', async () => {
  const stage = openStage();
  for (const app of ['one', 'two']) await stage.ok('apps:create', app);
  await fc.assert(
    fc.asyncProperty(fc.dictionary(key, value, { minKeys: 1, maxKeys: 5 }), async (config) => {
      await stage.ok('config:set', 'one', ...Object.entries(config).map(([name, text]) => `${name}=${text}`));
      const json = await stage.ok('config:list', 'one', '--json');
      expect((await stage.run(['config:import', 'two'], { stdin: json })).status).toBe(0);
      expect(JSON.parse(await stage.ok('config:list', 'two', '--json'))).toEqual(JSON.parse(json));
    }),
    { numRuns: 15 },
  );
});

describe('config', () => {
  test('restarts a running app on a release that carries it', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    expect(await stage.ok('config:set', 'hello', 'A=1')).toBe('Set A: hello has no release yet: it takes effect with the first deploy\n');
    release(stage.store, 'hello');
    expect(await stage.ok('config:set', 'hello', 'B=two words', '--no-restart')).toContain('takes effect with the next deploy or ps:restart');
    expect(await stage.ok('config:set', 'hello', 'C=3')).toBe('-----> Set C\nSet C: hello runs v2 with it\n');
    expect({ ...findRelease(stage.store, 'hello', 2)?.config }).toEqual({ A: '1', B: 'two words', C: '3' });
    expect(await stage.ok('config:unset', 'hello', 'A', 'GONE')).toContain('Unset A: hello runs v3');
    expect(stage.asked).toEqual(['change hello', 'change hello']);
  });

  test('the same values again change nothing and restart nothing', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    await stage.ok('config:set', 'hello', 'A=1');
    release(stage.store, 'hello');
    expect(await stage.ok('config:set', 'hello', 'A=1')).toBe('Nothing changed on hello\n');
    expect(stage.asked).toEqual([]);
  });

  test('what differs is what differs once its turn has come', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    await stage.ok('config:set', 'hello', 'A=1', 'B=1');
    release(stage.store, 'hello');
    stage.meanwhile = () => setConfig(stage.store, 'hello', { A: '2' });
    expect(await stage.ok('config:set', 'hello', 'A=1', 'B=1')).toBe('-----> Set A, B\nSet A: hello runs v2 with it\n');
    stage.meanwhile = () => setConfig(stage.store, 'hello', { B: '2' });
    expect(await stage.ok('config:set', 'hello', 'B=2')).toBe('Nothing changed on hello\n');
  });

  test('progress does not mix with JSON', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    release(stage.store, 'hello');
    const { stdout, stderr } = await stage.run(['config:set', 'hello', 'A=1', '--json']);
    expect(JSON.parse(stdout)).toEqual({ app: 'hello', changed: ['A'], applied: { release: 2 } });
    expect(stderr).toBe('-----> Set A\n');
  });

  test('a listing shows one line a variable, whatever the value holds', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    expect(await stage.ok('config', 'hello')).toContain('No config yet');
    await stage.ok('config:set', 'hello', 'LONGER=a\nb', 'B=\u001b[31mred');
    expect(await stage.ok('config', 'hello')).toBe('B       \\u001b[31mred\nLONGER  a\\nb\n');
  });

  test('a variable that is not there is not found', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    expect(await stage.run(['config:get', 'hello', 'NOPE'])).toMatchObject({ status: 4, stdout: '' });
  });

  test('the app may stand after -a, before or behind the rest', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    await stage.ok('config:set', '-a', 'hello', 'A=1');
    expect(await stage.ok('config:get', 'A', '--app', 'hello')).toBe('1\n');
    expect(await stage.ok('config:get', '--app=hello', 'A')).toBe('1\n');
  });

  test('a word without a key is refused without being shown, and nothing is stored', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    for (const words of [['A=1', 'canary'], ['=canary'], ['A-B=canary'], ['1A=canary']]) {
      const { status, stderr } = await stage.run(['config:set', 'hello', ...words]);
      expect(status).toBe(2);
      expect(stderr).not.toContain('canary');
    }
    expect(await stage.ok('config:list', 'hello', '--json')).toBe('{}\n');
  });

  test('no value reaches the audit', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    await stage.ok('config:set', 'hello', 'SECRET=canary');
    await stage.run(['config:import', 'hello'], { stdin: 'OTHER=canary' });
    expect(findAudit(stage.store).map(({ action, details }) => [action, details])).toEqual([
      ['config:import', { outcome: 'ok' }], ['config:set', { keys: ['SECRET'], outcome: 'ok' }], ['apps:create', { outcome: 'ok' }],
    ]);
  });

  test('an import needs a file that can be read', async () => {
    const stage = openStage();
    await stage.ok('apps:create', 'hello');
    expect(await stage.run(['config:import', 'hello'])).toMatchObject({ status: 2, stderr: expect.stringContaining('stdin is empty') });
    for (const stdin of ['{"A": ', '{"A": {}}', 'not a variable', 'A="open']) {
      const { status, stderr } = await stage.run(['config:import', 'hello'], { stdin });
      expect(status).toBe(2);
      expect(stderr).not.toContain('open');
    }
  });
});
