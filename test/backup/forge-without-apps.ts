/** A data directory as forge leaves it, with nothing in it that an engine would be asked for. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import type { BackupParts } from '../../src/backup/write-backup.ts';
import { connectDocker } from '../../src/docker/connect.ts';
import { setConfig } from '../../src/store/app-config.ts';
import { createApp } from '../../src/store/apps.ts';
import type { Store } from '../../src/store/store.ts';
import { openTestStore, temporaryDirectory } from '../store/open-test-store.ts';

export interface ForgeWithoutApps {
  readonly data: string;
  readonly store: Store;
  readonly parts: Omit<BackupParts, 'store'>;
  readonly clock: { now: Date };
}

export async function forgeWithoutApps(): Promise<ForgeWithoutApps> {
  const data = temporaryDirectory();
  const clock = { now: new Date('2026-11-21T10:00:00Z') };
  const store = openTestStore(data, clock);
  createApp(store, { name: 'shop' });
  setConfig(store, 'shop', { GREETING: 'hello' });
  writeFileSync(join(data, 'id'), 'abcdefabcdef\n');
  writeFileSync(join(data, 'forge.toml'), 'domain = "example.com"\n');
  for (const folder of ['deployments', 'logs/shop', 'run', 'cache', 'backups', 'ssh']) mkdirSync(join(data, folder), { recursive: true });
  for (const file of ['deployments/1.log', 'logs/shop/1', 'run/left', 'cache/left', 'backups/left', 'ssh/host_ed25519', 'forge.db.before-0002']) writeFileSync(join(data, file), file);
  await execa('git', ['init', '-q', '--bare', join(data, 'repos/shop.git')]);
  const docker = connectDocker(join(data, 'no-engine.sock'));
  return { data, store, clock, parts: { docker, data, dataId: 'abcdefabcdef', domain: 'example.com', forge: '1.2.3', backupDir: join(data, 'backups'), readVolume: async () => undefined } };
}
