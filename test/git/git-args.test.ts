import { describe, expect, it } from 'vitest';
import { gitEnvironment, protocolEnvironment, receivePackArgs, uploadPackArgs } from '../../src/git/git-args.ts';

describe('git is started', () => {
  it('for a push with forge’s hook and settings, whatever the machine’s configuration says', () => {
    const args = receivePackArgs({ repositoryPath: '/data/repos/hello.git', hooksPath: '/forge/hooks', maxPackBytes: 1000, mode: 'stateless' });
    expect(args).toEqual(expect.arrayContaining(['core.hooksPath=/forge/hooks', 'receive.denyNonFastForwards=false', 'receive.shallowUpdate=true', 'receive.autogc=false', 'receive.maxInputSize=1000', 'safe.directory=/data/repos/hello.git']));
    expect(args.slice(-4)).toEqual(['receive-pack', '--stateless-rpc', '--', '/data/repos/hello.git']);
    expect(args.filter((arg) => arg.includes('=')).every((_setting, index) => args[index * 2] === '-c')).toBe(true);
  });

  it('for a fetch without hooks', () => {
    expect(uploadPackArgs({ repositoryPath: '/r.git', mode: 'advertise' }).slice(-6)).toEqual(['upload-pack', '--strict', '--stateless-rpc', '--advertise-refs', '--', '/r.git']);
  });

  it('with an environment of its own', () => {
    expect(Object.keys(gitEnvironment('/forge/node')).sort()).toEqual(['GIT_ALLOC_LIMIT', 'GIT_ATTR_NOSYSTEM', 'GIT_CONFIG_GLOBAL', 'GIT_CONFIG_NOSYSTEM', 'GIT_TERMINAL_PROMPT', 'HOME', 'LC_ALL', 'PATH']);
    expect(gitEnvironment('/forge/node')['PATH']).toMatch(/^\/forge\/node:/);
  });

  it.each([['version=2', { GIT_PROTOCOL: 'version=2' }], ['version=2:x', {}], ['version=2\n', {}], ['', {}], [undefined, {}]])('with the protocol version %j only if it is one', (wish, expected) => {
    expect(protocolEnvironment(wish)).toEqual(expected);
  });
});
