import { describe, expect, it } from 'vitest';
import { bootstrapArgs, bootstrapMode, hashEntries } from '../../src/build/base-image.ts';
import { configChanges, splitReference } from '../../src/docker/local-image.ts';

describe('making base images', () => {
  it('needs root, or fakechroot and fakeroot, and says what to install', () => {
    const has = (...paths: string[]) => (path: string) => paths.includes(path);
    expect(bootstrapMode(0, has('/usr/bin/mmdebstrap'))).toBe('root');
    expect(bootstrapMode(1000, has('/usr/bin/mmdebstrap', '/usr/bin/fakechroot', '/usr/bin/fakeroot'))).toBe('fakechroot');
    expect(() => bootstrapMode(1000, has('/usr/bin/mmdebstrap'))).toThrow(expect.objectContaining({ code: 'unavailable', hint: 'as root: apt-get install fakechroot fakeroot' }));
    expect(() => bootstrapMode(0, has())).toThrow(expect.objectContaining({ hint: 'as root: apt-get install mmdebstrap' }));
  });

  it('passes everything to mmdebstrap as argv, the mirrors on stdin', () => {
    const args = bootstrapArgs({ mode: 'root', suite: 'noble', variant: 'essential', packages: ['b', 'a'], aptOptions: ['Acquire::http::Proxy "http://p:1"'] });
    expect(args).toEqual(expect.arrayContaining(['--mode=root', '--variant=essential', '--include=a,b', '--aptopt=Acquire::http::Proxy "http://p:1"']));
    expect(args.slice(-3)).toEqual(['noble', '-', '-']);
  });

  it('keys what is laid on top by names, modes, owners and contents', () => {
    const key = hashEntries([{ path: 'a', content: 'x' }]);
    expect(hashEntries([{ path: 'a', content: 'x' }])).toBe(key);
    for (const other of [{ path: 'b', content: 'x' }, { path: 'a', content: 'y' }, { path: 'a', content: 'x', mode: 0o755 }, { path: 'a', content: 'x', uid: 1 }]) expect(hashEntries([other])).not.toBe(key);
  });
});

describe('an image’s configuration', () => {
  it('is written so that the engine takes it literally', () => {
    expect(configChanges({ env: { A: 'b $c "d"' }, labels: { l: '{"x":"$y"}' }, user: '1:1', entrypoint: ['/a', 'b c'] })).toEqual([
      'ENV A="b \\$c \\"d\\""',
      'LABEL "l"="{\\"x\\":\\"\\$y\\"}"',
      'USER 1:1',
      'ENTRYPOINT ["/a","b c"]',
      'CMD []',
    ]);
  });

  it('splits names at the tag, not at a port', () => {
    expect(splitReference('127.0.0.1:5000/a/b:c')).toEqual(['127.0.0.1:5000/a/b', 'c']);
    expect(splitReference('127.0.0.1:5000/a')).toEqual(['127.0.0.1:5000/a', 'latest']);
  });
});
