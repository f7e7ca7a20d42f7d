/** What an export may say of an app. The file was written by somebody: each value is checked by the validator of its kind, and what forge does not know is left out. */
import { z } from 'zod';
import { checkKinds, concurrencyPolicies } from '../../app-file.ts';
import { checkPath, headerName, headerValue } from '../../build/app-json-checks.ts';
import { minMemoryBytes } from '../../config.ts';
import { parseExpression, parseTimeZone } from '../../cron/schedule.ts';
import { rootCapabilities } from '../../capabilities.ts';
import { builderNames, defaultSettings, strategies } from '../../domain.ts';
import { parseBranch, parseEnvKey, parseMountPath, parseProcessType, parseVolumeName } from '../../names.ts';

const dayMs = 86_400_000;
const durationMs = z.int().min(0).max(365 * dayMs);
const port = z.int().min(1).max(65_535);
const quantity = z.int().min(0).max(1000);
const memoryBytes = z.int().min(minMemoryBytes);
/** What the engine takes. */
const cpuShares = z.int().min(2).max(262_144);
const processType = z.string().overwrite(parseProcessType);
const envKey = z.string().overwrite(parseEnvKey);
const words = z.array(z.string()).min(1);
const text = z.string().min(1).optional();

const probe = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('http'),
    path: z.string().regex(checkPath),
    status: z.int().min(100).max(599).optional(),
    content: z.string().min(1).max(1000).optional(),
    headers: z.record(z.string().regex(headerName), z.string().regex(headerValue)).optional(),
  }),
  z.object({ kind: z.literal('tcp') }),
  z.object({ kind: z.literal('command'), argv: words }),
  z.object({ kind: z.literal('uptime'), uptimeMs: durationMs }),
]);
const check = z.object({
  kind: z.enum(checkKinds),
  name: z.string().max(100).optional(),
  probe,
  port: port.optional(),
  initialDelayMs: durationMs,
  timeoutMs: durationMs,
  attempts: z.int().min(1).max(1_000_000),
  waitMs: durationMs,
});
const checks = z.record(processType, z.array(check).max(100));

const settings = z.object({
  builder: z.enum(builderNames).optional(),
  port: port.optional(),
  buildArgs: z.array(envKey).default([]),
  checks: checks.default({}),
  uncheckedTypes: z.array(processType).default([]),
  drainTimeoutMs: durationMs.optional(),
  stopTimeoutMs: durationMs.optional(),
  webSocketGraceMs: durationMs.optional(),
  strategy: z.enum(strategies).default(defaultSettings.strategy),
  mounts: z.array(z.object({ volume: z.string().overwrite(parseVolumeName), path: z.string().overwrite(parseMountPath) })).default([]),
  capabilities: z.array(z.enum(rootCapabilities)).optional(),
});

const cronEntry = z.object({
  name: processType,
  argv: words,
  schedule: z.string().overwrite(parseExpression),
  timeZone: z.string().overwrite(parseTimeZone),
  concurrencyPolicy: z.enum(concurrencyPolicies),
  isSuspended: z.boolean(),
});
const appFile = z.object({
  env: z.record(envKey, z.object({ value: z.string().optional(), isRequired: z.boolean(), isGenerated: z.boolean(), description: z.string().optional() })).default({}),
  formation: z.record(processType, z.object({ quantity: quantity.optional(), memoryBytes: memoryBytes.optional(), cpuShares: cpuShares.optional(), port: port.optional() })).default({}),
  checks: checks.default({}),
  tasks: z.object({ predeploy: text, release: text, postdeploy: text, firstPostdeploy: text }).default({}),
  cron: z.array(cronEntry).max(1000).default([]),
});

const imageId = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'expected the id of an image');
const image = z.object({
  reference: z.string(),
  digest: z.string(),
  builder: z.enum(builderNames),
  processTypes: z.record(processType, z.object({ entrypoint: z.array(z.string()).optional(), command: z.array(z.string()).optional() })),
  exposedPorts: z.array(port),
  user: z.string(),
  launcher: z.string().optional(),
});
const release = z.object({ version: z.int().min(1), reason: z.string(), port, commit: z.string().regex(/^[0-9a-f]{40,64}$/).optional(), imageId: imageId.optional(), image, appFile });

export const exportedApp = z
  .object({
    deployBranch: z.string().overwrite(parseBranch).optional(),
    config: z.record(envKey, z.string()),
    settings,
    formation: z.record(processType, z.object({ quantity, limits: z.object({ memoryBytes, cpuShares, pids: z.int().min(1).max(4_194_304) }) })),
    volumes: z.array(z.string().overwrite(parseVolumeName)),
    /** Commits at which the history of the repository was cut off. */
    shallow: z.array(z.string().regex(/^[0-9a-f]{40,64}$/)),
    release: release.optional(),
  })
  .refine((app) => app.settings.mounts.every(({ volume }) => app.volumes.includes(volume)), 'expected every volume that is mounted');
