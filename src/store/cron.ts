/** What is remembered of schedules besides the release they stand in: up to when they were dealt with, and what is suspended. */
import type { CronEntry } from '../app-file.ts';
import type { Store } from './store.ts';

/** A schedule of an app that serves. */
export interface ScheduledEntry {
  readonly app: string;
  readonly version: number;
  readonly entry: CronEntry;
}

export interface CronMark {
  readonly app: string;
  readonly entry: string;
  readonly schedule: string;
  readonly timeZone: string;
  /** The last time that was dealt with, or when the schedule began. */
  readonly handledUntil: string;
}

/** Of every app with a live release that is neither stopped nor being removed, suspended ones too. Reads no config. */
export function findScheduledEntries(store: Store): readonly ScheduledEntry[] {
  const rows = store.db.all(
    `SELECT a.name, r.version, json_extract(r.app_file, '$.cron') AS cron
     FROM apps a JOIN releases r ON r.app = a.name AND r.version = a.current_version
     WHERE a.is_stopped = 0 AND a.is_being_removed = 0 AND json_array_length(r.app_file, '$.cron') > 0`,
  );
  return rows.flatMap((row) => {
    const entries = JSON.parse(String(row['cron'])) as readonly CronEntry[];
    return entries.map((entry) => ({ app: String(row['name']), version: Number(row['version']), entry }));
  });
}

/** Whether its release is still the live one of an app that is neither stopped nor being removed. */
export const isScheduled = (store: Store, { app, version }: Pick<ScheduledEntry, 'app' | 'version'>): boolean =>
  store.db.get('SELECT 1 FROM apps WHERE name = ? AND current_version = ? AND is_stopped = 0 AND is_being_removed = 0', app, version) !== undefined;

export function findCronMarks(store: Store): readonly CronMark[] {
  return store.db.all('SELECT * FROM cron_marks').map((row) => ({
    app: String(row['app']),
    entry: String(row['entry']),
    schedule: String(row['schedule']),
    timeZone: String(row['time_zone']),
    handledUntil: String(row['handled_until']),
  }));
}

export function putCronMark(store: Store, { app, entry, schedule, timeZone, handledUntil }: CronMark): void {
  store.db.run('INSERT OR REPLACE INTO cron_marks (app, entry, schedule, time_zone, handled_until) VALUES (?, ?, ?, ?, ?)', app, entry, schedule, timeZone, handledUntil);
}

export const deleteCronMark = (store: Store, { app, entry }: Pick<CronMark, 'app' | 'entry'>): void =>
  void store.db.run('DELETE FROM cron_marks WHERE app = ? AND entry = ?', app, entry);

/** `all`: everything of the app, whatever entries it gets. */
export interface Suspensions {
  readonly isAll: boolean;
  readonly entries: ReadonlySet<string>;
}

/** By app; apps of which nothing is suspended are left out. */
export function findSuspensions(store: Store): ReadonlyMap<string, Suspensions> {
  const found = new Map<string, { isAll: boolean; entries: Set<string> }>();
  for (const row of store.db.all('SELECT app, entry FROM cron_suspensions')) {
    const app = String(row['app']);
    const one = found.get(app) ?? { isAll: false, entries: new Set() };
    found.set(app, one);
    if (row['entry'] === '') one.isAll = true;
    else one.entries.add(String(row['entry']));
  }
  return found;
}

/** Without an entry: everything of the app. */
export const suspendCron = (store: Store, app: string, entry = ''): void =>
  void store.db.run('INSERT OR IGNORE INTO cron_suspensions (app, entry) VALUES (?, ?)', app, entry);

/** Without an entry: nothing of the app is suspended any more. */
export function resumeCron(store: Store, app: string, entry?: string): void {
  if (entry === undefined) store.db.run('DELETE FROM cron_suspensions WHERE app = ?', app);
  else store.db.run('DELETE FROM cron_suspensions WHERE app = ? AND entry = ?', app, entry);
}
