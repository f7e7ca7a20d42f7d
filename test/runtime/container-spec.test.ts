import { expect, test } from 'vitest';
import { emptyAppFile } from '../../src/app-file.ts';
import { defaultSettings, type Image, type Release } from '../../src/domain.ts';
import { instanceSpec, jobSpec, oneOffSpec } from '../../src/runtime/container-spec.ts';

const image: Image = {
  reference: 'sha256:abc',
  digest: 'sha256:abc',
  builder: 'dockerfile',
  processTypes: {},
  exposedPorts: [],
  user: '',
  launcher: undefined,
};
const release: Release = {
  app: 'hello',
  version: 42,
  image,
  config: { COLOR: 'green', PORT: '1', EMPTY: '' },
  formation: {},
  port: 5000,
  settings: defaultSettings,
  appFile: emptyAppFile,
  reason: 'Deploy',
  actor: 'laptop',
  createdAt: '2026-01-01T00:00:00.000Z',
  commit: 'abc123',
};
const place = {
  deploymentId: 'd1',
  dataId: 'data1',
  containerName: 'hello.web.1-00000000',
  network: 'forge-data1-hello',
  address: '10.224.0.2',
  limits: { memoryBytes: 512, cpuShares: 1024, pids: 100 },
  stopTimeoutMs: 10_500,
  mounts: [],
};
const input = { ...place, release, type: 'web', ordinal: 1, command: { entrypoint: undefined, command: undefined }, imageEntrypoint: [] };
const rootCapabilities = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETUID', 'SETGID', 'KILL', 'NET_BIND_SERVICE'];

test('an instance is confined, named, placed and told its port', () => {
  expect(instanceSpec(input)).toEqual({
    name: 'hello.web.1-00000000',
    Image: 'sha256:abc',
    Hostname: 'web.1',
    StopTimeout: 11,
    NetworkingConfig: { EndpointsConfig: { 'forge-data1-hello': { IPAMConfig: { IPv4Address: '10.224.0.2' } } } },
    Env: ['COLOR=green', 'PORT=5000', 'EMPTY=', 'FORGE_APP=hello', 'FORGE_RELEASE=v42', 'DYNO=web.1', 'GIT_REV=abc123'],
    Labels: {
      'forge.app': 'hello',
      'forge.release': '42',
      'forge.type': 'web',
      'forge.instance': 'web.1',
      'forge.deployment': 'd1',
      'forge.port': '5000',
      'forge.data': 'data1',
      // An image's own labels would be its container's.
      'forge.job': '',
      'forge.start': '',
      'forge.role': '',
      'forge.build': '',
    },
    HostConfig: {
      NetworkMode: 'forge-data1-hello',
      RestartPolicy: { Name: 'no' },
      Init: true,
      CapDrop: ['ALL'],
      CapAdd: rootCapabilities,
      SecurityOpt: ['no-new-privileges'],
      Memory: 512,
      MemorySwap: 512,
      CpuShares: 1024,
      PidsLimit: 100,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '50m', 'max-file': '3' } },
    },
  });
});

test.each([
  ['dockerfile', '', rootCapabilities],
  ['image', 'root:root', rootCapabilities],
  ['image', '0', rootCapabilities],
  ['dockerfile', 'node', []],
  ['dockerfile', '1000:0', []],
  ['cnb', '', []],
  ['static', '', []],
] as const)('builder %s with user %j gets the capabilities %j back', (builder, user, expected) => {
  const spec = instanceSpec({ ...input, release: { ...release, image: { ...image, builder, user } } });
  expect(spec.HostConfig.CapAdd).toEqual(expected);
});

test('an app keeps the capabilities that it was set to, and never more than its image may have', () => {
  const capAdd = (user: string, capabilities: Release['settings']['capabilities']) => instanceSpec({ ...input, release: { ...release, image: { ...image, builder: 'dockerfile', user }, settings: { ...release.settings, capabilities } } }).HostConfig.CapAdd;
  expect(capAdd('root', ['NET_BIND_SERVICE'])).toEqual(['NET_BIND_SERVICE']);
  expect(capAdd('root', [])).toEqual([]);
  expect(capAdd('node', ['NET_BIND_SERVICE'])).toEqual([]);
});

test('the command of a process type replaces the image’s, and only what it names', () => {
  expect(instanceSpec({ ...input, command: { entrypoint: ['/cnb/process/web'], command: [] } })).toMatchObject({ Entrypoint: ['/cnb/process/web'], Cmd: [] });
  const kept = instanceSpec({ ...input, command: { entrypoint: undefined, command: ['a b', '$c'] } });
  expect(kept).toMatchObject({ Cmd: ['a b', '$c'] });
  expect(kept).not.toHaveProperty('Entrypoint');
});

test('an image that brings its own init is not given another', () => {
  expect(instanceSpec({ ...input, imageEntrypoint: ['/init'] }).HostConfig.Init).toBe(false);
  expect(instanceSpec({ ...input, imageEntrypoint: ['/usr/bin/tini', '--', 'app'] }).HostConfig.Init).toBe(false);
  expect(instanceSpec({ ...input, imageEntrypoint: ['/docker-entrypoint.sh'] }).HostConfig.Init).toBe(true);
});

test('a one-off command keeps its words, leaves the entrypoint out and no log behind', () => {
  const spec = oneOffSpec({ ...place, release, id: 'ab12', argv: ['sh', '-c', 'echo "a b"'], env: { TERM: 'xterm', COLOR: 'red' }, hasTerminal: true });
  expect(spec).toMatchObject({
    Hostname: 'run.ab12',
    Entrypoint: ['sh', '-c', 'echo "a b"'],
    Cmd: [],
    Tty: true,
    OpenStdin: true,
    StdinOnce: true,
    HostConfig: { LogConfig: { Type: 'none' }, RestartPolicy: { Name: 'no' } },
    Labels: { 'forge.type': 'run', 'forge.instance': 'run.ab12' },
  });
  expect(spec.Env).toEqual(['COLOR=red', 'PORT=5000', 'EMPTY=', 'TERM=xterm', 'FORGE_APP=hello', 'FORGE_RELEASE=v42', 'DYNO=run.ab12', 'GIT_REV=abc123']);
});

test('a one-off command of a buildpack image goes through its launcher, word by word', () => {
  const cnb = { ...release, image: { ...image, builder: 'cnb' as const, launcher: '/cnb/lifecycle/launcher' } };
  const spec = oneOffSpec({ ...place, release: cnb, id: 'ab12', argv: ['npm', 'run', 'a b'], env: {}, hasTerminal: false });
  expect(spec).toMatchObject({ Entrypoint: ['/cnb/lifecycle/launcher'], Cmd: ['--', 'npm', 'run', 'a b'], Tty: false });
});

test('a job is a one-off command without input, whose output is kept and whose label outlives forge', () => {
  const cnb = { ...release, image: { ...image, builder: 'cnb' as const, launcher: '/cnb/lifecycle/launcher' } };
  const spec = jobSpec({ ...place, release: cnb, id: 'ab12cd34', name: 'cron.nightly', argv: ['node', 'a b'], env: {} });
  expect(spec).toMatchObject({
    Hostname: 'cron.nightly',
    Entrypoint: ['/cnb/lifecycle/launcher'],
    Cmd: ['--', 'node', 'a b'],
    ...{ Tty: false, OpenStdin: false, StdinOnce: false, AttachStdin: false },
    HostConfig: { LogConfig: { Type: 'json-file' }, RestartPolicy: { Name: 'no' } },
    Labels: { 'forge.type': 'run', 'forge.instance': 'cron.nightly', 'forge.job': 'ab12cd34' },
  });
  expect(spec.Env).toContain('DYNO=cron.nightly');
});
