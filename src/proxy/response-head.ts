/** An app's response head as the client gets it: what belongs to the app's own connection is left out. */

export interface ResponseHead {
  /** Names in lower case and values, alternating. */
  readonly headers: string[];
  /** Declared length of the body; -1 without one. */
  readonly length: number;
  readonly hasDate: boolean;
}

/** Heads as undici gives them: names in lower case, a list where a header came several times. */
export type ParsedHeaders = Readonly<Record<string, string | string[] | undefined>>;

const dropped = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

/** What the client gets of an app's head. A 204 loses its length, which it may not have. */
export function readResponseHead(parsed: ParsedHeaders, status: number): ResponseHead {
  const headers: string[] = [];
  let length = -1;
  let hasDate = false;
  const named = parsed['connection'] === undefined ? undefined : namesIn(parsed['connection']);
  for (const name in parsed) {
    const value = parsed[name] as string | string[];
    if (dropped.has(name) || named?.has(name) === true) continue;
    if (name === 'content-length') {
      if (status === 204) continue;
      length = Number(value);
    } else if (name === 'date') hasDate = true;
    if (typeof value === 'string') headers.push(name, value);
    else for (const each of value) headers.push(name, each);
  }
  return { headers, length, hasDate };
}

const kept = new Set(['content-length', 'content-type', 'date', 'set-cookie']);

/** The headers that Connection names; `undefined` for the everyday values, that name none. */
function namesIn(connection: string | string[]): Set<string> | undefined {
  if (connection === 'keep-alive' || connection === 'close') return undefined;
  return new Set(String(connection).toLowerCase().split(',').map((token) => token.trim()).filter((name) => !kept.has(name)));
}

/** Fields that must not come as trailers: they would change how the message was framed or routed. */
const notInTrailers = new Set(['content-length', 'transfer-encoding', 'host', 'connection', 'content-type', 'content-encoding', 'set-cookie', 'trailer']);

/** Trailers as pairs, without fields that may only stand in a head. */
export function readTrailers(raw: readonly Buffer[]): [string, string][] {
  const trailers: [string, string][] = [];
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] as Buffer).toString('latin1');
    if (!notInTrailers.has(name.toLowerCase())) trailers.push([name, (raw[index + 1] as Buffer).toString('latin1')]);
  }
  return trailers;
}
