/**
 * A one-line change of a Dockerfile app, from the start of `git push` to its exit with the new version answering, beside the
 * floor: bare `docker build` (as this machine's docker does it by default), `docker run` and the first 200 of the same app.
 * In turn, one change each a round.
 *
 * forge's own share is what a push takes beyond the floor of its round: everything but build, container start and the
 * app's own start. Its CPU is counted by the kernel (utime + stime + cutime + cstime): forge serve and what it has started
 * (git, the hook), forge proxy, and the client's git and ssh. The engine's own CPU is shown beside it, for both.
 *
 *   node bench/push-dockerfile.ts [--rounds 9]
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { appFolder, bootForge, dockerfileApp } from '../test/support/forge.ts';
import { childrenSeconds, cpuSeconds, inTurn, line, median, printMachine, processesWith, run, summary, untilAnswers, verdict } from './support.ts';

const { values: flags } = parseArgs({ options: { rounds: { type: 'string', default: '9' } } });
const label = `forge.bench=${process.pid}`;
const app = 'bench';
let changes = 0;

interface Round {
  readonly ms: number;
  readonly cpu: number;
  readonly engineCpu: number;
  /** Parts of the time, where they can be told apart from outside. */
  readonly parts: readonly number[];
}

printMachine('One changed line, Dockerfile app: git push beside docker build + docker run + first 200');
const forge = await bootForge({ hasOwnProxy: true });
const floorFolder = await appFolder(dockerfileApp('0'));
const pushFolder = await appFolder(dockerfileApp('0'));
try {
  const forges = processesWith(forge.data);
  const engine = [...processesWith('dockerd'), ...processesWith('containerd')];
  const measured = async (task: () => Promise<readonly number[]>): Promise<Round> => {
    const [cpu, engineCpu] = [childrenSeconds() + cpuSeconds(forges), cpuSeconds(engine)];
    const startedAt = performance.now();
    const parts = await task();
    const ms = performance.now() - startedAt;
    return { ms, parts, cpu: childrenSeconds() + cpuSeconds(forges) - cpu, engineCpu: cpuSeconds(engine) - engineCpu };
  };
  const results = await inTurn(Number(flags.rounds), {
    floor: async () => {
      const text = await change(floorFolder);
      const round = await measured(async () => await bareRun(text));
      await removeContainers();
      return round;
    },
    push: async () => {
      const text = await change(pushFolder);
      await forge.commit(pushFolder);
      return await measured(async () => {
        const { exitCode, all } = await forge.git$(pushFolder, ['push', forge.remote(app), 'main']);
        if (exitCode !== 0) throw new Error(all);
        const exited = performance.now();
        await untilAnswers({ address: '127.0.0.1', port: forge.http, host: `${app}.localhost:${forge.http}` }, text);
        return [performance.now() - exited];
      });
    },
  });
  report(results);
} finally {
  await removeContainers();
  await run('docker', ['rmi', '-f', `forge-bench/floor:${process.pid}`]).catch(() => undefined);
  await forge.remove();
}

function report({ floor, push }: Record<'floor' | 'push', Round[]>): void {
  const ms = (rounds: readonly Round[]) => rounds.map((round) => round.ms);
  line('floor', `${summary(ms(floor), 'ms')}: build ${summary(floor.map(({ parts }) => parts[0] ?? NaN), 'ms')}, run ${summary(floor.map(({ parts }) => parts[1] ?? NaN), 'ms')}, first 200 ${summary(floor.map(({ parts }) => parts[2] ?? NaN), 'ms')}`);
  line('push', `${summary(ms(push), 'ms')}: of it the request after git's exit ${summary(push.map(({ parts }) => parts[0] ?? NaN), 'ms')}`);
  const pairs = push.map((round, index) => ({ push: round, floor: floor[index] as Round }));
  verdict('push / floor, per round', median(pairs.map((pair) => pair.push.ms / pair.floor.ms)), 2, '');
  verdict('push − floor, per round', median(pairs.map((pair) => pair.push.ms - pair.floor.ms)), 500, ' ms');
  line('CPU, forge and git client', summary(push.map(({ cpu }) => cpu), 's', 2));
  verdict('CPU, median', median(push.map(({ cpu }) => cpu)), 0.7, ' s');
  line('CPU of the engine', `push ${summary(push.map(({ engineCpu }) => engineCpu), 's', 2)}, floor ${summary(floor.map(({ engineCpu }) => engineCpu), 's', 2)}`);
}

/** The next version of the app's one line. */
async function change(folder: string): Promise<string> {
  const text = `change ${++changes}`;
  await writeFile(join(folder, 'server.js'), dockerfileApp(text)['server.js'] as string);
  return text;
}

async function bareRun(text: string): Promise<readonly number[]> {
  const startedAt = performance.now();
  const tag = `forge-bench/floor:${process.pid}`;
  await run('docker', ['build', '-q', '-t', tag, floorFolder]);
  const builtAt = performance.now();
  const id = await run('docker', ['run', '-d', '--label', label, '-e', 'PORT=5000', tag]);
  const ranAt = performance.now();
  const address = await run('docker', ['inspect', '-f', '{{.NetworkSettings.IPAddress}}', id]);
  await untilAnswers({ address, port: 5000, host: 'app' }, text);
  return [builtAt - startedAt, ranAt - builtAt, performance.now() - ranAt];
}

async function removeContainers(): Promise<void> {
  const ids = (await run('docker', ['ps', '-aq', '--filter', `label=${label}`])).split('\n').filter(Boolean);
  if (ids.length > 0) await run('docker', ['rm', '-f', '-v', ...ids]);
}
