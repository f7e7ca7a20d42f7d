/** How the old instances of an app leave: what the app is set to, else this forge's defaults. */
import type { Config } from '../config.ts';
import type { App } from '../domain.ts';
import type { RetireOptions } from './live.ts';

export const retireOptions = ({ settings }: Pick<App, 'settings'>, config: Pick<Config, 'drainTimeout' | 'stopTimeout' | 'webSocketGrace'>): RetireOptions => ({
  drainTimeoutMs: settings.drainTimeoutMs ?? config.drainTimeout,
  webSocketGraceMs: settings.webSocketGraceMs ?? config.webSocketGrace,
  stopTimeoutMs: settings.stopTimeoutMs ?? config.stopTimeout,
});
