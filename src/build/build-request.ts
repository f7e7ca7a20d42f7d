/** What a builder gets and what it is. Which builder takes a source is decided by `detect`. */
import type { AppSettings, BuilderName, Image, Origin, Plan, Source } from '../domain.ts';
import type { Report } from '../report.ts';

export interface BuildRequest {
  readonly app: string;
  readonly deploymentId: string;
  readonly source: Source;
  readonly plan: Plan;
  readonly settings: AppSettings;
  /** The app's config. A Dockerfile build sees only the keys in `settings.buildArgs`. */
  readonly config: Readonly<Record<string, string>>;
  readonly origin: Origin;
  /** Takes the build's output line by line while it happens. */
  readonly report: Report;
  /** Aborts when the client left or the deployment was canceled; nothing of the build may go on afterwards. */
  readonly signal: AbortSignal;
}

export interface Builder {
  readonly name: BuilderName;
  /**
   * Makes an image that is present in the engine. Throws `failed` when the app does not build (its output is in the
   * report), `timeout` and `exhausted` naming the limit that was hit, `canceled` after an abort.
   */
  build(request: BuildRequest): Promise<Image>;
}

/** One builder for every name. */
export type Builders = Readonly<Record<BuilderName, Builder>>;
