/** Stands in for `ssh` in GIT_SSH_COMMAND: `ssh-client.ts SOCKET [options] HOST COMMAND`. */
import { runSession } from '../../src/control/client.ts';

const [socketPath = '', ...rest] = process.argv.slice(2);
const command = rest.at(-1) ?? '';
const gitProtocol = process.env['GIT_PROTOCOL'];
const hello = { kind: 'door', keyFingerprint: 'SHA256:test', command, ...(gitProtocol ? { gitProtocol } : {}) } as const;
process.exit(await runSession({ socketPath, hello, stdin: process.stdin, stdout: process.stdout, stderr: process.stderr }));
