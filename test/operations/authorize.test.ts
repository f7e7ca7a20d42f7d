import { describe, expect, test } from 'vitest';
import { permissions } from '../../src/domain.ts';
import type { Actor, Permission } from '../../src/domain.ts';
import { inputForm } from '../../src/operations/input-form.ts';
import type { Operation } from '../../src/operations/operation.ts';
import { operations } from '../../src/operations/operations.ts';
import { findAudit } from '../../src/store/audit.ts';
import { createDeployment } from '../../src/store/deployments.ts';
import { openStage } from './stage.ts';
import type { Stage } from './stage.ts';

const levels: Readonly<Record<string, number>> = { anyone: -1, view: 0, deploy: 1, operate: 2, manage: 3, admin: 4 };

const actor = (permission: Permission, apps: Actor['apps']): Actor => ({ name: 'mallory', via: 'key', isAdmin: false, permission, apps });

/** Words that fill every required place, so that only the permission can refuse. */
function wordsFor(operation: Operation, target: { readonly app: string; readonly deployment: string }): readonly string[] {
  const sample: Readonly<Record<string, readonly string[]>> = {
    ...{ app: [target.app], deployment: [target.deployment], key: ['KEY'], keys: ['KEY'], values: ['KEY=1'], quantities: ['web=1'], command: ['true'] },
    ...{ builder: ['static'], branch: ['main'], port: ['3000'], type: ['web'], name: ['a name'], from: ['v1'] },
    ...{ to: ['other'], strategy: ['recreate'], capabilities: ['CHOWN'], volume: ['files'], path: ['/files'], count: ['5'] },
  };
  const named: Readonly<Record<string, string>> = { 'run:stop': 'run.00000000', 'run:logs': 'run.00000000', 'cron:run': 'nightly' };
  const words = inputForm(operation).positionals.filter(({ isRequired }) => isRequired).flatMap(({ key }) => {
    const filled = key === 'name' && named[operation.name] !== undefined ? [named[operation.name] ?? ''] : sample[key];
    if (!filled) throw new Error(`${operation.name}: no sample for ${key}`);
    return filled;
  });
  return operation.name === 'apps:destroy' ? [...words, '--confirm', target.app] : operation.name === 'checks:set' ? [...words, '--tcp'] : operation.name === 'limits:set' ? [...words, '--pids', '64'] : words;
}

async function stageWithTwoApps(): Promise<{ stage: Stage; own: string; foreign: string }> {
  const stage = openStage();
  const [own, foreign] = await Promise.all(
    ['own', 'foreign'].map(async (app) => {
      await stage.ok('apps:create', app);
      return createDeployment(stage.store, { app, actor: 'ada', origin: { kind: 'folder' }, reason: 'Deploy' }).id;
    }),
  );
  return { stage, own: own ?? '', foreign: foreign ?? '' };
}

describe.each(operations.map((operation) => [operation.name, operation] as const))('%s', (_name, operation) => {
  const needed = levels[operation.permission] ?? Infinity;

  test('on another’s app is as if the app were not there, and on one’s own takes its level, the lowest asked first', async () => {
    const { stage, own, foreign } = await stageWithTwoApps();
    const before = findAudit(stage.store).length;
    const untouched = (): void => {
      expect(findAudit(stage.store)).toHaveLength(before);
      expect(stage.asked).toEqual([]);
    };
    const mallory = { actor: actor('manage', ['own']) };
    if (operation.target !== 'machine') {
      const answer = await stage.run([operation.name, ...wordsFor(operation, { app: 'foreign', deployment: foreign })], mallory);
      const missing = await stage.run([operation.name, ...wordsFor(operation, { app: 'nowhere', deployment: '0000000000000000' })], mallory);
      const blank = (text: string) => text.replaceAll(/foreign|nowhere|[0-9a-z]{16}/g, '·');
      expect(answer.status).toBe(4);
      expect({ ...answer, stderr: blank(answer.stderr) }).toEqual({ ...missing, stderr: blank(missing.stderr) });
      untouched();
    }
    for (const permission of permissions) {
      const { status, stderr } = await stage.run([operation.name, ...wordsFor(operation, { app: 'own', deployment: own })], { actor: actor(permission, ['own']) });
      const isAllowed = (levels[permission] ?? -1) >= needed;
      expect(status === 77, `${permission}: ${stderr}`).toBe(!isAllowed);
      if (!isAllowed) untouched();
    }
  });
});

test('lists hold only the apps that the actor may see', async () => {
  const { stage } = await stageWithTwoApps();
  for (const name of ['apps:list', 'status']) {
    const { stdout } = await stage.run([name], { actor: actor('view', ['own']) });
    expect(stdout).toContain('own');
    expect(stdout).not.toContain('foreign');
  }
});

test('every change is one that is recorded', () => {
  const reading = /:(runs|list|info|diff|show|logs|url|get|report)$|^(help|version|status)$/;
  expect(operations.filter(({ isChange, name }) => isChange === reading.test(name)).map(({ name }) => name)).toEqual([]);
});

test('names and short forms are there once', () => {
  const names = operations.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
  expect(new Set(names).size).toBe(names.length);
});
