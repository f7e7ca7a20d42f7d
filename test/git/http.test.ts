import { request, type IncomingMessage } from 'node:http';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bodyOf, isGitPath } from '../../src/git/http-request.ts';
import { createGitWorld, type GitWorld } from './git-world.ts';

let world: GitWorld;
beforeEach(async () => {
  world = await createGitWorld();
});
afterEach(async () => {
  await world.close();
});

interface Ask {
  readonly method?: string;
  readonly token?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

async function ask(path: string, { method = 'GET', token, headers = {}, body }: Ask = {}) {
  const authorization = token === undefined ? {} : { Authorization: `Basic ${Buffer.from(`any:${token}`).toString('base64')}` };
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number | undefined; headers: NodeJS.Dict<string | string[]>; body: string }>();
  const sent = request({ port: world.httpPort, path, method, headers: { ...authorization, ...headers } }, (response) => {
    text(response).then((answer) => resolve({ status: response.statusCode, headers: response.headers, body: answer }), reject);
  });
  sent.on('error', reject).end(body);
  return await promise;
}

const receive = '/hello.git/git-receive-pack';
const receiveType = { 'Content-Type': 'application/x-git-receive-pack-request' };
const refs = '/hello.git/info/refs?service=git-receive-pack';

describe('git over HTTP', () => {
  it('asks for a token on the GET and on the POST, and takes no wrong one', async () => {
    for (const answer of [
      await ask(refs),
      await ask(refs, { token: 'wrong' }),
      await ask(refs, { token: '' }),
      await ask(refs, { headers: { Authorization: 'Bearer alice-token' } }),
      await ask(receive, { method: 'POST', headers: receiveType, body: '0000' }),
      await ask('/hello.git/git-upload-pack', { method: 'POST', headers: { 'Content-Type': 'application/x-git-upload-pack-request' }, body: '0000' }),
    ]) {
      expect(answer.status).toBe(401);
      expect(answer.headers['www-authenticate']).toBe('Basic realm="forge", charset="UTF-8"');
    }
    expect(world.apps.has('hello')).toBe(false);
  });

  it('shows the refs of an app that the push will create, and creates nothing yet', async () => {
    const answer = await ask(refs, { token: 'alice-token' });
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('application/x-git-receive-pack-advertisement');
    expect(answer.body).toMatch(/^001f# service=git-receive-pack\n0000/);
    expect(await world.repositories.exists('hello')).toBe(false);
    const version2 = await ask('/hello.git/info/refs?service=git-upload-pack', { token: 'alice-token', headers: { 'Git-Protocol': 'version=2' } });
    expect(version2.body).toMatch(/^000eversion 2\n/);
  });

  it('gives a stranger one answer for an app that is not theirs and one that does not exist', async () => {
    world.apps.add('secret');
    const answers = await Promise.all(['secret', 'absent'].flatMap((app) => [
      ask(`/${app}.git/info/refs?service=git-receive-pack`, { token: 'bob-token' }),
      ask(`/${app}.git/info/refs?service=git-upload-pack`, { token: 'bob-token' }),
      ask(`/${app}.git/git-receive-pack`, { token: 'bob-token', method: 'POST', headers: receiveType, body: '0000' }),
    ]));
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.replaceAll(/secret|absent/g, 'APP')}`)).size).toBe(1);
    expect(answers[0]?.status).toBe(404);
    expect((await ask('/hers.git/info/refs?service=git-receive-pack', { token: 'bob-token' })).status).toBe(200);
  });

  it('refuses plain HTTP from anywhere but this machine before it asks for a token', async () => {
    for (const from of ['203.0.113.7', '127.0.0.1, 203.0.113.7', 'localhost', '', '127.0.0.1.evil.example']) {
      const answer = await ask(refs, { token: 'alice-token', headers: { 'X-Forwarded-For': from } });
      expect(answer.status).toBe(403);
      expect(answer.body).toContain('plain HTTP');
      expect(answer.headers['www-authenticate']).toBeUndefined();
    }
    expect((await ask(refs, { token: 'alice-token', headers: { 'X-Forwarded-For': '203.0.113.7', 'X-Forwarded-Proto': 'https' } })).status).toBe(200);
    expect((await ask(refs, { token: 'alice-token', headers: { 'X-Forwarded-For': '::ffff:127.0.0.1' } })).status).toBe(200);
  });

  it('answers the probe that git sends before a large push', async () => {
    expect(await ask(receive, { method: 'POST', token: 'alice-token', headers: receiveType, body: '0000' })).toMatchObject({ status: 200, body: '' });
  });

  it('refuses bodies that are not what they say, and goes on serving', async () => {
    const gzip = { ...receiveType, 'Content-Encoding': 'gzip' };
    const post = { method: 'POST', token: 'alice-token' };
    expect(await ask(receive, { ...post, headers: gzip, body: 'not gzip' })).toMatchObject({ status: 400, body: 'the body cannot be read: incorrect header check\n' });
    expect((await ask(receive, { ...post, headers: gzip, body: gzipSync('0000') })).status).toBe(200);
    expect((await ask(receive, { ...post, headers: { ...receiveType, 'Content-Encoding': 'br' }, body: '0000' })).status).toBe(400);
    expect((await ask(receive, { ...post, headers: receiveType, body: 'garbage' })).status).toBe(400);
    expect((await ask(receive, { ...post, headers: {}, body: '0000' })).status).toBe(400);
    expect((await ask(receive, { ...post, headers: receiveType, body: '0000' })).status).toBe(200);
  });

  it('stops unpacking a body that grows beyond all use', async () => {
    const bomb = gzipSync(Buffer.alloc(100 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(200_000);
    const body = bodyOf(Object.assign(Readable.from([bomb]), { headers: { 'content-encoding': 'gzip' } }) as unknown as IncomingMessage);
    await expect(pipeline(body, async (chunks) => { for await (const _chunk of chunks); })).rejects.toMatchObject({ code: 'invalid' });
  });

  it.each(['/../hello.git', '/%2e%2e.git', '/hello%2f..%2fx.git', '/Hello.git', '/a;id.git', '/$(id).git', `/${'a'.repeat(31)}.git`])('knows no repository at %s', async (path) => {
    const answer = await ask(`${path}/info/refs?service=git-receive-pack`, { token: 'alice-token' });
    expect([400, 404]).toContain(answer.status);
    expect(await ask(`${path}/HEAD`, { token: 'alice-token' })).toMatchObject({ status: 404 });
  });

  it('serves no dumb protocol', async () => {
    expect((await ask('/hello.git/info/refs', { token: 'alice-token' })).status).toBe(400);
    expect([isGitPath('/hello.git/info/refs?service=x'), isGitPath('/hello/git-upload-pack'), isGitPath('/v1/apps')]).toEqual([true, true, false]);
  });

  it('fetches with compressed negotiation once there is much to say', async () => {
    const folder = await world.workspace('w');
    await world.git(folder, 'push', world.httpUrl('hello'), 'main');
    await world.git(world.folder, 'clone', '-q', world.httpUrl('hello'), 'clone');
    const clone = join(world.folder, 'clone');
    for (let count = 0; count < 40; count += 1) await world.git(clone, 'commit', '--allow-empty', '-qm', `mine ${count}`);
    await world.commit(folder, { 'b.txt': 'b' });
    await world.git(folder, 'push', world.httpUrl('hello'), 'main');
    for (const version of ['0', '2']) expect((await world.git(clone, '-c', `protocol.version=${version}`, 'fetch', '-q')).status).toBe(0);
    expect(await readFile(join(clone, '.git', 'refs/remotes/origin/main'), 'utf8')).toBe(`${await world.repositories.resolveRef('hello', 'refs/heads/main')}\n`);
  });
});
