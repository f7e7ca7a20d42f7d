/** What the proxy is started with, and how that follows from forge's configuration. */
import type { Config } from '../config.ts';

export interface ProxyOptions {
  /** Directory of its own: the copy of the routes, the control socket. */
  readonly stateDir: string;
  readonly bind: string;
  /** 0 picks a free port. */
  readonly http: number;
  /** 0: one per core above one. */
  readonly workers: number;
  readonly headerTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly responseTimeoutMs: number;
  readonly maxHeadBytes: number;
  readonly logLevel: string;
}

export const proxyOptions = (config: Config): ProxyOptions => ({
  stateDir: config.proxyDir,
  bind: config.bind,
  http: config.http,
  workers: config.proxyWorkers,
  headerTimeoutMs: config.proxyHeaderTimeout,
  idleTimeoutMs: config.proxyIdleTimeout,
  responseTimeoutMs: config.proxyResponseTimeout,
  maxHeadBytes: config.proxyMaxHeadBytes,
  logLevel: config.logLevel,
});
