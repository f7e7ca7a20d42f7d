/** A runtime on the real engine with a data id of its own, and releases to start on it. */
import { randomBytes } from 'node:crypto';
import pino from 'pino';
import { connectDocker } from '../../src/docker/connect.ts';
import { tailContainer } from '../../src/docker/containers.ts';
import { emptyAppFile, type Check } from '../../src/app-file.ts';
import { defaultSettings, type Image, type Instance, type Release } from '../../src/domain.ts';
import { createReport } from '../../src/report.ts';
import { readinessTimings, type ReadinessTimings } from '../../src/runtime/readiness.ts';
import { createRuntime, type Runtime } from '../../src/runtime/runtime.ts';

export const docker = connectDocker('/var/run/docker.sock');

export interface TestRuntime extends AsyncDisposable {
  readonly runtime: Runtime;
  readonly dataId: string;
  /** Instances whose output the collector was asked to follow, and containers it was asked to settle. */
  readonly followed: Pick<Instance, 'app' | 'name' | 'containerId'>[];
  readonly settled: string[];
  /** What a container had written when it was settled. */
  readonly lastLines: Map<string, string[]>;
}

/** Shorter than the defaults, so that certain failures are told soon. */
const quick: ReadinessTimings = { ...readinessTimings, steadyMs: 500, loopbackMs: 1_000, wrongPortMs: 1_500 };

export function testRuntime(apps: readonly string[], dataId = `test${randomBytes(4).toString('hex')}`): TestRuntime {
  const slots = new Map<string, number>();
  const followed: TestRuntime['followed'] = [];
  const settled: string[] = [];
  const lastLines = new Map<string, string[]>();
  const settle = async (id: string): Promise<void> => {
    settled.push(id);
    lastLines.set(id, await tailContainer(docker, id, 100));
  };
  const runtime = createRuntime({
    docker,
    dataId,
    startId: randomBytes(4).toString('hex'),
    config: { domain: 'example.test', readinessTimeout: 20_000, stopTimeout: 10_000, networkPool: '10.224.0.0/12', memory: 512 * 1024 * 1024, cpuShares: 1024, pids: 512 },
    log: pino({ level: 'silent' }),
    volumes: { find: (_app, name) => ({ engineName: name, isFilled: false }), setFilled: () => undefined },
    allocateSubnet: (app) => slots.get(app) ?? slots.set(app, slots.size).size - 1,
    logs: { follow: (instance) => void followed.push(instance), settle },
    timings: quick,
  });
  const removeAll = async () => {
    for (const app of apps) await runtime.removeApp(app);
  };
  return { runtime, dataId, followed, settled, lastLines, [Symbol.asyncDispose]: removeAll };
}

export const limits = { memoryBytes: 128 * 1024 * 1024, cpuShares: 1024, pids: 100 };

export function imageOf(reference: string, more: Partial<Image> = {}): Image {
  return {
    reference,
    digest: reference,
    builder: 'dockerfile',
    processTypes: { web: { entrypoint: undefined, command: undefined } },
    exposedPorts: [],
    user: '',
    launcher: undefined,
    ...more,
  };
}

export function releaseOf(image: Image, more: Partial<Release> = {}): Release {
  return {
    app: 'hello',
    version: 1,
    image,
    config: {},
    formation: { web: { quantity: 1, limits } },
    port: 5000,
    settings: defaultSettings,
    appFile: emptyAppFile,
    reason: 'Deploy',
    actor: 'tester',
    createdAt: '2026-01-01T00:00:00.000Z',
    commit: undefined,
    ...more,
  };
}

/** Settings with one check of `web`: the path, or else a connection, within the time. */
export function checkedBy(path: string | undefined, waitMs: number): Release['settings'] {
  const probe: Check['probe'] = path === undefined ? { kind: 'tcp' } : { kind: 'http', path, status: undefined, content: undefined, headers: undefined };
  const check: Check = { kind: 'startup', name: undefined, probe, port: undefined, initialDelayMs: 0, timeoutMs: 5_000, attempts: 1, waitMs };
  return { ...defaultSettings, checks: { web: [check] } };
}

export const silentReport = createReport([]);

export const startOf = (release: Release, signal: AbortSignal = AbortSignal.timeout(60_000)) => ({ release, deploymentId: 'd1', report: silentReport, signal });
