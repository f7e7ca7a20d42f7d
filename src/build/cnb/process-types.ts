/** Process types of a built image: what its buildpacks set, and the Procfile's on top. */
import { z } from 'zod';
import type { ProcessTypes } from '../../domain.ts';
import { ForgeError } from '../../errors.ts';

export const launcherPath = '/cnb/lifecycle/launcher';

const metadataSchema = z.object({
  processes: z.array(z.object({ type: z.string(), buildpackID: z.string().nullish() })).nullish(),
});

/**
 * A type that buildpacks set starts by its own entry point. A Procfile's line wins over a type of the same name unless a
 * buildpack took it from there already; it goes through the launcher too, so that it sees the build's environment.
 */
export function readProcessTypes(label: string | undefined, procfile: ReadonlyMap<string, string>): ProcessTypes {
  const types: Record<string, ProcessTypes[string]> = {};
  for (const { type, buildpackID } of parse(label).processes ?? []) {
    // The Procfile's release line is a task of the deploy, whatever a buildpack makes of it.
    if (type === 'release') continue;
    const line = procfile.get(type);
    const isFromProcfile = /procfile/i.test(buildpackID ?? '');
    types[type] = line === undefined || isFromProcfile ? { entrypoint: [`/cnb/process/${type}`], command: [] } : viaLauncher(line);
  }
  for (const [type, line] of procfile) types[type] ??= viaLauncher(line);
  return types;
}

/** The launcher gives a single argument to bash, as a Procfile's line is meant. */
const viaLauncher = (line: string): ProcessTypes[string] => ({ entrypoint: [launcherPath], command: [line] });

function parse(label: string | undefined): z.infer<typeof metadataSchema> {
  if (label === undefined) throw new ForgeError('failed', 'the built image has no label io.buildpacks.build.metadata');
  return metadataSchema.parse(JSON.parse(label));
}
