/** Credentials and port of forge's own registry: made once, kept in the data directory. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { z } from 'zod';
import { ForgeError } from '../../errors.ts';
import { replaceFile } from '../../replace-file.ts';
import { runProcess } from '../../run-process.ts';

const schema = z.object({ port: z.number().int(), username: z.string(), password: z.string(), htpasswd: z.string(), httpSecret: z.string() });
export type RegistryState = z.infer<typeof schema>;

/** The password is 256 random bits, so the cheapest cost is enough; the registry hashes it again on every request. */
const bcryptCost = '04';

/** Reads the state, or makes it. `port` 0 keeps the recorded one, and picks a free one the first time. */
export async function loadRegistryState(path: string, port: number, signal: AbortSignal): Promise<RegistryState> {
  try {
    const state = schema.parse(JSON.parse(await readFile(path, 'utf8')));
    return port === 0 ? state : { ...state, port };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new ForgeError('failed', `${path} is damaged`, { hint: 'delete it: forge makes a new one and the registry starts with it', cause: error });
  }
  const username = 'forge';
  const password = randomBytes(32).toString('base64url');
  const state: RegistryState = {
    port: port === 0 ? await freePort() : port,
    username,
    password,
    htpasswd: `${username}:${await bcrypt(password, signal)}\n`,
    httpSecret: randomBytes(32).toString('hex'),
  };
  await saveRegistryState(path, state);
  return state;
}

/** Readable by its owner alone. */
export async function saveRegistryState(path: string, state: RegistryState): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await replaceFile(path, JSON.stringify(state), 0o600);
}

/** A TCP port of 127.0.0.1 that nobody listens on right now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once('error', reject);
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
  });
  return await promise;
}

/**
 * The registry takes bcrypt only. crypt(3) of every supported distribution has it, and perl, which is essential there,
 * reaches it without a further package. The password goes in by stdin.
 */
export async function bcrypt(password: string, signal: AbortSignal): Promise<string> {
  const alphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  const salt = [...randomBytes(21)].map((byte) => alphabet[byte % 64]).join('');
  // The 22nd character carries two bits only.
  const setting = `$2b$${bcryptCost}$${salt}.`;
  const program = 'my $password = <STDIN>; print crypt($password, $ARGV[0]);';
  const { exitCode, stdout, stderr } = await runProcess('/usr/bin/perl', ['-e', program, setting], { env: {}, input: password, signal });
  if (exitCode !== 0 || !stdout.startsWith(`$2b$${bcryptCost}$`) || stdout.length !== 60) {
    throw new ForgeError('unavailable', `this machine's crypt(3) makes no bcrypt hashes${stderr ? `: ${stderr.trim()}` : ''}`, { hint: 'forge runs on Debian 12/13 and Ubuntu 22.04/24.04' });
  }
  return stdout;
}
