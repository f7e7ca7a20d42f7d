/** Which user keys are taken, and the check of their signatures: ssh2 parses both and verifies neither. */
import { createPublicKey } from 'node:crypto';
import ssh2 from 'ssh2';

const minRsaBits = 2048;

/** Key types taken; RSA only with the SHA-2 signatures of RFC 8332. */
const types: ReadonlySet<string> = new Set(['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'ssh-rsa']);

/** What a client offers: a key, and a proof that it holds the private half unless it only asks whether the key would do. */
export interface Offer {
  /** Key type; `ssh-rsa` also for `rsa-sha2-*`, whose hash is `hash`. */
  readonly type: string;
  /** The public key in SSH's wire format. */
  readonly blob: Buffer;
  readonly hash: string | undefined;
  readonly signed: Buffer | undefined;
  readonly signature: Buffer | undefined;
}

/** Why the key is not taken whoever holds it; `undefined`: it is good enough. */
export function weaknessOf(offer: Offer): string | undefined {
  if (!types.has(offer.type)) return `key type ${offer.type}`;
  const key = parse(offer);
  if (!key) return 'malformed key';
  if (offer.type !== 'ssh-rsa') return undefined;
  if (offer.hash !== 'sha256' && offer.hash !== 'sha512') return 'RSA with SHA-1';
  const bits = createPublicKey(key.getPublicPEM()).asymmetricKeyDetails?.modulusLength ?? 0;
  return bits < minRsaBits ? `RSA of ${bits} bits` : undefined;
}

/** True only if the signature is there and this very key made it over this very login. */
export function isProven(offer: Offer): boolean {
  if (!offer.signature || !offer.signed) return false;
  return parse(offer)?.verify(offer.signed, offer.signature, offer.hash) === true;
}

function parse({ type, blob }: Offer) {
  const key = ssh2.utils.parseKey(`${type} ${blob.toString('base64')}`);
  return key instanceof Error || Array.isArray(key) || key.type !== type ? undefined : key;
}
