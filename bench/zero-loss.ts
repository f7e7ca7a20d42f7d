/**
 * Everything that may be done to an app, under visitors who notice everything: small requests over kept connections,
 * streaming responses that never pause for us, WebSockets that echo. Deploys (real git pushes), rollbacks, config changes,
 * scaling and a `kill -9` of the control plane, one every few seconds; the visitors are a process of their own and check every
 * body. Proxy and control plane are two processes, as an installed forge runs them.
 *
 * The app is a compiled one: a Node app (`--node-app`) answers its first few hundred requests ten times slower than later
 * ones, under any platform, and that would be most of what p99 tells.
 *
 * "Quiet" is the same load before anything is done. "During" is all of the time from the first change to the last, the seconds
 * between them too; its p99 is compared with the quiet one, and so is that of the moments alone in which a command runs:
 * what git, ssh and the engine take of a machine that is the visitors' too shows there most. The app's own start is what the app itself
 * counts from the start of its process until it listens; beside it, how long the bare engine takes from `create` to the app's
 * first answer, measured in the same run between the changes.
 */
import { setPriority } from 'node:os';
import { parseArgs } from 'node:util';
import { connectDocker } from '../src/docker/connect.ts';
import { createContainer, inspectContainer, removeContainer, startContainer } from '../src/docker/containers.ts';
import { delay } from '../src/wait.ts';
import { appFolder, bootForge, writeFiles } from '../test/support/forge.ts';
import { startVisitors, type Visitors, type VisitResult } from '../test/support/start-visitors.ts';
import { visitedApp, type AppFacts } from '../test/support/visited-app.ts';
import { get, line, median, printMachine, summary, untilAnswers, verdict } from './support.ts';
import { compiledApp } from './visited-app/compile.ts';

const number = (fallback: number) => ({ type: 'string', default: String(fallback) }) as const;
const { values: flags } = parseArgs({
  options: {
    deploys: number(20), rollbacks: number(20), configs: number(10), scale: number(4), kills: number(1), rate: number(500), streams: number(20),
    'stream-seconds': number(20), 'web-sockets': number(50), quiet: number(20), every: number(10), 'node-app': { type: 'boolean', default: false }, help: { type: 'boolean', default: false },
  },
});
if (flags.help) {
  console.log(`node bench/zero-loss.ts [options]
  --deploys 20  --rollbacks 20  --configs 10  --kills 1   how often each is done
  --scale 4                                               ps:scale web=4 and back, 1: not
  --rate 500  --streams 20  --stream-seconds 20  --web-sockets 50
  --quiet 20                                              seconds of load before the first change
  --every 10                                              seconds from one change to the next, 0: no pause
  --node-app                                              an app that has to warm up`);
  process.exit(0);
}
const app = 'bench';
/** How exactly the first new answer is told; a shorter pause would be load of its own. */
const pollMs = 5;
const count = (name: Exclude<keyof typeof flags, 'help' | 'node-app'>): number => Number(flags[name]);

printMachine(`Zero loss: ${flags.deploys} deploys, ${flags.rollbacks} rollbacks, ${flags.configs} config changes, scale 1→${flags.scale}→1, ${flags.kills} kill -9, under ${flags.rate} requests/s, ${flags.streams} streams of ${flags['stream-seconds']} s, ${flags['web-sockets']} WebSockets`);
const forge = await bootForge({ hasOwnProxy: true });
const docker = connectDocker('/var/run/docker.sock');
const took: Record<'deploy' | 'rollback' | 'config' | 'start' | 'bare', number[]> = { deploy: [], rollback: [], config: [], start: [], bare: [] };
try {
  const folder = flags['node-app'] ? await appFolder(visitedApp('0')) : await compiledApp('0');
  await push(folder);
  const visitors = await startVisitors({
    port: forge.http, host: `${app}.localhost`, perSecond: count('rate'), streams: count('streams'), streamSeconds: count('stream-seconds'), webSockets: count('web-sockets'), maxSeconds: 3600,
  });
  beElsewhere(true);
  visitors.enter('quiet');
  await delay(count('quiet') * 1000);
  await changeEverything(folder, visitors);
  report(await visitors.stop());
} finally {
  await forge.remove();
}

/** Each kind as often as asked for, the kinds mixed. */
async function changeEverything(folder: string, visitors: Visitors): Promise<void> {
  const rounds = Math.max(count('deploys'), count('rollbacks'), count('configs'));
  const isDue = (times: number, round: number): boolean => Math.floor(((round + 1) * times) / rounds) > Math.floor((round * times) / rounds);
  for (let round = 0; round < rounds; round++) {
    const during = async (kind: string, task: () => Promise<unknown>): Promise<void> => {
      visitors.enter(`during change ${kind}`);
      const startedAt = performance.now();
      await task();
      visitors.enter('during pause');
      await delay(Math.max(0, count('every') * 1000 - (performance.now() - startedAt)));
    };
    if (isDue(count('deploys'), round)) await during('deploys', () => deploy(folder, round));
    if (isDue(count('rollbacks'), round)) await during('rollbacks', async () => took.rollback.push(await command(['releases:rollback', app])));
    if (isDue(count('configs'), round)) await during('configs', async () => took.config.push(await command(['config:set', app, `COLOR=color-${round}`])));
    if (round === Math.floor(rounds / 2)) await during('scaling', scale);
    if (isDue(count('kills'), round)) await during('kills', kill);
    if (round % 3 === 0) {
      visitors.enter('bare');
      await startBare();
    }
  }
}

async function push(folder: string): Promise<void> {
  const { exitCode, all } = await forge.push(folder, app);
  if (exitCode !== 0) throw new Error(all);
}

async function deploy(folder: string, round: number): Promise<void> {
  await writeFiles(folder, flags['node-app'] ? visitedApp(`deploy ${round}`) : { text: `deploy ${round}` });
  const startedAt = performance.now();
  await push(folder);
  took.deploy.push(performance.now() - startedAt);
  const { text } = await facts();
  if (text !== `deploy ${round}`) throw new Error(`${JSON.stringify(text)} answers after deploy ${round}`);
}

/** From the start of the command, as a person types it, to the first answer of the release that it made. */
async function command(words: readonly string[]): Promise<number> {
  const { release } = await facts();
  const startedAt = performance.now();
  const ended = (async () => {
    const { exitCode, all } = await forge.ssh$(words);
    if (exitCode !== 0) throw new Error(all);
  })();
  ended.catch(() => undefined);
  const isNew = async (): Promise<boolean> => (await facts()).release !== release;
  while (!(await Promise.race([isNew(), ended.then(isNew)]))) await delay(pollMs);
  const ms = performance.now() - startedAt;
  await ended;
  took.start.push((await facts()).startMs);
  return ms;
}

async function facts(): Promise<AppFacts> {
  const body = await get({ address: '127.0.0.1', port: forge.http, host: `${app}.localhost:${forge.http}`, path: '/facts' });
  if (body === undefined) throw new Error('/facts was not answered');
  return JSON.parse(body) as AppFacts;
}

async function scale(): Promise<void> {
  if (count('scale') === 1) return;
  for (const quantity of [count('scale'), 1]) {
    const { exitCode, all } = await forge.ssh$(['ps:scale', app, `web=${quantity}`]);
    if (exitCode !== 0) throw new Error(all);
    await delay(1000);
  }
}

async function kill(): Promise<void> {
  await forge.end('SIGKILL');
  await delay(1000);
  beElsewhere(false);
  await forge.begin();
  beElsewhere(true);
}

/** Who pushes and types commands sits at another machine: here git and ssh give way to whatever serves. Only root may take that back. */
function beElsewhere(isSo: boolean): void {
  if (process.getuid?.() === 0) setPriority(process.pid, isSo ? 10 : 0);
}

/** The same image without forge: create, start, first answer. */
async function startBare(): Promise<void> {
  const { instances } = await forge.json<{ instances: { containerId: string; isRunning: boolean }[] }>('ps:list', app);
  const one = instances.find(({ isRunning }) => isRunning);
  if (!one) throw new Error('nothing runs');
  const { Image } = await inspectContainer(docker, one.containerId);
  const startedAt = performance.now();
  const id = await createContainer(docker, { Image, Env: ['PORT=5000', 'FORGE_RELEASE=v0'], Labels: { 'forge.bench': String(process.pid) }, HostConfig: { Init: true } });
  try {
    await startContainer(docker, id);
    const { NetworkSettings } = await inspectContainer(docker, id);
    await untilAnswers({ address: NetworkSettings.Networks['bridge']?.IPAddress ?? '', port: 5000, host: 'bare', path: '/small?n=0' }, 'v0 0 '.padEnd(1024, '.'));
    took.bare.push(performance.now() - startedAt);
  } finally {
    await removeContainer(docker, id);
  }
}

function report(result: VisitResult): void {
  const { quiet, during, 'during change': changing, bare } = result.phases;
  line('small requests', `${result.sent} sent, ${result.failed} failed; ${result.connectionsClosed} kept connections closed`);
  line('streaming responses', `${result.streamsEnded} ended whole, ${result.streamsCut.length} cut`);
  const codes = Object.entries(result.closeCodes).map(([code, times]) => `${times} × ${code}`);
  line('WebSockets', `${result.webSocketsOpened} opened, ${result.echoes} echoes, closed with a frame ${codes.join(', ') || 'never'}, without one ${result.webSocketsCut.length}`);
  for (const problem of [...result.failures, ...result.streamsCut, ...result.webSocketsCut].slice(0, 20)) line('', problem);
  if (quiet && during && changing) {
    line('quiet', `${quiet.count} answers: p50 ${quiet.p50Ms.toFixed(1)} ms, p99 ${quiet.p99Ms.toFixed(1)} ms, longest ${quiet.longestMs.toFixed(0)} ms`);
    line('during', `${during.count} answers: p50 ${during.p50Ms.toFixed(1)} ms, p99 ${during.p99Ms.toFixed(1)} ms, longest ${during.longestMs.toFixed(0)} ms; visitors' own timer late by at most ${result.ownLagMs.toFixed(0)} ms`);
    line('while a command runs', `${changing.count} answers: p50 ${changing.p50Ms.toFixed(1)} ms, p99 ${changing.p99Ms.toFixed(1)} ms`);
    const kinds = Object.entries(result.phases).flatMap(([name, { p99Ms }]) => (name.startsWith('during change ') ? [`${name.slice(14)} ${p99Ms.toFixed(1)}`] : []));
    line('p99 by what it does', `${kinds.join(', ')} ms`);
    if (bare) line('while the bare engine starts one', `${bare.count} answers: p50 ${bare.p50Ms.toFixed(1)} ms, p99 ${bare.p99Ms.toFixed(1)} ms, longest ${bare.longestMs.toFixed(0)} ms`);
    verdict('p99 during / quiet', during.p99Ms / quiet.p99Ms, 2, '');
    line('p99 while a command runs / quiet', `${(changing.p99Ms / quiet.p99Ms).toFixed(2)}${bare ? `; while the bare engine starts one / quiet ${(bare.p99Ms / quiet.p99Ms).toFixed(2)}` : ''}`);
  }
  const ownStart = median(took.start);
  line('the app’s own start', summary(took.start, 'ms'));
  line('create to first answer, bare engine', summary(took.bare, 'ms'));
  if (took.deploy.length > 0) line('git push', summary(took.deploy, 'ms'));
  for (const kind of ['rollback', 'config'] as const) {
    if (took[kind].length === 0) continue;
    line(`${kind}, command to first new answer`, summary(took[kind], 'ms'));
    verdict(`${kind} − the app’s own start`, (median(took[kind]) - ownStart) / 1000, 1, ' s');
  }
  const isLossless = result.failed === 0 && result.streamsCut.length === 0 && result.webSocketsCut.length === 0;
  line('lost', isLossless ? 'nothing: held' : 'SOMETHING: MISSED');
}
