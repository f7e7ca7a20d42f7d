import { describe, expect, it } from 'vitest';
import { runImage } from '../build/cnb/cnb-world.ts';
import { fixture, readSbom, useBuilder, visit } from './app-build.ts';

const builder = useBuilder();

describe('a front end with a build script', () => {
  it('is built with Node.js and served without it', async () => {
    const world = builder();
    const image = await world.build('front', await fixture(world, 'front-end'));
    await visit(image, async (app) => {
      const page = await app.get('/');
      const script = /src="(\/assets\/[^"]+\.js)"/.exec(page.body)?.[1] ?? '';
      expect((await app.get(script)).body).toContain('built');
      expect(await app.get('/any/path/of/the/app')).toMatchObject({ status: 200, body: page.body });
    });
    expect(await runImage(image, ['sh', '-c', 'ls -A /workspace | wc -l; command -v node || echo no node'])).toBe('0\nno node');
    expect((await readSbom(image, 'forge_static')).map(({ name }) => name)).toContain('nginx');
    const again = await world.build('front', await fixture(world, 'front-end'));
    expect(again.digest).toBe(image.digest);
  });

  it('that makes no page is an error that says where it looked', async () => {
    const world = builder();
    await expect(world.build('empty', await world.source({ 'package.json': '{"scripts":{"build":"mkdir dist"}}' }))).rejects.toMatchObject({ code: 'failed' });
    expect(world.output()).toContain('There is no index.html to serve.');
    expect(world.output()).toContain('Looked in: dist, build, out');
  });
});

describe('ready-made files', () => {
  it('are served with routes, headers, redirects, compression, a 404 page and ETags made from their contents', async () => {
    const world = builder();
    const image = await world.build('site', await fixture(world, 'site'));
    const first = await visit(image, async (app) => {
      expect(await app.get('/app/x/y')).toMatchObject({ status: 200, body: '<h1>plain</h1>\n' });
      expect(await app.get('/nothing')).toMatchObject({ status: 404, body: '<h1>nope</h1>\n' });
      const moved = await app.get('/old');
      expect([moved.status, moved.headers.get('location')]).toEqual([301, '/new']);
      const style = await app.get('/assets/a.css', { 'accept-encoding': 'gzip' });
      expect([style.headers.get('content-encoding'), style.headers.get('cache-control'), style.headers.get('content-type')]).toEqual(['gzip', 'max-age=60', 'text/css; charset=utf-8']);
      const etag = (await app.get('/')).headers.get('etag') ?? '';
      expect((await app.get('/', { 'if-none-match': etag })).status).toBe(304);
      expect((await app.get('/static.json')).status).toBe(404);
      expect(await app.logs()).not.toContain('[warn]');
      return etag;
    });
    const other = await world.build('site', await fixture(world, 'site', { 'index.html': '<h1>PLAIN</h1>\n' }));
    const second = await visit(other, async (app) => (await app.get('/')).headers.get('etag'));
    expect(second).not.toBe(first);
  });
});
