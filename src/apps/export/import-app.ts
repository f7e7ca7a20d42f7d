/** An app from the file of an export: all of it, or nothing. Until it is whole it is marked as being removed, and a start of forge does that. */
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { randomUUID } from 'node:crypto';
import { watchFreeSpace } from '../../build/free-space.ts';
import { start } from '../../deploy/changes.ts';
import { ForgeError } from '../../errors.ts';
import { importBundle } from '../../git/bundles.ts';
import { keptImageName } from '../../labels.ts';
import { parseAppName } from '../../names.ts';
import { addFirstRelease } from '../../store/first-release.ts';
import { createUnfinishedApp } from '../../store/apps.ts';
import { createVolume, findVolume } from '../../store/volumes.ts';
import { removeEverything } from '../destroy.ts';
import type { AppParts, AppRequest } from '../parts.ts';
import { fillVolume } from '../volumes.ts';
import { withIdleDeadline } from '../../with-idle-deadline.ts';
import { checkPassphrase } from './export-app.ts';
import { openExport, type ExportReader, type Section } from './export-file.ts';
import { imageSection, repositorySection } from './format.ts';
import { withOwnName } from './own-image-name.ts';

export interface ImportRequest extends AppRequest {
  /** Default: the name that it was exported under. */
  readonly app: string | undefined;
  readonly passphrase: string;
  readonly input: Readable;
  readonly output: Writable;
  readonly isStarted: boolean;
}

export interface Imported {
  readonly app: string;
  readonly release: number | undefined;
}

/** Long: an export that is piped in says nothing while its engine gets the image ready. */
const inputIdleMs = 10 * 60_000;

/** Throws `conflict` when the name is taken, `invalid` for a wrong passphrase or a file that is not whole; when the instances do not start, the app is there, stopped. */
export async function importApp(request: ImportRequest, parts: AppParts): Promise<Imported> {
  const { actor, report, output, signal, isStarted } = request;
  checkPassphrase(request.passphrase);
  using space = watchFreeSpace({ directories: parts.diskDirectories, minFreeBytes: parts.config.minFreeBytes / 2, signal });
  const input = withIdleDeadline(request.input, { ms: inputIdleMs, message: `nothing more of the export came for ${inputIdleMs / 60_000} minutes: nothing was imported` });
  const reader = await openExport(input, { passphrase: request.passphrase, signal: space.signal });
  try {
    const app = parseAppName(request.app ?? reader.head.app);
    const release = await takeIn(app, reader, { ...request, signal: space.signal }, parts);
    await parts.live.swap(app, []);
    if (release !== undefined && isStarted) {
      report.step(`Starting ${app}`);
      await start({ app, actor, output, signal }, parts);
    }
    return { app, release };
  } finally {
    reader.close();
  }
}

async function takeIn(app: string, reader: ExportReader, request: ImportRequest, parts: AppParts): Promise<number | undefined> {
  const { store, runtime, queue } = parts;
  const { actor, signal } = request;
  const { release: live, config, settings, formation } = reader.app;
  createUnfinishedApp(store, app);
  using _turn = await queue.take(app, { holder: 'an import', isReplaceable: false, signal });
  const imageId = live?.imageId;
  try {
    // What a push left that came while an app of that name went.
    await parts.repositories.remove(app);
    for await (const section of reader.sections()) await takeSection(app, section, { reader, request, parts });
    // One that was made while the file was written is listed without files.
    for (const name of reader.app.volumes) if (!findVolume(store, app, name)) await runtime.volumes.create(createVolume(store, { app, name, dataId: runtime.volumes.dataId }).engineName);
    const image = live && imageId !== undefined ? { ...live.image, launcher: live.image.launcher, reference: await loadedImage(imageId, parts) } : undefined;
    if (image) await runtime.images.keep(app, image.reference);
    return addFirstRelease(store, {
      app,
      code: image && live ? { image, appFile: live.appFile, commit: live.commit } : undefined,
      port: live?.port,
      config,
      settings,
      formation,
      actor: actor.name,
      reason: live ? `Import v${live.version} of ${reader.head.app}: ${live.reason}`.slice(0, 500) : `Import ${reader.head.app}`,
    });
  } catch (error) {
    await removeEverything(app, parts).catch((again: unknown) => parts.log.warn({ err: again, app }, 'what a failed import left could not be removed; forge tries again'));
    throw error;
  }
}

interface Import {
  readonly reader: ExportReader;
  readonly request: ImportRequest;
  readonly parts: AppParts;
}

async function takeSection(app: string, { name, content }: Section, { reader, request, parts }: Import): Promise<void> {
  const { report, signal } = request;
  const { runtime, store } = parts;
  if (name === repositorySection) {
    report.step('Reading the code');
    return await takeCode(app, content, { reader, request, parts });
  }
  if (name === imageSection) {
    const imageId = reader.app.release?.imageId;
    if (imageId === undefined) throw new ForgeError('invalid', 'the export holds an image that it does not name');
    // It is here already; the section is checked all the same.
    if ((await runtime.images.idOf(imageId)) !== undefined) return;
    report.step('Reading the image');
    // A name of the app's from its first moment: it goes with the app, also when forge is killed before that is whole.
    const name = keptImageName({ dataId: runtime.volumes.dataId, app, reference: imageId });
    return await runtime.images.load(withOwnName(content, name, signal), signal);
  }
  const volume = name.startsWith('volumes/') ? name.slice('volumes/'.length) : undefined;
  if (volume === undefined || !reader.app.volumes.includes(volume)) throw new ForgeError('invalid', `the export has a part that forge does not know: ${JSON.stringify(name.slice(0, 100))}`);
  report.step(`Reading the volume ${volume}`);
  const { engineName } = createVolume(store, { app, name: volume, dataId: runtime.volumes.dataId });
  await fillVolume(engineName, { archive: Readable.from(content, { objectMode: false }), signal, volumes: runtime.volumes });
}

async function takeCode(app: string, content: AsyncIterable<Buffer>, { reader, request, parts }: Import): Promise<void> {
  const { deployBranch, shallow, release } = reader.app;
  const { signal } = request;
  const path = join(parts.config.data, 'tmp', `${randomUUID()}.bundle`);
  try {
    await pipeline(content, createWriteStream(path, { mode: 0o600 }), { signal });
    await importBundle(app, { path, shallow, deployBranch, isUnpushed: release?.imageId === undefined, signal }, parts.repositories);
  } finally {
    await rm(path, { force: true });
  }
}

/** What the file calls the image must be what it held. */
async function loadedImage(imageId: string, { runtime }: AppParts): Promise<string> {
  const id = await runtime.images.idOf(imageId);
  if (id === imageId) return id;
  throw new ForgeError('invalid', 'the export does not hold the image that it names');
}
