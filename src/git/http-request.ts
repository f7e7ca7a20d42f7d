/** Reads a request of git's smart HTTP protocol: who asks, for what, with which body. */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { pipeline, Transform, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { ForgeError } from '../errors.ts';

export type GitService = 'receive-pack' | 'upload-pack';

export interface GitRequest {
  /** As it stands in the path; not yet checked. */
  readonly app: string;
  readonly service: GitService;
  readonly mode: 'advertise' | 'stateless';
}

/** git compresses only its list of wants and haves; packs come as they are. */
const maxInflatedBytes = 64 * 1024 * 1024;
const gitPath = /^\/([^/?#]+?)(?:\.git)?\/(info\/refs|git-receive-pack|git-upload-pack)$/;
const serviceName = /^git-(receive-pack|upload-pack)$/;

/** Whether the path is one of git's, whatever its app and method: those requests belong to `createGitHttp`. */
export const isGitPath = (url: string): boolean => gitPath.test(url.split('?', 1)[0] ?? '');

/** Throws `not-found` for a path, `invalid` for a method, service or content type that git's protocol does not have. */
export function parseGitRequest(request: IncomingMessage): GitRequest {
  const [path = '', query = ''] = (request.url ?? '').split(/\?(.*)/s, 2);
  const [, app, endpoint] = gitPath.exec(path) ?? [];
  if (app === undefined || endpoint === undefined) throw new ForgeError('not-found', 'no repository here: the address is /<app>.git');
  if (endpoint === 'info/refs') {
    const [, service] = serviceName.exec(new URLSearchParams(query).get('service') ?? '') ?? [];
    if (request.method !== 'GET' || service === undefined) {
      throw new ForgeError('invalid', 'only git’s smart protocol is served here', { hint: 'use git 1.6.6 or newer' });
    }
    return { app, service: service as GitService, mode: 'advertise' };
  }
  if (request.method !== 'POST' || request.headers['content-type'] !== `application/x-${endpoint}-request`) {
    throw new ForgeError('invalid', `${endpoint} takes a POST of application/x-${endpoint}-request`);
  }
  return { app, service: endpoint.slice('git-'.length) as GitService, mode: 'stateless' };
}

/**
 * Whether nobody between client and forge could have read the token: HTTPS, or plain HTTP from this machine itself.
 * The proxy in front, the only one that can connect, sets both headers; without them the answer is no.
 */
export function isConfidential(request: IncomingMessage): boolean {
  if (request.headers['x-forwarded-proto'] === 'https') return true;
  const from = request.headers['x-forwarded-for'];
  return typeof from === 'string' && from.split(',').every((address) => isLoopback(address.trim()));
}

function isLoopback(address: string): boolean {
  const plain = address.replace(/^::ffff:/i, '');
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
}

/** User and password of basic auth, `undefined` without them. */
export function parseBasicAuth(header: string | undefined): { readonly username: string; readonly password: string } | undefined {
  const [, encoded] = /^basic +([a-z0-9+/=]+) *$/i.exec(header ?? '') ?? [];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString();
  const colon = text.indexOf(':');
  return colon === -1 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** The body as git wants it. A body that cannot be unpacked, or grows beyond all use, breaks off with an error. */
export function bodyOf(request: IncomingMessage): Readable {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return request;
  if (encoding !== 'gzip' && encoding !== 'x-gzip') throw new ForgeError('invalid', `a body in ${JSON.stringify(encoding)} is not taken, only gzip`);
  const gunzip = createGunzip();
  const limited = limit(maxInflatedBytes);
  // Its error comes out at the end of the line, where the reader listens.
  pipeline(request, gunzip, limited, () => undefined);
  return limited;
}

function limit(maxBytes: number): Transform {
  let bytes = 0;
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) done(null, chunk);
      else done(new ForgeError('invalid', `the body is larger than ${maxBytes} bytes when unpacked`));
    },
  });
}
