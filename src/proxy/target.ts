/**
 * One instance (or forge's own socket) as the proxy sees it: its connections and what is in flight on them.
 * Claiming is synchronous: in the turn in which a request reads the route table it is also counted, so that
 * a target is never called idle while somebody is on the way to it.
 */
import { Reachability, type TargetOrigin } from './reachability.ts';
import { Client } from './undici-client.ts';

/** One keep-alive connection; carries one request at a time. */
export interface Connection {
  readonly client: Client;
  /** Requests answered since it was last connected: above zero, the app may have closed it just now. */
  served: number;
  isIdle: boolean;
}

export interface TargetAddress {
  readonly id: string;
  readonly origin: TargetOrigin;
}

/** A tunnel (WebSocket or another upgrade) that a drain must end. */
export interface Tunnel {
  /** Says goodbye in the tunnel's own protocol where forge knows it, then ends it. */
  close(): void;
  destroy(): void;
}

export interface TargetTimes {
  readonly connectTimeoutMs: number;
  readonly keepAliveMs: number;
}

const maxIdleConnections = 256;

export class Target {
  readonly id: string;
  readonly tunnels = new Set<Tunnel>();
  inFlight = 0;
  readonly #origin: TargetOrigin;
  readonly #reachability: Reachability;
  readonly #times: TargetTimes;
  #idle: Connection[] = [];
  readonly #connections = new Set<Connection>();
  #isRetired = false;
  #areTunnelsOver = false;
  #onIdle: (() => void)[] = [];

  constructor(address: TargetAddress, times: TargetTimes) {
    this.id = address.id;
    this.#origin = address.origin;
    this.#times = times;
    this.#reachability = new Reachability(address.origin, times.connectTimeoutMs);
  }

  /** Its connections failed several times in a row, and it has not answered since. */
  get isSetAside(): boolean {
    return this.#reachability.isSetAside;
  }

  /** Counts a request; must be called in the turn in which the target was found in the table. */
  claim(): void {
    this.inFlight += 1;
  }

  /** The request is over, whatever became of it. */
  release(): void {
    this.inFlight -= 1;
    if (this.#isRetired) this.#settle();
  }

  addTunnel(tunnel: Tunnel): void {
    this.tunnels.add(tunnel);
    // Its upgrade was under way when the others were closed.
    if (this.#areTunnelsOver) tunnel.close();
  }

  removeTunnel(tunnel: Tunnel): void {
    if (this.tunnels.delete(tunnel) && this.#isRetired) this.#settle();
  }

  /** Closes the tunnels in their own protocol, also those that an upgrade under way opens from now on. */
  closeTunnels(): void {
    this.#areTunnelsOver = true;
    for (const tunnel of this.tunnels) tunnel.close();
  }

  /** Ends what is still in flight: its connections close, and clients see their responses break off. */
  cutOff(): void {
    for (const connection of this.#connections) void connection.client.destroy();
    for (const tunnel of this.tunnels) tunnel.destroy();
  }

  /** A connection for one request: the one used last, else a new one; always new when `isFresh`. */
  take(isFresh: boolean): Connection {
    const connection = (isFresh ? undefined : this.#idle.pop()) ?? this.#open();
    connection.isIdle = false;
    return connection;
  }

  /** Closes the connection; whatever it still carries ends with it. */
  discard(connection: Connection): void {
    this.#connections.delete(connection);
    void connection.client.destroy();
  }

  /** The connection's request is over and the connection may serve another. */
  giveBack(connection: Connection): void {
    connection.served += 1;
    if (this.#isRetired || this.#idle.length >= maxIdleConnections) {
      this.discard(connection);
      return;
    }
    connection.isIdle = true;
    this.#idle.push(connection);
  }

  /** No request will come any more: idle connections close now, the others with their request. */
  retire(): void {
    this.#isRetired = true;
    this.#reachability.close();
    for (const connection of this.#idle) this.discard(connection);
    this.#idle = [];
    this.#settle();
  }

  get isRetired(): boolean {
    return this.#isRetired;
  }

  get isDrained(): boolean {
    return this.#isRetired && this.inFlight === 0 && this.tunnels.size === 0;
  }

  /** Calls back once when the retired target has nothing in flight; at once if that is so already. */
  onceDrained(listener: () => void): void {
    if (this.isDrained) listener();
    else this.#onIdle.push(listener);
  }

  #settle(): void {
    if (!this.isDrained) return;
    const listeners = this.#onIdle;
    this.#onIdle = [];
    for (const listener of listeners) listener();
  }

  #open(): Connection {
    const origin = this.#origin;
    const isSocket = 'socketPath' in origin;
    const client = new Client(isSocket ? 'http://forge.internal' : `http://${hostOf(origin.address)}:${origin.port}`, {
      pipelining: 1,
      // Heads have a deadline of the proxy's own; bodies stream as long as they like.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: this.#times.keepAliveMs,
      connectTimeout: this.#times.connectTimeoutMs,
      allowH2: false,
      ...(isSocket ? { socketPath: origin.socketPath } : {}),
    });
    const connection: Connection = { client, served: 0, isIdle: false };
    this.#connections.add(connection);
    client.on('connect', () => this.#reachability.onConnect());
    client.on('connectionError', () => this.#reachability.onFailure());
    client.on('disconnect', () => {
      connection.served = 0;
      if (connection.isIdle) this.#drop(connection);
    });
    return connection;
  }

  #drop(connection: Connection): void {
    const index = this.#idle.indexOf(connection);
    if (index !== -1) this.#idle.splice(index, 1);
    this.discard(connection);
  }
}

const hostOf = (address: string): string => (address.includes(':') ? `[${address}]` : address);

/** Above any number of requests in flight. */
const lastResort = 1_000_000;

/**
 * The target with the fewest requests in flight among those not in `tried`; ties go round. One that is set aside comes
 * last, and is still chosen when there is no other: a connection that is tried may succeed. `undefined` when all were tried.
 */
export function chooseTarget(targets: readonly Target[], tried: readonly Target[], turn: number): Target | undefined {
  const [only] = targets;
  if (targets.length === 1) return only !== undefined && !tried.includes(only) ? only : undefined;
  let best: Target | undefined;
  let bestLoad = Infinity;
  for (let step = 0; step < targets.length; step += 1) {
    const target = targets[(turn + step) % targets.length] as Target;
    if (tried.length > 0 && tried.includes(target)) continue;
    const load = target.isSetAside ? target.inFlight + lastResort : target.inFlight;
    if (load < bestLoad) [best, bestLoad] = [target, load];
  }
  return best;
}
