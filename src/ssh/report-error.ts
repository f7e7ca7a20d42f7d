import { randomBytes } from 'node:crypto';
import type { Writable } from 'node:stream';
import { exitStatusOf, isForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import { createReport } from '../report.ts';

/**
 * Tells the person what went wrong and returns the exit status. An expected failure is shown with its details and hint;
 * anything else is logged whole under an id, and only the id is shown.
 */
export function reportError(error: unknown, stderr: Writable, log: Log): number {
  const report = createReport([stderr]);
  if (isForgeError(error)) {
    report.problem(error.message);
    if (error.details.length > 0) report.body(error.details.join('\n'));
    if (error.hint !== undefined) report.problem(error.hint);
  } else {
    const id = randomBytes(4).toString('hex');
    log.error({ err: error, id }, 'internal error');
    report.problem(`internal error (id ${id})`);
    report.body('forge’s own log has the whole story under this id');
  }
  return exitStatusOf(error);
}
