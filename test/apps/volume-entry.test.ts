import { expect, test } from 'vitest';
import { readVolumeEntry } from '../../src/apps/volume-entry.ts';

test('entries are unpacked below the volume, with owners and permissions as they were', () => {
  expect(readVolumeEntry({ name: './', type: 'directory', mode: 0o2770, uid: 1000, gid: 5 })).toMatchObject({ name: 'volume/', mode: 0o2770, uid: 1000, gid: 5 });
  expect(readVolumeEntry({ name: './a/b', type: 'file', size: 3 })).toMatchObject({ name: 'volume/a/b', size: 3, mode: 0o644, uid: 0 });
  expect(readVolumeEntry({ name: 'c', type: 'symlink', linkname: '/etc/passwd' })).toMatchObject({ linkname: '/etc/passwd' });
  expect(readVolumeEntry({ name: 'd', type: 'link', linkname: './a/b' })).toMatchObject({ linkname: 'volume/a/b' });
});

test.each([
  ['an absolute path', { name: '/etc/passwd', type: 'file' }],
  ['a way out', { name: 'a/../../b', type: 'file' }],
  ['a hard link to elsewhere', { name: 'a', type: 'link', linkname: '../../etc/shadow' }],
  ['an absolute hard link', { name: 'a', type: 'link', linkname: '/etc/shadow' }],
  ['a device', { name: 'sda', type: 'block-device' }],
  ['a link in place of the volume', { name: './', type: 'symlink', linkname: '/' }],
  ['a NUL byte', { name: 'a\0b', type: 'file' }],
  ['a name that is too long', { name: 'x'.repeat(300), type: 'file' }],
  ['a symlink to nowhere', { name: 'a', type: 'symlink', linkname: '' }],
])('%s is refused', (_what, header) => {
  expect(() => readVolumeEntry(header)).toThrow(expect.objectContaining({ code: 'invalid' }));
});
