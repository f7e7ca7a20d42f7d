/** One worker process of the proxy: serves, and does what the first process says. Ends when that one is gone. */
import cluster from 'node:cluster';
import { createLog } from '../log.ts';
import { withDeadline } from '../wait.ts';
import { createDataPlane, type DataPlane } from './data-plane.ts';
import type { WorkerOrder, WorkerReply } from './workers.ts';

const closeTimeoutMs = 10_000;

let plane: DataPlane | undefined;

async function obey(message: WorkerOrder): Promise<Omit<WorkerReply, 'id'>> {
  switch (message.kind) {
    case 'start': {
      plane = createDataPlane(message.options, createLog(message.options.logLevel, 'proxy'));
      if (message.table !== undefined) plane.apply(message.table);
      return { port: await plane.listen() };
    }
    case 'apply':
      plane?.apply(message.table);
      return {};
    case 'drain':
      await plane?.drain(message.request, new AbortController().signal);
      return {};
    case 'close': {
      using deadline = withDeadline(closeTimeoutMs, 'closing the worker took too long');
      await plane?.close(deadline);
      return {};
    }
  }
}

process.on('message', (message: WorkerOrder) => {
  void obey(message)
    .catch((error: unknown) => ({ failure: (error as Error).message }))
    .then((reply: Omit<WorkerReply, 'id'>) => process.send?.({ id: message.id, ...reply }));
});
process.on('disconnect', () => process.exit(0));
// The first process died while this one was speaking to it.
cluster.worker?.on('error', () => process.exit(0));
// The first process decides when to end; a terminal's Ctrl-C reaches all of them.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
