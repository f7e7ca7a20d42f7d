/** Compiles the app for visitors, once a run. */
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { appFolder } from '../../test/support/forge.ts';

const source = join(import.meta.dirname, 'main.go');

/** A folder to push: the program alone, on nothing, and a file `text` that makes one deploy differ from another. `go` comes from PATH or from where its own installer puts it. */
export async function compiledApp(text: string): Promise<string> {
  const folder = await appFolder({ Dockerfile: 'FROM scratch\nCOPY server /server\nCOPY text /text\nCMD ["/server"]\n', text });
  const home = await mkdtemp(join(tmpdir(), 'forge-go-'));
  try {
    const program = join(home, 'server');
    const env = { PATH: `${process.env['PATH'] ?? ''}:/usr/local/go/bin`, CGO_ENABLED: '0', GO111MODULE: 'off' };
    await execa('go', ['build', '-trimpath', '-ldflags', '-s -w', '-o', program, source], { env });
    await copyFile(program, join(folder, 'server'));
  } finally {
    await rm(home, { recursive: true, force: true });
  }
  return folder;
}
