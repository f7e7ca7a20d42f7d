/** Jobs: commands in containers of their own that nobody waits for. Every one has a row before it has a container. */
import { randomBytes } from 'node:crypto';
import { ForgeError } from '../errors.ts';
import { isDuplicate, type Row } from './database.ts';
import type { Store } from './store.ts';

export const jobOutcomes = ['succeeded', 'failed', 'timed-out', 'stopped', 'replaced', 'interrupted', 'skipped', 'missed'] as const;
/** `skipped`: the one before still ran, or too many others did; `missed`: forge was down at its time; `interrupted`: forge or the machine went down, how it ended is unknown. */
export type JobOutcome = (typeof jobOutcomes)[number];

export interface Job {
  /** 8 hex digits. */
  readonly id: string;
  readonly app: string;
  /** As in the log: `run.1a2b3c4d`, `cron.nightly`. */
  readonly name: string;
  /** Of app.json; `undefined`: a command of a person's. */
  readonly entry: string | undefined;
  /** Arguments may hold secrets; the program's name does not. */
  readonly program: string;
  /** Release that it runs in. */
  readonly version: number;
  readonly actor: string;
  /** The time of the schedule that it is for; `undefined`: a person started it. */
  readonly dueAt: string | undefined;
  readonly createdAt: string;
  /** When it is ended, whatever it does. */
  readonly deadlineAt: string;
  readonly endedAt: string | undefined;
  /** `undefined`: it runs. */
  readonly outcome: JobOutcome | undefined;
  /** Exit status, where there is one. */
  readonly status: number | undefined;
  /** Why it could not start, or was skipped. */
  readonly failure: string | undefined;
}

export interface JobDraft extends Pick<Job, 'app' | 'entry' | 'program' | 'version' | 'actor' | 'dueAt'> {
  /** How long it may take. */
  readonly ttlMs: number;
}

export interface JobEnd extends Pick<Job, 'status' | 'failure'> {
  readonly outcome: JobOutcome;
}

/** Ended ones that are remembered of each schedule, and of a person's commands of each app. */
const keptPerEntry = 50;

/** Throws `not-found` when the app is gone. `drawId` is asked again when its answer is taken. */
export function createJob(store: Store, draft: JobDraft, drawId: () => string = randomId): Job {
  return store.db.transaction(() => insert(store, draft, { drawId }));
}

/** A time of a schedule that led to nothing; `why` where the outcome does not say it. */
export function recordUnrun(store: Store, draft: Omit<JobDraft, 'ttlMs'>, outcome: 'skipped' | 'missed', why?: string): void {
  store.db.transaction(() => void insert(store, { ...draft, ttlMs: 0 }, { drawId: randomId, outcome, failure: why }));
}

/** Keeps the first end that is told. */
export function finishJob(store: Store, id: string, { outcome, status, failure }: JobEnd): void {
  const endedAt = store.now().toISOString();
  store.db.run('UPDATE jobs SET outcome = ?, status = ?, failure = ?, ended_at = ? WHERE id = ? AND ended_at IS NULL', outcome, status ?? null, failure ?? null, endedAt, id);
}

export const findJob = (store: Store, id: string): Job | undefined => read(store.db.get('SELECT * FROM jobs WHERE id = ?', id));

/** Of one schedule, or with `null` those that people started; newest first. */
export function findJobs(store: Store, { app, entry, limit = -1 }: { readonly app: string; readonly entry?: string | null; readonly limit?: number }): readonly Job[] {
  const which = entry === undefined ? '' : entry === null ? 'AND entry IS NULL' : 'AND entry = ?';
  const sql = `SELECT * FROM jobs WHERE app = ? ${which} ORDER BY created_at DESC, rowid DESC LIMIT ?`;
  return store.db.all(sql, app, ...(typeof entry === 'string' ? [entry] : []), limit).map(readJob);
}

/** Those that run or that an earlier forge left running. */
export const findUnfinishedJobs = (store: Store): readonly Job[] => store.db.all('SELECT * FROM jobs WHERE ended_at IS NULL').map(readJob);

/** The newest of each schedule of the app, by entry. */
export function findLastRuns(store: Store, app: string): ReadonlyMap<string, Job> {
  const rows = store.db.all('SELECT *, max(created_at) FROM jobs WHERE app = ? AND entry IS NOT NULL GROUP BY entry', app);
  return new Map(rows.map((row) => [String(row['entry']), readJob(row)]));
}

interface Insert {
  drawId(): string;
  readonly outcome?: JobOutcome;
  readonly failure?: string | undefined;
}

const randomId = (): string => randomBytes(4).toString('hex');
/** With a million jobs on record, one draw in four thousand is taken. */
const mostDraws = 10;

function insert(store: Store, { app, entry, program, version, actor, dueAt, ttlMs }: JobDraft, { drawId, outcome, failure }: Insert): Job {
  if (!store.db.get('SELECT 1 FROM apps WHERE name = ?', app)) throw new ForgeError('not-found', `there is no app ${JSON.stringify(app)}`);
  const now = store.now();
  const row = {
    app, entry: entry ?? null, program, version, actor, due_at: dueAt ?? null, failure: failure ?? null,
    created_at: now.toISOString(), deadline_at: new Date(now.getTime() + ttlMs).toISOString(), ended_at: outcome ? now.toISOString() : null, outcome: outcome ?? null,
  };
  const keys = ['id', 'name', ...Object.keys(row)];
  const sql = `INSERT INTO jobs (${keys.join(', ')}) VALUES (${keys.map(() => '?').join(', ')})`;
  const id = untilFree(drawId, (drawn) => void store.db.run(sql, drawn, entry === undefined ? `run.${drawn}` : `cron.${entry}`, ...Object.values(row)));
  forgetOld(store, app, entry ?? null);
  return findJob(store, id) as Job;
}

function untilFree(drawId: () => string, take: (id: string) => void): string {
  for (let draw = 1; ; draw += 1) {
    const id = drawId();
    try {
      take(id);
      return id;
    } catch (error) {
      if (!isDuplicate(error) || draw === mostDraws) throw error;
    }
  }
}

function forgetOld(store: Store, app: string, entry: string | null): void {
  store.db.run(
    `DELETE FROM jobs WHERE rowid IN
       (SELECT rowid FROM jobs WHERE app = ? AND entry IS ? AND ended_at IS NOT NULL ORDER BY created_at DESC, rowid DESC LIMIT -1 OFFSET ?)`,
    app, entry, keptPerEntry,
  );
}

const read = (row: Row | undefined): Job | undefined => row && readJob(row);

const textOf = (value: Row[string] | undefined): string | undefined => (value === null || value === undefined ? undefined : String(value));

function readJob(row: Row): Job {
  return {
    id: String(row['id']),
    app: String(row['app']),
    name: String(row['name']),
    entry: textOf(row['entry']),
    program: String(row['program']),
    version: Number(row['version']),
    actor: String(row['actor']),
    dueAt: textOf(row['due_at']),
    createdAt: String(row['created_at']),
    deadlineAt: String(row['deadline_at']),
    endedAt: textOf(row['ended_at']),
    outcome: textOf(row['outcome']) as JobOutcome | undefined,
    status: row['status'] === null ? undefined : Number(row['status']),
    failure: textOf(row['failure']),
  };
}
