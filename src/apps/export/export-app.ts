/** Everything of one app in one file, sealed under a passphrase; written while it is sent. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { appOf, takeTurn } from '../../deploy/turn.ts';
import { abortError, ForgeError, isForgeError } from '../../errors.ts';
import { findShallow, hasRefs, readBundle, type BundleSource } from '../../git/bundles.ts';
import { linkRepository } from '../../git/link-repository.ts';
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

/** A change of the app that is under way is waited for. It goes on meanwhile: its volumes are copied as they are at that moment, file by file. Throws `invalid` for a passphrase that is too short. */
export async function exportApp(request: ExportRequest, parts: AppParts): Promise<void> {
  checkPassphrase(request.passphrase);
  const folder = await mkdtemp(join(parts.config.data, 'tmp', 'export-'));
  try {
    const picture = await takePicture(request, join(folder, 'code.git'), parts);
    await send(picture, request, parts);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function send(picture: Picture, request: ExportRequest, parts: AppParts): Promise<void> {
  const { app, passphrase, use } = request;
  const writer = await createExportWriter({ app, passphrase, now: parts.store.now() });
  const written = write(writer, picture, request, parts).catch((error: unknown) => {
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

/** The app and its code at one moment. */
interface Picture {
  readonly exported: ExportedApp;
  readonly code: BundleSource;
}

/** In the app's turn, as short as it is: a push meanwhile would give the release of before with the code of after. */
async function takePicture(request: ExportRequest, path: string, parts: AppParts): Promise<Picture> {
  const { app, report, signal } = request;
  const { repositories } = parts;
  using _turn = await takeTurn({ app, holder: 'an export', isRelease: false, signal, report }, parts);
  const hasCode = await repositories.exists(app);
  if (hasCode) await linkRepository(repositories.pathOf(app), path);
  const code: BundleSource = { pathOf: () => path, exists: async () => hasCode, environment: repositories.environment };
  return { exported: { ...(await describe(request, parts)), shallow: await findShallow(app, code) }, code };
}

async function describe({ app: name, hasImage }: ExportRequest, { store, repositories, runtime }: AppParts): Promise<Omit<ExportedApp, 'shallow'>> {
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
    release: live && { version: live.version, reason: live.reason, port: live.port, commit: live.commit, imageId, image: live.image, appFile: live.appFile },
  };
}

async function write(writer: ExportWriter, { exported, code }: Picture, { app, report, signal }: ExportRequest, parts: AppParts): Promise<void> {
  const { runtime, store } = parts;
  await writer.writeApp(exported);
  if (await hasRefs(app, code)) {
    report.step('Writing the code');
    await writer.writeSection(repositorySection, readBundle(app, code, signal));
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
