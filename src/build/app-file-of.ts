/** What app.json and the Procfile ask for, as the value that goes with the code from here on. Pure. */
import type { AppFile, EnvEntry, FormationRequest } from '../app-file.ts';
import { appJsonChecks } from './app-json-checks.ts';
import type { AppJson } from './app-json.ts';
import { cronEntries } from './app-json-cron.ts';

/** What weighs as much as one share of CPU in app.json is this much for the engine. */
const cpuSharesOfOne = 1024;
/** The engine takes no less. */
const minCpuShares = 2;

/** `release` is the command of the Procfile. */
export function appFileOf(appJson: AppJson, release: string | undefined): AppFile {
  const { postdeploy, dokku } = appJson.scripts;
  return {
    env: mapValues(appJson.env, envEntry),
    formation: mapValues(appJson.formation, formationRequest),
    checks: appJsonChecks(appJson.healthchecks),
    tasks: { predeploy: dokku?.predeploy, release, postdeploy: dokku?.postdeploy, firstPostdeploy: postdeploy },
    cron: cronEntries(appJson.cron),
  };
}

interface Variable {
  readonly value?: string | undefined;
  readonly required?: boolean | undefined;
  readonly generator?: 'secret' | undefined;
  readonly description?: string | undefined;
}

/** Required unless it says otherwise, as on Heroku since 2014: https://devcenter.heroku.com/changelog-items/513 */
const envEntry = ({ value, required = true, generator, description }: Variable): EnvEntry => ({ value, isRequired: required, isGenerated: generator === 'secret', description });

function formationRequest({ quantity, memory, cpu, port }: AppJson['formation'][string]): FormationRequest {
  return { quantity, memoryBytes: memory, cpuShares: cpu === undefined ? undefined : Math.max(minCpuShares, Math.round(cpu * cpuSharesOfOne)), port };
}

/** No prototype: a variable may be named __proto__. */
function mapValues<A, B>(record: Readonly<Record<string, A>>, map: (value: A) => B): Record<string, B> {
  return Object.assign(Object.create(null) as Record<string, B>, Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)])));
}
