import { z } from 'zod';
import { findAudit } from '../store/audit.ts';
import { relativeTime } from './durations.ts';
import { limitField } from './fields.ts';
import { says } from './input-form.ts';
import { defineOperation } from './operation.ts';
import { oneLine, table } from './table.ts';

const list = defineOperation({
  name: 'audit:list',
  aliases: ['audit'],
  summary: 'Show who changed what, newest first',
  target: 'machine',
  permission: 'admin',
  isChange: false,
  positionals: [],
  input: z.object({ app: z.string().optional().meta(says('Only this app', { short: 'a', placeholder: 'APP' })), limit: limitField('changes', 50) }),
  run: async ({ app, limit }, { services }) => findAudit(services.store, { limit, ...(app === undefined ? {} : { app }) }),
  print: (records, { services, style }) => {
    if (records.length === 0) return 'Nothing was changed yet.';
    const now = services.store.now();
    const rows = records.map(({ at, actor, via, action, app, details }) => [relativeTime(at, now), `${actor} (${via})`, action, app ?? '–', oneLine(JSON.stringify(details))]);
    return table(['WHEN', 'WHO', 'WHAT', 'APP', 'DETAILS'], rows, style);
  },
});

export const auditOperations = [list];
