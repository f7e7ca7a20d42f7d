/** What the app's own files (app.json, Procfile) ask for, parsed and checked. Durations are milliseconds, sizes bytes. */

export const checkKinds = ['startup', 'readiness', 'liveness'] as const;
/** `startup` and `readiness` gate a start; `liveness` is asked for as long as the instance serves. */
export type CheckKind = (typeof checkKinds)[number];

/** What a check asks. */
export type Probe =
  | {
      readonly kind: 'http';
      readonly path: string;
      /** Expected status; `undefined`: any 2xx or 3xx. */
      readonly status: number | undefined;
      /** Text that the body must contain. */
      readonly content: string | undefined;
      /** Sent with the request; a `host` among them replaces the app's own. */
      readonly headers: Readonly<Record<string, string>> | undefined;
    }
  | { readonly kind: 'tcp' }
  /** Words of a command in the instance; status 0 means yes. */
  | { readonly kind: 'command'; readonly argv: readonly string[] }
  /** Up for so long without ending. */
  | { readonly kind: 'uptime'; readonly uptimeMs: number };

/** One check of a process type, in the terms of Heroku and Dokku. */
export interface Check {
  readonly kind: CheckKind;
  /** For messages; `undefined`: named after what it asks. */
  readonly name: string | undefined;
  readonly probe: Probe;
  /** `undefined`: the port of the release. */
  readonly port: number | undefined;
  readonly initialDelayMs: number;
  /** How long one answer may take. */
  readonly timeoutMs: number;
  readonly attempts: number;
  /** Between two attempts. */
  readonly waitMs: number;
}

/** By process type; a type without checks has the default of its kind. */
export type Checks = Readonly<Record<string, readonly Check[]>>;

/** Whether a run begins beside the one before, not at all, or in its place. */
export const concurrencyPolicies = ['allow', 'forbid', 'replace'] as const;
export type ConcurrencyPolicy = (typeof concurrencyPolicies)[number];

/** A command that the app's own image runs on a schedule. */
export interface CronEntry {
  /** `[a-z0-9-]`, unique in the app; from the file, else `cron-1`… */
  readonly name: string;
  /** Words; no shell reads them. */
  readonly argv: readonly string[];
  /** Five fields. */
  readonly schedule: string;
  /** IANA name. */
  readonly timeZone: string;
  /** What happens when the one before still runs. */
  readonly concurrencyPolicy: ConcurrencyPolicy;
  /** Written down, but not run by its schedule. */
  readonly isSuspended: boolean;
}

/** A variable that app.json asks for. */
export interface EnvEntry {
  readonly value: string | undefined;
  readonly isRequired: boolean;
  /** 64 hex digits are made once. */
  readonly isGenerated: boolean;
  /** What it is, for whoever has to set it. */
  readonly description: string | undefined;
}

/** What app.json says of a process type. */
export interface FormationRequest {
  readonly quantity: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly cpuShares: number | undefined;
  readonly port: number | undefined;
}

/** Command lines that a deploy runs, as they stand in the app's files. */
export interface Tasks {
  /** In a container of the new image, whose changes become part of the image. */
  readonly predeploy: string | undefined;
  /** Before anything of the new release starts. */
  readonly release: string | undefined;
  /** After the release went live. */
  readonly postdeploy: string | undefined;
  /** After the release went live, until it succeeded once in the app's life. */
  readonly firstPostdeploy: string | undefined;
}

/** What the app's own files (app.json, Procfile) ask for. It belongs to the code: a rollback of the code brings it back. */
export interface AppFile {
  readonly env: Readonly<Record<string, EnvEntry>>;
  readonly formation: Readonly<Record<string, FormationRequest>>;
  readonly checks: Checks;
  readonly tasks: Tasks;
  readonly cron: readonly CronEntry[];
}

/** Of an app without such files. */
export const emptyAppFile: AppFile = {
  env: {},
  formation: {},
  checks: {},
  tasks: { predeploy: undefined, release: undefined, postdeploy: undefined, firstPostdeploy: undefined },
  cron: [],
};
