/**
 * The healthchecks of app.json, as Dokku defines them; its durations are seconds.
 * https://dokku.com/docs/appendices/file-formats/app-json/
 */
import { z } from 'zod';
import { type Check, checkKinds, type Checks, type Probe } from '../app-file.ts';

export const checkPath = /^\/[\x21-\x7e]{0,500}$/;
export const headerName = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/;
export const headerValue = /^[\x20-\x7e]{0,1000}$/;
const seconds = z.number().max(86_400);

/** The keys that say what is asked; one check has one of them. */
const questionKeys = ['path', 'command', 'uptime', 'listening'] as const;

export const healthcheckSchema = z
  .strictObject({
    type: z.enum(checkKinds).default('startup'),
    name: z.string().max(100).optional(),
    description: z.string().optional(),
    path: z.string().regex(checkPath, 'expected a path that begins with /').optional(),
    /** Apps are asked by plain HTTP. */
    scheme: z.literal('http').optional(),
    content: z.string().min(1).max(1000).optional(),
    /** Forge's own: the status that the answer must have. */
    status: z.int().min(100).max(599).optional(),
    httpHeaders: z.array(z.strictObject({ name: z.string().regex(headerName, 'expected the name of a header'), value: z.string().regex(headerValue, 'expected one line of text') })).optional(),
    listening: z.boolean().optional(),
    command: z.array(z.string()).min(1).optional(),
    uptime: seconds.positive().optional(),
    port: z.int().min(1).max(65_535).optional(),
    initialDelay: seconds.min(0).default(0),
    timeout: seconds.positive().default(5),
    wait: seconds.min(0).default(5),
    attempts: z.int().min(1).max(10_000).default(3),
  })
  .superRefine((entry, context) => {
    const asked = questionKeys.filter((key) => entry[key] !== undefined && entry[key] !== false);
    if (asked.length > 1) context.addIssue({ code: 'custom', message: `expected one of ${questionKeys.join(', ')}, not ${asked.join(' and ')} together` });
    if (entry.type === 'liveness' && entry.uptime !== undefined) context.addIssue({ code: 'custom', path: ['uptime'], message: 'expected a startup or readiness check: uptime says nothing about liveness' });
  });

type Healthcheck = z.infer<typeof healthcheckSchema>;

/** By process type, as a deploy asks them. An entry that names no question asks for `/`, as Dokku does. */
export const appJsonChecks = (healthchecks: Readonly<Record<string, readonly Healthcheck[]>>): Checks =>
  Object.assign(Object.create(null) as Record<string, Check[]>, Object.fromEntries(Object.entries(healthchecks).map(([type, entries]) => [type, entries.map(checkOf)])));

const checkOf = (entry: Healthcheck): Check => ({
  kind: entry.type,
  name: entry.name,
  probe: probeOf(entry),
  port: entry.port,
  initialDelayMs: milliseconds(entry.initialDelay),
  timeoutMs: milliseconds(entry.timeout),
  attempts: entry.attempts,
  waitMs: milliseconds(entry.wait),
});

function probeOf({ path = '/', status, content, httpHeaders, listening, command, uptime }: Healthcheck): Probe {
  if (command) return { kind: 'command', argv: command };
  if (uptime !== undefined) return { kind: 'uptime', uptimeMs: milliseconds(uptime) };
  if (listening === true) return { kind: 'tcp' };
  const headers = httpHeaders && Object.fromEntries(httpHeaders.map(({ name, value }) => [name.toLowerCase(), value]));
  return { kind: 'http', path, status, content, headers };
}

const milliseconds = (value: number): number => Math.round(value * 1000);
