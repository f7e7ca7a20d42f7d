/** Starts visitors of an app in a process of their own, so that what a test or benchmark does beside them does not delay them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface VisitorOptions {
  readonly port: number;
  /** `hello.localhost` */
  readonly host: string;
  /** Small requests a second over kept connections, whether earlier ones were answered or not. */
  readonly perSecond: number;
  /** Streaming responses at any time. */
  readonly streams: number;
  readonly streamSeconds: number;
  /** WebSockets at any time; one that is closed connects again. */
  readonly webSockets: number;
  /** They go by themselves after this long. */
  readonly maxSeconds: number;
}

export interface Latency {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
}

export interface VisitResult {
  readonly sent: number;
  readonly answered: number;
  /** One line for each request that got no answer, not 200, or a wrong body; at most 50. */
  readonly failures: readonly string[];
  readonly failed: number;
  readonly streamsEnded: number;
  /** One line for each that broke off or missed an event. */
  readonly streamsCut: readonly string[];
  readonly webSocketsOpened: number;
  readonly echoes: number;
  /** How many were closed with a close frame, by its code. */
  readonly closeCodes: Readonly<Record<string, number>>;
  /** One line for each that ended without a close frame, was refused or got a wrong echo. */
  readonly webSocketsCut: readonly string[];
  /** Kept connections that the proxy closed. */
  readonly connectionsClosed: number;
  /** Answers to small requests, by the phase they were asked in; phases that begin with the same words are also taken together under these. */
  readonly phases: Readonly<Record<string, Latency>>;
  /** How late the visitors' own timer was at most. */
  readonly ownLagMs: number;
}

export interface Visitors {
  /** What is asked from now on counts to this phase. */
  enter(phase: string): void;
  soFar(): Promise<VisitResult>;
  /** Starts nothing new, lets streams end, says goodbye on WebSockets. */
  stop(): Promise<VisitResult>;
}

export type VisitorOrder = { readonly kind: 'enter'; readonly phase: string } | { readonly kind: 'report' } | { readonly kind: 'stop' };

/** Resolves when all are there: a first answer, every stream begun, every WebSocket open. */
export async function startVisitors(options: VisitorOptions): Promise<Visitors> {
  const program = join(import.meta.dirname, 'visitors.ts');
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
  // Real ones sit elsewhere: what they measure is not to be their own waiting for a CPU. Only root may ask for that.
  if (process.getuid?.() === 0 && child.pid !== undefined) setPriority(child.pid, -15);
  const ended = once(child, 'exit').then(([code]: unknown[]) => {
    throw new Error(`the visitors ended with ${String(code)}`);
  });
  ended.catch(() => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async <T>(): Promise<T> => {
    const { value } = await Promise.race([lines.next(), ended]);
    return JSON.parse(String(value)) as T;
  };
  const tell = (order: VisitorOrder): void => void child.stdin.write(`${JSON.stringify(order)}\n`);
  await next();
  return {
    enter: (phase) => tell({ kind: 'enter', phase }),
    soFar: async () => {
      tell({ kind: 'report' });
      return await next<VisitResult>();
    },
    stop: async () => {
      tell({ kind: 'stop' });
      const result = await next<VisitResult>();
      child.stdin.end();
      return result;
    },
  };
}
