/** What a release would be made of, before anything of it is in force. Pure but for reading the app. */
import type { AppFile } from '../app-file.ts';
import { defaultLimits, type Config } from '../config.ts';
import type { App, AppSettings, Formation, Image, Release } from '../domain.ts';
import { portOf } from '../runtime/ports.ts';
import { readAppState, type AppState } from '../store/app-state.ts';
import type { ReleaseDraft } from '../store/releases.ts';
import type { Store } from '../store/store.ts';
import { fixedFormation, formationOf, own } from './formation.ts';

/** As it is, or by what there is: then it is decided when the turn has come, because another change may have come first. */
type Wish<T, Now> = T | ((now: Now) => T);

/** `null` removes the variable. */
export type ConfigChange = Readonly<Record<string, string | null>>;

/** What a person asks to be different. It is stored when the release that carries it is live, not before. */
export interface AppChange {
  readonly config?: Wish<ConfigChange, AppState['config']>;
  readonly settings?: Wish<Partial<AppSettings>, AppSettings>;
  /** Replaces the entries it names. */
  readonly formation?: Wish<Formation, Formation>;
}

export interface DecidedChange {
  readonly config: ConfigChange;
  readonly settings: Partial<AppSettings>;
  readonly formation: Formation;
}

/** What the change comes to in this state. */
export const decideChange = ({ config, settings, formation }: AppChange, now: Pick<AppState, 'config' | 'settings' | 'formation'>): DecidedChange => ({
  config: (typeof config === 'function' ? config(now.config) : config) ?? {},
  settings: (typeof settings === 'function' ? settings(now.settings) : settings) ?? {},
  formation: (typeof formation === 'function' ? formation(now.formation) : formation) ?? {},
});

/** Whether the change asks for nothing, in this state. */
export const isNothing = (change: AppChange, now: AppState): boolean => Object.values(decideChange(change, now)).every((part: object) => Object.keys(part).length === 0);

/** What a rollback of the code brings back. */
export interface Code {
  readonly image: Image;
  readonly appFile: AppFile;
  readonly commit: string | undefined;
}

export const codeOf = ({ image, appFile, commit }: Release): Code => ({ image, appFile, commit });

/** The app with the change, as it would be. */
export function candidateState(app: App, change: AppChange, store: Store): AppState {
  const before = readAppState(store, app.name);
  const decided = decideChange(change, before);
  const config = Object.entries({ ...before.config, ...decided.config }).filter((entry): entry is [string, string] => entry[1] !== null);
  return {
    ...before,
    // No prototype: a variable may be named __proto__.
    config: Object.assign(Object.create(null) as Record<string, string>, Object.fromEntries(config)),
    settings: { ...before.settings, ...decided.settings },
    formation: { ...before.formation, ...decided.formation },
  };
}

/** The state with what the code's own files fix: that holds for as long as they say so, and stays when they no longer do. */
export function withAppFile(state: AppState, { image, appFile }: Code, config: Config): AppState {
  return { ...state, formation: fixedFormation(state.formation, appFile, image.processTypes, defaultLimits(config)) };
}

/** A release of this code in this state, before it has its number. Throws `invalid` when the port is ambiguous. */
export function releaseDraft(app: string, code: Code, state: AppState, made: { readonly by: string; readonly reason: string; readonly config: Config }): ReleaseDraft {
  return {
    app,
    ...code,
    config: state.config,
    settings: state.settings,
    port: portOf({ port: state.settings.port ?? own(code.appFile.formation, 'web')?.port }, code.image),
    formation: formationOf(state, code.image.processTypes, defaultLimits(made.config)),
    reason: made.reason,
    actor: made.by,
  };
}
