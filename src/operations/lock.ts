import { z } from 'zod';
import { ForgeError } from '../errors.ts';
import { getApp, updateApp } from '../store/apps.ts';
import { appField } from './fields.ts';
import { says } from './input-form.ts';
import { defineOperation } from './operation.ts';
import { oneLine } from './table.ts';

const reasonField = z.string().trim().min(1).max(200).optional().meta(says('Why, for whoever is refused', { placeholder: 'TEXT' }));

const lock = defineOperation({
  name: 'apps:lock',
  summary: 'Refuse every new release of an app until it is unlocked',
  help: 'forge apps:lock hello --reason "migrating the database until 15:00"\nPushes, config and settings changes, rollbacks and removal are refused with the reason. Scaling, restarting and what is under way go on.',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app'],
  input: z.object({ app: appField, reason: reasonField }),
  audit: ({ reason }) => ({ reason }),
  run: async ({ app, reason = 'no reason given' }, { session, services: { store } }) => {
    const { lock: existing } = getApp(store, app);
    if (existing) throw new ForgeError('conflict', `${app} is locked already, by ${existing.actor}: ${existing.reason}`, { hint: `forge apps:unlock ${app} unlocks it` });
    return { app, lock: updateApp(store, app, { lock: { reason, actor: session.actor.name } }).lock };
  },
  print: ({ app, lock: made }) => `Locked ${app}: ${oneLine(made?.reason ?? '')}`,
});

const unlock = defineOperation({
  name: 'apps:unlock',
  summary: 'Let changes of a locked app through again',
  target: 'app',
  permission: 'operate',
  isChange: true,
  positionals: ['app'],
  input: z.object({ app: appField }),
  run: async ({ app }, { services: { store } }) => {
    const wasLocked = getApp(store, app).lock !== undefined;
    updateApp(store, app, { lock: null });
    return { app, wasLocked };
  },
  print: ({ app, wasLocked }) => (wasLocked ? `Unlocked ${app}` : `${app} was not locked`),
});

export const lockOperations = [lock, unlock];
