import { describe, expect, test } from 'vitest';
import { commandWords, imageProcessTypes, taskCommand } from '../../src/build/process-command.ts';

describe('a command line', () => {
  test.each([
    ['node server.js', ['node', 'server.js']],
    ['/server  --port=8080', ['/server', '--port=8080']],
    [`node -e 'console.log("a b")' "x y"z`, ['node', '-e', 'console.log("a b")', 'x yz']],
  ])('%s runs without a shell', (line, words) => {
    expect(commandWords(line)).toEqual(words);
  });

  test.each([
    ['node server.js --port $PORT', 'exec node server.js --port $PORT'],
    ['gunicorn -b 0.0.0.0:${PORT:-5000} app:app 2>&1', 'exec gunicorn -b 0.0.0.0:${PORT:-5000} app:app 2>&1'],
    ['echo "a; $b"', 'exec echo "a; $b"'],
    ['ls *.js', 'exec ls *.js'],
  ])('%s runs in a shell that it replaces, so that signals reach it', (line, script) => {
    expect(commandWords(line)).toEqual(['/bin/sh', '-c', script]);
  });

  test.each(['a && b', 'a; b', 'a | b', '(cd x; y)', 'NODE_ENV=x node a.js', 'cd app && ./run', 'exec node a.js', 'if true; then a; fi', 'a $(b)', 'cd'])(
    '%s runs in a shell as it stands',
    (line) => {
      expect(commandWords(line)).toEqual(['/bin/sh', '-c', line]);
    },
  );
});

test('a line made to be slow is read as fast as any other', () => {
  const began = performance.now();
  for (const line of [`a${' '.repeat(4000)}'`, `${'a '.repeat(2000)}'`, `$${'{a'.repeat(2000)}`]) commandWords(line);
  expect(performance.now() - began).toBeLessThan(500);
});

describe('process types', () => {
  const procfile = new Map([['web', 'node a.js'], ['worker', 'node b.js $X']]);

  test('of an image without a Procfile are what it runs by itself', () => {
    expect(imageProcessTypes(new Map(), ['/entry'])).toEqual({ web: { entrypoint: undefined, command: undefined } });
  });

  test('of an image keep its entrypoint, except one in shell form, which would ignore them', () => {
    expect(imageProcessTypes(procfile, ['/tini', '--'])).toEqual({
      web: { entrypoint: undefined, command: ['node', 'a.js'] },
      worker: { entrypoint: undefined, command: ['/bin/sh', '-c', 'exec node b.js $X'] },
    });
    expect(imageProcessTypes(procfile, ['/bin/sh', '-c', 'node other.js'])['web']).toEqual({ entrypoint: ['node'], command: ['a.js'] });
  });
});

describe('a task', () => {
  const image = { launcher: undefined, builder: 'dockerfile' } as const;

  test('is what an entrypoint gets as its arguments', () => {
    expect(taskCommand('migrate "two words"', image, ['/entry'])).toEqual({ entrypoint: undefined, command: ['migrate', 'two words'] });
    expect(taskCommand('a && b', image, [])).toEqual({ entrypoint: undefined, command: ['/bin/sh', '-c', 'a && b'] });
  });

  test('replaces an entrypoint that takes no arguments', () => {
    expect(taskCommand('migrate all', image, ['/bin/sh', '-c', 'node other.js'])).toEqual({ entrypoint: ['migrate'], command: ['all'] });
    expect(taskCommand('migrate all', { ...image, builder: 'static' }, ['/server'])).toEqual({ entrypoint: ['migrate'], command: ['all'] });
  });

  test('of a buildpack image goes through its launcher as one line', () => {
    expect(taskCommand('npm run "x y" && z', { launcher: '/cnb/lifecycle/launcher', builder: 'cnb' }, ['/cnb/process/web'])).toEqual({ entrypoint: ['/cnb/lifecycle/launcher'], command: ['npm run "x y" && z'] });
  });
});
