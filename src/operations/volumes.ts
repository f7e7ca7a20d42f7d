import { createGzip } from 'node:zlib';
import { pipeline } from 'node:stream/promises';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import type { Session } from '../domain.ts';
import type { AppSettings } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { parseMountPath, parseVolumeName } from '../names.ts';
import { createReport } from '../report.ts';
import { getApp } from '../store/apps.ts';
import { findVolumes, getVolume } from '../store/volumes.ts';
import { applyChange, printApplied } from './apply-change.ts';
import { askLine } from './ask-line.ts';
import { relativeTime } from './durations.ts';
import { appField, restartField } from './fields.ts';
import { says } from './input-form.ts';
import { defineOperation, type Context } from './operation.ts';
import { table } from './table.ts';
import { write } from './write.ts';

const volumeField = z.string().overwrite(parseVolumeName).meta(says('A volume of the app', { placeholder: 'VOLUME' }));

const create = defineOperation({
  name: 'volumes:create',
  summary: 'Create a volume: files of an app that outlive its releases',
  help: 'forge volumes:create hello data\nforge volumes:mount hello data /data shows it to the app.',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'volume'],
  input: z.object({ app: appField, volume: volumeField }),
  audit: ({ volume }) => ({ volume }),
  run: async ({ app, volume }, context) => {
    const { name, engineName, createdAt } = await context.services.volumes.create(request(app, volume, context));
    return { app, name, engineName, createdAt };
  },
  print: ({ app, name }) => `Created the volume ${name} of ${app}. Show it to the app: forge volumes:mount ${app} ${name} /PATH`,
});

const list = defineOperation({
  name: 'volumes:list',
  aliases: ['volumes'],
  summary: 'Show the volumes of an app and where they are mounted',
  target: 'app',
  permission: 'view',
  isChange: false,
  positionals: ['app'],
  input: z.object({ app: appField }),
  run: async ({ app }, { services: { store } }) => {
    const { mounts } = getApp(store, app).settings;
    return findVolumes(store, app).map(({ name, engineName, createdAt }) => ({ name, engineName, createdAt, paths: mounts.filter(({ volume }) => volume === name).map(({ path }) => path) }));
  },
  print: (volumes, { services, style }) => {
    if (volumes.length === 0) return 'No volumes. Create one: forge volumes:create APP VOLUME';
    const now = services.store.now();
    return table(['VOLUME', 'MOUNTED AT', 'MADE', 'IN THE ENGINE'], volumes.map(({ name, paths, createdAt, engineName }) => [name, paths.join(' ') || '–', relativeTime(createdAt, now), engineName]), style);
  },
});

const mount = defineOperation({
  name: 'volumes:mount',
  summary: 'Show a volume to every instance of an app at a path',
  help: 'forge volumes:mount hello data /data\nAn empty volume gets what the image has at that path, and belongs to the user that the image runs as. One-off commands see it too.',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'volume', 'path'],
  input: z.object({ app: appField, volume: volumeField, path: z.string().overwrite(parseMountPath).meta(says('Where the app finds it, such as /data', { placeholder: '/PATH' })), restart: restartField }),
  audit: ({ volume, path }) => ({ volume, path }),
  run: async ({ app, volume, path, restart }, context) => {
    const { store } = context.services;
    const { settings } = getApp(store, app);
    const { strategy } = settings;
    const mounted = ({ mounts }: AppSettings): Partial<AppSettings> => {
      getVolume(store, app, volume);
      refuseClash(app, path, mounts);
      return { mounts: [...mounts, { volume, path }] };
    };
    // At once where it is plain; again when the turn has come.
    mounted(settings);
    const change = { settings: mounted };
    return { app, volume, path, strategy, applied: await applyChange(app, { change, reason: `Mount ${volume} at ${path}`, restart }, context) };
  },
  print: ({ app, volume, path, strategy, applied }) =>
    `Mounted ${volume} at ${path}: ${printApplied(app, applied)}${strategy === 'recreate' ? '' : `\nDuring a deploy old and new instances use it at the same time. If two must never write to it: forge strategy:set ${app} recreate`}`,
});

const unmount = defineOperation({
  name: 'volumes:unmount',
  summary: 'Take a volume out of the instances of an app; its files stay',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app', 'volume'],
  input: z.object({ app: appField, volume: volumeField, restart: restartField }),
  audit: ({ volume }) => ({ volume }),
  run: async ({ app, volume, restart }, context) => {
    const unmounted = ({ mounts }: AppSettings): Partial<AppSettings> => {
      const left = mounts.filter((one) => one.volume !== volume);
      if (left.length === mounts.length) throw new ForgeError('conflict', `${app} does not mount a volume ${JSON.stringify(volume)}`, { hint: `forge volumes:list ${app}` });
      return { mounts: left };
    };
    unmounted(getApp(context.services.store, app).settings);
    return { app, volume, applied: await applyChange(app, { change: { settings: unmounted }, reason: `Unmount ${volume}`, restart }, context) };
  },
  print: ({ app, volume, applied }) => `Unmounted ${volume}: ${printApplied(app, applied)}`,
});

const remove = defineOperation({
  name: 'volumes:remove',
  summary: 'Remove a volume with its files',
  target: 'app',
  permission: 'manage',
  isChange: true,
  readsStdin: true,
  positionals: ['app', 'volume'],
  input: z.object({ app: appField, volume: volumeField, confirm: z.string().optional().meta(says('The volume’s name again, instead of being asked', { placeholder: 'VOLUME' })) }),
  audit: ({ volume }) => ({ volume }),
  run: async ({ app, volume, confirm }, context) => {
    getVolume(context.services.store, app, volume);
    const answer = confirm ?? (await askLine(context.session, `This removes ${volume} of ${app} with all its files. Type its name to go on: `));
    if (answer !== volume) {
      throw new ForgeError('invalid', `${volume} was not removed: the name given to confirm is not its name`, { hint: `forge volumes:remove ${app} ${volume} --confirm ${volume}` });
    }
    await context.services.volumes.remove(request(app, volume, context));
    return { app, volume };
  },
  print: ({ app, volume }) => `Removed the volume ${volume} of ${app}`,
});

const backup = defineOperation({
  name: 'volumes:backup',
  summary: 'Print a volume as a tar archive',
  help: 'ssh forge@host volumes:backup hello data > data.tar\nFiles that the app writes meanwhile may be caught half way: stop it first (ps:stop), or use the dump of its database.',
  target: 'app',
  permission: 'operate',
  // It is recorded: somebody took a copy of the app's data.
  isChange: true,
  positionals: ['app', 'volume'],
  input: z.object({ app: appField, volume: volumeField, gzip: z.boolean().default(false).meta(says('Compress it', { short: 'z' })) }),
  audit: ({ volume }) => ({ volume }),
  run: async ({ app, volume, gzip }, context) => {
    const { session, services } = context;
    refuseTerminal(session, `volumes:backup ${app} ${volume} > ${volume}.tar`);
    await services.volumes.backup(request(app, volume, context), async (tar) => await send(tar, gzip, session));
    return undefined;
  },
  print: () => undefined,
});

const restore = defineOperation({
  name: 'volumes:restore',
  summary: 'Fill a volume from a backup on stdin: all of it or nothing',
  help: 'ssh forge@host volumes:restore hello data < data.tar\nTakes a tar, plain or gzip. With --force the backup takes the place of what the volume holds.',
  target: 'app',
  permission: 'manage',
  isChange: true,
  readsStdin: true,
  positionals: ['app', 'volume'],
  input: z.object({ app: appField, volume: volumeField, force: z.boolean().default(false).meta(says('Also a volume that is not empty: what it holds is lost', { short: 'f' })) }),
  audit: ({ volume, force }) => ({ volume, force }),
  run: async ({ app, volume, force }, context) => {
    const contents = await context.services.volumes.restore({ ...request(app, volume, context), archive: context.session.stdin, isForced: force });
    return { app, volume, ...contents };
  },
  print: ({ app, volume, entries, bytes }) => `Restored the volume ${volume} of ${app}: ${entries} entries, ${bytes} bytes`,
});

const request = (app: string, name: string, { session }: Context) => ({ app, name, actor: session.actor, report: createReport([session.stderr]), signal: session.signal });

/** One path per mount, and none inside of another: which of them shows would depend on their order. */
function refuseClash(app: string, path: string, mounts: readonly { readonly volume: string; readonly path: string }[]): void {
  const clash = mounts.find((one) => one.path === path || one.path.startsWith(`${path}/`) || path.startsWith(`${one.path}/`));
  if (clash) throw new ForgeError('conflict', `${app} has its volume ${clash.volume} mounted at ${clash.path} already`, { hint: `forge volumes:unmount ${app} ${clash.volume}, or choose another path` });
}

/** A terminal changes line ends. */
export function refuseTerminal({ terminal }: Session, command: string): void {
  if (terminal) throw new ForgeError('invalid', 'this prints an archive, which a terminal would garble', { hint: `without -t, into a file: ssh forge@host ${command}` });
}

async function send(tar: Readable, isCompressed: boolean, session: Session): Promise<void> {
  const print = async (stream: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of stream) await write(session.stdout, chunk, session.signal);
  };
  if (isCompressed) await pipeline(tar, createGzip(), print, { signal: session.signal });
  else await pipeline(tar, print, { signal: session.signal });
}

export const volumeOperations = [create, list, mount, unmount, remove, backup, restore];
