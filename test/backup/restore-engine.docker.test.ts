import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { finished } from 'node:stream/promises';
import { execa } from 'execa';
import { pack as tarPack, extract as tarExtract } from 'tar-stream';
import { afterAll, describe, expect, it } from 'vitest';
import { checkBackup } from '../../src/backup/restore-backup.ts';
import { restoreEngine } from '../../src/backup/restore-engine.ts';
import { createVolumeFiles } from '../../src/backup/volume-files.ts';
import { writeBackup } from '../../src/backup/write-backup.ts';
import { connectDocker } from '../../src/docker/connect.ts';
import { createVolume } from '../../src/docker/volumes.ts';
import { volumeLabels } from '../../src/runtime/volume-container.ts';
import { temporaryDirectory } from '../store/open-test-store.ts';
import { forgeWithoutApps } from './forge-without-apps.ts';

const docker = connectDocker('/var/run/docker.sock');
const dataId = `test${randomBytes(4).toString('hex')}`;
const files = createVolumeFiles(docker, dataId);
const { signal } = new AbortController();
const volumes = ['first', 'second'].map((name) => `forge-${dataId}-${name}`);
const content = randomBytes(12_000_000);

const listed = async (kind: 'ps' | 'volume'): Promise<string[]> => {
  const words = kind === 'ps' ? ['ps', '-aq'] : ['volume', 'ls', '-q'];
  return (await execa('docker', [...words, '--filter', `label=forge.data=${dataId}`])).stdout.split('\n').filter(Boolean).sort();
};
afterAll(async () => {
  for (const id of await listed('ps')) await execa('docker', ['rm', '-f', id]);
  for (const name of await listed('volume')) await execa('docker', ['volume', 'rm', name]);
});

/** Of a shop with two volumes, each with a file of 12 MB that nothing compresses. */
async function backUp(): Promise<string> {
  const { parts, store } = await forgeWithoutApps();
  for (const name of volumes) store.db.run(`INSERT INTO volumes (app, name, engine_name, created_at) VALUES ('shop', ?, ?, '')`, name, name);
  const file = join(temporaryDirectory(), 'file');
  const output = createWriteStream(file);
  const readVolume: typeof parts.readVolume = async (_name, { use }) => {
    const pack = tarPack();
    pack.entry({ name: 'volume/', type: 'directory' });
    pack.entry({ name: 'volume/file' }, content);
    pack.finalize();
    await use(Readable.from(pack));
  };
  await writeBackup({ ...parts, store, readVolume }, { output, hasLogs: false, onStep: () => undefined, signal });
  output.end();
  await finished(output);
  return file;
}

async function restore(file: string, keepsVolumes: boolean): Promise<void> {
  const { contents } = await checkBackup(file, signal);
  await using made = new AsyncDisposableStack();
  await restoreEngine({ file, contents, keepsVolumes, onStep: () => undefined, signal }, { docker, ...files }, made);
  made.move();
}

async function fileOf(engineName: string): Promise<Buffer | undefined> {
  let found: Buffer | undefined;
  await files.readVolume(engineName, {
    signal,
    use: async (tar) => {
      for await (const entry of tar.pipe(tarExtract())) {
        const bytes = await buffer(entry);
        if (entry.header.name === 'volume/file') found = bytes;
      }
    },
  });
  return found;
}

describe('a restore that is killed while it fills a volume', () => {
  it('leaves none that the next one takes as whole, told to keep volumes or not', async () => {
    const file = await backUp();
    for (const keepsVolumes of [true, false]) {
      const killed = await execa(process.execPath, [join(import.meta.dirname, 'killed-restore.ts'), file, dataId], { reject: false });
      expect(killed.signal).toBe('SIGKILL');
      expect((await listed('volume')).filter((name) => volumes.includes(name))).toEqual(volumes);
      await restore(file, keepsVolumes);
      for (const name of volumes) expect((await fileOf(name))?.equals(content)).toBe(true);
      expect(await listed('volume')).toEqual(volumes);
      expect(await listed('ps')).toEqual([]);
      if (keepsVolumes) for (const name of volumes) await execa('docker', ['volume', 'rm', name]);
    }
  });

  it('does not make the volumes of complete ones go', async () => {
    const file = await backUp();
    await expect(restore(file, false)).rejects.toMatchObject({ code: 'conflict' });
    await restore(file, true);
    expect(await listed('volume')).toEqual(volumes);
  });
});

describe('reading a volume', () => {
  it('makes none that is not there', async () => {
    const name = `forge-${dataId}-gone`;
    await expect(fileOf(name)).rejects.toMatchObject({ code: 'not-found' });
    expect(await listed('volume')).not.toContain(name);
  });

  it('fails when a file in it becomes shorter meanwhile: the engine breaks off without a word', async () => {
    const name = `forge-${dataId}-shrinking`;
    await createVolume(docker, name, volumeLabels(dataId));
    const inVolume = async (script: string) => await execa('docker', ['run', '--rm', '--network', 'none', '--label', `forge.data=${dataId}`, '-v', `${name}:/v`, '--entrypoint', 'node', 'forge-test/node:24', '-e', script]);
    // Zeros, which end as a whole archive does, and a file that comes after them.
    await inVolume(`fs.writeFileSync('/v/a', Buffer.alloc(96e6)); fs.writeFileSync('/v/b', 'b')`);
    const reading = files.readVolume(name, {
      signal,
      use: async (tar) => {
        let isShorter = false;
        for await (const _chunk of tar) {
          if (!isShorter) await inVolume(`fs.truncateSync('/v/a', 48 * 1024 * 1024)`);
          isShorter = true;
        }
      },
    });
    await expect(reading).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('was not copied whole') });
  });
});
