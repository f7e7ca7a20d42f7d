/** Words for what an app is set to. */
import { formatSize } from '../config.ts';
import type { App } from '../domain.ts';

export const stateOf = (app: App): 'being removed' | 'never deployed' | 'stopped' | 'running' =>
  app.isBeingRemoved ? 'being removed' : app.currentVersion === undefined ? 'never deployed' : app.isStopped ? 'stopped' : 'running';

/** Rows for what differs from the defaults, and the port. */
export function describeSettings({ settings, formation }: Pick<App, 'settings' | 'formation'>, livePort: number | undefined): (readonly [string, string | undefined])[] {
  const { builder, port, buildArgs, checks, drainTimeoutMs, stopTimeoutMs, strategy, capabilities } = settings;
  const seconds = (ms: number | undefined) => (ms === undefined ? undefined : `${ms / 1000} s`);
  return [
    ['builder', builder],
    ['port', port === undefined ? livePort && `${livePort}` : `${port} (set)`].map((part) => (part === 0 ? undefined : part)) as [string, string | undefined],
    ['build args', buildArgs.length === 0 ? undefined : buildArgs.join(' ')],
    ...Object.entries(checks).map(([type, list]) => [`checks of ${type}`, list.map(({ kind, probe }) => `${kind} ${probe.kind === 'http' ? `GET ${probe.path}` : probe.kind}`).join(', ')] as const),
    ['drain timeout', seconds(drainTimeoutMs)],
    ['stop timeout', seconds(stopTimeoutMs)],
    ['strategy', strategy === 'swap' ? undefined : strategy],
    ['capabilities', capabilities && (capabilities.join(' ') || 'none')],
    ...Object.entries(formation).map(
      ([type, { quantity, limits }]) => [type, `${quantity} × ${formatSize(limits.memoryBytes)}, ${limits.cpuShares} CPU shares, ${limits.pids} pids`] as const,
    ),
  ];
}
