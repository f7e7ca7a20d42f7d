import { describe, expect, it } from 'vitest';
import { hostSuite, parseOneLine, parseStanzas, selectLines } from '../../src/build/apt-sources.ts';

const debian = `Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://third.example/apt
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main
`;

describe('the mirrors of the host’s apt', () => {
  it('are read from stanzas, the distribution’s own only', () => {
    expect(selectLines(parseStanzas(debian), 'bookworm')).toEqual([
      'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian bookworm main',
      'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian bookworm-updates main',
      'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian-security bookworm-security main',
    ]);
  });

  it('are read from one-line entries, with universe on Ubuntu', () => {
    const lines = ['deb http://ubuntu.example/ubuntu jammy main restricted universe', '# deb http://x jammy main', 'deb-src http://ubuntu.example/ubuntu jammy main', 'deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://docker.example jammy stable'].join('\n');
    expect(selectLines(parseOneLine(lines), 'jammy')).toEqual(['deb http://ubuntu.example/ubuntu jammy main universe']);
  });

  it('leave out third parties that name a component main', () => {
    const line = 'deb [signed-by=/usr/share/keyrings/nodesource.gpg] https://deb.example/node bookworm main';
    expect(selectLines(parseOneLine(line), 'bookworm')).toEqual([]);
  });

  it('belong to the release that /etc/os-release names', () => {
    expect(hostSuite('ID=ubuntu\nVERSION_CODENAME=noble\n')).toBe('noble');
    expect(() => hostSuite('ID=arch\n')).toThrow('names no release of Debian or Ubuntu');
  });
});
