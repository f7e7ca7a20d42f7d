import { join } from 'node:path';
import { rm, writeFile } from 'node:fs/promises';
import { appFolder, bootForge, dockerfileApp, writeFiles, until } from './test/support/forge.ts';
const forge = await bootForge({ hasOwnProxy: true, settings: { readinessTimeout: '4', sourceMaxBytes: '3m' } });
const show = (title: string, c: { exitCode: number | undefined; all: string }) => console.log(`\n##### ${title} (exit ${c.exitCode})\n${c.all}`);
try {
  const folder = await appFolder(dockerfileApp('v1'));
  show('first', await forge.push(folder, 'hello'));
  const good = dockerfileApp('v1');
  const step = async (title: string, files: Record<string, string | Uint8Array>, before?: () => Promise<unknown>, after?: () => Promise<unknown>) => {
    await writeFiles(folder, { ...good, ...files });
    await forge.commit(folder);
    await before?.();
    show(title, await forge.git$(folder, ['push', '--force', forge.remote('hello'), 'main']));
    await after?.();
    console.log('serves:', (await forge.get('hello')).body);
    await forge.git$(folder, ['reset', '-q', '--hard', 'HEAD~1']);
    const dir = ['Procfile', 'app.json', 'big', '.gitmodules'];
    for (const f of dir) await rm(join(folder, f), { force: true });
  };
  await step('locked', { 'x': '1' }, async () => await forge.ssh$(['apps:lock', 'hello', 'audit until Friday']), async () => await forge.ssh$(['apps:unlock', 'hello']));
  show('delete branch', await forge.git$(folder, ['push', forge.remote('hello'), ':main']));
  await step('source limit', { big: new Uint8Array(4 * 1024 * 1024).map(() => Math.random() * 256) });
  await step('build', { Dockerfile: 'FROM forge-test/node:24\nWORKDIR /app\nCOPY . .\nRUN node build.js\nCMD ["node", "server.js"]\n', 'x': '2' });
  await step('predeploy', { 'app.json': JSON.stringify({ scripts: { dokku: { predeploy: 'node migrate.js' } } }) });
  await step('release', { Procfile: 'web: node server.js\nrelease: node migrate.js\n' });
  await step('start', { 'server.js': 'console.log("starting");\nthrow new Error("no DATABASE_URL");\n' });
  await step('readiness', { 'server.js': "require('node:http').createServer((q, s) => s.end('x')).listen(3000);\n" });
  await step('swap', { x: '3' }, async () => await forge.endProxy('SIGKILL'), async () => { await forge.beginProxy(); await until('back', async () => (await forge.get('hello')).status === 200); });
  const lock = join(forge.data, 'repos/hello.git/refs/heads/main.lock');
  await step('confirm', { x: '4' }, async () => await writeFile(lock, ''), async () => await rm(lock));
  await step('cancel', { Dockerfile: 'FROM forge-test/node:24\nWORKDIR /app\nCOPY . .\nRUN sleep 60\nCMD ["node", "server.js"]\n' }, async () => {
    void (async () => { const d = await until('building', async () => (await forge.deployments('hello')).find(({ status }) => status === 'building')); await forge.ssh$(['deployments:cancel', d.id]); })();
  });
  show('config', await forge.ssh$(['config:set', 'hello', 'PORT=x', 'NODE_OPTIONS=--nonsense']));
  await step('postdeploy', { 'app.json': JSON.stringify({ scripts: { dokku: { postdeploy: 'node warm.js' } } }) });
  const interrupted = (async () => { await until('building', async () => (await forge.deployments('hello'))[0]?.status === 'building'); await forge.end('SIGKILL'); })();
  await step('interrupted', { Dockerfile: 'FROM forge-test/node:24\nWORKDIR /app\nCOPY . .\nRUN sleep 61\nCMD ["node", "server.js"]\n' }, undefined, async () => { await interrupted; await forge.begin(); });
  show('list', await forge.ssh$(['deployments:list', 'hello']));
  const d = (await forge.deployments('hello'))[0];
  show('info', await forge.ssh$(['deployments:info', d?.id ?? '']));
  show('output', await forge.ssh$(['deployments:output', d?.id ?? '']));
} finally {
  await forge.remove();
}
