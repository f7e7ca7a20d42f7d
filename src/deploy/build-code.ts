/** From the source of a request to code: files, plan, config that the files ask for, image. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { emptyAppFile } from '../app-file.ts';
import { detect } from '../build/detect.ts';
import { watchFreeSpace } from '../build/free-space.ts';
import { receiveSource } from '../build/source.ts';
import type { App, Image, Plan, Source } from '../domain.ts';
import { getConfig } from '../store/app-config.ts';
import { withIdleDeadline } from '../with-idle-deadline.ts';
import type { Attempt, AttemptRequest } from './attempt.ts';
import type { AppChange, Code } from './candidate.ts';
import { environmentOf } from './environment-of.ts';
import { unknownTypes } from './formation.ts';
import { makeRoom } from './make-room.ts';
import type { DeployParts } from './parts.ts';
import { appOf } from './turn.ts';

export interface CodeRequest extends Pick<AttemptRequest, 'app' | 'origin'> {
  /** Opens the tar of the source, once; `undefined` for a prebuilt image. */
  openSource?(signal: AbortSignal): Promise<Readable>;
}

export interface Built {
  readonly code: Code;
  /** What the app's files add to its config; in force, and stored, when the release is live. */
  readonly change: AppChange;
}

/** How long a sender may say nothing. */
const sourceIdleMs = 60_000;

const imagePlan: Plan = { builder: 'image', reason: 'a prebuilt image was asked for', procfile: new Map(), warnings: [], appFile: emptyAppFile };

/** Throws what the files, the builder or a full disk throw; `invalid` before anything is built when required config is missing. */
export async function buildCode(request: CodeRequest, attempt: Attempt, parts: DeployParts): Promise<Built> {
  await makeRoom(attempt, parts);
  const tarPath = join(parts.config.data, 'tmp', `${attempt.id}.tar`);
  try {
    // Before the slot: a sender who is slow, or silent, keeps nobody else from building.
    const source = await receive(request, tarPath, attempt, parts);
    parts.faults.reach('source-received');
    return await buildSource(request, source, attempt, parts);
  } finally {
    await rm(tarPath, { force: true });
  }
}

async function buildSource(request: CodeRequest, source: Source, attempt: Attempt, parts: DeployParts): Promise<Built> {
  using _slot = await parts.builds.take(attempt.signal, (place) => attempt.report.step(`Waiting for a free build slot (place ${place} in line)`));
  // Again: the builds that it waited for may have filled the disk.
  await makeRoom(attempt, parts);
  attempt.enter('building');
  parts.faults.reach('build-started');
  const app = appOf(request.app, parts.store);
  const plan: Plan = request.origin.kind === 'image' ? imagePlan : detect(source, app.settings);
  for (const warning of plan.warnings) attempt.report.body(`warning: ${warning}`);
  const added = addedConfig(app, plan, attempt, parts);
  const image = await build({ request, app, source, plan, config: { ...getConfig(parts.store, app.name), ...added } }, attempt, parts);
  for (const type of unknownTypes(plan.appFile, image.processTypes)) attempt.report.body(`warning: app.json: formation.${type}: there is no such process type (${Object.keys(image.processTypes).join(', ')})`);
  parts.faults.reach('image-built');
  const commit = request.origin.kind === 'git' ? request.origin.commit : undefined;
  return { code: { image, appFile: plan.appFile, commit }, change: { config: added } };
}

function addedConfig({ name }: App, { appFile }: Plan, { report, hide }: Attempt, { store }: DeployParts): Readonly<Record<string, string>> {
  const { added, made } = environmentOf(appFile.env, { app: name, config: getConfig(store, name) });
  hide(Object.values(added));
  if (Object.keys(added).length > 0) report.step(`Adding config that app.json asks for: ${Object.keys(added).map((key) => (made.includes(key) ? `${key} (made now)` : key)).join(', ')}`);
  return added;
}

interface Build {
  readonly request: CodeRequest;
  readonly app: App;
  readonly source: Source;
  readonly plan: Plan;
  readonly config: Readonly<Record<string, string>>;
}

async function build({ request: { origin }, app, source, plan, config }: Build, { id, report, signal }: Attempt, parts: DeployParts): Promise<Image> {
  report.step(`Building ${app.name} with ${plan.builder}: ${plan.reason}`);
  using space = watchFreeSpace({ directories: parts.diskDirectories, minFreeBytes: parts.config.minFreeBytes / 2, signal });
  return await parts.builders[plan.builder].build({ app: app.name, deploymentId: id, source, plan, settings: app.settings, config, origin, report, signal: space.signal });
}

async function receive(request: CodeRequest, path: string, attempt: Attempt, { config, diskDirectories }: DeployParts): Promise<Source> {
  if (!request.openSource) return { tarPath: path, sizeBytes: 0, paths: new Set(), files: new Map() };
  // Nobody else's slot bounds how many sources come at once: the disk does.
  using space = watchFreeSpace({ directories: diskDirectories, minFreeBytes: config.minFreeBytes / 2, what: 'the upload', signal: attempt.signal });
  const opened = await request.openSource(space.signal);
  const stream = withIdleDeadline(opened, { ms: sourceIdleMs, message: `nothing more of the source came for ${sourceIdleMs / 1000} s: nothing was built` });
  const limits = { maxBytes: config.sourceMaxBytes, maxEntries: config.sourceMaxEntries };
  return await receiveSource(stream, { path, limits, signal: space.signal });
}
