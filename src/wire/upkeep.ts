/** What forge does by itself, all the time: keeps the machine equal to the database. */
import { watchEngine } from '../deploy/watch-engine.ts';
import type { Log } from '../log.ts';
import { type Runtime } from '../runtime/runtime.ts';
import { every } from '../wait.ts';
import type { Core } from './core.ts';

const reconcileEveryMs = 60_000;

/** Serves what runs at once, then repairs: now, when the engine comes back, and every minute. */
export function keepReconciled({ reconciler, runtime, things, log, stopping, removeAbandoned, sweepBuilds }: Core, stack: AsyncDisposableStack): void {
  const controller = new AbortController();
  const signal = AbortSignal.any([controller.signal, stopping]);
  const onError = (error: unknown) => {
    if (!signal.aborted) log.warn({ err: error }, 'the machine could not be reconciled; the next pass tries again');
  };
  // One pass at a time, and none may still use the store when it closes.
  let last: Promise<void> = reconciler.adopt().catch(onError);
  const pass = () => {
    const abandoned = removeAbandoned();
    return (last = last
      .then(async () => {
        await things.apps.finishInterrupted();
        await reconciler.pass(signal);
        await abandoned;
        // What a container of an earlier run held could not go before.
        await things.volumes.sweep();
      })
      .catch(onError));
  };
  void pass();
  void warnOfOpenFirewall(runtime, log, signal).catch(onError);
  const timer = every(reconcileEveryMs, pass, onError);
  const watching = watchEngine({
    runtime,
    reconciler,
    pass: async () => {
      // What was being built when the engine went away could not be removed then.
      void sweepBuilds();
      await pass();
    },
    signal,
  });
  stack.defer(async () => {
    timer[Symbol.dispose]();
    controller.abort();
    await Promise.all([watching, last]);
    await reconciler.settled();
  });
}

/** Replaces instances that fail their liveness checks. */
export function keepAlive({ superviseLiveness, stopping }: Core, stack: AsyncDisposableStack): void {
  const controller = new AbortController();
  const ended = superviseLiveness(AbortSignal.any([controller.signal, stopping]));
  stack.defer(async () => {
    controller.abort();
    await ended;
  });
}

async function warnOfOpenFirewall(runtime: Runtime, log: Log, signal: AbortSignal): Promise<void> {
  const { problem } = await runtime.checkFirewall(signal);
  if (problem !== undefined) log.warn({ problem }, 'containers can reach services of this machine: run `forge firewall apply` as root');
}
