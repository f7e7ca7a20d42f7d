/** The one-off commands under way, so that what an app's removal takes along can be ended first. */
import { ForgeError } from '../errors.ts';
import type { RuntimeParts } from './parts.ts';
import { runOneOff, type OneOffRequest } from './run-one-off.ts';

export interface OneOffs {
  run(request: OneOffRequest): Promise<number>;
  /** Cancels the app's and resolves when all are gone. The engine does not let a container go while its reader stalls. */
  end(app: string): Promise<void>;
}

interface Running {
  readonly app: string;
  readonly controller: AbortController;
  readonly ended: Promise<unknown>;
}

export function createOneOffs(parts: RuntimeParts): OneOffs {
  const running = new Set<Running>();

  const run = async (request: OneOffRequest): Promise<number> => {
    const controller = new AbortController();
    const ended = runOneOff({ ...request, signal: AbortSignal.any([request.signal, controller.signal]) }, parts);
    const entry = { app: request.release.app, controller, ended };
    running.add(entry);
    try {
      return await ended;
    } finally {
      running.delete(entry);
    }
  };

  const end = async (app: string): Promise<void> => {
    const affected = [...running].filter((entry) => entry.app === app);
    for (const { controller } of affected) controller.abort(new ForgeError('canceled', `canceled: ${app} is being removed`));
    await Promise.allSettled(affected.map(({ ended }) => ended));
  };

  return { run, end };
}
