/** What an app is, as one value: which release serves, and the config, settings and formation that go with it. Changes as a whole. */
import type { AppSettings, DeploymentStatus, Formation } from '../domain.ts';
import { getConfig, setConfig } from './app-config.ts';
import { getApp, readSettings, updateApp } from './apps.ts';
import { updateDeployment } from './deployments.ts';
import { owesFirstPostdeploy, setOwesFirstPostdeploy } from './first-postdeploy.ts';
import { setCurrentRelease } from './releases.ts';
import type { Store } from './store.ts';

export interface AppState {
  readonly version: number | undefined;
  readonly isStopped: boolean;
  readonly settings: AppSettings;
  readonly formation: Formation;
  readonly config: Readonly<Record<string, string>>;
}

/** Throws `not-found`. */
export function readAppState(store: Store, name: string): AppState {
  const { currentVersion, isStopped, settings, formation } = getApp(store, name);
  return { version: currentVersion, isStopped, settings, formation, config: getConfig(store, name) };
}

export interface MakeCurrent {
  readonly app: string;
  readonly deploymentId: string;
  readonly state: AppState;
  /** From now on the app owes the task that runs once in its life. */
  readonly owesFirstPostdeploy?: boolean;
}

/** What the app was, with its name. */
type Undo = AppState & { readonly app: string; readonly owesFirstPostdeploy?: boolean };

/** All of it or, after a crash, nothing. What it was before is kept with the deployment until that has ended. */
export function makeCurrent(store: Store, change: MakeCurrent): void {
  const { app, deploymentId, state } = change;
  store.db.transaction(() => {
    const before: Undo = { ...readAppState(store, app), app, owesFirstPostdeploy: owesFirstPostdeploy(store, app) };
    const undo = store.cipher.encrypt(JSON.stringify(before), placeOf(deploymentId));
    store.db.run('UPDATE deployments SET undo = ? WHERE id = ?', undo, deploymentId);
    writeAppState(store, app, state);
    if (change.owesFirstPostdeploy === true) setOwesFirstPostdeploy(store, app, true);
  });
}

/** Makes the app what it was before the deployment became current. False: it never did. */
export function takeBack(store: Store, deploymentId: string): boolean {
  return store.db.transaction(() => {
    const undo = store.db.get('SELECT undo FROM deployments WHERE id = ?', deploymentId)?.['undo'];
    if (undo === null || undo === undefined) return false;
    const { app, owesFirstPostdeploy: owed, ...before } = JSON.parse(store.cipher.decrypt(undo as Buffer, placeOf(deploymentId))) as Undo;
    writeAppState(store, app, { ...before, version: before.version, settings: readSettings(JSON.stringify(before.settings)) });
    // One that it owed before and that has succeeded meanwhile is done.
    if (owed === false) setOwesFirstPostdeploy(store, app, false);
    store.db.run('UPDATE deployments SET undo = NULL WHERE id = ?', deploymentId);
    return true;
  });
}

export interface Ending {
  readonly status: Extract<DeploymentStatus, 'succeeded' | 'failed' | 'canceled' | 'superseded'>;
  readonly failure?: string | undefined;
}

/** Ends the deployment; one that did not succeed leaves the app as it was before, in the same transaction. Throws `conflict` when it has ended. */
export function endDeployment(store: Store, id: string, { status, failure }: Ending): void {
  store.db.transaction(() => {
    if (status !== 'succeeded') takeBack(store, id);
    updateDeployment(store, id, { status, failure });
  });
}

/** Stores the state without a deployment: for changes that nothing has to start for. */
export function writeAppState(store: Store, app: string, { version, isStopped, settings, formation, config }: AppState): void {
  store.db.transaction(() => {
    const before = getConfig(store, app);
    const gone = Object.keys(before).filter((key) => !Object.hasOwn(config, key));
    const differing = Object.entries(config).filter(([key, value]) => before[key] !== value);
    setConfig(store, app, Object.fromEntries([...gone.map((key) => [key, null] as const), ...differing]));
    setCurrentRelease(store, app, version);
    updateApp(store, app, { settings, formation, isStopped });
  });
}

const placeOf = (deploymentId: string): readonly string[] => ['undo', deploymentId];
