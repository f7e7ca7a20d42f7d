/** An app's response head as the client gets it: what belongs to the app's own connection is left out. */

export interface ResponseHead {
  /** Names and values, alternating, as the app wrote them. */
  readonly headers: string[];
  /** Declared length of the body; -1 without one. */
  readonly length: number;
  readonly hasDate: boolean;
}

const dropped = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'content-length', 'date']);
const droppedLengths: boolean[] = [];
for (const name of dropped) droppedLengths[name.length] = true;

/** `raw` alternates names and values as bytes. A 204 loses its length, which it may not have. */
export function readResponseHead(raw: readonly Buffer[], status: number): ResponseHead {
  const headers: string[] = [];
  let length = -1;
  let hasDate = false;
  let named = '';
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] as Buffer).toString('latin1');
    const value = (raw[index + 1] as Buffer).toString('latin1');
    if (droppedLengths[name.length] === true) {
      const lower = name.toLowerCase();
      if (lower === 'content-length') {
        if (status === 204) continue;
        length = Number(value);
      } else if (lower === 'date') hasDate = true;
      else if (lower === 'connection') {
        named = named === '' ? value : `${named},${value}`;
        continue;
      } else if (dropped.has(lower)) continue;
    }
    headers.push(name, value);
  }
  if (named !== '' && named !== 'keep-alive' && named !== 'close') dropNamed(headers, named);
  return { headers, length, hasDate };
}

const kept = new Set(['content-length', 'content-type', 'date', 'set-cookie']);

function dropNamed(headers: string[], connection: string): void {
  const named = new Set(connection.toLowerCase().split(',').map((token) => token.trim()));
  for (let index = headers.length - 2; index >= 0; index -= 2) {
    const name = (headers[index] as string).toLowerCase();
    if (named.has(name) && !kept.has(name)) headers.splice(index, 2);
  }
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
