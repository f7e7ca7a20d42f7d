/** Which instances an app wants: pure, from what the person scaled and what the image offers. */
import type { App, Formation, FormationEntry, Limits, ProcessTypes } from '../domain.ts';

/**
 * The whole formation of an image's process types. Without a scaled quantity only `web` runs, at one instance;
 * an image without `web` runs each of its types at one.
 */
export function formationOf(app: Pick<App, 'formation'>, processTypes: ProcessTypes, limits: Limits): Formation {
  const types = Object.keys(processTypes);
  const hasWeb = types.includes('web');
  const entries = types.map((type): [string, FormationEntry] => {
    // `constructor` is a process type too.
    const wanted = Object.hasOwn(app.formation, type) ? app.formation[type] : undefined;
    return [type, wanted ?? { quantity: type === 'web' || !hasWeb ? 1 : 0, limits }];
  });
  return Object.fromEntries(entries);
}
