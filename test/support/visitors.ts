/** Visitors as a program: `node visitors.ts '<VisitorOptions as JSON>'`; orders come as JSON lines on stdin, results go to stdout. */
import { Agent, request } from 'node:http';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { openEcho } from './echo-visitor.ts';
import type { Latency, VisitorOptions, VisitorOrder, VisitResult } from './start-visitors.ts';
import { smallBytes } from './visited-app.ts';

const { port, host, perSecond, streams, streamSeconds, webSockets, maxSeconds } = JSON.parse(process.argv[2] ?? '') as VisitorOptions;
const answerTimeoutMs = 30_000;
const tickMs = 2;
const maxLines = 50;

const [failures, streamsCut, webSocketsCut]: [string[], string[], string[]] = [[], [], []];
const counts = { sent: 0, answered: 0, failed: 0, streamsBegun: 0, streamsEnded: 0, webSocketsOpened: 0, echoes: 0, connectionsClosed: 0 };
const closeCodes: Record<string, number> = {};
const latencies = new Map<string, number[]>();
let phase = 'start';
let ownLagMs = 0;
let isStopping = false;

const headers = { host: `${host}:${port}` };
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const seen = new WeakSet<Socket>();
const note = (lines: string[], line: string): void => void (lines.length < maxLines && lines.push(`${new Date().toISOString()} ${line}`));

/** Resolves to a body; rejects for anything but a whole 200. */
function ask(path: string, options: { readonly isKept: boolean; readonly timeoutMs: number; readonly onData?: (text: string) => void }): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = request({ agent: options.isKept ? agent : false, host: '127.0.0.1', port, path, headers }, (response) => {
    let body = '';
    response.setEncoding('utf8');
    response.on('data', (part: string) => {
      body += part;
      options.onData?.(body);
    });
    response.on('error', reject);
    response.on('end', () => (response.statusCode === 200 && response.complete ? resolve(body) : reject(new Error(`${response.statusCode}: ${body.slice(0, 80)}`))));
  });
  asked.setTimeout(options.timeoutMs, () => asked.destroy(new Error('no answer in time')));
  asked.on('socket', (socket) => {
    if (!options.isKept || seen.has(socket)) return;
    seen.add(socket);
    socket.once('close', () => void (isStopping || counts.connectionsClosed++));
  });
  asked.on('error', reject);
  asked.end();
  return promise;
}

async function askSmall(n: number): Promise<void> {
  const asked = latencies.get(phase) ?? [];
  latencies.set(phase, asked);
  const startedAt = performance.now();
  try {
    const body = await ask(`/small?n=${n}`, { isKept: true, timeoutMs: answerTimeoutMs });
    asked.push(performance.now() - startedAt);
    if (body.length !== smallBytes || !/^v\d+ /.test(body) || body.split(' ')[1] !== String(n)) throw new Error(`wrong body for ${n}: ${body.slice(0, 40)}`);
    counts.answered++;
  } catch (error) {
    counts.failed++;
    note(failures, (error as Error).message);
  }
}

async function keepAsking(): Promise<void> {
  const open = new Set<Promise<void>>();
  const startedAt = performance.now();
  let lastTick = startedAt;
  while (!isStopping) {
    const now = performance.now();
    ownLagMs = Math.max(ownLagMs, now - lastTick - tickMs);
    lastTick = now;
    while (counts.sent < ((now - startedAt) / 1000) * perSecond) {
      const one = askSmall(counts.sent++).finally(() => open.delete(one));
      open.add(one);
    }
    await delay(tickMs);
  }
  await Promise.all(open);
}

async function keepStreaming(): Promise<void> {
  const whole = Array.from({ length: streamSeconds + 1 }, (_, index) => `data: ${index}\n\n`).join('') + 'event: end\n\n';
  for (let round = 0; !isStopping; round++) {
    const startedAt = performance.now();
    const onData = (): void => void (onDataOnce(), (onDataOnce = () => undefined));
    let onDataOnce = (): void => void (round === 0 && counts.streamsBegun++);
    try {
      const body = await ask(`/stream?seconds=${streamSeconds}`, { isKept: false, timeoutMs: answerTimeoutMs, onData });
      if (body !== whole) throw new Error(`incomplete: ${JSON.stringify(body.slice(-40))}`);
      counts.streamsEnded++;
    } catch (error) {
      note(streamsCut, `after ${((performance.now() - startedAt) / 1000).toFixed(1)} s: ${(error as Error).message}`);
      await delay(200);
    }
  }
}

async function keepEchoing(name: number): Promise<void> {
  while (!isStopping) {
    try {
      const echo = await openEcho({ port, host: headers.host, path: '/ws', name: `w${name}` });
      counts.webSocketsOpened++;
      goodbyes.add(echo.sayGoodbye);
      const { code, echoes, isOurs } = await echo.ended;
      goodbyes.delete(echo.sayGoodbye);
      counts.echoes += echoes;
      if (!isOurs) closeCodes[code] = (closeCodes[code] ?? 0) + 1;
    } catch (error) {
      note(webSocketsCut, (error as Error).message);
      await delay(200);
    }
  }
}
const goodbyes = new Set<() => void>();

function latencyOf(values: readonly number[]): Latency {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return { count: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), longestMs: sorted.at(-1) ?? NaN };
}

function print(): void {
  // `during change deploys` and `during pause` are `during` together.
  const names = new Set([...latencies.keys()].flatMap((name) => name.split(' ').map((_word, index, words) => words.slice(0, index + 1).join(' '))));
  const valuesOf = (phase: string): number[] => [...latencies].flatMap(([name, values]) => (name === phase || name.startsWith(`${phase} `) ? values : []));
  const phases = Object.fromEntries([...names].map((name) => [name, latencyOf(valuesOf(name))]));
  const result: VisitResult = { ...counts, failures, streamsCut, closeCodes, webSocketsCut, phases, ownLagMs };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

const running = Promise.all([
  keepAsking(),
  ...Array.from({ length: streams }, () => keepStreaming()),
  ...Array.from({ length: webSockets }, (_, name) => keepEchoing(name)),
]);

async function stop(): Promise<void> {
  isStopping = true;
  for (const sayGoodbye of goodbyes) sayGoodbye();
  await Promise.race([running, delay((streamSeconds + 10) * 1000)]);
  print();
}

setTimeout(() => process.exit(1), maxSeconds * 1000).unref();
const areAllThere = (): boolean => counts.answered > 0 && counts.streamsBegun >= streams && counts.webSocketsOpened >= webSockets;
const deadline = performance.now() + answerTimeoutMs;
while (!areAllThere() && performance.now() < deadline) await delay(20);
print();
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as VisitorOrder;
  if (order.kind === 'enter') phase = order.phase;
  if (order.kind === 'report') print();
  if (order.kind === 'stop') await stop();
}
process.exit(0);
