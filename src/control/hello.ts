/** What a client of the control socket says first, and its check. */
import type { RefUpdate } from '../domain.ts';
import { ForgeError } from '../errors.ts';

interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** The operator's command line on the machine. */
export interface SessionHello {
  readonly kind: 'session';
  readonly argv: readonly string[];
  readonly terminal?: TerminalSize;
}

/** The pre-receive hook of a push; `secret` is the single-use secret of that push. */
export interface HookHello {
  readonly kind: 'hook';
  readonly secret: string;
  readonly updates: readonly RefUpdate[];
}

/** The relay behind the machine's OpenSSH, which has checked the key. */
export interface DoorHello {
  readonly kind: 'door';
  /** `SHA256:…` of the key that OpenSSH accepted. */
  readonly keyFingerprint: string;
  /** `SSH_ORIGINAL_COMMAND` as it came; empty: the person asked for a shell. */
  readonly command: string;
  readonly terminal?: TerminalSize;
  /** `GIT_PROTOCOL` as the client sent it. */
  readonly gitProtocol?: string;
}

export type Hello = SessionHello | HookHello | DoorHello;

const maxWords = 10_000;
const objectId = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** Checks a hello from the wire. Throws `invalid`: only forge's own clients connect, so the text is for their authors. */
export function parseHello(json: string): Hello {
  const value = parseRecord(json);
  switch (value['kind']) {
    case 'session':
      return { kind: 'session', argv: texts(value['argv'], 'argv'), ...terminalOf(value) };
    case 'hook':
      return { kind: 'hook', secret: text(value['secret'], 'secret'), updates: updates(value['updates']) };
    case 'door':
      return {
        kind: 'door',
        keyFingerprint: text(value['keyFingerprint'], 'keyFingerprint'),
        command: text(value['command'], 'command'),
        ...terminalOf(value),
        ...optional(value, 'gitProtocol'),
      };
    default:
      throw wrong('kind', 'session, hook or door');
  }
}

/** Checks a terminal size from the wire. */
export function parseTerminalSize(value: unknown): TerminalSize {
  const { columns, rows } = record(value, 'terminal');
  return { columns: cells(columns, 'terminal.columns'), rows: cells(rows, 'terminal.rows') };
}

function parseRecord(json: string): Record<string, unknown> {
  try {
    return record(JSON.parse(json), 'hello');
  } catch (error) {
    throw new ForgeError('invalid', 'hello is not a JSON object', { cause: error });
  }
}

const wrong = (path: string, expected: string): ForgeError => new ForgeError('invalid', `hello: ${path}: expected ${expected}`);

function record(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(path, 'an object');
  return value as Record<string, unknown>;
}

function text(value: unknown, path: string): string {
  if (typeof value !== 'string') throw wrong(path, 'text');
  return value;
}

function texts(value: unknown, path: string): readonly string[] {
  if (!Array.isArray(value) || value.length > maxWords) throw wrong(path, `at most ${maxWords} texts`);
  return value.map((item) => text(item, path));
}

function cells(value: unknown, path: string): number {
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > 65_535) throw wrong(path, '0 to 65535');
  return value as number;
}

const terminalOf = (value: Record<string, unknown>): { terminal?: TerminalSize } =>
  value['terminal'] === undefined ? {} : { terminal: parseTerminalSize(value['terminal']) };

function optional<K extends string>(value: Record<string, unknown>, key: K): { [P in K]?: string } {
  return value[key] === undefined ? {} : ({ [key]: text(value[key], key) } as { [P in K]?: string });
}

function updates(value: unknown): readonly RefUpdate[] {
  if (!Array.isArray(value)) throw wrong('updates', 'a list');
  return value.map((item) => {
    const { oldId, newId, ref } = record(item, 'updates');
    if (!objectId.test(text(oldId, 'oldId')) || !objectId.test(text(newId, 'newId'))) throw wrong('updates', 'object ids');
    return { oldId: oldId as string, newId: newId as string, ref: text(ref, 'ref') };
  });
}
