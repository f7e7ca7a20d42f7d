import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import ssh2 from 'ssh2';
import { ForgeError } from '../errors.ts';
import { replaceFile } from '../replace-file.ts';

export interface HostKey {
  /** OpenSSH's private key format. */
  readonly privateKey: string;
  /** `ssh-ed25519 AAAA…`, as known_hosts holds it after the host's name. */
  readonly publicKey: string;
  /** `SHA256:…`, as clients show it. */
  readonly fingerprint: string;
}

/**
 * The server's ed25519 host key, made once: a file of mode 0600 that ssh-keygen reads, and `<path>.pub` beside it.
 * Throws `failed` when the file is there and is no such key: a new one would look like an attack to every client.
 */
export async function loadHostKey(path: string): Promise<HostKey> {
  const found = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new ForgeError('failed', `the host key ${path} cannot be read: ${error.message}`, { cause: error });
  });
  const hostKey = found === undefined ? generateHostKey() : parse(found);
  if (!hostKey) {
    throw new ForgeError('failed', `${path} is not an unencrypted ed25519 private key`, {
      hint: 'restore it from a backup; or remove it, and every client has to accept a new host key',
    });
  }
  if (found === undefined) {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await replaceFile(path, hostKey.privateKey, 0o600);
    await replaceFile(`${path}.pub`, `${hostKey.publicKey} forge\n`, 0o644);
  }
  return hostKey;
}

/** ssh2 cuts a leading zero off the public key, so that one of 256 of its keys is none: it is asked again then. */
export function generateHostKey(): HostKey {
  for (;;) {
    const hostKey = parse(ssh2.utils.generateKeyPairSync('ed25519', { comment: 'forge' }).private);
    if (hostKey) return hostKey;
  }
}

function parse(privateKey: string): HostKey | undefined {
  const key = ssh2.utils.parseKey(privateKey);
  if (key instanceof Error || Array.isArray(key) || key.type !== 'ssh-ed25519' || !key.isPrivateKey()) return undefined;
  const probe = Buffer.from('forge');
  if (key.verify(probe, key.sign(probe)) !== true) return undefined;
  const blob = key.getPublicSSH();
  const digest = createHash('sha256').update(blob).digest('base64').replaceAll('=', '');
  return { privateKey, publicKey: `${key.type} ${blob.toString('base64')}`, fingerprint: `SHA256:${digest}` };
}
