/** Encryption of an export under a passphrase: scrypt for the key, AES-256-GCM for every entry, bound to its name and to the file's head. */
import { createCipheriv, createDecipheriv, createHash, randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { ForgeError } from '../../errors.ts';

const ivBytes = 12;
const tagBytes = 16;
/** 64 MiB and about a fifth of a second for each guess. */
const cost = { N: 65_536, r: 8, p: 1, maxmem: 128 * 1024 * 1024 };
const derive = promisify<string, Buffer, number, typeof cost, Buffer>(scrypt);

/** What sealing adds to an entry. */
export const sealBytes = ivBytes + tagBytes;

export const newSalt = (): string => randomBytes(16).toString('base64');

export interface Seal {
  seal(name: string, content: Buffer): Buffer;
  /** Throws `invalid` for what was not sealed under this name with this passphrase and head. */
  open(name: string, content: Buffer): Buffer;
}

/** `head` is the first entry's content, which nothing else protects. */
export async function createSeal(passphrase: string, { salt, head }: { readonly salt: string; readonly head: Buffer }): Promise<Seal> {
  const key = await derive(passphrase.normalize('NFC'), Buffer.from(salt, 'base64'), 32, cost);
  const headHash = createHash('sha256').update(head).digest('hex');
  const placeOf = (name: string): Buffer => Buffer.from(JSON.stringify([headHash, name]));
  return {
    seal: (name, content) => {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: tagBytes }).setAAD(placeOf(name));
      const body = Buffer.concat([cipher.update(content), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), body]);
    },
    open: (name, content) => {
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, content.subarray(0, ivBytes), { authTagLength: tagBytes }).setAAD(placeOf(name));
        decipher.setAuthTag(content.subarray(ivBytes, sealBytes));
        return Buffer.concat([decipher.update(content.subarray(sealBytes)), decipher.final()]);
      } catch (error) {
        throw new ForgeError('invalid', `${name} of the export cannot be opened: the passphrase is another one, or the file was changed`, { hint: 'nothing was imported; give the passphrase that it was exported with', cause: error });
      }
    },
  };
}
