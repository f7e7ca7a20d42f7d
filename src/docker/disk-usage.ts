/** What the engine says that things weigh, and the one thing of it that is nobody's: the cache of its builds. */
import { engineCall, type Docker } from './connect.ts';

export interface DiskUsage {
  /** Bytes by name of the volume; one that the engine cannot measure is left out. */
  readonly volumes: ReadonlyMap<string, { readonly bytes: number; readonly labels: Readonly<Record<string, string>> }>;
  /** Of BuildKit, for all who build with this engine. */
  readonly buildCacheBytes: number;
}

interface Answer {
  readonly Volumes?: readonly { readonly Name: string; readonly Labels?: Readonly<Record<string, string>> | null; readonly UsageData?: { readonly Size?: number } | null }[] | null;
  readonly BuildCache?: readonly { readonly Size: number; readonly Shared: boolean }[] | null;
}

/** The engine walks through every volume for it, which may take long: give it a deadline. */
export async function readDiskUsage(docker: Docker, signal: AbortSignal): Promise<DiskUsage> {
  const df = docker.df as (options: { readonly abortSignal: AbortSignal }) => Promise<Answer>;
  const { Volumes, BuildCache } = await engineCall('measure what is on the disk', df.call(docker, { abortSignal: signal }), signal);
  const volumes = (Volumes ?? []).flatMap(({ Name, Labels, UsageData }) => {
    const bytes = UsageData?.Size ?? -1;
    return bytes < 0 ? [] : [[Name, { bytes, labels: Labels ?? {} }] as const];
  });
  // What is shared belongs to an image and is counted there.
  return { volumes: new Map(volumes), buildCacheBytes: (BuildCache ?? []).reduce((sum, { Size, Shared }) => sum + (Shared ? 0 : Size), 0) };
}

/** Lets the build cache shrink to so many bytes, what was used longest ago first; what a build uses stays. Resolves to what was freed. */
export async function shrinkBuildCache(docker: Docker, keepBytes: number, signal: AbortSignal): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly SpaceReclaimed?: number }>();
  const request = { path: `/build/prune?keep-storage=${keepBytes}`, method: 'POST', abortSignal: signal, statusCodes: { 200: true, 500: 'server error' } };
  docker.modem.dial(request as never, (error: unknown, answer: unknown) => (error ? reject(error as Error) : resolve(answer as { SpaceReclaimed?: number })));
  const { SpaceReclaimed = 0 } = await engineCall('shrink the build cache', promise, signal);
  return SpaceReclaimed;
}
