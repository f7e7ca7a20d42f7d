import { emptyAppFile } from '../../src/app-file.ts';
import { defaultSettings } from '../../src/domain.ts';
import type { ReleaseDraft } from '../../src/store/releases.ts';

/** A release as a deploy would make it. */
export const sampleRelease = (app: string, config: Record<string, string> = {}): ReleaseDraft => ({
  app,
  image: {
    reference: `sha256:${'a'.repeat(64)}`,
    digest: `sha256:${'b'.repeat(64)}`,
    builder: 'dockerfile',
    processTypes: { web: { entrypoint: undefined, command: ['node', 'server.js'] } },
    exposedPorts: [8080],
    user: '',
    launcher: undefined,
  },
  config,
  formation: { web: { quantity: 1, limits: { memoryBytes: 512, cpuShares: 1024, pids: 512 } } },
  port: 8080,
  settings: defaultSettings,
  appFile: emptyAppFile,
  reason: 'Deploy 3f2a91c',
  actor: 'ada',
  commit: '3f2a91c',
});
