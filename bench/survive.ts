/**
 * `kill -9` of `forge serve` under steady requests, proxy and control plane being two processes as an installed forge runs
 * them: how many requests failed, and whether the restarted one knows everything and deploys again.
 *
 *   node bench/survive.ts [--rounds 5] [--rate 200] [--seconds 6]
 */
import { Agent, request } from 'node:http';
import { parseArgs } from 'node:util';
import { delay } from '../src/wait.ts';
import { appFolder, bootForge, dockerfileApp, until, writeFiles } from '../test/support/forge.ts';
import { line, median, printMachine, summary, timed } from './support.ts';

const { values: flags } = parseArgs({ options: { rounds: { type: 'string', default: '5' }, rate: { type: 'string', default: '200' }, seconds: { type: 'string', default: '6' } } });
const app = 'bench';

printMachine(`kill -9 of forge serve under ${flags.rate} requests/s`);
const forge = await bootForge({ hasOwnProxy: true });
const agents = { 'new connections': false as const, 'kept connections': new Agent({ keepAlive: true }) };
try {
  const folder = await appFolder(dockerfileApp('round 0'));
  await push(folder);
  const known = (await forge.ssh$(['releases:list', app, '--json'])).stdout;
  for (const [name, agent] of Object.entries(agents)) {
    const [sent, failed, longest, downMs]: [number[], number[], number[], number[]] = [[], [], [], []];
    for (let round = 0; round < Number(flags.rounds); round++) {
      const load = startLoad(agent);
      await delay((Number(flags.seconds) * 1000) / 3);
      downMs.push(await timed(async () => {
        await forge.end('SIGKILL');
        await delay((Number(flags.seconds) * 1000) / 6);
        await forge.begin();
      }));
      await delay((Number(flags.seconds) * 1000) / 3);
      const outcome = await load.stop();
      sent.push(outcome.sent);
      failed.push(outcome.failed);
      longest.push(outcome.longestMs);
    }
    const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
    line(name, `${total(failed)} of ${total(sent)} requests failed in ${flags.rounds} kills (serve away for ${summary(downMs, 'ms')}; longest answer ${Math.max(...longest).toFixed(0)} ms, median ${median(longest).toFixed(0)} ms)`);
  }
  const again = (await forge.ssh$(['releases:list', app, '--json'])).stdout;
  line('knows its releases afterwards', known === again ? 'yes' : `NO: ${known} / ${again}`);
  await writeFiles(folder, dockerfileApp('after'));
  await push(folder);
  line('deploys afterwards', (await until('the new version answers', async () => (await forge.get(app)).body === 'after')) ? 'yes' : 'NO');
} finally {
  agents['kept connections'].destroy();
  await forge.remove();
}

async function push(folder: string): Promise<void> {
  const { exitCode, all } = await forge.push(folder, app);
  if (exitCode !== 0) throw new Error(all);
}

/** So many requests a second, whether earlier ones have been answered or not. */
function startLoad(agent: Agent | false) {
  const everyMs = 1000 / Number(flags.rate);
  const stopping = new AbortController();
  const outcome = { sent: 0, failed: 0, longestMs: 0 };
  const open = new Set<Promise<void>>();
  const running = (async () => {
    const startedAt = performance.now();
    while (!stopping.signal.aborted) {
      while (outcome.sent < (performance.now() - startedAt) / everyMs) {
        outcome.sent++;
        const one = ask(agent).then(({ isGood, ms }) => {
          if (!isGood) outcome.failed++;
          outcome.longestMs = Math.max(outcome.longestMs, ms);
        });
        open.add(one);
        void one.finally(() => open.delete(one));
      }
      await delay(everyMs);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await running;
      await Promise.all(open);
      return outcome;
    },
  };
}

async function ask(agent: Agent | false): Promise<{ readonly isGood: boolean; readonly ms: number }> {
  const startedAt = performance.now();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const asked = request({ host: '127.0.0.1', port: forge.http, headers: { host: `${app}.localhost:${forge.http}` }, agent, timeout: 10_000 }, (response) => {
    let body = '';
    response.on('data', (part: Buffer) => (body += part.toString())).on('error', () => resolve(false));
    response.on('end', () => resolve(response.statusCode === 200 && body.startsWith('round')));
  });
  asked.on('error', () => resolve(false)).on('timeout', () => asked.destroy(new Error('no answer')));
  asked.end();
  const isGood = await promise;
  return { isGood, ms: performance.now() - startedAt };
}
