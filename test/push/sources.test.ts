/** Apps that come another way than by git: folders, archives, images; and what of a source reaches image and container. */
import { execa } from 'execa';
import { pack } from 'tar-stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appFolder, bootForge, dockerfileApp, type RunningForge } from '../support/forge.ts';
import { behaviourImage } from '../support/images.ts';

let forge: RunningForge;
beforeAll(async () => void (forge = await bootForge()));
afterAll(async () => await forge.remove());

const imageOf = async (app: string): Promise<string> => (await forge.json<{ release: { image: string } }>('apps:info', app)).release.image;
const listFiles = `require('node:http').createServer((request, response) => response.end(JSON.stringify([require('node:fs').readdirSync('/app').sort(), process.env]))).listen(process.env.PORT);\n`;

describe('a folder', () => {
  it('is deployed by forge deploy without a commit, minus what .gitignore and .dockerignore leave out', async () => {
    const folder = await appFolder({ ...dockerfileApp('', listFiles), '.gitignore': 'secret.txt\nnode_modules/\n', '.dockerignore': 'notes.txt\n', 'secret.txt': 'x', 'notes.txt': 'x', 'node_modules/a/index.js': 'x' });
    const deployed = await forge.forge$(['deploy', folder, '--app', 'packed']);
    expect(deployed.all).toContain('=====> Application deployed:');
    expect(deployed.exitCode).toBe(0);
    const [files] = JSON.parse((await forge.get('packed')).body) as [string[]];
    expect(files).toContain('server.js');
    expect(files).not.toEqual(expect.arrayContaining(['secret.txt']));
    expect(files.filter((name) => ['notes.txt', 'node_modules', '.git'].includes(name))).toEqual([]);
  });

  it('is deployed as a tar over SSH; hostile and broken archives are refused with nothing made', async () => {
    const tar = async (entries: Readonly<Record<string, { content?: string; linkname?: string }>>): Promise<Buffer> => {
      const archive = pack();
      for (const [name, { content = '', linkname }] of Object.entries(entries)) archive.entry({ name, mode: 0o644, ...(linkname === undefined ? {} : { type: 'symlink', linkname }) } as never, content);
      archive.finalize();
      return await buffer(archive);
    };
    const app = Object.fromEntries(Object.entries(dockerfileApp('from a tar')).map(([name, content]) => [name, { content }]));
    const send = async (input: Buffer) => await forge.ssh$(['deploy', 'tarred'], { input });
    expect(await send(await tar(app))).toMatchObject({ exitCode: 0 });
    expect((await forge.get('tarred')).body).toBe('from a tar');
    for (const [hostile, told] of [
      [await tar({ ...app, '../../etc/cron.d/x': { content: 'x' } }), /\.\./],
      [await tar({ ...app, '/etc/passwd': { content: 'x' } }), /etc\/passwd/],
      [await tar({ ...app, link: { linkname: '/etc' } }), /link/],
      [Buffer.from('this is no archive'), /no archive|has no files|end marker/],
      [(await tar(app)).subarray(0, 1024), /archive|end marker/],
    ] as const) {
      const refused = await send(hostile);
      expect(refused.all).toMatch(told);
      expect(refused.exitCode).toBe(2);
    }
    expect((await forge.get('tarred')).body).toBe('from a tar');
  });
});

describe('an image that was built elsewhere', () => {
  it('is deployed by its name; one that fails keeps the old one and can be retried', async () => {
    const image = await behaviourImage();
    expect(await forge.ssh$(['deploy', 'built', '--image', image])).toMatchObject({ exitCode: 0 });
    expect((await forge.get('built')).body).toBe('hello from web.1');
    expect((await forge.ssh$(['config:set', 'built', 'DO=exit', '--no-restart'])).exitCode).toBe(0);
    const failed = await forge.ssh$(['deploy', 'built', '--image', image]);
    expect(failed.all).toContain('cannot read the settings');
    expect(failed.exitCode).toBe(1);
    expect((await forge.get('built')).body).toBe('hello from web.1');
    expect((await forge.ssh$(['config:unset', 'built', 'DO', '--no-restart'])).exitCode).toBe(0);
    expect((await forge.ssh$(['deploy', 'built', '--image', image])).exitCode).toBe(0);
  });

  it('waits for a slow start, asks the path that is set, and keeps the old one when the path does not answer well', async () => {
    expect((await forge.ssh$(['checks:set', 'built', '--path', '/', '--timeout', '20'])).exitCode).toBe(0);
    const refused = await forge.ssh$(['checks:set', 'built', '--path', '/broken', '--timeout', '2']);
    expect(refused.all).toContain('GET /broken on port 5000: answered 500');
    expect(refused.exitCode).toBe(124);
    expect((await forge.get('built')).status).toBe(200);
  });

  it('and serves already is left alone, unless it is forced', async () => {
    const image = await behaviourImage();
    const before = await forge.instances('built');
    const again = await forge.ssh$(['deploy', 'built', '--image', image]);
    expect(again).toMatchObject({ exitCode: 0, all: expect.stringContaining('runs this image already') as string });
    expect(await forge.instances('built')).toEqual(before);
    expect(await forge.ssh$(['deploy', 'built', '--image', image, '--force'])).toMatchObject({ exitCode: 0 });
    expect(await forge.instances('built')).not.toEqual(before);
  });
});

describe('what an image and its container get', () => {
  it('is no .git, no config in the image’s history, and build args only when the app asks for them', async () => {
    const folder = await appFolder({
      Dockerfile: 'FROM forge-test/node:24\nARG OPEN=unset\nARG HIDDEN=unset\nWORKDIR /app\nCOPY . .\nRUN echo "open is $OPEN, hidden is $HIDDEN" > built.txt\nCMD ["node", "server.js"]\n',
      'server.js': `require('node:http').createServer((request, response) => response.end(require('node:fs').readFileSync('built.txt', 'utf8') + require('node:fs').readdirSync('.').join())).listen(process.env.PORT);\n`,
    });
    expect((await forge.ssh$(['apps:create', 'args'])).exitCode).toBe(0);
    expect((await forge.ssh$(['config:set', 'args', 'OPEN=yes', 'HIDDEN=canary-7f3a'])).exitCode).toBe(0);
    expect(await forge.push(folder, 'args')).toMatchObject({ exitCode: 0 });
    expect((await forge.get('args')).body).toContain('open is unset, hidden is unset');
    expect((await forge.ssh$(['build-args:set', 'args', 'OPEN'])).exitCode).toBe(0);
    expect(await forge.push(folder, 'args')).toMatchObject({ exitCode: 0 });
    const { body } = await forge.get('args');
    expect(body).toContain('open is yes, hidden is unset');
    expect(body.split(/[\n,]/)).not.toContain('.git');
    const image = await imageOf('args');
    const history = await execa('docker', ['history', '--no-trunc', image]);
    const facts = await execa('docker', ['image', 'inspect', image]);
    expect(history.stdout + facts.stdout).not.toContain('canary-7f3a');
    expect((await forge.ssh$(['deployments:logs', (await forge.deployments('args'))[0]?.id ?? ''])).stdout).not.toContain('canary-7f3a');
  });
});
