/** The turns of an app and of the name that it, or a copy of it, is to have. */
import { takeTurn } from '../deploy/turn.ts';
import type { Turn } from '../deploy/queue.ts';
import { ForgeError } from '../errors.ts';
import { findApp } from '../store/apps.ts';
import type { AppParts, AppRequest } from './parts.ts';

export interface TakeBothTurns extends AppRequest {
  readonly from: string;
  readonly to: string;
  /** Names the change to others who wait for it. */
  readonly holder: string;
  /** As of `takeTurn`, for the app that is there. */
  readonly isRelease: boolean;
}

/**
 * Always in one order, so that two changes never wait for each other. Throws `conflict` when the name is taken, at once where
 * that is known already: the caller asks again when it has the turns. Otherwise as `takeTurn`.
 */
export async function takeBothTurns(request: TakeBothTurns, parts: Pick<AppParts, 'store' | 'queue' | 'settle'>): Promise<Disposable> {
  const { from, to, holder, isRelease, signal, report } = request;
  const other = findApp(parts.store, to);
  if (other && !other.isBeingRemoved) throw new ForgeError('conflict', `app ${to} exists already`, { hint: 'choose another name' });
  const taken: Turn[] = [];
  const giveBack = (): void => taken.forEach((turn) => turn[Symbol.dispose]());
  try {
    for (const name of [from, to].toSorted()) {
      const onWait = (before: string) => report.step(`Waiting for ${before} of ${name} to end`);
      taken.push(name === from ? await takeTurn({ app: from, holder, isRelease, signal, report }, parts) : await parts.queue.take(to, { holder, isReplaceable: false, signal, onWait }));
    }
    return { [Symbol.dispose]: giveBack };
  } catch (error) {
    giveBack();
    throw error;
  }
}
