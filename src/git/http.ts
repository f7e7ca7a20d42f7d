/**
 * git's smart HTTP protocol (gitprotocol-http(5)) on node's own request and response. Every request is authorized, the
 * GET that asks and the POST that acts.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import type { Actor } from '../domain.ts';
import { ForgeError, httpStatusOf, isForgeError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { ServeGit } from './fetch.ts';
import { bodyOf, isConfidential, parseBasicAuth, parseGitRequest, type GitRequest } from './http-request.ts';

const maxKeptErrorBytes = 4_096;
const noCache = { Expires: 'Fri, 01 Jan 1980 00:00:00 GMT', Pragma: 'no-cache', 'Cache-Control': 'no-cache, max-age=0, must-revalidate' };

export interface GitHttpParts {
  /** The actor behind a token, which is the password; the user name means nothing. */
  authenticate(username: string, password: string): Actor | undefined | Promise<Actor | undefined>;
  readonly push: ServeGit;
  readonly fetch: ServeGit;
  readonly log: Log;
}

export type HandleHttp = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Answers requests for which `isGitPath` holds. Never rejects: what goes wrong becomes a status and one or two lines of text, which git shows. */
export function createGitHttp(parts: GitHttpParts): HandleHttp {
  return async (request, response) => {
    try {
      if (!isConfidential(request)) {
        throw new ForgeError('forbidden', 'a token over plain HTTP can be read on the way, so only this machine itself may use it', { hint: 'push over SSH, or over https://' });
      }
      const git = parseGitRequest(request);
      const actor = await authenticate(request, parts);
      if (!actor) return refuseUnauthenticated(request, response);
      await serve({ git, actor, request, response }, parts);
    } catch (error) {
      refuse(error, request, response, parts.log);
    }
  };
}

async function authenticate(request: IncomingMessage, parts: GitHttpParts): Promise<Actor | undefined> {
  const credentials = parseBasicAuth(request.headers.authorization);
  if (!credentials || credentials.password === '') return undefined;
  return await parts.authenticate(credentials.username, credentials.password);
}

interface Exchange {
  readonly git: GitRequest;
  readonly actor: Actor;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

async function serve({ git, actor, request, response }: Exchange, parts: GitHttpParts): Promise<void> {
  const { app, service, mode } = git;
  const gone = new AbortController();
  response.on('close', () => response.writableFinished || gone.abort(new ForgeError('canceled', 'the client disconnected')));
  const gitProtocol = headerOf(request, 'git-protocol');
  const stdin = bodyOf(request);
  let broken: Error | undefined;
  stdin.on('error', (error) => (broken = isForgeError(error) ? error : new ForgeError('invalid', `the body cannot be read: ${error.message}`, { cause: error })));
  const kind = mode === 'advertise' ? 'advertisement' : 'result';
  // Version 2 of the protocol does without the line that names the service.
  const preamble = mode === 'advertise' && !(service === 'upload-pack' && gitProtocol === 'version=2') ? serviceLine(service) : '';
  const stdout = createBody(response, `application/x-git-${service}-${kind}`, preamble);
  const stderr = createErrorText();
  const io = { actor, stdin, stdout, stderr: stderr.stream, gitProtocol, signal: gone.signal, mode };
  const status = await (service === 'receive-pack' ? parts.push(io, app) : parts.fetch(io, app)).catch((error: unknown) => {
    throw hideForbidden(error, app);
  });
  if (gone.signal.aborted) return;
  if (broken && !response.headersSent) throw broken;
  if (status !== 0) {
    parts.log.info({ app, service, status, stderr: stderr.text() }, 'git ended with an error');
    if (!response.headersSent) throw new ForgeError('invalid', 'git did not understand the request');
  }
  stdout.end();
  request.resume();
}

/** What does not exist and what is not theirs are one answer: a stranger learns no names. */
function hideForbidden(error: unknown, app: string): unknown {
  if (!isForgeError(error) || (error.code !== 'forbidden' && error.code !== 'not-found')) return error;
  return new ForgeError('not-found', `there is no app ${app} for which this token is good enough`, { hint: 'ask whoever manages it', cause: error });
}

/** A pkt-line and a flush. */
const serviceLine = (service: string): string => {
  const line = `# service=git-${service}\n`;
  return `${(line.length + 4).toString(16).padStart(4, '0')}${line}0000`;
};

/** The response's body; its head goes out with the first byte, so that an error before it still gets its own status. */
function createBody(response: ServerResponse, contentType: string, preamble: string): Writable {
  const begin = (): void => {
    if (response.headersSent) return;
    response.writeHead(200, { ...noCache, 'Content-Type': contentType });
    if (preamble !== '') response.write(preamble);
  };
  const body = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      begin();
      response.write(chunk, done);
    },
    final: (done) => {
      begin();
      response.end(done);
    },
  });
  response.on('close', () => body.destroy());
  return body.on('error', () => undefined);
}

function createErrorText(): { readonly stream: Writable; text(): string } {
  let text = '';
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text = `${text}${chunk.toString()}`.slice(-maxKeptErrorBytes);
      done();
    },
  });
  return { stream, text: () => text };
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

function refuseUnauthenticated(request: IncomingMessage, response: ServerResponse): void {
  const headers = { 'WWW-Authenticate': 'Basic realm="forge", charset="UTF-8"' };
  sendText({ status: 401, text: 'a token is needed: any user name, and the token as the password', headers }, request, response);
}

function refuse(error: unknown, request: IncomingMessage, response: ServerResponse, log: Log): void {
  if (!isForgeError(error)) log.error({ err: error }, 'internal error in git over HTTP');
  if (response.headersSent) return void response.destroy();
  const text = isForgeError(error) ? [error.message, error.hint].filter(Boolean).join('\n') : 'internal error';
  sendText({ status: httpStatusOf(error), text, headers: {} }, request, response);
}

function sendText({ status, text, headers }: { status: number; text: string; headers: Record<string, string> }, request: IncomingMessage, response: ServerResponse): void {
  const body = `${text}\n`;
  // A body that nobody will read is not waited for.
  if (!request.complete) response.setHeader('Connection', 'close');
  response.writeHead(status, { ...noCache, ...headers, 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
  request.resume();
}
