/** Files of unix sockets: a dead server's is replaced, a live server's never, and the mode holds before anyone can connect. */
import { chmod, lstat, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { ForgeError } from '../errors.ts';
import { lockFile } from '../file-lock.ts';
import { delay } from '../wait.ts';

/** `sun_path` holds 108 bytes with its final zero. */
const maxPathBytes = 107;

/** 5 s: a start of forge holds the lock for milliseconds. */
const lockAttempts = 250;
const lockPollMs = 20;

/**
 * Makes the server listen at `path`. Resolves to a function that removes the socket file, unless it is someone else's by then.
 * Throws `conflict` when a live server answers there, `invalid` when the path is too long, its folder missing or closed, or something else than a socket there.
 */
export async function bindSocket(server: Server, path: string, mode: number): Promise<() => Promise<void>> {
  // A folder that only we can enter: the socket gets its mode there and then appears in its place, complete.
  const folder = await mkdtemp(join(dirname(path), '.new-')).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'EACCES') throw error;
    throw new ForgeError('invalid', `the socket ${path} cannot be made: its folder ${error.code === 'ENOENT' ? 'does not exist' : 'may not be written by this user'}`, { cause: error });
  });
  try {
    const fresh = join(folder, 's');
    if (Math.max(Buffer.byteLength(path), Buffer.byteLength(fresh)) > maxPathBytes) {
      throw new ForgeError('invalid', `the path of the socket ${path} is longer than the ${maxPathBytes} bytes that Linux takes`, { hint: 'choose a data directory with a shorter path' });
    }
    await listen(server, fresh);
    await chmod(fresh, mode);
    const { ino } = await stat(fresh);
    using _alone = await lockBeside(path);
    await refuseAllButDead(path);
    await rename(fresh, path);
    return async () => {
      const found = await lstat(path).catch(() => undefined);
      if (found?.ino === ino) await rm(path, { force: true });
    };
  } catch (error) {
    server.close();
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Throws `conflict` when a live server answers at `path`: for what must not be touched while another forge works on it. */
export async function refuseSecondServer(path: string): Promise<void> {
  if (await answers(path)) throw alreadyRunning(path);
}

/** Whoever looks whether a live server is there and then takes its place must be alone meanwhile. */
async function lockBeside(path: string): Promise<Disposable> {
  for (let attempt = 0; attempt < lockAttempts; attempt += 1) {
    const lock = lockFile(`${path}.lock`);
    if (lock) return lock;
    await delay(lockPollMs);
  }
  throw alreadyRunning(path);
}

async function refuseAllButDead(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!found) return;
  if (!found.isSocket()) throw new ForgeError('invalid', `${path} exists and is not a socket`, { hint: 'move it away' });
  if (await answers(path)) throw alreadyRunning(path);
}

const alreadyRunning = (path: string): ForgeError =>
  new ForgeError('conflict', `another forge is running on this data directory: it answers at ${path}`, {
    hint: 'stop it first, or choose another directory with --data',
  });

async function answers(path: string): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const socket = connect({ path });
  socket.on('connect', () => resolve(true));
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (['ECONNREFUSED', 'ENOENT', 'ENOTDIR', 'ENOTSOCK'].includes(error.code ?? '')) resolve(false);
    else if (error.code === 'EAGAIN') resolve(true);
    else reject(error);
  });
  return promise.finally(() => socket.destroy());
}

async function listen(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ path, backlog: 511 }, resolve);
  await promise;
  server.off('error', reject);
}
