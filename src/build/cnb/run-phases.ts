/** Runs the three containers of a build, one after the other, started ahead so that no start is waited for in between. */
import { type ArchiveEntry, type Owner, packEntries, putArchive } from '../../docker/archive.ts';
import { type AttachedContainer, attachContainer } from '../../docker/attached-container.ts';
import type { Docker } from '../../docker/connect.ts';
import { createContainer, removeContainer, startContainer, waitForExit } from '../../docker/containers.ts';
import { removeVolume } from '../../docker/volumes.ts';
import { abortError, ForgeError, isForgeError } from '../../errors.ts';
import { packSource } from './pack-source.ts';
import { buildFailure, lifecycleFailure } from './phase-failures.ts';
import { collectQuietly, reportBuild } from './phase-output.ts';
import { type BuildPlace, phaseContainer, type PhaseName } from './phase-spec.ts';
import type { Report } from '../../report.ts';
import { untilAborted, withTimeout } from '../../wait.ts';

const cacheTimeoutMs = 5 * 60_000;

export interface PhasesOptions {
  readonly docker: Docker;
  readonly place: BuildPlace;
  /** Files of the build container besides the source. */
  readonly entries: readonly ArchiveEntry[];
  readonly sourceTar: string;
  /** Whether a path of the source goes into the build. */
  readonly isWanted: (path: string) => boolean;
  readonly report: Report;
  readonly signal: AbortSignal;
}

export interface PhasesResult {
  /** Manifest digest of the app's image in the registry. */
  readonly digest: string;
  /** The export goes on filling the build cache; this ends when the containers and volumes of the build are gone. Never rejects. */
  readonly finished: Promise<void>;
}

interface Phase {
  readonly name: PhaseName;
  readonly containerId: string;
  readonly attached: AttachedContainer;
}

/**
 * Analyze, build and export. Whatever happens, the containers and the two volumes of this build are removed; after a
 * failure or an abort before this returns.
 */
export async function runPhases(options: PhasesOptions): Promise<PhasesResult> {
  const { docker, place } = options;
  const created: string[] = [];
  const cleanUp = (): Promise<void> => removeEverything(docker, place, created);
  try {
    const phases = await untilAborted(preparePhases(options, created), options.signal);
    await untilAborted(analyze(options, phases.analyze), options.signal);
    await untilAborted(phases.build.then((phase) => build(options, phase)), options.signal);
    const { digest, cached } = await untilAborted(phases.export.then((phase) => exportImage(options, phase)), options.signal);
    return { digest, finished: finish(cached, cleanUp) };
  } catch (error) {
    await cleanUp();
    if (options.signal.aborted) throw abortError(options.signal);
    throw error;
  }
}

/** Creates all three at once, gives the volumes to the builder's user and starts them; the build's files are copied meanwhile. */
async function preparePhases(options: PhasesOptions, created: string[]) {
  const { docker, place, signal } = options;
  const owner: Owner = { uid: place.builder.uid, gid: place.builder.gid };
  const create = async (name: PhaseName): Promise<string> => {
    const id = await createContainer(docker, phaseContainer(name, place));
    created.push(id);
    if (signal.aborted) throw abortError(signal);
    return id;
  };
  const open = async (name: PhaseName, containerId: string): Promise<Phase> => {
    const attached = await attachContainer(docker, { containerId, hasStdin: name !== 'analyze', signal });
    await startContainer(docker, containerId);
    return { name, containerId, attached };
  };
  const settled = await Promise.allSettled([create('analyze'), create('build'), create('export')]);
  const [analyzeId, buildId, exportId] = settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  }) as [string, string, string];
  const layers: ArchiveEntry = { path: 'layers/', ...owner };
  await putArchive(docker, { containerId: analyzeId, path: '/', archive: packEntries([layers]), signal });
  const seeded = putArchive(docker, { containerId: buildId, path: '/', archive: packSource({ ...options, owner }), signal });
  const analyzePhase = open('analyze', analyzeId);
  const buildPhase = seeded.then(() => open('build', buildId));
  // Export is not needed for a while: it starts once the build has its turn.
  const exportPhase = buildPhase.then(() => open('export', exportId));
  for (const phase of [buildPhase, exportPhase]) phase.catch(() => undefined);
  return { analyze: await analyzePhase, build: buildPhase, export: exportPhase };
}

async function analyze({ docker, signal }: PhasesOptions, phase: Phase): Promise<void> {
  const lines = await collectQuietly(phase.attached.output);
  const status = await waitForExit(docker, phase.containerId, signal);
  if (status !== 0) throw lifecycleFailure('analyze', status, lines);
}

async function build({ docker, place, report, signal }: PhasesOptions, phase: Phase): Promise<void> {
  phase.attached.sendLine('go');
  const output = await reportBuild(phase.attached.output, report);
  const status = await waitForExit(docker, phase.containerId, signal);
  if (status === 0) return;
  throw buildFailure({ status, output, memoryBytes: place.memoryBytes, builder: place.builder });
}

/** Resolves as soon as the registry has the image; what is left then is the build cache. */
async function exportImage({ docker, signal }: PhasesOptions, phase: Phase): Promise<{ digest: string; cached: Promise<void> }> {
  const { promise: saved, resolve } = Promise.withResolvers<string>();
  phase.attached.sendLine('go');
  const lines = collectQuietly(phase.attached.output, (line) => {
    const digest = /^\*\*\* Images \((sha256:[0-9a-f]{64})\):$/.exec(line)?.[1];
    if (digest) resolve(digest);
  });
  const ended = lines.then(async (all) => ({ all, status: await waitForExit(docker, phase.containerId, signal) }));
  const digest = await Promise.race([
    saved,
    ended.then(({ all, status }) => {
      throw lifecycleFailure('export', status, all);
    }),
  ]);
  return { digest, cached: ended.then(() => undefined) };
}

/** The build is over for its app; a cache that cannot be filled in time costs the next build time, nothing else. */
async function finish(cached: Promise<void>, cleanUp: () => Promise<void>): Promise<void> {
  await withTimeout(cacheTimeoutMs, 'filling the build cache took too long', () => cached).catch(() => undefined);
  await cleanUp().catch(() => undefined);
}

async function removeEverything(docker: Docker, place: BuildPlace, containerIds: readonly string[]): Promise<void> {
  await Promise.allSettled(containerIds.map((id) => removeContainer(docker, id)));
  const volumes = await Promise.allSettled([place.layersVolume, place.workspaceVolume].map((volume) => removeVolume(docker, volume)));
  const failed = volumes.find((one) => one.status === 'rejected');
  if (failed && !isForgeError(failed.reason)) throw new ForgeError('internal', 'could not clean up after a build', { cause: failed.reason });
}
