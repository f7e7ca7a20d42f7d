/** Who asks, from what proved it. */
import type { Actor } from '../domain.ts';
import type { Key } from '../store/keys.ts';
import type { Token } from '../store/tokens.ts';

/** Whoever may open the admin socket: its file mode decides. */
export const operator: Actor = { name: 'operator', via: 'operator', isAdmin: true, permission: 'manage', apps: 'all' };

export const actorOfKey = ({ name, grant }: Key): Actor => ({ ...grant, name, via: 'key' });

export const actorOfToken = ({ name, grant }: Token): Actor => ({ ...grant, name, via: 'token' });
