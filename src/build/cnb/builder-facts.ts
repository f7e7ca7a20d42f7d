/** What a builder image says about itself. Nothing about forge's own builder is assumed: any builder image will do. */
import { z } from 'zod';
import { type Docker, engineCall } from '../../docker/connect.ts';
import { ForgeError } from '../../errors.ts';

/** Platform APIs that forge speaks, best first. https://github.com/buildpacks/spec/releases */
const spokenApis = ['0.13', '0.12'];

export interface BuilderFacts {
  readonly reference: string;
  /** `sha256:…` of the engine: what containers are made from. */
  readonly id: string;
  readonly uid: number;
  readonly gid: number;
  readonly platformApi: string;
  /** Run image that apps get: a reference the engine knows or can pull. */
  readonly runImage: string;
  readonly buildpacks: readonly { readonly id: string; readonly version: string }[];
}

const image = z.object({ image: z.string() });
const metadataSchema = z.object({
  images: z.array(image).nullish(),
  stack: z.object({ runImage: image.nullish() }).nullish(),
  buildpacks: z.array(z.object({ id: z.string(), version: z.string() })).nullish(),
  lifecycle: z
    .object({
      version: z.string().nullish(),
      api: z.object({ platform: z.string().nullish() }).nullish(),
      apis: z.object({ platform: z.object({ supported: z.array(z.string()).nullish(), deprecated: z.array(z.string()).nullish() }).nullish() }).nullish(),
    })
    .nullish(),
});

/** What `docker image inspect` tells that matters here. */
export interface InspectedImage {
  readonly Id: string;
  readonly Config: { readonly Env?: readonly string[] | null; readonly Labels?: Readonly<Record<string, string>> | null };
}

/** Reads the builder that the engine has. Throws `not-found` when it has none, `invalid` when the image is no builder. */
export async function inspectBuilder(docker: Docker, reference: string, signal: AbortSignal): Promise<BuilderFacts> {
  const found = (await engineCall(`inspect the builder ${reference}`, docker.getImage(reference).inspect(), signal)) as InspectedImage;
  return readBuilder(reference, found);
}

/** Reads labels and environment as builder images carry them. Throws `invalid` saying what is missing. */
export function readBuilder(reference: string, { Id, Config }: InspectedImage): BuilderFacts {
  const label = Config.Labels?.['io.buildpacks.builder.metadata'];
  if (label === undefined) throw notABuilder(reference, 'it has no label io.buildpacks.builder.metadata');
  const metadata = parseMetadata(reference, label);
  const runImage = metadata.images?.[0]?.image ?? metadata.stack?.runImage?.image;
  if (!runImage) throw notABuilder(reference, 'its metadata names no run image');
  return {
    reference,
    id: Id,
    uid: readId(reference, Config, 'CNB_USER_ID'),
    gid: readId(reference, Config, 'CNB_GROUP_ID'),
    platformApi: choosePlatformApi(reference, metadata.lifecycle),
    runImage,
    buildpacks: metadata.buildpacks ?? [],
  };
}

function parseMetadata(reference: string, label: string): z.infer<typeof metadataSchema> {
  try {
    return metadataSchema.parse(JSON.parse(label));
  } catch (error) {
    throw notABuilder(reference, 'its label io.buildpacks.builder.metadata cannot be read', error);
  }
}

function readId(reference: string, config: InspectedImage['Config'], name: string): number {
  const value = config.Env?.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1);
  if (!value || !/^[1-9]\d{0,9}$/.test(value)) throw notABuilder(reference, `its ${name} is ${value === undefined ? 'not set' : JSON.stringify(value)}; a number other than 0 is needed`);
  return Number(value);
}

function choosePlatformApi(reference: string, lifecycle: z.infer<typeof metadataSchema>['lifecycle']): string {
  const listed = [...(lifecycle?.apis?.platform?.supported ?? []), ...(lifecycle?.apis?.platform?.deprecated ?? [])];
  const supported = listed.length > 0 ? listed : [lifecycle?.api?.platform ?? ''].filter(Boolean);
  const chosen = spokenApis.find((api) => supported.includes(api));
  if (chosen) return chosen;
  throw new ForgeError('invalid', `the builder ${reference} supports the platform APIs ${supported.join(', ') || '(none named)'}; forge needs ${spokenApis.join(' or ')}`, {
    hint: 'choose a newer version of the builder',
  });
}

const notABuilder = (reference: string, why: string, cause?: unknown): ForgeError =>
  new ForgeError('invalid', `${reference} cannot be used as a builder: ${why}`, { hint: 'a builder is an image made for Cloud Native Buildpacks, such as heroku/builder:24', cause });
