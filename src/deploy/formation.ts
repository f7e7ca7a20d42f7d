/** Which instances an app wants: pure, from what the person scaled, what app.json fixes and what the image offers. */
import type { AppFile } from '../app-file.ts';
import { formatSize } from '../config.ts';
import type { App, Formation, FormationEntry, Limits, ProcessTypes } from '../domain.ts';
import { ForgeError } from '../errors.ts';

/**
 * The whole formation of an image's process types. Without a scaled quantity only `web` runs, at one instance;
 * an image without `web` runs each of its types at one.
 */
export function formationOf(app: Pick<App, 'formation'>, processTypes: ProcessTypes, limits: Limits): Formation {
  const types = Object.keys(processTypes);
  const hasWeb = types.includes('web');
  const entries = types.map((type): [string, FormationEntry] => {
    return [type, own(app.formation, type) ?? { quantity: type === 'web' || !hasWeb ? 1 : 0, limits }];
  });
  return Object.fromEntries(entries);
}

/** `constructor` is a process type too. */
export const own = <T>(record: Readonly<Record<string, T>>, type: string): T | undefined => (Object.hasOwn(record, type) ? record[type] : undefined);

/** The formation with what app.json says of the types that the image has; what it leaves open stays as it was. */
export function fixedFormation(formation: Formation, { formation: requests }: AppFile, processTypes: ProcessTypes, limits: Limits): Formation {
  const whole = formationOf({ formation }, processTypes, limits);
  const fixed = Object.entries(requests).flatMap(([type, { quantity, memoryBytes, cpuShares }]): [string, FormationEntry][] => {
    const before = own(whole, type);
    if (!before || (quantity ?? memoryBytes ?? cpuShares) === undefined) return [];
    const { limits: old } = before;
    return [[type, { quantity: quantity ?? before.quantity, limits: { ...old, memoryBytes: memoryBytes ?? old.memoryBytes, cpuShares: cpuShares ?? old.cpuShares } }]];
  });
  return { ...formation, ...Object.fromEntries(fixed) };
}

/** Types that app.json names and the image does not have. */
export const unknownTypes = ({ formation }: AppFile, processTypes: ProcessTypes): string[] => Object.keys(formation).filter((type) => !Object.hasOwn(processTypes, type));

/** What a person wants to be different of some types; what stays as it is may be named or not. */
export type FormationWish = Readonly<Record<string, { readonly quantity?: number; readonly limits?: Pick<Limits, 'memoryBytes' | 'cpuShares'> }>>;

/** Throws `conflict` for the first thing that app.json of the live release fixes otherwise: it would win again at the next deploy. */
export function refuseFixed(wish: FormationWish, live: { readonly app: string; readonly version: number; readonly appFile: AppFile }): void {
  for (const [type, { quantity, limits }] of Object.entries(wish)) {
    const fixed = own(live.appFile.formation, type);
    const wanted = { quantity, memory: limits?.memoryBytes, cpu: limits?.cpuShares };
    const facts = { quantity: fixed?.quantity, memory: fixed?.memoryBytes, cpu: fixed?.cpuShares };
    for (const key of ['quantity', 'memory', 'cpu'] as const) {
      const fact = facts[key];
      if (fact === undefined || wanted[key] === undefined || wanted[key] === fact) continue;
      throw new ForgeError('conflict', `app.json of ${live.app} (v${live.version}) sets ${key} of ${type} to ${key === 'memory' ? formatSize(fact) : fact}${key === 'cpu' ? ' shares' : ''}`, {
        hint: `change formation.${type}.${key} in app.json and push, or take it out there to set it by hand`,
      });
    }
  }
}
