import { z } from 'zod';
import { ForgeError } from '../errors.ts';
import { parseLabel } from '../names.ts';
import { createToken, findTokens, isExpired, revokeToken } from '../store/tokens.ts';
import { parseDuration, relativeTime } from './durations.ts';
import { grantFields, grantOf, printGrant } from './grant-fields.ts';
import { says } from './input-form.ts';
import { defineOperation } from './operation.ts';
import { table } from './table.ts';

const nameField = z.string().overwrite(parseLabel).meta(says('What you call the token, such as ci'));

const create = defineOperation({
  name: 'tokens:create',
  summary: 'Make an access token, as the password for git over HTTP',
  help: 'forge tokens:create ci --app hello --permission deploy --expires 30d\nThe token is shown once: forge keeps only its hash.',
  target: 'machine',
  permission: 'admin',
  isChange: true,
  positionals: ['name'],
  input: z.object({
    name: nameField,
    ...grantFields,
    expires: z.string().default('90d').meta(says('When it ends: 30d, 12h, … or never; default 90d', { placeholder: 'WHEN' })),
  }),
  audit: ({ name, app, permission, admin, expires }) => ({ name, grant: printGrant(grantOf({ app, permission, admin })), expires }),
  run: async ({ name, expires, ...flags }, { services }) => {
    const expiresAt = expires === 'never' ? undefined : new Date(services.store.now().getTime() + parseDuration(expires)).toISOString();
    const { token, row } = createToken(services.store, { name, grant: grantOf(flags), expiresAt });
    return { ...row, token };
  },
  // The token alone on stdout: `TOKEN=$(forge tokens:create ci)` works.
  print: ({ name, token, grant, expiresAt }, { session, services, style }) => {
    const until = expiresAt === undefined ? 'for ever' : `and ends ${relativeTime(expiresAt, services.store.now())}`;
    session.stderr.write(`${style.good('Made')} ${name}: it may ${printGrant(grant)}, ${until}. It is shown only now:\n`);
    return token;
  },
});

const list = defineOperation({
  name: 'tokens:list',
  aliases: ['tokens'],
  summary: 'Show the access tokens, not their secrets',
  target: 'machine',
  permission: 'admin',
  isChange: false,
  positionals: [],
  input: z.object({}),
  run: async (_input, { services }) => findTokens(services.store).map((token) => ({ ...token, isExpired: isExpired(services.store, token) })),
  print: (tokens, { services, style }) => {
    if (tokens.length === 0) return 'No tokens yet. Make one: forge tokens:create ci --app APP';
    const now = services.store.now();
    const rows = tokens.map(({ name, grant, createdAt, expiresAt, isExpired: isOver }) => [
      name, printGrant(grant), relativeTime(createdAt, now), expiresAt === undefined ? 'never' : isOver ? style.bad('expired') : relativeTime(expiresAt, now),
    ]);
    return table(['TOKEN', 'MAY', 'MADE', 'ENDS'], rows, style);
  },
});

const revoke = defineOperation({
  name: 'tokens:revoke',
  summary: 'End an access token at once',
  target: 'machine',
  permission: 'admin',
  isChange: true,
  positionals: ['name'],
  input: z.object({ name: nameField }),
  audit: ({ name }) => ({ name }),
  run: async ({ name }, { services }) => {
    if (!revokeToken(services.store, name)) throw new ForgeError('not-found', `there is no token ${JSON.stringify(name)}`, { hint: 'forge tokens:list shows them' });
    services.endSessionsOf(name);
    return { name };
  },
  print: ({ name }) => `Revoked ${name}`,
});

export const tokenOperations = [create, list, revoke];
