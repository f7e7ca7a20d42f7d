/** The one list. Everything that offers operations (SSH, the command line, help, completion) reads it. */
import { ForgeError } from '../errors.ts';
import { appFileOperations } from './app-files.ts';
import { appOperations } from './apps.ts';
import { auditOperations } from './audit.ts';
import { backupOperations } from './backups.ts';
import { checkOperations } from './checks.ts';
import { configOperations } from './config.ts';
import { cronOperations } from './cron.ts';
import { deployOperations } from './deploy.ts';
import { deploymentOperations } from './deployments.ts';
import { diskOperations } from './disk.ts';
import { execOperations } from './exec.ts';
import { keyOperations } from './keys.ts';
import { lockOperations } from './lock.ts';
import { logOperations } from './logs.ts';
import { createHelp, machineOperations } from './machine.ts';
import { nearestName } from './nearest-name.ts';
import type { Operation } from './operation.ts';
import { processOperations } from './ps.ts';
import { rebuildOperations } from './rebuild.ts';
import { releaseOperations } from './releases.ts';
import { runOperations } from './run.ts';
import { settingOperations } from './settings.ts';
import { tokenOperations } from './tokens.ts';
import { volumeOperations } from './volumes.ts';

export const operations: readonly Operation[] = [
  ...machineOperations,
  createHelp(() => operations, findOperation),
  ...deployOperations,
  ...runOperations,
  ...cronOperations,
  ...appOperations,
  ...appFileOperations,
  ...lockOperations,
  ...logOperations,
  ...configOperations,
  ...processOperations,
  ...execOperations,
  ...rebuildOperations,
  ...releaseOperations,
  ...deploymentOperations,
  ...settingOperations,
  ...checkOperations,
  ...volumeOperations,
  ...backupOperations,
  ...diskOperations,
  ...keyOperations,
  ...tokenOperations,
  ...auditOperations,
];

/** The operation of this name or short form. Throws `invalid` with the nearest name. */
export function findOperation(name: string): Operation {
  const found = operations.find((operation) => operation.name === name || operation.aliases?.includes(name));
  if (found) return found;
  const all = operations.flatMap((operation) => [operation.name, ...(operation.aliases ?? [])]);
  const near = nearestName(name, all);
  throw new ForgeError('invalid', `there is no command ${JSON.stringify(name.slice(0, 60))}`, {
    hint: near === undefined ? 'forge help lists all commands' : `did you mean ${near}?`,
  });
}

