/** What one client, and all clients together, may take. */
export interface SshLimits {
  /** Failed logins on one connection; a client with many keys tries them one by one. */
  readonly authAttempts: number;
  /** From the connection's first moment to the proven key. */
  readonly loginGraceMs: number;
  /** Sessions open at one time on one connection. */
  readonly sessionsPerConnection: number;
  readonly connections: number;
  /** Connections that have not logged in yet, from everywhere and from one address. */
  readonly unauthenticated: number;
  readonly unauthenticatedPerAddress: number;
  /** A connection without a session is closed after this long. */
  readonly idleMs: number;
  /** A session without a byte in either direction ends after this long. */
  readonly sessionIdleMs: number;
  /** A client is asked for a sign of life after this much silence, and taken for dead after `keepaliveCount` unanswered ones. */
  readonly keepaliveMs: number;
  readonly keepaliveCount: number;
  /** Bytes both ways after which the server asks for new keys; clients ask earlier by their own rules. */
  readonly rekeyBytes: number;
}

export const defaultSshLimits: SshLimits = {
  authAttempts: 10,
  loginGraceMs: 30_000,
  sessionsPerConnection: 10,
  connections: 512,
  unauthenticated: 200,
  unauthenticatedPerAddress: 128,
  idleMs: 600_000,
  sessionIdleMs: 7_200_000,
  keepaliveMs: 15_000,
  keepaliveCount: 3,
  rekeyBytes: 32 * 1024 ** 3,
};
