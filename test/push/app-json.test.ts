/** env and formation of app.json: what they add, what they fix, and what is left when they are taken out. */
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appFolder, bootForge, dockerfileApp, until, writeFiles, type RunningForge } from '../support/forge.ts';

let forge: RunningForge;
beforeAll(async () => {
  forge = await bootForge({ settings: { drainTimeout: '2' } });
});
afterAll(async () => await forge.remove());

const worker = { 'worker.js': `setInterval(() => {}, 1000);\nprocess.on('SIGTERM', () => process.exit(0));\n`, Procfile: 'web: node server.js\nworker: node worker.js\n' };
const server = `require('node:http').createServer((request, response) => response.end(JSON.stringify(process.env))).listen(process.env.PORT);\nprocess.on('SIGTERM', () => process.exit(0));\n`;
const appJson = (value: object): Record<string, string> => ({ 'app.json': JSON.stringify(value) });
const envOf = async (app: string): Promise<Record<string, string>> => JSON.parse((await forge.get(app)).body) as Record<string, string>;
const config = async (app: string) => await forge.json<Record<string, string>>('config:list', app);

describe('env', () => {
  it('that is required and missing stops the push before anything is built, naming all of it and the command', async () => {
    const folder = await appFolder({ ...dockerfileApp('', server), ...appJson({ env: { SHOP_KEY: { description: 'from the shop' }, TOKEN: { required: true }, OPTIONAL: { required: false } } }) });
    const pushed = await forge.push(folder, 'shop');
    expect(pushed.exitCode).not.toBe(0);
    expect(pushed.all).toContain('app.json requires config that shop does not have: SHOP_KEY, TOKEN');
    expect(pushed.all).toContain('SHOP_KEY: from the shop');
    expect(pushed.all).toContain('forge config:set shop SHOP_KEY=… TOKEN=…');
    expect(pushed.all).not.toContain('Building');
    expect(await forge.ssh$(['config:set', 'shop', 'SHOP_KEY=a', 'TOKEN=b'])).toMatchObject({ exitCode: 0 });
    expect(await forge.push(folder, 'shop')).toMatchObject({ exitCode: 0 });
    expect(await envOf('shop')).toMatchObject({ SHOP_KEY: 'a', TOKEN: 'b' });
  });

  it('sets a default once, makes a secret once, and lets a change by hand survive', async () => {
    const folder = await appFolder({
      ...dockerfileApp('', server),
      'app.json': `{
        // Comments are allowed.
        "env": { "MODE": "plain", "COLOR": { "value": "red" }, "SECRET": { "generator": "secret" } }
      }`,
      Procfile: 'web: node server.js\nrelease: sh -c "echo the secret is $SECRET"\n',
    });
    const first = await forge.push(folder, 'vars');
    expect(first).toMatchObject({ exitCode: 0 });
    expect(first.all).toContain('SECRET (made now)');
    const made = await config('vars');
    expect(made).toMatchObject({ MODE: 'plain', COLOR: 'red', SECRET: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
    expect(await envOf('vars')).toMatchObject(made);
    expect(first.all).toContain('the secret is [redacted]');
    expect(first.all).not.toContain(made['SECRET']);
    expect(await forge.ssh$(['config:set', 'vars', 'COLOR=blue'])).toMatchObject({ exitCode: 0 });
    await writeFiles(folder, { note: 'again' });
    expect(await forge.push(folder, 'vars')).toMatchObject({ exitCode: 0 });
    expect(await config('vars')).toEqual({ ...made, COLOR: 'blue' });
  });

  it('of a deploy that fails is not kept', async () => {
    const folder = await appFolder({ Dockerfile: 'FROM forge-test/node:24\nRUN false\nCMD ["node"]\n', ...appJson({ env: { MODE: 'plain', SECRET: { generator: 'secret' } } }) });
    expect((await forge.push(folder, 'unkept')).exitCode).not.toBe(0);
    expect(await config('unkept')).toEqual({});
  });

  it('is there while buildpack and Dockerfile builds run, where they may see it', async () => {
    const folder = await appFolder({ Dockerfile: 'FROM forge-test/node:24\nARG MODE\nRUN echo "built with $MODE"\nWORKDIR /app\nCOPY . .\nCMD ["node", "server.js"]\n', 'server.js': server, ...appJson({ env: { MODE: 'of-the-file' } }) });
    expect(await forge.ssh$(['apps:create', 'args'])).toMatchObject({ exitCode: 0 });
    expect(await forge.ssh$(['build-args:set', 'args', 'MODE'])).toMatchObject({ exitCode: 0 });
    expect((await forge.push(folder, 'args')).all).toContain('built with of-the-file');
  });
});

describe('formation', () => {
  it('sets quantities and limits and forbids to set them by hand; taken out, the last values stay', async () => {
    const folder = await appFolder({ ...dockerfileApp('', server), ...worker, ...appJson({ formation: { web: { quantity: 2, memory: '96M', cpu: 0.5 }, worker: { quantity: 1 } } }) });
    expect(await forge.push(folder, 'fixed')).toMatchObject({ exitCode: 0 });
    expect(await forge.instances('fixed')).toEqual(['web.1@v1', 'web.2@v1', 'worker.1@v1']);
    const { stdout } = await execa('docker', ['ps', '--filter', 'label=forge.app=fixed', '--filter', 'label=forge.instance=web.1', '--format', '{{.ID}}']);
    expect((await execa('docker', ['inspect', '--format', '{{.HostConfig.Memory}} {{.HostConfig.CpuShares}}', stdout.trim()])).stdout).toBe(`${96 * 1024 * 1024} 512`);

    const scaled = await forge.ssh$(['ps:scale', 'fixed', 'web=1']);
    expect(scaled.exitCode).not.toBe(0);
    expect(scaled.all).toContain('app.json of fixed (v1) sets quantity of web to 2');
    expect(scaled.all).toContain('change formation.web.quantity in app.json and push');
    const limited = await forge.ssh$(['limits:set', 'fixed', 'web', '--memory', '128M']);
    expect(limited.exitCode).not.toBe(0);
    expect(limited.all).toContain('app.json of fixed (v1) sets memory of web to 96M');
    expect(await forge.instances('fixed')).toEqual(['web.1@v1', 'web.2@v1', 'worker.1@v1']);
    // What it leaves open is a person's to set.
    expect(await forge.ssh$(['limits:set', 'fixed', 'worker', '--memory', '80M'])).toMatchObject({ exitCode: 0 });

    await writeFiles(folder, { 'app.json': '{}' });
    expect(await forge.push(folder, 'fixed')).toMatchObject({ exitCode: 0 });
    await until('the old instances are gone', async () => (await forge.instances('fixed')).join() === 'web.1@v3,web.2@v3,worker.1@v3');
    expect(await forge.ssh$(['ps:scale', 'fixed', 'web=1'])).toMatchObject({ exitCode: 0 });
    await until('one is left', async () => (await forge.instances('fixed')).join() === 'web.1@v3,worker.1@v3');
  });

  it('chooses the port that web is given', async () => {
    const folder = await appFolder({ ...dockerfileApp('', server), ...appJson({ formation: { web: { port: 3210 } } }) });
    expect(await forge.push(folder, 'port')).toMatchObject({ exitCode: 0 });
    expect((await envOf('port'))['PORT']).toBe('3210');
  });

  it('comes back with the code that it belongs to', async () => {
    const folder = await appFolder({ ...dockerfileApp('', server), ...appJson({ formation: { web: { quantity: 2 } } }) });
    expect(await forge.push(folder, 'back')).toMatchObject({ exitCode: 0 });
    await writeFiles(folder, appJson({ formation: { web: { quantity: 1 } } }));
    expect(await forge.push(folder, 'back')).toMatchObject({ exitCode: 0 });
    expect(await forge.ssh$(['releases:rollback', 'back', 'v1'])).toMatchObject({ exitCode: 0 });
    await until('two run', async () => (await forge.instances('back')).join() === 'web.1@v3,web.2@v3');
  });

  it('warns of a process type that there is not', async () => {
    const folder = await appFolder({ ...dockerfileApp('', server), ...appJson({ formation: { wroker: { quantity: 1 } } }) });
    const pushed = await forge.push(folder, 'typo');
    expect(pushed).toMatchObject({ exitCode: 0 });
    expect(pushed.all).toContain('warning: app.json: formation.wroker: there is no such process type (web)');
  });
});
