/** What comes after the swap, without an engine: it must never take back a release that serves. */
import { Writable } from 'node:stream';
import pino from 'pino';
import { describe, expect, it } from 'vitest';
import { emptyAppFile, type Tasks } from '../../src/app-file.ts';
import type { Attempt } from '../../src/deploy/attempt.ts';
import type { DeployParts } from '../../src/deploy/parts.ts';
import { runPostdeploy } from '../../src/deploy/tasks.ts';
import { ForgeError } from '../../src/errors.ts';
import { createFaults } from '../../src/faults.ts';
import { createReport } from '../../src/report.ts';
import type { TaskRequest } from '../../src/runtime/run-task.ts';
import { releaseOf, imageOf } from '../runtime/support.ts';

interface Stage {
  readonly tasks: Partial<Tasks>;
  /** Whether the app owes its first postdeploy; broken: the database fails. */
  readonly owes?: boolean | 'broken';
  readonly runTask?: (request: TaskRequest) => Promise<undefined>;
}

async function run({ tasks, owes = false, runTask = async () => undefined }: Stage) {
  const shown: string[] = [];
  const ran: string[] = [];
  const warnings: string[] = [];
  let owesNow = owes;
  const report = createReport([new Writable({ write: (chunk, _encoding, done) => (shown.push(String(chunk)), done()) })]);
  const attempt = { id: 'd1', app: 'hello', report, warn: (text: string) => void warnings.push(text), interruptible: (task: (signal: AbortSignal) => unknown) => task(new AbortController().signal) } as unknown as Attempt;
  const ask = (): object => {
    if (owesNow === 'broken') throw new Error('database or disk is full');
    return { owes_first_postdeploy: Number(owesNow) };
  };
  const db = { get: ask, run: (_sql: string, value: number) => (ask(), (owesNow = value === 1)) };
  const runtime = { runTask: async (request: TaskRequest) => (ran.push(shown.at(-1)?.trim() ?? ''), await runTask(request)) };
  const parts = { store: { db }, runtime, config: { taskTimeout: 1000 }, faults: createFaults(''), log: pino({ level: 'silent' }) } as unknown as DeployParts;
  const release = releaseOf(imageOf('an-image'), { version: 3, appFile: { ...emptyAppFile, tasks: { ...emptyAppFile.tasks, ...tasks } } });
  await runPostdeploy(release, attempt, parts);
  return { ran: ran.map((line) => line.replace('-----> Running postdeploy: ', '')), warnings, owes: owesNow, shown: shown.join('') };
}

const both = { firstPostdeploy: 'seed', postdeploy: 'tell' };
const fails = async (): Promise<never> => {
  throw new ForgeError('failed', 'the postdeploy task failed with status 1', { hint: 'its output is above' });
};

describe('after the swap', () => {
  it.each([
    ['both run when the app owes the first', { owes: true }, ['seed', 'tell']],
    ['otherwise that of each deploy runs alone', {}, ['tell']],
  ])('%s', async (_name, more, ran) => {
    expect(await run({ tasks: both, ...more })).toMatchObject({ ran, warnings: [], owes: false });
  });

  it('a failure is a warning, the other task runs all the same, and the first stays owed', async () => {
    const { ran, warnings, owes } = await run({ tasks: both, owes: true, runTask: fails });
    expect(ran).toEqual(['seed', 'tell']);
    expect(warnings).toEqual(Array(2).fill('v3 is live and stays live; the postdeploy task failed with status 1: its output is above'));
    expect(owes).toBe(true);
  });

  it('neither a bug nor a full disk fails the deploy', async () => {
    const bug = await run({ tasks: { postdeploy: 'tell' }, runTask: async () => Promise.reject(new TypeError('x is not a function')) });
    expect(bug.warnings).toEqual(['v3 is live and stays live; the postdeploy task failed by an internal error (id d1)']);
    expect((await run({ tasks: both, owes: 'broken' })).shown).toContain('the outcome of the postdeploy task could not be recorded');
  });

  it('a canceled task says who canceled it', async () => {
    const { warnings } = await run({ tasks: { postdeploy: 'tell' }, runTask: async () => Promise.reject(new ForgeError('canceled', 'canceled by ada')) });
    expect(warnings).toEqual(['v3 is live and stays live; the postdeploy task was canceled by ada']);
  });
});
