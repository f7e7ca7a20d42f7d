/**
 * Ends forge with SIGKILL at random moments of what is done to whole apps, volumes, backups and one-off commands, starts it
 * again, and prints what was not as it must be once it had time to heal: apps that do not serve their code, config and files,
 * and anything in the engine or the data directory that belongs to nobody. `faults.ts` does the same at every step of a deploy.
 *
 *   node bench/kills.ts [--runs 20] [--operation apps:rename]
 */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Database from 'better-sqlite3';
import { execa } from 'execa';
import { delay } from '../src/wait.ts';
import { idOf } from '../test/support/app-containers.ts';
import { appFolder, bootForge, dockerfileApp, until, type Command } from '../test/support/forge.ts';
import { line, printMachine, summary } from './support.ts';

const { values: flags } = parseArgs({ options: { runs: { type: 'string', default: '20' }, operation: { type: 'string' } } });
const healTimeoutMs = 30_000;
const program = join(import.meta.dirname, '../bin/forge');
const passphrase = 'correct horse battery';
const server = `
const fs = require('node:fs');
require('node:http').createServer((request, response) => {
  if (request.url === '/keep') fs.writeFileSync('/data/kept', 'kept');
  response.end([process.env.FORGE_APP, process.env.SECRET, fs.existsSync('/data/kept') ? fs.readFileSync('/data/kept', 'utf8') : 'empty'].join(' '));
}).listen(process.env.PORT);
process.on('SIGTERM', () => process.exit(0));
`;

/** What is done, what makes it possible and what takes it back; all but `act` go undisturbed. */
interface Attack {
  readonly operation: string;
  prepare?(): Promise<unknown>;
  act(): PromiseLike<Command>;
  /** After the kill: whatever became of it. */
  clean?(): Promise<unknown>;
}

printMachine(`forge ended with SIGKILL at random moments, ${flags.runs} times for each operation`);
const forge = await bootForge({ hasOwnProxy: true, settings: { drainTimeout: '2' } });
let violated = 0;
try {
  const attacks = (await openAttacks()).filter(({ operation }) => flags.operation === undefined || operation === flags.operation);
  for (const attack of attacks) violated += await repeat(attack);
  line('in all', `${violated} violations in ${attacks.length * Number(flags.runs)} runs`);
} finally {
  await forge.remove();
}
process.exitCode = violated === 0 ? 0 : 1;

/** An app with a volume, config and code, its export, and what may be done to it. */
async function openAttacks(): Promise<readonly Attack[]> {
  const folder = await appFolder(dockerfileApp('', server));
  await mustWork(forge.push(folder, 'hello'));
  await mustWork(forge.ssh$(['volumes:create', 'hello', 'data']));
  await mustWork(forge.ssh$(['volumes:mount', 'hello', 'data', '/data']));
  await mustWork(forge.ssh$(['config:set', 'hello', 'SECRET=canary-77']));
  await forge.get('hello', '/keep');
  const place = await appFolder({});
  const exported = await bytesOf(['apps:export', 'hello'], `${passphrase}\n`);
  const volume = await bytesOf(['volumes:backup', 'hello', 'data']);
  const input = Buffer.concat([Buffer.from(`${passphrase}\n`), exported]);
  const isThere = async (app: string): Promise<boolean> => (await appNames()).includes(app);
  const destroy = async (app: string): Promise<void> => {
    if (await isThere(app)) await mustWork(forge.ssh$(['apps:destroy', app, '--confirm', app]));
  };
  const clone = async (): Promise<void> => void ((await isThere('other')) || (await mustWork(forge.ssh$(['apps:clone', 'hello', 'other']))));
  let count = 0;
  return [
    { operation: 'apps:rename', act: () => forge.ssh$(['apps:rename', 'hello', 'other']), clean: async () => (await isThere('other')) && (await mustWork(forge.ssh$(['apps:rename', 'other', 'hello']))) },
    { operation: 'apps:clone', act: () => forge.ssh$(['apps:clone', 'hello', 'other']), clean: async () => await destroy('other') },
    { operation: 'apps:destroy', prepare: clone, act: () => forge.ssh$(['apps:destroy', 'other', '--confirm', 'other']), clean: async () => await destroy('other') },
    { operation: 'apps:export', act: () => written(['apps:export', 'hello'], '/dev/null', `${passphrase}\n`) },
    { operation: 'apps:import', act: () => forge.ssh$(['apps:import', 'other'], { input }), clean: async () => await destroy('other') },
    { operation: 'volumes:backup', act: () => written(['volumes:backup', 'hello', 'data'], '/dev/null') },
    { operation: 'volumes:restore', prepare: async () => await mustWork(forge.ssh$(['ps:stop', 'hello'])), act: () => forge.ssh$(['volumes:restore', 'hello', 'data', '--force'], { input: volume }), clean: async () => await mustWork(forge.ssh$(['ps:start', 'hello'])) },
    { operation: 'volumes:create', act: () => forge.ssh$(['volumes:create', 'hello', `v${++count}`]), clean: async () => await forge.ssh$(['volumes:remove', 'hello', `v${count}`, '--confirm', `v${count}`]) },
    { operation: 'run', act: () => forge.ssh$(['run', 'hello', 'sleep', '0.5']) },
    { operation: 'run:detached', act: () => forge.ssh$(['run:detached', 'hello', 'sleep', '0.5']) },
    { operation: 'ps:stop', act: () => forge.ssh$(['ps:stop', 'hello']), clean: async () => await mustWork(forge.ssh$(['ps:start', 'hello'])) },
    { operation: 'ps:start', prepare: async () => await mustWork(forge.ssh$(['ps:stop', 'hello'])), act: () => forge.ssh$(['ps:start', 'hello']), clean: async () => await mustWork(forge.ssh$(['ps:start', 'hello'])) },
    { operation: 'backup', act: () => forge.forge$(['backup', '--to', join(place, `b${++count}`)]) },
    { operation: 'disk:clean', prepare: async () => await mustWork(forge.push(folder, 'hello')), act: () => forge.ssh$(['disk:clean']) },
  ];
}

/** Once undisturbed, to know how long it takes; then killed anywhere within that time. */
async function repeat(attack: Attack): Promise<number> {
  await attack.prepare?.();
  const startedAt = performance.now();
  await mustWork(attack.act());
  const wholeMs = performance.now() - startedAt;
  await attack.clean?.();
  const found: string[] = [];
  const healed: number[] = [];
  for (let run = 0; run < Number(flags.runs); run++) {
    await attack.prepare?.();
    const atMs = ((run + Math.random()) / Number(flags.runs)) * wholeMs;
    const acting = attack.act();
    await delay(atMs, new AbortController().signal);
    await forge.end('SIGKILL');
    await acting;
    await forge.begin();
    const begunAt = performance.now();
    const wrongs = await untilHealed();
    healed.push(performance.now() - begunAt);
    found.push(...wrongs.map((what) => `killed after ${atMs.toFixed(0)} of ${wholeMs.toFixed(0)} ms: ${what}`));
    await attack.clean?.();
  }
  line(attack.operation, `${found.length} violations; healed within ${summary(healed, 'ms')} of the start`);
  for (const what of found) console.log(`    ${what}`);
  return found.length;
}

/** What is still wrong when the time is up. */
async function untilHealed(): Promise<readonly string[]> {
  let wrong: readonly string[] = [];
  await until('all is well', async () => (wrong = await findWrongs()).length === 0, healTimeoutMs).catch(() => undefined);
  return wrong;
}

async function findWrongs(): Promise<readonly string[]> {
  const apps = await forge.json<{ apps: { name: string; state: string }[] }>('apps:list');
  const names = apps.apps.map(({ name }) => name);
  const wrongs: string[] = [];
  for (const { name, state } of apps.apps) {
    const { status, body } = await forge.get(name);
    // A clone begins with empty volumes.
    const isGood = state === 'stopped' ? status === 503 : state === 'running' && status === 200 && [`${name} canary-77 kept`, ...(names.length > 1 ? [`${name} canary-77 empty`] : [])].includes(body);
    if (!isGood) wrongs.push(`${name} is ${state} and answers ${status} ${body.slice(0, 60)}`);
  }
  if (!names.includes('hello') && !names.includes('other')) wrongs.push('the app is gone');
  return [...wrongs, ...(await strangers(apps.apps.filter(({ state }) => state === 'running').map(({ name }) => name), names))];
}

/** Things that belong to no app that there is. */
async function strangers(running: readonly string[], names: readonly string[]): Promise<readonly string[]> {
  const wrongs: string[] = [];
  const mine = `label=forge.data=${idOf(forge)}`;
  const list = async (...words: string[]): Promise<string[]> => (await execa('docker', words)).stdout.split('\n').filter(Boolean).sort();
  const equal = (what: string, found: readonly string[], wanted: readonly string[]): void => {
    if (found.join() !== [...wanted].sort().join()) wrongs.push(`${what}: found ${found.join()}, expected ${wanted.join()}`);
  };
  const containers = await list('ps', '-a', '--filter', mine, '--format', '{{.Label "forge.app"}} {{.Label "forge.instance"}}{{if .Label "forge.job"}}job{{end}}');
  equal('containers', containers.filter((one) => !one.endsWith('job')), running.map((name) => `${name} web.1`));
  equal('networks', await list('network', 'ls', '--filter', mine, '--filter', 'label=forge.app', '--format', '{{.Label "forge.app"}}'), running);
  const database = new Database(join(forge.data, 'forge.db'), { readonly: true });
  try {
    // One that has no files yet is made when it is mounted.
    const volumes = new Set(database.prepare('SELECT engine_name FROM volumes').pluck().all());
    equal('volumes of nobody', (await list('volume', 'ls', '--filter', mine, '--format', '{{.Name}}')).filter((name) => !volumes.has(name)), []);
    const unfinished = database.prepare('SELECT app FROM deployments WHERE ended_at IS NULL').pluck().all() as string[];
    equal('deployments without an end', unfinished, []);
  } finally {
    database.close();
  }
  const images = await list('images', '--format', '{{.Repository}}');
  for (const image of images) if (image.startsWith(`forge-${idOf(forge)}/`) && !names.includes(image.split('/')[1] ?? '')) wrongs.push(`image ${image}`);
  equal('tmp', readdirSync(join(forge.data, 'tmp')), []);
  equal('repositories', readdirSync(join(forge.data, 'repos')).filter((name) => name !== '.empty.git').sort(), names.map((name) => `${name}.git`));
  for (const name of readdirSync(join(forge.data, 'logs'))) if (!names.includes(name)) wrongs.push(`logs/${name}`);
  return wrongs;
}

async function appNames(): Promise<readonly string[]> {
  return (await forge.json<{ apps: { name: string }[] }>('apps:list')).apps.map(({ name }) => name);
}

/** Its output goes to the file: an export is larger than a string can be. */
function written(words: readonly string[], file: string, input = ''): PromiseLike<Command> {
  return execa(program, ['--data', forge.data, ...words], { input, stdout: { file }, buffer: { stdout: false, stderr: true }, reject: false, all: false }) as unknown as PromiseLike<Command>;
}

async function bytesOf(words: readonly string[], input?: string): Promise<Buffer> {
  const path = join(await appFolder({}), 'output');
  await mustWork(written(words, path, input));
  return await readFile(path);
}

async function mustWork(command: PromiseLike<Command>): Promise<void> {
  const { exitCode, stderr } = await command;
  if (exitCode !== 0) throw new Error(stderr);
}
