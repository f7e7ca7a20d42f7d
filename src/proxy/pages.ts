/** The few pages of forge's own: what a visitor sees when no app can answer. They name no app and nothing of the machine. */
import type { ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';

export interface Page {
  readonly status: number;
  readonly title: string;
  readonly text: string;
}

export const pages = {
  unknownHost: { status: 404, title: 'Nothing is here', text: 'No app answers at this address. Check the name in the address bar.' },
  noRelease: { status: 503, title: 'Not running', text: 'The app behind this address has nothing running right now. Try again in a moment.' },
  noTable: { status: 503, title: 'Starting', text: 'This machine is starting and does not know its apps yet. Try again in a moment.' },
  gone: { status: 502, title: 'The app did not answer', text: 'The app behind this address closed the connection or could not be reached. Try again in a moment.' },
  timeout: { status: 504, title: 'The app took too long', text: 'The app behind this address did not answer in time. Try again in a moment.' },
  noControl: { status: 503, title: 'forge is not running', text: 'Its apps keep serving meanwhile. The operator can start it with: systemctl start forge' },
} as const satisfies Record<string, Page>;

/** A page for a request that forge refuses to hand on. */
export const refusalPage = (status: number, reason: string): Page => ({ status, title: STATUS_CODES[status] ?? 'Bad request', text: reason });

/** Answers with the page, as HTML to browsers and as plain text to everybody else. */
export function sendPage(response: ServerResponse, page: Page, request: { readonly id: string; readonly accept: string | undefined; readonly close?: boolean }): void {
  const isHtml = request.accept?.includes('text/html') === true;
  const body = isHtml ? html(page, request.id) : `${page.status} ${page.title}\n${page.text}\nRequest ${request.id}\n`;
  const headers = [
    'Content-Type', isHtml ? 'text/html; charset=utf-8' : 'text/plain; charset=utf-8',
    'Content-Length', String(Buffer.byteLength(body)),
    'Cache-Control', 'no-store',
    'X-Request-Id', request.id,
  ];
  if (isHtml) headers.push('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'");
  if (page.status === 503) headers.push('Retry-After', '5');
  if (request.close === true) headers.push('Connection', 'close');
  response.writeHead(page.status, headers);
  response.end(body);
}

/** The page as bytes for a connection that has no response object: its head could not be read. */
export function rawPage(page: Page, requestId: string): string {
  const body = `${page.status} ${page.title}\n${page.text}\nRequest ${requestId}\n`;
  return [
    `HTTP/1.1 ${page.status} ${STATUS_CODES[page.status] ?? 'Error'}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    `X-Request-Id: ${requestId}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

const html = (page: Page, requestId: string): string => `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${page.status} ${page.title}</title>
<style>
:root{color-scheme:light dark}
body{margin:0;min-height:100vh;display:grid;place-items:center;font:16px/1.5 system-ui,sans-serif;background:Canvas;color:CanvasText}
main{max-width:32rem;padding:2rem}
h1{font-size:1.5rem;margin:0 0 .5rem}
small{opacity:.6;font-family:ui-monospace,monospace}
</style>
<main><h1>${page.title}</h1><p>${page.text}</p><small>${page.status} · ${requestId}</small></main>
</html>
`;
