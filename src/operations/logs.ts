import { z } from 'zod';
import { abortError, ForgeError, isForgeError } from '../errors.ts';
import type { ReadLogsOptions } from '../runtime/logs/read-logs.ts';
import { findCreation } from '../store/apps.ts';
import { terminalText } from '../terminal-text.ts';
import { authorize } from './authorize.ts';
import { appField } from './fields.ts';
import { says } from './input-form.ts';
import { untilInterrupted } from './interrupt.ts';
import { defineOperation, type Context } from './operation.ts';
import { write } from './write.ts';

export const linesField = z.int().min(0).max(100_000).default(100).meta(says('How many stored lines to begin with; default 100', { short: 'n', placeholder: 'N' }));
export const followField = z.boolean().default(false).meta(says('Go on with new lines until you stop it', { short: 'f' }));

const logs = defineOperation({
  name: 'apps:logs',
  aliases: ['logs'],
  summary: 'Show what an app’s processes print',
  help: 'Logs survive deploys and restarts. forge apps:logs hello -f -p web follows the web processes.',
  target: 'app',
  permission: 'view',
  isChange: false,
  positionals: ['app'],
  input: z.object({
    app: appField,
    lines: linesField,
    follow: followField,
    process: z.array(z.string().regex(/^[a-z][a-z0-9-]*(\.[a-z0-9-]+)?$/, 'expected a process type such as web, an instance such as web.1, or cron.NAME')).default([]).meta(says('Only this process type or instance; may be given again', { short: 'p', placeholder: 'web|web.1' })),
  }),
  run: async ({ app, lines, follow, process: processes }, context) => await showLogs(app, { lines, follow, processes }, context),
  print: () => undefined,
});

/** Writes stored lines, then what comes, until the person leaves or stops it. Throws `not-found` when the app is no longer the one that it was. */
export async function showLogs(app: string, { lines, follow, processes }: Omit<ReadLogsOptions, 'signal'>, { session, services, isJson, style }: Context): Promise<undefined> {
  using signal = untilInterrupted(session, follow);
  const creation = findCreation(services.store, app);
  let count = 0;
  try {
    for await (const line of services.logs.read(app, { lines, processes, follow, signal })) {
      // Destroyed or renamed meanwhile: another app of that name may be somebody else's.
      if (findCreation(services.store, app) !== creation) throw new ForgeError('not-found', `${app} is no longer the app whose logs these were: it was destroyed or renamed`, { hint: 'forge apps lists the apps you can see' });
      authorize(session.actor, 'view', app);
      count += 1;
      const text = isJson ? JSON.stringify(line) : `${style.faint(`${line.at} app[${line.process}]:`)} ${terminalText(line.text)}`;
      await write(session.stdout, `${text}\n`, signal);
    }
  } catch (error) {
    // Following ends when the person stops it: that is no failure.
    if (!signal.aborted || session.signal.aborted) throw error;
    if (isForgeError(error) && error !== abortError(signal)) throw error;
  }
  if (count === 0 && !follow && !isJson) session.stderr.write(`No lines yet. forge apps:logs ${app} -f waits for them.\n`);
}

export const logOperations = [logs];
