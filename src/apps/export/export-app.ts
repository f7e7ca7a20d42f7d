/** Everything of one app in one file, sealed under a passphrase; written while it is sent. */
import type { Readable } from 'node:stream';
import { appOf } from '../../deploy/turn.ts';
import { abortError, ForgeError, isForgeError } from '../../errors.ts';
import { findShallow, hasRefs, readBundle } from '../../git/bundles.ts';
import { getConfig } from '../../store/app-config.ts';
import { findCurrentRelease } from '../../store/releases.ts';
import { findVolumes } from '../../store/volumes.ts';
import type { AppParts, AppRequest } from '../parts.ts';
import { createExportWriter, type ExportWriter } from './export-file.ts';
import { imageSection, repositorySection, volumeSection, type ExportedApp } from './format.ts';

export const minPassphraseLength = 8;

export interface ExportRequest extends AppRequest {
  readonly app: string;
  readonly passphrase: string;
  /** Without it, the app is to be pushed once more where it is imported. */
  readonly hasImage: boolean;
  /** Reads the file to its end. */
  use(file: Readable): Promise<void>;
}

/** The app goes on meanwhile: its volumes are copied as they are at that moment, file by file. Throws `invalid` for a passphrase that is too short. */
export async function exportApp(request: ExportRequest, parts: AppParts): Promise<void> {
  const { app, passphrase, use } = request;
  checkPassphrase(passphrase);
  const exported = await describe(request, parts);
  const writer = await createExportWriter({ app, passphrase, now: parts.store.now() });
  const written = write(writer, exported, request, parts).catch((error: unknown) => {
    writer.fail(error);
    throw error;
  });
  const used = use(writer.stream).catch((error: unknown) => {
    writer.fail(error);
    throw error;
  });
  const outcomes = await Promise.allSettled([written, used]);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw request.signal.aborted ? abortError(request.signal) : outcome.reason;
}

export function checkPassphrase(passphrase: string): void {
  if (passphrase.length >= minPassphraseLength && passphrase.length <= 1000) return;
  throw new ForgeError('invalid', `the first line of stdin is the passphrase, and it has ${passphrase.length} characters: expected ${minPassphraseLength} to 1000`);
}

async function describe({ app: name, hasImage }: ExportRequest, { store, repositories, runtime }: AppParts): Promise<ExportedApp> {
  const { settings, formation } = appOf(name, store);
  const config = getConfig(store, name);
  const live = findCurrentRelease(store, name);
  const volumes = findVolumes(store, name).map((volume) => volume.name);
  const imageId = live && hasImage ? await runtime.images.idOf(live.image.reference) : undefined;
  if (live && hasImage && imageId === undefined) throw new ForgeError('conflict', `the image of ${name} v${live.version} is not on this machine any more`, { hint: 'deploy it again, or export it with --without-image' });
  return {
    deployBranch: await repositories.headBranch(name),
    config,
    settings,
    formation,
    volumes,
    shallow: await findShallow(name, repositories),
    release: live && { version: live.version, reason: live.reason, port: live.port, commit: live.commit, imageId, image: live.image, appFile: live.appFile },
  };
}

async function write(writer: ExportWriter, exported: ExportedApp, { app, report, signal }: ExportRequest, parts: AppParts): Promise<void> {
  const { repositories, runtime, store } = parts;
  await writer.writeApp(exported);
  if (await hasRefs(app, repositories)) {
    report.step('Writing the code');
    await writer.writeSection(repositorySection, readBundle(app, repositories, signal));
  }
  if (exported.release?.imageId !== undefined) {
    report.step('Writing the image');
    await writer.writeSection(imageSection, await runtime.images.save(exported.release.imageId, signal));
  }
  for (const { name, engineName } of findVolumes(store, app).filter((volume) => exported.volumes.includes(volume.name))) {
    report.step(`Writing the volume ${name}`);
    try {
      await runtime.volumes.read(engineName, signal, async (tar) => await writer.writeSection(volumeSection(name), tar));
    } catch (error) {
      if (!isForgeError(error) || error.code !== 'not-found') throw error;
      report.problem(`The volume ${name} is not in the export, it will be empty: ${error.message}`);
    }
  }
  await writer.end();
}
