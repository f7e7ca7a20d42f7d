/** forge's own log: JSON lines on stderr. What people read while they work goes to their session instead. */
import pino from 'pino';

export type Log = pino.Logger;

/** Keys that never reach the log, wherever they stand in a record. */
const redacted = ['password', 'token', 'secret', 'authorization', 'config', 'env', '*.password', '*.token', '*.secret', '*.authorization', '*.config', '*.env'];

export function createLog(level: string, name: string): Log {
  return pino({ level, name, base: { pid: process.pid, name }, redact: { paths: redacted, censor: '[redacted]' } }, pino.destination({ fd: 2, sync: true }));
}
