import { ForgeError } from '../errors.ts';

export interface SshdConfig {
  /** Account that people log in as: shell /bin/sh, an unlocked password field, an existing home, not allowed to use Docker. */
  readonly loginUser: string;
  /** File that `writeAuthorizedKeys` keeps. */
  readonly keysFile: string;
  /** Account that may read it: the one that forge runs as. */
  readonly keysUser: string;
}

/**
 * The drop-in for sshd_config.d that makes the machine's OpenSSH a door to forge. It concerns `loginUser` only and
 * works with OpenSSH 8.2 and later. Throws `invalid` for names that sshd_config could read otherwise.
 */
export function sshdConfig({ loginUser, keysFile, keysUser }: SshdConfig): string {
  for (const user of [loginUser, keysUser]) if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(user)) throw invalid('an account name', user);
  if (!/^\/[\w/.@+-]+$/.test(keysFile)) throw invalid('an absolute path without blanks, quotes or %', keysFile);
  const lines = [
    'AuthenticationMethods publickey',
    'PubkeyAuthentication yes',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'AuthorizedKeysFile none',
    // sshd refuses files of other owners; a command reads it as its owner, and needs no running forge.
    `AuthorizedKeysCommand /bin/cat ${keysFile}`,
    `AuthorizedKeysCommandUser ${keysUser}`,
    'AcceptEnv GIT_PROTOCOL',
    'PermitTTY yes',
    'PermitUserRC no',
    'PermitTunnel no',
    'PermitOpen none',
    'PermitListen none',
    'GatewayPorts no',
    'X11Forwarding no',
    'AllowAgentForwarding no',
    'AllowTcpForwarding no',
    'AllowStreamLocalForwarding no',
    'MaxSessions 10',
    'ClientAliveInterval 15',
    'ClientAliveCountMax 3',
  ];
  return [
    '# Written by forge: git push and ssh to forge through this machine’s OpenSSH.',
    `Match User ${loginUser}`,
    ...lines.map((line) => `    ${line}`),
    '# What follows, here or in the file that includes this one, concerns everyone again.',
    'Match all',
    '',
  ].join('\n');
}

const invalid = (expected: string, found: string): ForgeError => new ForgeError('invalid', `sshd configuration: expected ${expected}, found ${JSON.stringify(found)}`);
