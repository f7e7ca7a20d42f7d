/**
 * A one-line change of a Node app through Cloud Native Buildpacks, from the start of `git push` to its exit with the new
 * version answering, beside the same lifecycle containers run by hand, `docker run` and the first 200. In turn, one change
 * each a round, each with a warm cache of its own, both exporting to the same registry.
 *
 *   node bench/push-cnb.ts [--rounds 7]
 *
 * Needs the local builder (forge builder:create).
 */
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { appFolder, bootForge } from '../test/support/forge.ts';
import { prepareBareLifecycle } from './bare-lifecycle.ts';
import { childrenSeconds, cpuSeconds, inTurn, line, median, printMachine, processesWith, run, summary, untilAnswers, verdict } from './support.ts';

const { values: flags } = parseArgs({ options: { rounds: { type: 'string', default: '7' } } });
const label = `forge.bench=${process.pid}`;
const app = 'bench';
const server = (text: string) => `import { createServer } from 'node:http';\ncreateServer((_, response) => response.end(${JSON.stringify(text)})).listen(process.env.PORT);\nprocess.on('SIGTERM', () => process.exit(0));\n`;
let changes = 0;

printMachine('One changed line, Node app by buildpacks: git push beside the bare lifecycle + docker run + first 200');
const forge = await bootForge({ hasOwnProxy: true });
try {
  const [pushFolder, bareFolder, scratch] = [await exampleApp(), await exampleApp(), await appFolder({})];
  await push(pushFolder, await change(pushFolder));
  const lifecycle = await prepareBareLifecycle({ data: forge.data, folder: scratch, label });
  const forges = processesWith(forge.data);
  const cpu: number[] = [];
  try {
    const { push: pushes, bare } = await inTurn(Number(flags.rounds), {
      bare: async () => {
        const text = await change(bareFolder);
        const startedAt = performance.now();
        const image = await lifecycle.build(bareFolder);
        await bareRun(image, text);
        const ms = performance.now() - startedAt;
        await removeContainers();
        return ms;
      },
      push: async () => {
        const text = await change(pushFolder);
        await forge.commit(pushFolder);
        const before = childrenSeconds() + cpuSeconds(forges);
        const startedAt = performance.now();
        await push(pushFolder, text);
        const ms = performance.now() - startedAt;
        cpu.push(childrenSeconds() + cpuSeconds(forges) - before);
        return ms;
      },
    });
    line('bare lifecycle', summary(bare, 'ms'));
    line('push', summary(pushes, 'ms'));
    verdict('push / bare, per round', median(pushes.map((ms, index) => ms / (bare[index] ?? NaN))), 1.25, '');
    line('CPU, forge and git client', summary(cpu.slice(1), 's', 2));
  } finally {
    await removeContainers();
    await lifecycle.remove();
  }
} finally {
  await forge.remove();
}

async function exampleApp(): Promise<string> {
  const folder = await appFolder({});
  await cp(join(import.meta.dirname, '../examples/hello'), folder, { recursive: true });
  return folder;
}

/** The next version of the app's one line. */
async function change(folder: string): Promise<string> {
  const text = `change ${++changes}`;
  await writeFile(join(folder, 'server.js'), server(text));
  return text;
}

async function push(folder: string, text: string): Promise<void> {
  if (changes === 1) await forge.commit(folder);
  const { exitCode, all } = await forge.git$(folder, ['push', forge.remote(app), 'main']);
  if (exitCode !== 0) throw new Error(all);
  await untilAnswers({ address: '127.0.0.1', port: forge.http, host: `${app}.localhost:${forge.http}` }, text);
}

async function bareRun(image: string, text: string): Promise<void> {
  const id = await run('docker', ['run', '-d', '--label', label, '-e', 'PORT=5000', '--entrypoint', '/cnb/process/web', image]);
  const address = await run('docker', ['inspect', '-f', '{{.NetworkSettings.IPAddress}}', id]);
  await untilAnswers({ address, port: 5000, host: 'app' }, text);
}

async function removeContainers(): Promise<void> {
  const ids = (await run('docker', ['ps', '-aq', '--filter', `label=${label}`])).split('\n').filter(Boolean);
  if (ids.length > 0) await run('docker', ['rm', '-f', '-v', ...ids]);
}
