/** The one way to an app's turn: waits for it, says so, and refuses what a lock or a removal forbids. */
import type { App } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import type { Report } from '../report.ts';
import { findApp } from '../store/apps.ts';
import type { Store } from '../store/store.ts';
import type { Queue, Turn } from './queue.ts';

export interface TurnParts {
  readonly store: Store;
  readonly queue: Queue;
  /** Ends attempts of the app whose end could not be stored. */
  settle(app: string): Promise<void>;
}

export interface TakeTurn {
  readonly app: string;
  /** Names the change to others who wait for it. */
  readonly holder: string;
  readonly report: Report;
  readonly signal: AbortSignal;
  /** Whether a newer request of this kind takes its place while it waits: pushes. */
  readonly isReplaceable?: boolean;
  /** Whether it makes a release, or removes the app: a locked app refuses both. */
  readonly isRelease: boolean;
}

/** Throws `conflict` when the app is locked, `not-found` when it is gone, `superseded` or the signal's reason while it waits. */
export async function takeTurn(request: TakeTurn, { store, queue, settle }: TurnParts): Promise<Turn> {
  const { app, holder, signal, report, isReplaceable = false } = request;
  check(request, store);
  const onWait = (other: string) => report.step(`Waiting for ${other} of this app to end`);
  const turn = await queue.take(app, { holder, isReplaceable, signal, onWait });
  try {
    await settle(app);
    // Again: it may have been locked, or removed, in the meantime.
    check(request, store);
    return turn;
  } catch (error) {
    turn[Symbol.dispose]();
    throw error;
  }
}

function check({ app: name, isRelease }: TakeTurn, store: Store): void {
  const { lock } = appOf(name, store);
  if (!isRelease || lock === undefined) return;
  throw new ForgeError('conflict', `${name} is locked by ${lock.actor}: ${lock.reason}`, { hint: `forge apps:unlock ${name} lets changes through again` });
}

/** The app, or `not-found`: it may have been destroyed while somebody waited. */
export function appOf(name: string, store: Store): App {
  const app = findApp(store, name);
  if (!app || app.isBeingRemoved) throw new ForgeError('not-found', `there is no app ${name}`, { hint: 'apps:list shows the apps you may see' });
  return app;
}
