import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** A control group of a running build step. */
export interface BuildGroup {
  readonly path: string;
  readonly version: 1 | 2;
}

export interface EngineBuilder {
  readonly name: 'buildkit' | 'classic';
  /** The groups of the steps that run now, of all builds of this engine. */
  readonly groups: () => Promise<readonly BuildGroup[]>;
}

/**
 * BuildKit where forge sees how much memory its steps use: the engine's BuildKit ignores memory limits, so forge
 * watches. Elsewhere (forge in a container with a cgroup namespace of its own) the classic builder, which enforces its limit itself.
 */
export function chooseEngineBuilder(cgroupDirectory: string): EngineBuilder {
  const version = hostGroups(cgroupDirectory);
  if (version === undefined) return { name: 'classic', groups: () => Promise.resolve([]) };
  return { name: 'buildkit', groups: () => findGroups(version === 1 ? join(cgroupDirectory, 'memory') : cgroupDirectory, version) };
}

/** Which version is mounted, if it is the host's: only the root group of v1 has a release_agent, only that of v2 no memory.current. */
export function hostGroups(directory: string): 1 | 2 | undefined {
  if (existsSync(join(directory, 'memory', 'release_agent'))) return 1;
  return existsSync(join(directory, 'cgroup.controllers')) && !existsSync(join(directory, 'memory.current')) ? 2 : undefined;
}

/**
 * Where the engine puts steps, by cgroup driver. A container's name there has 64 hex digits, a step's 25 letters and digits.
 * With systemd's driver an engine of 20.10 makes a group of that very name, where systemd would have made a scope.
 */
const places = [
  { folder: join('docker', 'buildkit'), step: /^[0-9a-z]{25}$/ },
  { folder: 'system.slice', step: /^(?:docker-[0-9a-z]{25}\.scope|system\.slice:docker:[0-9a-z]{25})$/ },
];

async function findGroups(root: string, version: 1 | 2): Promise<BuildGroup[]> {
  const found = await Promise.all(
    places.map(async ({ folder, step }) => {
      // Absent until the first step runs, or with the other driver.
      const names = await readdir(join(root, folder)).catch(() => []);
      return names.filter((name) => step.test(name)).map((name) => ({ path: join(root, folder, name), version }));
    }),
  );
  return found.flat();
}
