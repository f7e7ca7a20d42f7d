import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appFolder, bootForge, dockerfileApp, writeFiles, type RunningForge } from '../support/forge.ts';

let forge: RunningForge;
beforeAll(async () => void (forge = await bootForge()));
afterAll(async () => await forge.remove());

describe('a push over SSH', () => {
  it('creates the app, streams what happens, ends with the URL, and the URL answers when it returns', async () => {
    const folder = await appFolder(dockerfileApp('hello one'));
    const { exitCode, all } = await forge.push(folder, 'hello');
    expect(all).toContain('-----> Building hello with dockerfile: found Dockerfile');
    expect(all).toMatch(/=====> Application deployed:\s+remote:\s+http:\/\/hello\.localhost:\d+/);
    expect(exitCode).toBe(0);
    expect(await forge.get('hello')).toMatchObject({ status: 200, body: 'hello one' });

    await writeFiles(folder, dockerfileApp('hello two'));
    expect((await forge.push(folder, 'hello')).exitCode).toBe(0);
    expect((await forge.get('hello')).body).toBe('hello two');
    const again = await forge.git$(folder, ['push', forge.remote('hello'), 'main']);
    expect(again.all).toContain('Everything up-to-date');
  });

  it('keeps everything across a kill -9 of the control plane', async () => {
    expect((await forge.get('hello')).body).toBe('hello two');
    await forge.restart('SIGKILL');
    expect((await forge.get('hello')).body).toBe('hello two');
    expect((await forge.ssh$(['apps:list'])).stdout).toContain('hello');
  });

  it('gives back over clone what was pushed', async () => {
    const folder = await appFolder({});
    expect((await forge.git$(folder, ['clone', '-q', forge.remote('hello'), 'copy'])).exitCode).toBe(0);
    expect((await forge.git$(`${folder}/copy`, ['ls-files'])).stdout.split('\n')).toEqual(['Dockerfile', 'server.js']);
  });
});
