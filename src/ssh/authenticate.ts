import type { AuthContext } from 'ssh2';
import type { Actor } from '../domain.ts';
import type { Log } from '../log.ts';
import { isProven, weaknessOf, type Offer } from './user-key.ts';

/** Who may hold this key (base64 of its wire format); asked at every login and every session. */
export type FindKey = (blobBase64: string) => Actor | undefined;

export interface AuthenticateOptions {
  readonly findKey: FindKey;
  /** Failed attempts until `onTooMany` is called. */
  readonly attempts: number;
  readonly onTooMany: () => void;
  /** The login is complete; the key is proven. */
  readonly onProven: (blobBase64: string, actor: Actor) => void;
  readonly log: Log;
}

/**
 * Answers the authentication requests of one connection. Any user name, public keys only. A client that asks whether a
 * key would do learns that and nothing more: only a verified signature identifies anyone. Fails closed.
 */
export function createAuthenticator(options: AuthenticateOptions): (context: AuthContext) => void {
  let failures = 0;
  const refuse = (context: AuthContext, why: string): void => {
    options.log.debug({ why, method: context.method }, 'login refused');
    failures += 1;
    context.reject(['publickey']);
    if (failures >= options.attempts) options.onTooMany();
  };
  const decide = (context: AuthContext): void => {
    // Every client asks for the list of methods this way first.
    if (context.method === 'none') return context.reject(['publickey']);
    if (context.method !== 'publickey') return refuse(context, 'method');
    const { key, hashAlgo, blob, signature } = context;
    const offer: Offer = { type: key.algo, blob: key.data, hash: hashAlgo, signed: blob, signature };
    const weakness = weaknessOf(offer);
    if (weakness !== undefined) return refuse(context, weakness);
    const base64 = key.data.toString('base64');
    const actor = options.findKey(base64);
    if (!actor) return refuse(context, 'unknown key');
    if (!signature) return context.accept();
    if (!isProven(offer)) return refuse(context, 'wrong signature');
    options.onProven(base64, actor);
    context.accept();
  };
  return (context) => {
    try {
      decide(context);
    } catch (error) {
      options.log.error({ err: error }, 'login could not be checked');
      refuse(context, 'error');
    }
  };
}
