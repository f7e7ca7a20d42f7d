/** The backups of a running forge: one at a time, asked for or scheduled, each recorded with how it ended. */
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { parseTimeZone, createSchedule, type Schedule, parseExpression } from '../cron/schedule.ts';
import { dueOf } from '../cron/due.ts';
import { abortError, ForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { beginBackup, type BackupRecord, endBackup, endInterruptedBackups, findBackups, lastScheduledBackup } from '../store/backups.ts';
import type { Store } from '../store/store.ts';
import { every, withDeadline } from '../wait.ts';
import { backupFileName, isBackupFile, unfinishedSuffix } from './backup-file-name.ts';
import { type BackupParts, type BackupSummary, writeBackup } from './write-backup.ts';

/** Longer than the largest machine's takes: a reader that has stopped reading must not keep every later backup from being made. */
const timeoutMs = 12 * 60 * 60_000;
const lookEveryMs = 20_000;

export interface BackupsParts extends Omit<BackupParts, 'store'> {
  readonly store: Store;
  readonly log: Log;
  /** A cron expression; '' for none. */
  readonly schedule: string;
  /** Scheduled ones that stay. */
  readonly keep: number;
  /** A signal that also aborts when the disks fill up meanwhile. */
  watchSpace(signal: AbortSignal): { readonly signal: AbortSignal } & Disposable;
}

export interface BackupDemand {
  readonly actor: string;
  readonly output: Writable;
  readonly hasLogs: boolean;
  onStep(text: string): void;
  readonly signal: AbortSignal;
}

export interface ListedBackup extends BackupRecord {
  /** Whether the file of a scheduled one is still there. */
  readonly isThere: boolean;
}

export interface BackupList {
  readonly directory: string;
  readonly schedule: string;
  /** When the next scheduled one is due. */
  readonly next: string | undefined;
  /** Newest first. */
  readonly backups: readonly ListedBackup[];
}

export interface Backups {
  /** Throws `conflict` while another is under way. */
  create(demand: BackupDemand): Promise<BackupSummary>;
  list(): Promise<BackupList>;
  /**
   * Makes a backup whenever the schedule says so; also one that was due while forge did not run. Begins with removing what a
   * killed forge had written of one. Until disposed.
   */
  keepSchedule(stopping: AbortSignal): AsyncDisposable;
}

/** Throws `invalid` for a schedule that is none. */
export function createBackups(parts: BackupsParts): Backups {
  const { store } = parts;
  const schedule = readSchedule(parts.schedule);
  const begunAt = store.now();
  let isBusy = false;
  endInterruptedBackups(store);

  const record = async ({ file, actor, signal: asked }: { readonly file: string | undefined; readonly actor: string; readonly signal: AbortSignal }, task: (signal: AbortSignal) => Promise<Made>): Promise<BackupSummary> => {
    if (isBusy) throw new ForgeError('conflict', 'another backup is under way', { hint: 'forge backup:list shows it' });
    // Before it is busy: a record that cannot be kept (the disk is full) must not keep every later backup from being made.
    const id = beginBackup(store, { file, actor });
    isBusy = true;
    using deadline = withDeadline(timeoutMs, `the backup was not done within ${timeoutMs / 3_600_000} hours`, asked);
    using space = parts.watchSpace(deadline);
    try {
      const { summary, sizeBytes } = await task(space.signal);
      endBackup(store, id, { sizeBytes, missing: summary.missing });
      return summary;
    } catch (error) {
      const reason = space.signal.aborted ? abortError(space.signal) : (error as Error);
      endBackup(store, id, { failure: reason.message });
      throw reason;
    } finally {
      isBusy = false;
    }
  };

  const create = async ({ actor, ...request }: BackupDemand): Promise<BackupSummary> =>
    await record({ file: undefined, actor, signal: request.signal }, async (signal) => {
      const summary = await writeBackup(parts, { ...request, signal });
      return { summary, sizeBytes: summary.bytes };
    });

  const runIfDue = async (stopping: AbortSignal): Promise<void> => {
    if (!schedule || isBusy) return;
    const last = lastScheduledBackup(store);
    const due = dueOf(schedule, last === undefined ? begunAt : new Date(last), store.now());
    if (due.kind === 'wait') return;
    const file = backupFileName(store.now());
    await record({ file, actor: 'schedule', signal: stopping }, async (signal) => await writeFileOf(file, parts, signal));
  };

  return {
    create,
    list: async () => await listBackups(parts, schedule),
    keepSchedule: (stopping) => keepSchedule(parts, async () => await runIfDue(stopping), stopping),
  };
}

function keepSchedule({ backupDir, log }: BackupsParts, runIfDue: () => Promise<void>, stopping: AbortSignal): AsyncDisposable {
  const cleaned = removeUnfinishedFiles(backupDir).catch((error: unknown) => log.warn({ err: error }, 'what an interrupted backup left could not be removed; the next one tries again'));
  let last: Promise<void> = cleaned;
  const onError = (error: unknown) => {
    if (!stopping.aborted) log.error({ err: error }, 'the scheduled backup failed; forge backup:list shows it');
  };
  const timer = every(lookEveryMs, async () => await (last = cleaned.then(runIfDue).catch(onError)), onError);
  return {
    [Symbol.asyncDispose]: async () => {
      timer[Symbol.dispose]();
      await last;
    },
  };
}

async function listBackups({ store, backupDir, schedule: text }: BackupsParts, schedule: Schedule | undefined): Promise<BackupList> {
  const files = new Set(await listFiles(backupDir));
  const backups = findBackups(store).map((backup) => ({ ...backup, isThere: backup.file !== undefined && files.has(backup.file) }));
  return { directory: backupDir, schedule: text, next: schedule?.next(store.now())?.toISOString(), backups };
}

interface Made {
  readonly summary: BackupSummary;
  readonly sizeBytes: number;
}

function readSchedule(text: string): Schedule | undefined {
  if (text === '') return undefined;
  return createSchedule(parseExpression(text), parseTimeZone(new Intl.DateTimeFormat().resolvedOptions().timeZone));
}

/** Written aside, synced and renamed; older ones go only when it is complete. */
async function writeFileOf(name: string, parts: BackupsParts, signal: AbortSignal): Promise<Made> {
  const { backupDir, keep, log } = parts;
  await mkdir(backupDir, { recursive: true, mode: 0o700 });
  await removeUnfinishedFiles(backupDir);
  const [path, aside] = [join(backupDir, name), join(backupDir, `${name}${unfinishedSuffix}`)];
  try {
    // Opened first: a folder that cannot be written to is a reason, not an event that nobody hears.
    const output = (await open(aside, 'wx', 0o600)).createWriteStream({ flush: true });
    output.on('error', () => undefined);
    const summary = await writeBackup(parts, { output, hasLogs: false, onStep: () => undefined, signal }).finally(() => output.end());
    await finished(output);
    await rename(aside, path);
    await syncFolder(backupDir);
    const { size } = await stat(path);
    const { missing } = summary;
    log[missing.length > 0 ? 'warn' : 'info']({ path, bytes: size, missing }, missing.length > 0 ? 'a scheduled backup was made, and something is missing in it' : 'a scheduled backup was made');
    for (const old of (await listFiles(backupDir)).slice(0, -Math.max(1, keep))) await rm(join(backupDir, old), { force: true });
    return { summary, sizeBytes: size };
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
}

/** Of forge's own; nobody writes one meanwhile. */
async function removeUnfinishedFiles(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const left = names.filter((name) => name.endsWith(unfinishedSuffix) && isBackupFile(name.slice(0, -unfinishedSuffix.length)));
  for (const name of left) await rm(join(directory, name), { force: true });
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Oldest first. */
const listFiles = async (directory: string): Promise<readonly string[]> => (await readdir(directory).catch(() => [])).filter(isBackupFile).sort();
