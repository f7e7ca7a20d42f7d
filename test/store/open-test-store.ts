/** A real store in a directory of its own that goes with the test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { createLog } from '../../src/log.ts';
import { openStore } from '../../src/store/store.ts';
import type { Store } from '../../src/store/store.ts';

export const silentLog = createLog('silent', 'test');

/** A new directory that goes with the test. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'forge-store-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** `clock.now` may be moved by the test. */
export function openTestStore(data: string = temporaryDirectory(), clock: { now: Date } = { now: new Date() }): Store {
  const store = openStore({ data, log: silentLog, now: () => clock.now });
  onTestFinished(() => store.close());
  return store;
}
