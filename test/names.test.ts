import { expect, test } from 'vitest';
import { parseMountPath } from '../src/names.ts';

test.each(['/data', '/app/uploads', '/var/lib/app', '/etc/app/conf.d', '/usr/share/app', '/usr/local/share/app', '/run/app', '/workspace/tmp', '/tmp', '/home', '/process', '/etc/sslx'])('a volume may appear at %s', (path) => {
  expect(parseMountPath(path)).toBe(path);
});

test.each([
  '/', '', 'data', '//', '/data/', '/a//b', '/./proc', '/a/../proc', '/a:b', '/a\nb', `/${'x'.repeat(200)}`,
  '/proc', '/proc/1/root', '/sys', '/sys/fs/cgroup', '/dev', '/dev/shm', '/bin', '/lib64/x', '/usr/bin/env', '/usr/lib/x86_64-linux-gnu', '/cnb/lifecycle', '/layers',
  '/run/docker.sock', '/var/run/docker.sock', '/var/run', '/run', '/var', '/usr', '/usr/local', '/usr/local/bin', '/workspace',
  '/etc', '/etc/resolv.conf', '/etc/hosts', '/etc/hostname', '/etc/passwd', '/etc/shadow', '/etc/ssl', '/etc/ssl/certs', '/etc/ld.so.conf.d', '/etc/ld.so.preload',
])('a volume may not appear at %j', (path) => {
  expect(() => parseMountPath(path)).toThrow(expect.objectContaining({ code: 'invalid' }));
});
