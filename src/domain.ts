/**
 * The values that stages hand to each other: Push → Source → Plan → Image → Release → Route.
 * All readonly; a stage's output type is the next stage's input, nothing is filled in later.
 * Times are ISO 8601 strings in UTC, durations milliseconds (`…Ms`), sizes bytes (`…Bytes`).
 */

import type { AppFile, Checks } from './app-file.ts';
import type { Capability } from './capabilities.ts';

/** What an actor may do to an app; each level includes the ones before it. */
export const permissions = ['view', 'deploy', 'operate', 'manage'] as const;
export type Permission = (typeof permissions)[number];

/** What a key or token carries: a level on some apps or on all. `isAdmin` also manages the machine (keys, tokens, create apps). */
export interface Grant {
  readonly isAdmin: boolean;
  readonly permission: Permission;
  readonly apps: readonly string[] | 'all';
}

/** Who asked: a key, a token, or the operator on the machine. */
export interface Actor extends Grant {
  /** Name of the key or token, or `operator`; what audit and releases show. */
  readonly name: string;
  readonly via: 'key' | 'token' | 'operator';
}

/** A terminal on the other side of a session. */
export interface Terminal {
  readonly columns: number;
  readonly rows: number;
  /** Calls back with the new size whenever the window changes. */
  onResize(listener: (columns: number, rows: number) => void): void;
}

/** One ref of a push as git hands it to the pre-receive hook. */
export interface RefUpdate {
  /** Object id before; all zeros: the ref is new. */
  readonly oldId: string;
  /** Object id after; all zeros: the ref is deleted. */
  readonly newId: string;
  /** `refs/heads/main` */
  readonly ref: string;
}

/** Where a source came from. */
export type Origin =
  | { readonly kind: 'git'; readonly branch: string; readonly commit: string }
  | { readonly kind: 'folder' }
  | { readonly kind: 'image'; readonly reference: string }
  /** No new source: the live release's image with new config or settings. */
  | { readonly kind: 'change' };

/**
 * Files of an app, checked (no escaping paths or links, within limits) and stored as one plain tar
 * whose first entry is `./` and whose names are relative (`package.json`, `src/a.js`).
 */
export interface Source {
  readonly tarPath: string;
  readonly sizeBytes: number;
  /** Every path in the tar, without a leading `./`; directories end with `/`. */
  readonly paths: ReadonlySet<string>;
  /** Contents of the files that forge itself reads (Procfile, app.json, project.toml, package.json, …), by path. */
  readonly files: ReadonlyMap<string, string>;
}

/** How one process type starts inside the image. */
export interface ProcessCommand {
  /** Replaces the image's entrypoint; `undefined` keeps it. */
  readonly entrypoint: readonly string[] | undefined;
  /** Replaces the image's command; `undefined` keeps it. */
  readonly command: readonly string[] | undefined;
}

/** `web`, `worker`, … → how to start it. */
export type ProcessTypes = Readonly<Record<string, ProcessCommand>>;

export const builderNames = ['dockerfile', 'static', 'cnb', 'image'] as const;
export type BuilderName = (typeof builderNames)[number];

/** Which builder, why, and what the app's files ask for. */
export interface Plan {
  readonly builder: BuilderName;
  /** One line for the pusher: "found Dockerfile". */
  readonly reason: string;
  /** Raw command lines by process type from the Procfile, in its order; empty without one. Without `release`. */
  readonly procfile: ReadonlyMap<string, string>;
  /** What the app's files ask for that forge does not do; the pusher reads it. */
  readonly warnings: readonly string[];
  readonly appFile: AppFile;
}

/** A built image, present in the engine. */
export interface Image {
  /** What the engine runs: an image id `sha256:…` or `name@sha256:…`. Never a moving tag. */
  readonly reference: string;
  /** The manifest or image digest, `sha256:…`; the same bytes give the same digest. */
  readonly digest: string;
  readonly builder: BuilderName;
  readonly processTypes: ProcessTypes;
  /** TCP ports the image EXPOSEs, ascending. */
  readonly exposedPorts: readonly number[];
  /** `USER` of the image; '' means root. */
  readonly user: string;
  /** CNB images: entrypoint that runs any command with the build's environment (`/cnb/lifecycle/launcher`). */
  readonly launcher: string | undefined;
}

/** Limits of one instance. */
export interface Limits {
  readonly memoryBytes: number;
  /** Relative CPU weight; 1024 is one share. */
  readonly cpuShares: number;
  readonly pids: number;
}

/** How many instances of a process type, and their limits. */
export interface FormationEntry {
  readonly quantity: number;
  readonly limits: Limits;
}
export type Formation = Readonly<Record<string, FormationEntry>>;

/** A named volume at a path in every instance of the app. */
export interface Mount {
  readonly volume: string;
  /** Absolute path in the instance. */
  readonly path: string;
}

/** `v42`: immutable, numbered per app. */
export interface Release {
  readonly app: string;
  readonly version: number;
  readonly image: Image;
  readonly config: Readonly<Record<string, string>>;
  readonly formation: Formation;
  readonly port: number;
  /** The app's settings when it was made. */
  readonly settings: AppSettings;
  /** Of the code it runs. */
  readonly appFile: AppFile;
  readonly reason: string;
  readonly actor: string;
  readonly createdAt: string;
  readonly commit: string | undefined;
}

/** One running (or stopped) container of a release, as found in the engine or just started. */
export interface Instance {
  /** `web.1` */
  readonly name: string;
  readonly app: string;
  readonly version: number;
  readonly type: string;
  readonly ordinal: number;
  readonly containerId: string;
  /** Address on the app's network, assigned by forge; '' while the container is not running. */
  readonly address: string;
  /** The port it was told to listen on. */
  readonly port: number;
  readonly isRunning: boolean;
  /** Deployment that started it. */
  readonly deploymentId: string;
}

export const deploymentStatuses = ['queued', 'building', 'releasing', 'starting', 'succeeded', 'failed', 'canceled', 'superseded'] as const;
export type DeploymentStatus = (typeof deploymentStatuses)[number];

/** One attempt to make a release live. Exists from the attempt's first moment. */
export interface Deployment {
  /** Sortable, `[0-9a-z]{16}`; also names its log file. */
  readonly id: string;
  readonly app: string;
  readonly status: DeploymentStatus;
  readonly actor: string;
  readonly origin: Origin;
  /** "Deploy 3f2a91c", "Set DATABASE_URL" */
  readonly reason: string;
  /** Why it did not succeed; `undefined` while under way or succeeded. */
  readonly failure: string | undefined;
  /** What went wrong after its release had gone live, such as a postdeploy task. */
  readonly warning: string | undefined;
  /** Release that it made; `undefined` before the releasing step. */
  readonly version: number | undefined;
  readonly createdAt: string;
  readonly startedAt: string | undefined;
  readonly endedAt: string | undefined;
}

/** host → instances of the live release. */
export interface Route {
  readonly host: string;
  /** App name, for logs and pages; never shown for unknown hosts. */
  readonly app: string;
  /** Empty: the app exists but nothing serves it (503). */
  readonly targets: readonly RouteTarget[];
}

export interface RouteTarget {
  /** `web.1@v42` */
  readonly id: string;
  readonly address: string;
  readonly port: number;
}

/** The whole table the proxy serves from, numbered; a higher number replaces a lower one. */
export interface RouteTable {
  readonly version: number;
  /** `forge.<domain>` goes to the control plane's HTTP socket. */
  readonly controlHost: string;
  readonly controlSocket: string;
  readonly routes: readonly Route[];
}

/**
 * A person's session, whichever door it came through. The door owns the streams; whoever handles the session
 * writes to them with back-pressure and returns the exit status.
 */
export interface Session {
  readonly actor: Actor;
  /** Words of the command, already split; never passed through a shell. Empty: the person asked for a shell. */
  readonly argv: readonly string[];
  readonly stdin: import('node:stream').Readable;
  readonly stdout: import('node:stream').Writable;
  readonly stderr: import('node:stream').Writable;
  readonly terminal: Terminal | undefined;
  /** Value of GIT_PROTOCOL that the client sent, checked against `version=[0-9]`. */
  readonly gitProtocol: string | undefined;
  /** Aborts when the client is gone or its credential is revoked. */
  readonly signal: AbortSignal;
}

/** Handles a session to its end; resolves to the exit status. */
export type HandleSession = (session: Session) => Promise<number>;

/** What a person set for an app; every field has an operation and, where Heroku or Dokku have one, a key in an app file. */
export interface AppSettings {
  /** Chosen builder; `undefined` lets detection decide. */
  readonly builder: BuilderName | undefined;
  /** Port the app listens on; `undefined`: see DESIGN on PORT. */
  readonly port: number | undefined;
  /** Config keys that a Dockerfile build gets as build args. */
  readonly buildArgs: readonly string[];
  /** What a person set, by process type; it wins over the app's own files. */
  readonly checks: Checks;
  /** Process types whose checks are off: their old instances stop before the new ones start, and nothing is waited for. */
  readonly uncheckedTypes: readonly string[];
  readonly drainTimeoutMs: number | undefined;
  readonly stopTimeoutMs: number | undefined;
  /** How long WebSockets of retiring instances live on before they get a close frame. */
  readonly webSocketGraceMs: number | undefined;
  readonly strategy: Strategy;
  readonly mounts: readonly Mount[];
  /** What instances of an image that runs as root may keep; `undefined`: all of `rootCapabilities`. */
  readonly capabilities: readonly Capability[] | undefined;
}

/** `swap`: new beside old, then one switch. `recreate`: old ones end first, for apps of which two must never run. */
export const strategies = ['swap', 'recreate'] as const;
export type Strategy = (typeof strategies)[number];

/** Of an app for which nobody set anything. */
export const defaultSettings: AppSettings = {
  builder: undefined,
  port: undefined,
  buildArgs: [],
  checks: {},
  uncheckedTypes: [],
  drainTimeoutMs: undefined,
  stopTimeoutMs: undefined,
  webSocketGraceMs: undefined,
  strategy: 'swap',
  mounts: [],
  capabilities: undefined,
};

/** Why and by whom changes of an app are refused. */
export interface AppLock {
  readonly reason: string;
  readonly actor: string;
  readonly at: string;
}

export interface App {
  readonly name: string;
  readonly createdAt: string;
  readonly settings: AppSettings;
  /** Wanted instances and limits by process type; types not named here run at their default. */
  readonly formation: Formation;
  /** `ps:stop` sets it: nothing runs until `ps:start`. */
  readonly isStopped: boolean;
  /** Version that serves; `undefined` before the first successful deploy. */
  readonly currentVersion: number | undefined;
  readonly lock: AppLock | undefined;
  /** `apps:destroy` has begun: nothing of it is repaired any more, and a start of forge finishes the removal. */
  readonly isBeingRemoved: boolean;
}
