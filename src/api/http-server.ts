/** What answers at forge.<domain>, behind the proxy: git over HTTP and a sign of life. Listens on a unix socket that only the proxy reaches. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { bindSocket } from '../control/socket-file.ts';
import type { HandleHttp } from '../git/http.ts';
import { isGitPath } from '../git/http-request.ts';
import type { Log } from '../log.ts';

export interface HttpServerParts {
  readonly socketPath: string;
  readonly git: HandleHttp;
  readonly log: Log;
}

/** The proxy and forge may be two accounts that share the group of the socket's folder. */
const socketMode = 0o660;

export interface HttpServer {
  close(): Promise<void>;
}

/** Throws `conflict` when another forge answers on the socket. */
export async function listenHttp(parts: HttpServerParts): Promise<HttpServer> {
  // Deadlines are the proxy's: a push may send for hours and wait for its build in silence.
  const server = createServer({ requestTimeout: 0, headersTimeout: 60_000, keepAliveTimeout: 90_000 }, (request, response) => {
    void answer(request, response, parts).catch((error: unknown) => {
      parts.log.error({ err: error, url: request.url }, 'internal error in a request');
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
      response.end('internal error\n');
    });
  });
  const removeFile = await bindSocket(server, parts.socketPath, socketMode);
  return {
    close: async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      await removeFile();
      server.closeAllConnections();
      await promise;
    },
  };
}

/** No version: it would tell strangers what to try. */
const pages: Readonly<Record<string, string>> = {
  '/healthz': 'ok\n',
  '/': 'forge answers here. Push an app over SSH, or to /<app>.git with an access token as the password.\n',
};

async function answer(request: IncomingMessage, response: ServerResponse, { git }: HttpServerParts): Promise<void> {
  const url = request.url ?? '/';
  if (isGitPath(url)) return await git(request, response);
  const page = pages[url];
  const [status, text] = page === undefined ? [404, 'There is nothing here.\n'] : [200, page];
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(text) });
  response.end(request.method === 'HEAD' ? undefined : text);
}
