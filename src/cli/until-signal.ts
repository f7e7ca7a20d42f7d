import { ForgeError } from '../errors.ts';

/** Aborts at the first SIGINT or SIGTERM, so that what was begun is cleaned up; a second one ends the process. */
export function untilSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = () => controller.abort(new ForgeError('canceled', 'canceled'));
  process.once('SIGINT', stop).once('SIGTERM', stop);
  return controller.signal;
}
