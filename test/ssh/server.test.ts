import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HandleSession } from '../../src/domain.ts';
import { createDispatch } from '../../src/ssh/dispatch.ts';
import { runSsh, silentLog, startServer, type TestKey, type TestServer } from './start-server.ts';

const refuse = async (): Promise<number> => 1;

/** What the tests ask of the server. */
const operations: HandleSession = async ({ argv, stdin, stdout, stderr, actor, gitProtocol }) => {
  const [name = '', value] = argv;
  switch (name) {
    case 'status':
      return Number(value);
    case 'echo':
      for await (const chunk of stdin) if (!stdout.write(chunk)) await new Promise((resolve) => stdout.once('drain', resolve));
      return 0;
    case 'both':
      for (let line = 0; line < Number(value); line += 1) {
        stdout.write(`out ${line}\n`);
        stderr.write(`err ${line}\n`);
      }
      return 3;
    case 'whoami':
      stdout.write(actor.name);
      return 0;
    case 'protocol':
      stdout.write(String(gitProtocol));
      return 0;
    default:
      stdout.write(JSON.stringify(argv));
      return 0;
  }
};

let ssh: TestServer;
let laptop: TestKey;

beforeAll(async () => {
  ssh = await startServer(createDispatch({ push: refuse, fetch: refuse, operations, log: silentLog }));
  laptop = ssh.makeKey('laptop');
  ssh.allow(laptop, 'laptop');
});
afterAll(async () => await ssh[Symbol.asyncDispose]());

const run = async (command: readonly string[], input: string | Buffer = '', options: readonly string[] = []) =>
  await runSsh([...ssh.sshArgs(laptop, options), ...command], input);

describe('a session', () => {
  test('gets its words, knows its actor, and any user name will do', async () => {
    expect((await run(['config:set', 'hello', "'A=b c'"])).stdout.toString()).toBe('["config:set","hello","A=b c"]');
    expect((await run(['whoami'])).stdout.toString()).toBe('laptop');
  });

  test('returns its exit status, whichever of 0 to 255', async () => {
    for (const status of [0, 1, 2, 77, 128, 254, 255]) expect((await run(['status', String(status)])).status).toBe(status);
  });

  test('carries 50 MB both ways unharmed, with new keys on the way', async () => {
    const bytes = randomBytes(50 * 1024 * 1024);
    const { status, stdout, stderr } = await run(['echo'], bytes, ['-o', 'RekeyLimit=8M']);
    expect({ status, stderr, length: stdout.length }).toEqual({ status: 0, stderr: '', length: bytes.length });
    expect(createHash('sha256').update(stdout).digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  test('delivers stdout and stderr whole and apart before it ends, more than the client’s window of each', async () => {
    const lines = 250_000;
    const { status, stdout, stderr } = await run(['both', String(lines)]);
    expect(status).toBe(3);
    expect(stdout.toString()).toBe(Array.from({ length: lines }, (_, line) => `out ${line}\n`).join(''));
    expect(stderr).toBe(Array.from({ length: lines }, (_, line) => `err ${line}\n`).join(''));
  });
});
