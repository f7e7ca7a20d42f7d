/**
 * A push that starts web=2 and worker=2 beside one that starts web=1, and beside what the bare engine takes for one, two and
 * four containers of the same image created and started in parallel. In turn, one changed line each a round. All
 * instances of all types start and are probed at the same time, so four must cost little more than one and the engine's
 * own time for three more.
 *
 * The workers say when they are ready (`healthchecks` in app.json: they listen). Without a check a worker is ready once it has been up
 * 3 s, counted beside everything else: the last line shows that.
 */
import { parseArgs } from 'node:util';
import { connectDocker } from '../src/docker/connect.ts';
import { createContainer, removeContainer, startContainer } from '../src/docker/containers.ts';
import { appFolder, bootForge, dockerfileApp, until, writeFiles } from '../test/support/forge.ts';
import { nodeImage } from '../test/support/images.ts';
import { inTurn, line, median, printMachine, run, summary, timed, verdict } from './support.ts';

const { values: flags } = parseArgs({ options: { rounds: { type: 'string', default: '7' }, help: { type: 'boolean', default: false } } });
if (flags.help) {
  console.log('node bench/parallel-start.ts [--rounds 7]');
  process.exit(0);
}
const docker = connectDocker('/var/run/docker.sock');
const label = { 'forge.bench': `parallel-${process.pid}` };
let changes = 0;

const listens = { healthchecks: { worker: [{ type: 'startup', listening: true, attempts: 60, wait: 1 }] } };
const apps = {
  one: appJson(1, 0, listens),
  four: appJson(2, 2, listens),
  patient: appJson(2, 2, {}),
};

printMachine('web=2 worker=2 beside web=1, Dockerfile app, one changed line');
const forge = await bootForge({ hasOwnProxy: true });
const folders = Object.fromEntries(await Promise.all(Object.keys(apps).map(async (name) => [name, await appFolder({})]))) as Record<keyof typeof apps, string>;
try {
  const image = (await run('docker', ['image', 'inspect', '-f', '{{.Id}}', nodeImage])).trim();
  const results = await inTurn(Number(flags.rounds), {
    one: async () => await push('one'),
    'bare 1': async () => await startBare(image, 1),
    'bare 2': async () => await startBare(image, 2),
    'bare 4': async () => await startBare(image, 4),
    four: async () => await push('four'),
    patient: async () => await push('patient'),
  });
  report(results);
} finally {
  const left = (await run('docker', ['ps', '-aq', '--filter', `label=forge.bench=${label['forge.bench']}`])).split('\n').filter(Boolean);
  if (left.length > 0) await run('docker', ['rm', '-f', '-v', ...left]);
  await forge.remove();
}

function appJson(web: number, worker: number, more: object): Record<string, string> {
  return { 'app.json': JSON.stringify({ formation: { web: { quantity: web }, worker: { quantity: worker } }, ...more }), Procfile: 'web: node server.js\nworker: node server.js\n' };
}

async function push(name: keyof typeof apps): Promise<number> {
  const folder = folders[name];
  await writeFiles(folder, { ...dockerfileApp(`change ${++changes}`), ...apps[name] });
  await forge.commit(folder);
  const ms = await timed(async () => {
    const { exitCode, all } = await forge.git$(folder, ['push', forge.remote(name), 'main']);
    if (exitCode !== 0) throw new Error(all);
  });
  const wanted = name === 'one' ? 1 : 4;
  // The old ones leave beside what comes next, which must not be measured with them.
  await until(`${name} is left with its new instances`, async () => {
    const running = await forge.instances(name);
    return running.length === wanted && new Set(running.map((each) => each.split('@')[1])).size === 1;
  });
  return ms;
}

async function startBare(image: string, count: number): Promise<number> {
  const ids: string[] = [];
  try {
    return await timed(async () => {
      await Promise.all(Array.from({ length: count }, async () => {
        const id = await createContainer(docker, { Image: image, Cmd: ['node', '-e', 'setInterval(() => undefined, 1000)'], Labels: label, HostConfig: { Init: true } });
        ids.push(id);
        await startContainer(docker, id);
      }));
    });
  } finally {
    await Promise.all(ids.map(async (id) => await removeContainer(docker, id)));
  }
}

function report(results: Record<'one' | 'four' | 'patient' | 'bare 1' | 'bare 2' | 'bare 4', number[]>): void {
  line('push, web=1', summary(results.one, 'ms'));
  line('push, web=2 worker=2', summary(results.four, 'ms'));
  for (const count of ['1', '2', '4'] as const) line(`bare engine, ${count} in parallel`, summary(results[`bare ${count}`], 'ms'));
  const threeMore = median(results['bare 4']) - median(results['bare 1']);
  line('bare engine, three more', `${threeMore.toFixed(0)} ms`);
  verdict('web=2 worker=2 / (web=1 + three more)', median(results.four) / (median(results.one) + threeMore), 1.2, '');
  line('push, workers without a check', `${summary(results.patient, 'ms')}: ready once they have been up 3 s`);
}
