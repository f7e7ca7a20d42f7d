/**
 * project.toml, the project descriptor of Cloud Native Buildpacks, in both of its schemas (`[build]` of 0.1,
 * `[io.buildpacks]` of 0.2). https://github.com/buildpacks/spec/blob/main/extensions/project-descriptor.md
 */
import { parse } from 'smol-toml';
import { z } from 'zod';
import { builderNames, type BuilderName } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { parseEnvKey } from '../names.ts';

export interface ProjectToml {
  /** `[forge] builder = "dockerfile"`: which of forge's builders the app wants. */
  readonly forgeBuilder: BuilderName | undefined;
  /** Builder image that the app asks for; forge takes it only from its own settings. */
  readonly builder: string | undefined;
  /** Buildpacks to run instead of the builder's own order. */
  readonly buildpacks: readonly { readonly id: string | undefined; readonly version: string | undefined; readonly uri: string | undefined }[];
  /** Patterns in .gitignore's syntax; at most one of the two is set. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Variables of the build. */
  readonly env: Readonly<Record<string, string>>;
}

const variables = z.array(z.object({ name: z.string(), value: z.string() }));
const buildpacks = z.array(z.object({ id: z.string().optional(), version: z.string().optional(), uri: z.string().optional() }));
const patterns = z.array(z.string());

const schema = z.object({
  forge: z.object({ builder: z.enum(builderNames).exclude(['image']).optional() }).optional(),
  build: z
    .object({ builder: z.string().optional(), include: patterns.optional(), exclude: patterns.optional(), buildpacks: buildpacks.optional(), env: variables.optional() })
    .optional(),
  io: z
    .object({
      buildpacks: z
        .object({
          builder: z.string().optional(),
          include: patterns.optional(),
          exclude: patterns.optional(),
          group: buildpacks.optional(),
          build: z.object({ env: variables.optional() }).optional(),
        })
        .optional(),
    })
    .optional(),
});

/** Parses the text; '' gives nothing set. Throws `invalid` naming the place, what was expected and what was found. */
export function parseProjectToml(text: string): ProjectToml {
  const { forge, build, io } = check(read(text));
  const newer = io?.buildpacks;
  const include = newer?.include ?? build?.include ?? [];
  const exclude = newer?.exclude ?? build?.exclude ?? [];
  if (include.length > 0 && exclude.length > 0) {
    throw new ForgeError('invalid', 'project.toml: include and exclude cannot both be set', { hint: 'keep one of the two lists' });
  }
  const env: Record<string, string> = {};
  for (const { name, value } of newer?.build?.env ?? build?.env ?? []) env[parseEnvKey(name)] = value;
  return {
    forgeBuilder: forge?.builder,
    builder: newer?.builder ?? build?.builder,
    buildpacks: (newer?.group ?? build?.buildpacks ?? []).map(({ id, version, uri }) => ({ id, version, uri })),
    include,
    exclude,
    env,
  };
}

function read(text: string): unknown {
  try {
    return parse(text.replace(/^\ufeff/, ''));
  } catch (error) {
    throw new ForgeError('invalid', `project.toml is not valid TOML: ${(error as Error).message}`, { cause: error });
  }
}

function check(value: unknown): z.infer<typeof schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new ForgeError('invalid', `project.toml: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not valid'}`);
}
