/** AES-256-GCM for values at rest. Each value is bound to the place it stands in, so that rows cannot be exchanged. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { ForgeError } from '../errors.ts';

/** First byte of every value: what follows is iv (12), tag (16), ciphertext. */
const format = 1;
const ivBytes = 12;
const tagBytes = 16;

export interface Cipher {
  /** `place` names the row, such as `['config', app, key]`. */
  encrypt(text: string, place: readonly string[]): Buffer;
  /** Throws `failed` when the value was not written for this place with this key. */
  decrypt(value: Uint8Array, place: readonly string[]): string;
}

export function createCipher(key: Buffer): Cipher {
  return {
    encrypt(text, place) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: tagBytes }).setAAD(placeBytes(place));
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return Buffer.concat([Buffer.of(format), iv, cipher.getAuthTag(), body]);
    },
    decrypt(value, place) {
      try {
        const bytes = Buffer.from(value);
        if (bytes[0] !== format) throw new Error(`format ${bytes[0]}`);
        const iv = bytes.subarray(1, 1 + ivBytes);
        const body = bytes.subarray(1 + ivBytes + tagBytes);
        const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: tagBytes }).setAAD(placeBytes(place));
        decipher.setAuthTag(bytes.subarray(1 + ivBytes, 1 + ivBytes + tagBytes));
        return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
      } catch (error) {
        throw new ForgeError('failed', `the stored value of ${place.join(' ')} is damaged or was moved there from elsewhere`, {
          hint: 'set it again, or restore forge.db and secrets.key from the same backup',
          cause: error,
        });
      }
    },
  };
}

/** JSON keeps parts apart: ['a', 'bc'] and ['ab', 'c'] differ. */
const placeBytes = (place: readonly string[]): Buffer => Buffer.from(JSON.stringify(place), 'utf8');
