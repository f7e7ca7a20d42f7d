/** An app that did not come from a push: cloned or imported, complete at once, stopped until its instances are started. */
import { emptyAppFile, type AppFile } from '../app-file.ts';
import type { AppSettings, Formation, Image } from '../domain.ts';
import { setConfig } from './app-config.ts';
import { completeApp, updateApp } from './apps.ts';
import { createDeployment, updateDeployment } from './deployments.ts';
import { createRelease, setCurrentRelease } from './releases.ts';
import type { Store } from './store.ts';

export interface FirstRelease {
  /** There, and marked as being removed until this is done. */
  readonly app: string;
  /** `undefined`: the app has no release. */
  readonly code: { readonly image: Image; readonly appFile: AppFile; readonly commit: string | undefined } | undefined;
  readonly port: number | undefined;
  readonly config: Readonly<Record<string, string>>;
  readonly settings: AppSettings;
  readonly formation: Formation;
  readonly actor: string;
  /** "Clone v3 of hello" */
  readonly reason: string;
}

/** All of it or nothing, and the app is no longer marked. Resolves to the version, if there is one; the deployment that it stands for has succeeded. */
export function addFirstRelease(store: Store, first: FirstRelease): number | undefined {
  const { app, code, config, settings, formation, actor, reason } = first;
  return store.db.transaction(() => {
    setConfig(store, app, config);
    updateApp(store, app, { settings, formation, isStopped: code !== undefined });
    completeApp(store, app);
    if (!code) return undefined;
    const draft = { app, ...code, appFile: code.appFile ?? emptyAppFile, port: first.port ?? 5000, config, settings, formation, reason, actor };
    const { version } = createRelease(store, draft);
    setCurrentRelease(store, app, version);
    const { id } = createDeployment(store, { app, actor, origin: { kind: 'image', reference: code.image.reference }, reason });
    updateDeployment(store, id, { status: 'succeeded', version });
    return version;
  });
}
