/**
 * Memory and CPU of an idle forge: `forge serve` and `forge proxy` as two processes, as an installed forge runs them, with
 * some apps deployed by real pushes. Memory is the proportional set size (/proc/<pid>/smaps_rollup), CPU what the kernel
 * counted while nothing was asked.
 *
 *   node bench/idle.ts [--apps 5] [--seconds 30] [--settle 5]
 */
import { parseArgs } from 'node:util';
import { delay } from '../src/wait.ts';
import { appFolder, bootForge, dockerfileApp } from '../test/support/forge.ts';
import { cpuSeconds, line, median, printMachine, processesWith, pssMegabytes, summary, verdict } from './support.ts';

const { values: flags } = parseArgs({ options: { apps: { type: 'string', default: '5' }, seconds: { type: 'string', default: '30' }, settle: { type: 'string', default: '5' } } });
const seconds = Number(flags.seconds);

printMachine(`Idle: forge serve + forge proxy with ${flags.apps} apps`);
const forge = await bootForge({ hasOwnProxy: true });
try {
  const serve = forge.pid;
  const proxies = processesWith(forge.data).filter((pid) => pid !== serve);
  line('before any push', `serve ${pssMegabytes(serve).toFixed(1)} MB, proxy ${total(proxies).toFixed(1)} MB`);
  for (let app = 1; app <= Number(flags.apps); app++) {
    const { exitCode, all } = await forge.push(await appFolder(dockerfileApp(`idle ${app}`)), `idle-${app}`);
    if (exitCode !== 0) throw new Error(all);
  }
  line('right after the pushes', `serve ${pssMegabytes(serve).toFixed(1)} MB, proxy ${total(proxies).toFixed(1)} MB`);
  await delay(Number(flags.settle) * 1000);
  const cpuBefore = cpuSeconds([serve, ...proxies]);
  const [serveSizes, proxySizes]: [number[], number[]] = [[], []];
  for (let sample = 0; sample < 6; sample++) {
    await delay((seconds * 1000) / 6);
    serveSizes.push(pssMegabytes(serve));
    proxySizes.push(total(proxies));
  }
  const cpu = ((cpuSeconds([serve, ...proxies]) - cpuBefore) / seconds) * 100;
  line('serve, proportional set size', summary(serveSizes, 'MB', 1));
  line(`proxy, ${proxies.length} process${proxies.length === 1 ? '' : 'es'}`, summary(proxySizes, 'MB', 1));
  verdict('together', median(serveSizes) + median(proxySizes), 150, ' MB');
  verdict(`CPU over ${seconds} s`, cpu, 1, ' %');
} finally {
  await forge.remove();
}

function total(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + pssMegabytes(pid), 0);
}
