/** A line of an OpenSSH public key file, checked down to the key's own fields. */
import { createHash } from 'node:crypto';
import { ForgeError } from '../errors.ts';

export interface PublicKey {
  readonly type: string;
  /** The key in SSH's wire format, base64 without line ends. */
  readonly blob: string;
  /** `SHA256:…` as ssh-keygen -l prints it. */
  readonly fingerprint: string;
  /** What follows the key on its line. */
  readonly comment: string;
}

const minRsaBits = 2048;
/** Fields after the type; RFC 8709, RFC 5656, RFC 4253. */
const checks: Readonly<Record<string, (fields: readonly Buffer[]) => boolean>> = {
  'ssh-ed25519': ([key, ...rest]) => key?.length === 32 && rest.length === 0,
  'ecdsa-sha2-nistp256': ([curve, point]) => curve?.toString() === 'nistp256' && point?.length === 65,
  'ecdsa-sha2-nistp384': ([curve, point]) => curve?.toString() === 'nistp384' && point?.length === 97,
  'ecdsa-sha2-nistp521': ([curve, point]) => curve?.toString() === 'nistp521' && point?.length === 133,
  'ssh-rsa': ([exponent, modulus, ...rest]) => exponent !== undefined && modulus !== undefined && rest.length === 0,
};

/**
 * Throws `invalid` for anything that is not exactly one plain public key: several keys, a private key, options before
 * the key, types that forge's doors do not take, RSA below 2048 bits.
 */
export function parsePublicKey(text: string): PublicKey {
  if (/PRIVATE KEY/.test(text)) throw invalid('this is a private key: keep it, and give the .pub file beside it');
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
  const [line, ...others] = lines;
  if (line === undefined) throw invalid('there is no key');
  if (others.length > 0) throw invalid(`these are ${lines.length} keys: add one at a time, each with its name`);
  const [type = '', blob = '', ...comment] = line.split(/[ \t]+/);
  const check = checks[type];
  if (!check) throw invalid(hasOptions(line) ? 'options before the key are not taken: leave them out' : `key type ${JSON.stringify(type.slice(0, 40))} is not taken`);
  const bytes = /^[A-Za-z0-9+/]+={0,2}$/.test(blob) ? Buffer.from(blob, 'base64') : Buffer.alloc(0);
  const [name, ...fields] = readFields(bytes) ?? [];
  if (name?.toString() !== type || !check(fields)) throw invalid('the key is damaged: copy the whole line of the .pub file');
  if (type === 'ssh-rsa' && bitsOf(fields[1]) < minRsaBits) throw invalid(`RSA keys of less than ${minRsaBits} bits are not taken`);
  const fingerprint = `SHA256:${createHash('sha256').update(bytes).digest('base64').replace(/=+$/, '')}`;
  return { type, blob: bytes.toString('base64'), fingerprint, comment: comment.join(' ') };
}

/** The length-prefixed strings that make up the whole of `bytes`, or `undefined` if they do not. */
function readFields(bytes: Buffer): readonly Buffer[] | undefined {
  const fields: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return undefined;
    const length = bytes.readUInt32BE(at);
    if (at + 4 + length > bytes.length) return undefined;
    fields.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return fields;
}

const hasOptions = (line: string): boolean => Object.keys(checks).some((type) => line.includes(` ${type} `) || line.includes(`\t${type} `));

function bitsOf(modulus: Buffer | undefined): number {
  const first = modulus?.findIndex((byte) => byte !== 0) ?? -1;
  if (!modulus || first < 0) return 0;
  return (modulus.length - first - 1) * 8 + (32 - Math.clz32(modulus[first] ?? 0));
}

const invalid = (message: string): ForgeError => new ForgeError('invalid', message, { hint: 'forge keys:add NAME < ~/.ssh/id_ed25519.pub' });
