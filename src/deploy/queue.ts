/**
 * Turns: one change at a time per app. A waiting push that a newer push overtakes ends `superseded`; every other
 * change (config, scale, reconcile) waits in order.
 */
import { abortError, ForgeError } from '../errors.ts';

export interface TurnRequest {
  /** Deployment id or the name of the change; names the holder to those who wait. */
  readonly holder: string;
  /** Whether a newer request of the same kind replaces this one while it waits. */
  readonly isReplaceable: boolean;
  readonly signal: AbortSignal;
  /** Called once when the turn is not free: who has it. */
  onWait?(holder: string): void;
}

/** Holding it means that nobody else changes the app. Giving it back is idempotent. */
export interface Turn extends Disposable {
  readonly app: string;
  /** Aborts when somebody waits for it: whoever can do its work later gives it back. */
  readonly wanted: AbortSignal;
}

export interface Queue {
  /** Resolves when the turn has come; rejects with `superseded`, or with the signal's reason. */
  take(app: string, request: TurnRequest): Promise<Turn>;
  /** The turn if it is free this moment, else `undefined`. */
  takeIfFree(app: string, holder: string): Turn | undefined;
}

interface Waiting extends TurnRequest {
  grant(turn: Turn): void;
  refuse(reason: ForgeError): void;
}

interface Line {
  holder: string;
  wanted: AbortController;
  readonly waiting: Waiting[];
}

export function createQueue(): Queue {
  const lines = new Map<string, Line>();

  const turnOf = (app: string, wanted: AbortController): Turn => {
    let isHeld = true;
    const giveBack = () => {
      if (isHeld) passOn(app);
      isHeld = false;
    };
    return { app, wanted: wanted.signal, [Symbol.dispose]: giveBack };
  };

  const passOn = (app: string): void => {
    const line = lines.get(app);
    const next = line?.waiting.shift();
    if (!line || !next) {
      lines.delete(app);
      return;
    }
    line.holder = next.holder;
    line.wanted = new AbortController();
    next.grant(turnOf(app, line.wanted));
    if (line.waiting.length > 0) line.wanted.abort(makeRoom());
  };

  const takeIfFree = (app: string, holder: string): Turn | undefined => {
    if (lines.has(app)) return undefined;
    const wanted = new AbortController();
    lines.set(app, { holder, wanted, waiting: [] });
    return turnOf(app, wanted);
  };

  const take = async (app: string, request: TurnRequest): Promise<Turn> => {
    if (request.signal.aborted) throw abortError(request.signal);
    const free = takeIfFree(app, request.holder);
    if (free) return free;
    const line = lines.get(app) as Line;
    request.onWait?.(line.holder);
    if (request.isReplaceable) supersede(line);
    return await join(line, request);
  };

  return { take, takeIfFree };
}

const makeRoom = (): ForgeError => new ForgeError('canceled', 'canceled: a change of the app waits');

function supersede(line: Line): void {
  for (const older of line.waiting.filter((waiting) => waiting.isReplaceable)) {
    line.waiting.splice(line.waiting.indexOf(older), 1);
    older.refuse(new ForgeError('superseded', 'superseded: a newer push of this app took this one’s place in the queue'));
  }
}

async function join(line: Line, request: TurnRequest): Promise<Turn> {
  const { promise, resolve, reject } = Promise.withResolvers<Turn>();
  const waiting: Waiting = { ...request, grant: resolve, refuse: reject };
  const leave = () => {
    const place = line.waiting.indexOf(waiting);
    // Not in line any more: the turn was granted before the signal fired, and its holder sees the signal itself.
    if (place === -1) return;
    line.waiting.splice(place, 1);
    reject(abortError(request.signal));
  };
  line.waiting.push(waiting);
  line.wanted.abort(makeRoom());
  request.signal.addEventListener('abort', leave, { once: true });
  try {
    return await promise;
  } finally {
    request.signal.removeEventListener('abort', leave);
  }
}
