import { mkdirSync, mkdtempSync, rmdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { connectDocker } from '../../../src/docker/connect.ts';
import { createLog } from '../../../src/log.ts';
import { createLogCollector, type LogCollector, type LogLine } from '../../../src/runtime/logs/collector.ts';

const docker = connectDocker('/var/run/docker.sock');
const log = createLog('silent', 'test');
const made: string[] = [];

afterEach(async () => {
  for (const id of made.splice(0)) await docker.getContainer(id).remove({ force: true });
});

async function runScript(script: string, maxSize = '50m') {
  const container = await docker.createContainer({
    Image: 'forge-test/node:24',
    Cmd: ['node', '-e', script],
    Labels: { 'forge.test': 'logs' },
    HostConfig: { LogConfig: { Type: 'json-file', Config: { 'max-size': maxSize, 'max-file': '3' } } },
  });
  made.push(container.id);
  await container.start();
  return { app: 'hello', name: 'web.1', containerId: container.id };
}

const newFolder = (): string => mkdtempSync(join(tmpdir(), 'forge-logs-'));
const collectorIn = (directory: string): LogCollector => createLogCollector({ docker, directory, log });

async function stored(collector: LogCollector): Promise<LogLine[]> {
  return await Array.fromAsync(collector.read('hello', { lines: 1_000_000, processes: [], follow: false, signal: new AbortController().signal }));
}

/** Numbered lines in paced batches, every hundredth of 20 KB. */
const numbered = (count: number): string =>
  `let n = 0; const t = setInterval(() => { for (let i = 0; i < 50 && n < ${count}; i++, n++) console.log(n + ' ' + 'x'.repeat(n % 100 === 99 ? 20000 : 60)); if (n >= ${count}) clearInterval(t); }, 5)`;
const numberOf = ({ text }: LogLine): number => Number(text.split(' ')[0]);

describe('the log collector', () => {
  it('stores every numbered line once and whole, across rotation and restarts of forge at any moment', async () => {
    const directory = newFolder();
    const instance = await runScript(numbered(12_000), '1m');
    let isEnded = false;
    const exit = docker.getContainer(instance.containerId).wait().then(() => (isEnded = true));
    while (!isEnded) {
      const interrupted = collectorIn(directory);
      interrupted.follow(instance);
      const seen = interrupted.read('hello', { lines: 0, processes: [], follow: true, signal: AbortSignal.timeout(300) });
      let count = 0;
      for await (const _line of seen) if ((count += 1) > 1500) break;
      await interrupted.close();
    }
    await exit;
    const collector = collectorIn(directory);
    collector.follow(instance);
    await collector.settle(instance.containerId);
    const lines = await stored(collector);
    expect(lines.filter(({ text }) => text.startsWith('[forge'))).toEqual([]);
    expect(lines.map(numberOf)).toEqual(Array.from({ length: 12_000 }, (_, index) => index));
    expect(lines[99]?.text).toHaveLength('99 '.length + 20_000);
    await collector.close();
  });

  it('says so when the engine rotated lines away before they could be stored', async () => {
    const directory = newFolder();
    const instance = await runScript(`${numbered(200)}; setTimeout(() => { for (let i = 0; i < 60000; i++) console.log('late ' + 'y'.repeat(80)) }, 1500)`, '200k');
    const first = collectorIn(directory);
    first.follow(instance);
    for await (const line of first.read('hello', { lines: 1, processes: [], follow: true, signal: AbortSignal.timeout(20_000) })) if (numberOf(line) >= 199) break;
    await first.close();
    await docker.getContainer(instance.containerId).wait();
    const second = collectorIn(directory);
    second.follow(instance);
    await second.settle(instance.containerId);
    expect((await stored(second)).some(({ text }) => text === '[forge: lines lost]')).toBe(true);
    await second.close();
  });

  it('shows lines live and keeps those of a container that is gone', async () => {
    const directory = newFolder();
    const collector = collectorIn(directory);
    const instance = await runScript(`console.log('first'); console.error('second'); setInterval(() => {}, 1000)`);
    collector.follow(instance);
    const texts: string[] = [];
    for await (const line of collector.read('hello', { lines: 10, processes: ['web'], follow: true, signal: AbortSignal.timeout(20_000) })) {
      texts.push(`${line.process}: ${line.text}`);
      if (texts.length === 2) break;
    }
    expect(texts.sort()).toEqual(['web.1: first', 'web.1: second']);
    await docker.getContainer(instance.containerId).kill();
    await collector.settle(instance.containerId);
    await docker.getContainer(instance.containerId).remove();
    made.length = 0;
    expect(await stored(collector)).toHaveLength(2);
    await collector.close();
  });

  it('loses no line when the disk refuses some for a while', async () => {
    const directory = newFolder();
    const instance = await runScript(`console.log(0); process.once('SIGUSR2', () => { for (let n = 1; n < 60000; n++) console.log(n + ' ' + 'x'.repeat(80)); clearInterval(waiting) }); const waiting = setInterval(() => {}, 1000)`);
    const folder = join(directory, 'hello', `web.1@${instance.containerId.slice(0, 12)}`);
    const sizeOfFirst = () => statSync(join(folder, '00000001.log'), { throwIfNoEntry: false })?.size ?? 0;
    const blocked = join(folder, '00000002.log');
    const collector = collectorIn(directory);
    collector.follow(instance);
    await expect.poll(sizeOfFirst, { timeout: 20_000 }).toBeGreaterThan(0);
    // A folder where the next segment should be: opening it fails like a full disk.
    mkdirSync(blocked);
    await docker.getContainer(instance.containerId).kill({ signal: 'SIGUSR2' });
    await expect.poll(sizeOfFirst, { timeout: 20_000 }).toBeGreaterThan(4_000_000);
    await docker.getContainer(instance.containerId).wait();
    rmdirSync(blocked);
    await collector.settle(instance.containerId);
    expect((await stored(collector)).map(numberOf)).toEqual(Array.from({ length: 60_000 }, (_, index) => index));
    await collector.close();
  });

  it('keeps the log of an app that is called error', async () => {
    const collector = collectorIn(newFolder());
    const instance = { ...(await runScript(`for (let n = 0; n < 3; n++) console.log(n)`)), app: 'error' };
    collector.follow(instance);
    await docker.getContainer(instance.containerId).wait();
    await collector.settle(instance.containerId);
    const lines = await Array.fromAsync(collector.read('error', { lines: 10, processes: [], follow: false, signal: new AbortController().signal }));
    expect(lines.map(numberOf)).toEqual([0, 1, 2]);
    await collector.close();
  });
});
