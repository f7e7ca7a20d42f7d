import { Writable } from 'node:stream';
import { z } from 'zod';
import { formatSize } from '../config.ts';
import { ForgeError } from '../errors.ts';
import { createReport } from '../report.ts';
import { relativeTime } from './durations.ts';
import { says } from './input-form.ts';
import { defineOperation } from './operation.ts';
import { facts, table } from './table.ts';
import { write } from './write.ts';

const create = defineOperation({
  name: 'backup:create',
  aliases: ['backup'],
  summary: 'Write everything of this forge into one file, while it runs',
  help: [
    'Keys, settings, repositories, config, releases, the images that serve and the volumes.',
    'On the machine: forge backup --to forge.backup. From elsewhere: ssh forge@HOST backup > forge.backup',
    'The file holds the key of all config and every private key of this forge: whoever reads it reads everything. forge restore FILE brings it back.',
  ].join('\n'),
  target: 'machine',
  permission: 'admin',
  isChange: true,
  positionals: [],
  input: z.object({ logs: z.boolean().default(false).meta(says('With what the apps have printed')) }),
  audit: ({ logs }) => ({ logs }),
  run: async ({ logs }, { session, services }) => {
    if (session.terminal !== undefined) throw new ForgeError('invalid', 'a backup is no text for a terminal', { hint: 'forge backup --to FILE, or from elsewhere: ssh forge@HOST backup > FILE' });
    const report = createReport([session.stderr]);
    // Whoever handles the session ends its streams.
    const output = new Writable({
      write(chunk: Buffer, _encoding, done) {
        write(session.stdout, chunk, session.signal).then(() => done(), done);
      },
    });
    const summary = await services.backups.create({ actor: session.actor.name, output, hasLogs: logs, onStep: (text) => report.step(text), signal: session.signal });
    for (const missing of summary.missing) report.problem(`Not in the backup: ${missing}`);
    report.step(`Backup of ${count(summary.apps, 'app')}, ${count(summary.images, 'image')}, ${count(summary.volumes, 'volume')}: ${roughSize(summary.bytes)} before compression`);
    return undefined;
  },
  print: () => undefined,
});

const list = defineOperation({
  name: 'backup:list',
  aliases: ['backups'],
  summary: 'List the backups that were made, how they ended, and when the next is due',
  help: 'The settings backupSchedule, backupDir and backupKeep say when forge makes backups by itself, where, and how many stay.',
  target: 'machine',
  permission: 'admin',
  isChange: false,
  positionals: [],
  input: z.object({}),
  run: async (_input, { services }) => await services.backups.list(),
  print: ({ directory, schedule, next, backups }, { services, style }) => {
    const now = services.store.now();
    const about = facts(
      [['schedule', schedule === '' ? 'none (setting backupSchedule)' : schedule], ['next', next && relativeTime(next, now)], ['folder', directory]],
      style,
    );
    if (backups.length === 0) return `${about}\n\nNo backups yet: forge backup --to FILE`;
    const rows = backups.map(({ startedAt, actor, file, isThere, endedAt, failure, missing, sizeBytes }) => [
      relativeTime(startedAt, now),
      actor,
      file === undefined ? 'to who asked' : isThere || failure !== undefined || endedAt === undefined ? file : `${file} (removed)`,
      sizeBytes === undefined ? '–' : roughSize(sizeBytes),
      failure !== undefined ? style.bad(`failed: ${failure}`) : endedAt === undefined ? 'under way' : missing.length > 0 ? style.bad(`done, ${missing.length} missing`) : style.good('done'),
    ]);
    const newest = backups.find(({ endedAt, failure }) => endedAt !== undefined && failure === undefined);
    const lost = (newest?.missing ?? []).map((what) => `\n${style.bad(`Not in the newest backup: ${what}`)}`);
    return `${about}\n\n${table(['MADE', 'BY', 'FILE', 'SIZE', 'STATE'], rows, style)}${lost.join('')}`;
  },
});

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;

/** Two digits are enough: `1.4G`. */
function roughSize(bytes: number): string {
  const unit = [1024 ** 3, 1024 ** 2, 1024].find((size) => bytes >= size) ?? 1;
  return `${Number((bytes / unit).toPrecision(2))}${formatSize(unit).replace(/\d+/, '')}`;
}

export const backupOperations = [create, list];
