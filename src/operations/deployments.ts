import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { z } from 'zod';
import type { Deployment } from '../domain.ts';
import { deploymentLogPath } from '../deploy/attempt.ts';
import { findDeployment, findDeployments, isFinished } from '../store/deployments.ts';
import { delay } from '../wait.ts';
import { elapsed, relativeTime } from './durations.ts';
import { appField, limitField } from './fields.ts';
import { says } from './input-form.ts';
import { untilInterrupted } from './interrupt.ts';
import { defineOperation } from './operation.ts';
import type { Context } from './operation.ts';
import { facts, oneLine, table } from './table.ts';
import { write } from './write.ts';

const followPauseMs = 200;
/** What `--json` shows of a log at most: its end. */
const maxJsonLogBytes = 8 * 1024 * 1024;

const deploymentField = z.string().min(1).meta(says('Id of a deployment, from deployments:list', { placeholder: 'ID' }));

const list = defineOperation({
  name: 'deployments:list',
  aliases: ['deployments'],
  summary: 'Show every attempt to deploy an app and how it ended, newest first',
  target: 'app',
  permission: 'view',
  isChange: false,
  positionals: ['app'],
  input: z.object({ app: appField, limit: limitField('deployments', 20) }),
  run: async ({ app, limit }, { services }) => findDeployments(services.store, { app, limit }),
  print: (deployments, { services, style }) => {
    if (deployments.length === 0) return 'No deployments yet. Push some code: git push forge main';
    const now = services.store.now();
    const rows = deployments.map((deployment) => [
      deployment.id, paint(deployment, style), deployment.version === undefined ? '–' : `v${deployment.version}`,
      relativeTime(deployment.createdAt, now), durationOf(deployment), deployment.actor, oneLine(deployment.reason),
    ]);
    return table(['ID', 'STATUS', 'RELEASE', 'BEGAN', 'TOOK', 'BY', 'WHAT'], rows, style);
  },
});

const info = defineOperation({
  name: 'deployments:info',
  summary: 'Show one deployment',
  target: 'deployment',
  permission: 'view',
  isChange: false,
  positionals: ['deployment'],
  input: z.object({ deployment: deploymentField }),
  run: async ({ deployment }, context) => theDeployment(deployment, context),
  print: (deployment, { services, style }) => {
    const now = services.store.now();
    return facts(
      [
        ['deployment', deployment.id],
        ['app', deployment.app],
        ['status', paint(deployment, style)],
        ['what', oneLine(deployment.reason)],
        ['by', deployment.actor],
        ['from', originOf(deployment)],
        ['began', relativeTime(deployment.createdAt, now)],
        ['took', durationOf(deployment)],
        ['release', deployment.version === undefined ? undefined : `v${deployment.version}`],
        ['failure', deployment.failure && oneLine(deployment.failure)],
        ['warning', deployment.warning && oneLine(deployment.warning)],
      ],
      style,
    );
  },
});

const logs = defineOperation({
  name: 'deployments:logs',
  summary: 'Show what a deployment printed; follows one that is under way with -f',
  target: 'deployment',
  permission: 'view',
  isChange: false,
  help: 'With --json a log of more than 8 MiB begins later, and isCut is true.',
  positionals: ['deployment'],
  input: z.object({ deployment: deploymentField, follow: z.boolean().default(false).meta(says('Go on until the deployment ends', { short: 'f' })) }),
  run: async ({ deployment: id, follow }, context) => {
    const { session, services, isJson } = context;
    using signal = untilInterrupted(session, follow);
    const path = deploymentLogPath(services.config.data, id);
    let position = 0;
    for (;;) {
      // Asked before reading: what was written until the end is then in the file.
      const isOver = !follow || isFinished(theDeployment(id, context).status);
      for await (const chunk of isJson ? [] : readFrom(path, position)) {
        position += chunk.length;
        await write(session.stdout, chunk, signal);
      }
      if (isOver) return isJson ? { deployment: id, ...(await readEnd(path)) } : undefined;
      await delay(followPauseMs, signal);
    }
  },
  print: () => undefined,
});

const cancel = defineOperation({
  name: 'deployments:cancel',
  summary: 'Stop a deployment that is under way; what serves goes on serving',
  target: 'deployment',
  permission: 'deploy',
  isChange: true,
  positionals: ['deployment'],
  input: z.object({ deployment: deploymentField }),
  audit: ({ deployment }) => ({ deployment }),
  run: async ({ deployment }, { session, services }) => {
    return { deployment, canceled: await services.deployer.cancel(deployment, session.actor) };
  },
  print: ({ deployment, canceled }) => (canceled === 'task' ? `The release of ${deployment} is live and stays live; its postdeploy task was canceled` : `Canceled ${deployment}`),
});

function theDeployment(id: string, { services }: Context): Deployment {
  const deployment = findDeployment(services.store, id);
  // The dispatcher has found it; it can only have gone with its app since.
  if (!deployment) throw new Error(`deployment ${id} went away`);
  return deployment;
}

/** The file's bytes from a position on, up to `end` (inclusive); none while there is no file yet. */
async function* readFrom(path: string, start: number, end = Infinity): AsyncIterable<Buffer> {
  try {
    yield* createReadStream(path, { start, end }) as AsyncIterable<Buffer>;
  } catch (error) {
    ignoreAbsent(error as NodeJS.ErrnoException);
  }
}

function ignoreAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

/** As JSON a log is held in memory, and a build may print without end. */
async function readEnd(path: string): Promise<{ readonly log: string; readonly isCut?: true }> {
  const size = (await stat(path).catch(ignoreAbsent))?.size ?? 0;
  const start = Math.max(0, size - maxJsonLogBytes);
  const chunks: Buffer[] = [];
  for await (const chunk of size === 0 ? [] : readFrom(path, start, size - 1)) chunks.push(chunk);
  return { log: Buffer.concat(chunks).toString('utf8'), ...(start > 0 ? { isCut: true } : {}) };
}

function paint({ status }: Deployment, style: Context['style']): string {
  if (status === 'succeeded') return style.good(status);
  return isFinished(status) ? style.bad(status) : style.strong(status);
}

const durationOf = ({ startedAt, createdAt, endedAt }: Deployment): string => (endedAt === undefined ? '–' : elapsed(startedAt ?? createdAt, endedAt));

function originOf({ origin }: Deployment): string {
  switch (origin.kind) {
    case 'git':
      return `${oneLine(origin.branch)} at ${origin.commit.slice(0, 10)}`;
    case 'image':
      return `image ${origin.reference}`;
    case 'folder':
      return 'a folder';
    case 'change':
      return 'a change of config or settings';
  }
}

export const deploymentOperations = [list, info, logs, cancel];
