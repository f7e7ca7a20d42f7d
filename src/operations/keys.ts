import { z } from 'zod';
import { ForgeError } from '../errors.ts';
import { parseLabel } from '../names.ts';
import { createKey, deleteKey, findKeys } from '../store/keys.ts';
import { relativeTime } from './durations.ts';
import { grantFields, grantOf, printGrant } from './grant-fields.ts';
import { says } from './input-form.ts';
import { defineOperation } from './operation.ts';
import { parsePublicKey } from './public-key.ts';
import { readInput } from './read-input.ts';
import { table } from './table.ts';

const maxKeyBytes = 64 * 1024;
const nameField = z.string().overwrite(parseLabel).meta(says('What you call the key, such as laptop'));

const add = defineOperation({
  name: 'keys:add',
  summary: 'Let an SSH key in',
  help: 'forge keys:add laptop < ~/.ssh/id_ed25519.pub\nforge keys:add ci --app hello --permission deploy < ci.pub',
  target: 'machine',
  permission: 'admin',
  isChange: true,
  readsStdin: true,
  positionals: ['name', 'key'],
  input: z.object({ name: nameField, key: z.array(z.string()).default([]).meta(says('The public key; without it it is read from stdin')), ...grantFields }),
  audit: ({ name, app, permission, admin }) => ({ name, grant: printGrant(grantOf({ app, permission, admin })) }),
  run: async ({ name, key: words, ...flags }, { session, services }) => {
    const grant = grantOf(flags);
    const text = words.length > 0 ? words.join(' ') : await readInput(session, { maxBytes: maxKeyBytes, what: 'a public key' });
    const { type, blob, fingerprint } = parsePublicKey(text);
    const key = createKey(services.store, { name, type, blob, fingerprint, grant });
    await services.keysChanged();
    return { name: key.name, type, fingerprint, grant };
  },
  print: ({ name, fingerprint, grant }, { style }) => `${style.good('Added')} ${name} (${fingerprint}): ${printGrant(grant)}`,
});

const list = defineOperation({
  name: 'keys:list',
  aliases: ['keys'],
  summary: 'Show the SSH keys that are let in',
  target: 'machine',
  permission: 'admin',
  isChange: false,
  positionals: [],
  input: z.object({}),
  run: async (_input, { services }) => findKeys(services.store).map(({ name, type, fingerprint, grant, createdAt }) => ({ name, type, fingerprint, grant, createdAt })),
  print: (keys, { services, style }) => {
    if (keys.length === 0) return 'No keys yet. Add yours: forge keys:add laptop --admin < ~/.ssh/id_ed25519.pub';
    const now = services.store.now();
    const rows = keys.map(({ name, type, fingerprint, grant, createdAt }) => [name, printGrant(grant), type, fingerprint, relativeTime(createdAt, now)]);
    return table(['KEY', 'MAY', 'TYPE', 'FINGERPRINT', 'ADDED'], rows, style);
  },
});

const remove = defineOperation({
  name: 'keys:remove',
  summary: 'Lock an SSH key out; its open sessions end',
  target: 'machine',
  permission: 'admin',
  isChange: true,
  positionals: ['name'],
  input: z.object({ name: nameField }),
  audit: ({ name }) => ({ name }),
  run: async ({ name }, { services }) => {
    if (!deleteKey(services.store, name)) throw new ForgeError('not-found', `there is no key ${JSON.stringify(name)}`, { hint: 'forge keys:list shows them' });
    await services.keysChanged();
    services.endSessionsOf(name);
    return { name };
  },
  print: ({ name }) => `Removed ${name}`,
});

export const keyOperations = [add, list, remove];
