/** Checks: what must be true of an instance before it serves, and for as long as it does. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appFolder, bootForge, dockerfileApp, until, writeFiles, type RunningForge } from '../support/forge.ts';
import { startLoad } from '../support/load.ts';

let forge: RunningForge;
beforeAll(async () => {
  forge = await bootForge({ settings: { readinessTimeout: '8', drainTimeout: '2' } });
});
afterAll(async () => await forge.remove());

const checked = (checks: Readonly<Record<string, readonly unknown[]>>): Record<string, string> => ({ 'app.json': JSON.stringify({ healthchecks: checks }) });
const textServer = (text: string): string => `console.log('began');\nrequire('node:http').createServer((request, response) => response.end('${text}')).listen(process.env.PORT);\nprocess.on('SIGTERM', () => process.exit(0));\n`;
/** Begins to listen after a while. */
const slowServer = (text: string, afterMs: number): string => `const server = require('node:http').createServer((request, response) => response.end('${text}'));\nsetTimeout(() => server.listen(process.env.PORT), ${afterMs});\nprocess.on('SIGTERM', () => process.exit(0));\n`;

interface SeenInstance {
  readonly name: string;
  readonly release: number;
  readonly isRunning: boolean;
  readonly containerId: string;
}
const instancesOf = async (app: string): Promise<readonly SeenInstance[]> => (await forge.json<{ instances: SeenInstance[] }>('ps:list', app)).instances.filter(({ isRunning }) => isRunning);
const containersOf = async (app: string): Promise<Record<string, string>> => Object.fromEntries((await instancesOf(app)).map(({ name, containerId }) => [name, containerId]));

describe('a check of app.json', () => {
  const page = { type: 'startup', name: 'page', path: '/', content: 'all is well', attempts: 2, wait: 2 };

  it('with content passes; when the next version does not pass, the push fails naming the check and the old version serves', async () => {
    const app = await appFolder({ ...dockerfileApp('', textServer('v1: all is well')), ...checked({ web: [page] }) });
    expect(await forge.push(app, 'content')).toMatchObject({ exitCode: 0 });
    expect((await forge.get('content')).body).toBe('v1: all is well');
    await writeFiles(app, { 'server.js': textServer('v2: all is lost') });
    const { exitCode, all } = await forge.push(app, 'content');
    expect(exitCode).not.toBe(0);
    expect(all).toContain('web.1 was not ready within 4 s: check "page": GET / on port 5000 with "all is well" in its body: answered 200 without "all is well" in its body, which begins with "v2: all is lost"');
    expect(all).toContain('began');
    expect((await forge.get('content')).body).toBe('v1: all is well');
    expect(await forge.instances('content')).toEqual(['web.1@v1']);
  });

  it('that finds the app on another port names both', async () => {
    const app = await appFolder({ ...dockerfileApp('', textServer('x').replace('process.env.PORT', '3000')), ...checked({ web: [page] }) });
    const { exitCode, all } = await forge.push(app, 'elsewhere');
    expect(exitCode).not.toBe(0);
    expect(all).toContain('web.1 listens on port 3000, expected is port 5000');
  });

  it('gives a slow starter attempts × wait', async () => {
    const app = await appFolder({ ...dockerfileApp('', slowServer('at last', 3_500)), ...checked({ web: [{ path: '/', attempts: 4, wait: 3 }] }) });
    expect(await forge.push(app, 'slow')).toMatchObject({ exitCode: 0 });
    expect((await forge.get('slow')).body).toBe('at last');
    await writeFiles(app, checked({ web: [{ path: '/', attempts: 2, wait: 1 }] }));
    const { exitCode, all } = await forge.push(app, 'slow');
    expect(exitCode).not.toBe(0);
    expect(all).toContain('web.1 was not ready within 2 s: GET / on port 5000: connection refused');
  });

  it('runs a command in the instance of a worker, whose words reach it as they are', async () => {
    const worker = (file: string): string => `setTimeout(() => require('node:fs').writeFileSync(${JSON.stringify(file)}, ''), 500);\nsetInterval(() => {}, 1000);\nconsole.log('works');\nprocess.on('SIGTERM', () => process.exit(0));\n`;
    const command = ['node', '-e', 'if (!require("node:fs").existsSync(process.argv[1])) { console.error("no", process.argv[1]); process.exit(9); }', '/tmp/is ready'];
    const app = await appFolder({ ...dockerfileApp(''), 'server.js': worker('/tmp/is ready'), Procfile: 'worker: node server.js\n', ...checked({ worker: [{ name: 'ready file', command, attempts: 3, wait: 2 }] }) });
    expect(await forge.push(app, 'jobs')).toMatchObject({ exitCode: 0 });
    await writeFiles(app, { 'server.js': worker('/tmp/something else') });
    const { exitCode, all } = await forge.push(app, 'jobs');
    expect(exitCode).not.toBe(0);
    expect(all).toContain('worker.1 was not ready within 6 s: check "ready file": the command node -e');
    expect(all).toContain('ended with status 9: no /tmp/is ready');
    expect(all).toContain('works');
    expect(await forge.instances('jobs')).toEqual(['worker.1@v1']);
  });
});

describe('what a person sets', () => {
  it('is shown, asked at once, and goes before app.json', async () => {
    const app = await appFolder({ ...dockerfileApp('', textServer('fine')), ...checked({ web: [{ path: '/from-file', attempts: 2 }] }) });
    expect(await forge.push(app, 'set')).toMatchObject({ exitCode: 0 });
    expect((await forge.ssh$(['checks:show', 'set'])).stdout).toMatch(/^web +startup +GET \/from-file +within 10 s, an answer within 5 s +app\.json$/m);
    expect((await forge.ssh$(['checks:run', 'set'])).stdout).toMatch(/^web\.1 +startup +GET \/from-file on port 5000 +passes/m);
    const failing = await forge.ssh$(['checks:set', 'set', '--path', '/set', '--status', '204', '--timeout', '2']);
    expect(failing.exitCode).not.toBe(0);
    expect(failing.all).toContain('GET /set on port 5000 with status 204: answered 200, expected 204');
    expect((await forge.ssh$(['checks:show', 'set'])).stdout).toContain('/from-file');
    expect(await forge.ssh$(['checks:set', 'set', '--kind', 'liveness', '--path', '/', '--content', 'good', '--attempts', '1000', '--wait', '60'])).toMatchObject({ exitCode: 0 });
    const asked = await forge.ssh$(['checks:run', 'set']);
    expect(asked.exitCode).toBe(1);
    expect(asked.stdout).toMatch(/^web\.1 +startup .*passes/m);
    expect(asked.stdout).toMatch(/^web\.1 +liveness .*answered 200 without "good" in its body, which begins with "fine"/m);
    expect((await forge.ssh$(['checks:show', 'set'])).stdout).toMatch(/^web +liveness .*replaced after 1000 failures +set$/m);
  });

  it('may be that nothing is waited for, with the old ones still serving or gone first', async () => {
    const app = await appFolder(dockerfileApp('', textServer('one')));
    expect(await forge.push(app, 'hasty')).toMatchObject({ exitCode: 0 });
    expect(await forge.ssh$(['checks:skip', 'hasty', 'web'])).toMatchObject({ exitCode: 0 });
    await writeFiles(app, { 'server.js': slowServer('two', 10_000) });
    const skipped = await forge.push(app, 'hasty');
    expect(skipped).toMatchObject({ exitCode: 0 });
    expect((await forge.get('hasty')).status).toBe(502);
    expect(await forge.ssh$(['checks:disable', 'hasty', 'web', '--no-restart'])).toMatchObject({ exitCode: 0 });
    await writeFiles(app, { 'server.js': textServer('three') });
    const disabled = await forge.push(app, 'hasty');
    expect(disabled).toMatchObject({ exitCode: 0 });
    expect(disabled.all).toContain('Stopping web.1 first');
    expect((await forge.ssh$(['checks:show', 'hasty'])).stdout).toMatch(/^web +off /m);
    await until('it answers', async () => (await forge.get('hasty')).body === 'three');
  });
});

describe('an instance that fails its liveness check', () => {
  /** Answers as itself; told to, it says that it is not alive any more, and goes on serving. */
  const mortal = `const id = require('node:crypto').randomUUID();
let isAlive = true;
require('node:http').createServer((request, response) => {
  if (request.url === '/die') isAlive = false;
  if (request.url === '/alive' && !isAlive) response.statusCode = 500;
  response.end(request.url === '/alive' ? '' : id);
}).listen(process.env.PORT);
process.on('SIGTERM', () => process.exit(0));
`;
  const liveness = { type: 'liveness', path: '/alive', attempts: 2, wait: 1 };

  it('is replaced by another one, without a lost request, and the deployments tell it', async () => {
    const app = await appFolder({ ...dockerfileApp('', mortal), ...checked({ web: [liveness] }) });
    expect(await forge.push(app, 'mortal')).toMatchObject({ exitCode: 0 });
    expect(await forge.ssh$(['ps:scale', 'mortal', 'web=2'])).toMatchObject({ exitCode: 0 });
    const before = await containersOf('mortal');
    const load = startLoad({ port: forge.http, host: 'mortal.localhost', perSecond: 50 });
    await until('both answer', async () => load.soFar.bodies.length === 2);
    await forge.get('mortal', '/die');
    const after = await until('one is replaced and gone', async () => {
      const now = await containersOf('mortal');
      const all = (await instancesOf('mortal')).length;
      return all === 2 && Object.values(now).some((id) => !Object.values(before).includes(id)) ? now : undefined;
    });
    await until('the new one answers', async () => load.soFar.bodies.length === 3);
    const { answered, failures } = await load.stop();
    expect(failures).toEqual([]);
    expect(answered).toBeGreaterThan(50);
    const [replaced, ...others] = Object.keys(before).filter((name) => before[name] !== after[name]);
    expect(others).toEqual([]);
    const [newest] = await forge.json<readonly { reason: string; status: string; actor: string; id: string }[]>('deployments:list', 'mortal');
    expect(newest).toMatchObject({ reason: `Replace ${replaced}: liveness check failed 2 times`, status: 'succeeded', actor: 'forge' });
    expect((await forge.ssh$(['deployments:logs', newest?.id ?? ''])).stdout).toContain('its liveness check: GET /alive on port 5000: answered 500');
  });

  it('is replaced under a forge that was killed and came back, too', async () => {
    const before = await containersOf('mortal');
    await forge.restart('SIGKILL');
    await until('it serves', async () => (await forge.get('mortal')).status === 200);
    await forge.get('mortal', '/die');
    await until('one is replaced and gone', async () => {
      const now = Object.values(await containersOf('mortal'));
      return now.length === 2 && now.some((id) => !Object.values(before).includes(id));
    });
  });
});
