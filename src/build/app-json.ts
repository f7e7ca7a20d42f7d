/** app.json as Heroku and Dokku define it, with forge's `formation.<type>.{memory,cpu,port}` and `visibility`; comments are allowed. Parses and checks, applies nothing. */
import { z } from 'zod';
import { concurrencyPolicies } from '../app-file.ts';
import { minMemoryBytes, parseSize } from '../config.ts';
import { ForgeError } from '../errors.ts';
import { parseEnvKey, parseProcessType } from '../names.ts';
import { healthcheckSchema } from './app-json-checks.ts';
import { readJson } from './read-json.ts';

const name = (parseName: (value: string) => string, expected: string) =>
  z.string().refine((value) => {
    try {
      return parseName(value) === value;
    } catch {
      return false;
    }
  }, `expected ${expected}`);

const processType = name(parseProcessType, 'a process type of 1 to 30 a-z, 0-9 and -');
const envKey = name(parseEnvKey, 'letters, digits and _, not beginning with a digit');
const size = z
  .union([z.string(), z.number()])
  .refine((value) => (parseSize(String(value)) ?? 0) >= minMemoryBytes, 'expected a size such as "512M", of at least 6M')
  .transform((value) => parseSize(String(value)) ?? 0);
const port = z.int().min(1).max(65_535);
const command = z.string().min(1);

const variable = z.union([
  z.string().transform((value) => ({ value })),
  z.strictObject({
    value: z.string().optional(),
    required: z.boolean().optional(),
    generator: z.literal('secret').optional(),
    description: z.string().optional(),
  }),
]);

const formationEntry = z.strictObject({
  quantity: z.int().min(0).max(1000).optional(),
  /** Bytes. */
  memory: size.optional(),
  /** Weight; 1 is one share of 1024. */
  cpu: z.number().positive().max(1024).optional(),
  port: port.optional(),
});

const cronEntry = z.strictObject({
  command,
  schedule: z.string().min(1),
  /** Also part of log lines: `app[cron.<name>]`. */
  name: name(parseProcessType, 'a name of 1 to 30 a-z, 0-9 and -').optional(),
  time_zone: z.string().optional(),
  timezone: z.string().optional(),
  concurrency_policy: z.enum(concurrencyPolicies).default('allow'),
  suspend: z.boolean().optional(),
  /** Dokku's word for `suspend`. */
  maintenance: z.boolean().optional(),
});

const schema = z.strictObject({
  env: z.record(envKey, variable).default({}),
  formation: z.record(processType, formationEntry).default({}),
  healthchecks: z.record(processType, z.array(healthcheckSchema)).default({}),
  scripts: z
    .strictObject({
      postdeploy: command.optional(),
      dokku: z.strictObject({ predeploy: command.optional(), postdeploy: command.optional() }).optional(),
    })
    .default({}),
  cron: z.array(cronEntry).default([]),
  visibility: z.enum(['public', 'internal']).optional(),
  // What describes the app to a marketplace: known, and of no consequence here.
  name: z.string().optional(),
  description: z.string().optional(),
  keywords: z.array(z.string()).optional(),
  website: z.string().optional(),
  repository: z.string().optional(),
  logo: z.string().optional(),
  success_url: z.string().optional(),
  $schema: z.string().optional(),
});

export type AppJson = z.infer<typeof schema>;

export interface AppJsonResult {
  readonly appJson: AppJson;
  /** One line for every key that forge does not know, with its path. */
  readonly warnings: readonly string[];
}

/** Parses the text; '' gives the defaults. Throws `invalid` with every place that is wrong: path, expectation, what was found. */
export function parseAppJson(text: string): AppJsonResult {
  const value = readJson(text, 'app.json');
  const first = schema.safeParse(value);
  if (first.success) return { appJson: first.data, warnings: [] };
  const unknown = first.error.issues.flatMap(unknownKeys);
  for (const path of unknown) remove(value, path);
  const second = schema.safeParse(value);
  if (second.success) return { appJson: second.data, warnings: unknown.map((path) => `app.json: ${path.join('.')} is not a key that forge knows`) };
  const problems = second.error.issues.map((issue) => `${issue.path.join('.') || 'the file'}: ${messageOf(issue)}, found ${shown(at(value, issue.path))}`);
  throw new ForgeError('invalid', `app.json: ${problems[0] ?? 'is not valid'}`, { details: problems.slice(1) });
}

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** Within a union the keys of the object form are nested in its issues. */
function unknownKeys(issue: Issue): Path[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => [...issue.path, key]);
  if (issue.code !== 'invalid_union') return [];
  return issue.errors.flat().flatMap((inner) => unknownKeys({ ...inner, path: [...issue.path, ...inner.path] }));
}

function messageOf(issue: Issue): string {
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message;
  if (issue.code === 'invalid_union') return issue.errors.map((inner) => inner[0]?.message.replace(/^Invalid input: /, '').replace(/, received .*$/, '')).join(' or ');
  return issue.message.replace(/^Invalid (input|option): /, '').replace(/, received .*$/, '');
}

const at = (value: unknown, path: Path): unknown => path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key], value);

function remove(value: unknown, path: Path): void {
  const parent = at(value, path.slice(0, -1)) as Record<PropertyKey, unknown> | undefined;
  const key = path.at(-1);
  if (parent && key !== undefined) delete parent[key];
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? 'nothing';
  return json.length > 80 ? `${json.slice(0, 80)}…` : json;
}
