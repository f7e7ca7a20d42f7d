/** `node killed-restore.ts FILE DATA-ID`: the engine's part of a restore that is killed while it fills its second volume. */
import { Transform } from 'node:stream';
import { checkBackup } from '../../src/backup/restore-backup.ts';
import { restoreEngine, type VolumeRestore } from '../../src/backup/restore-engine.ts';
import { createVolumeFiles } from '../../src/backup/volume-files.ts';
import { connectDocker } from '../../src/docker/connect.ts';

const [file = '', dataId = ''] = process.argv.slice(2);
const { signal } = new AbortController();
const docker = connectDocker('/var/run/docker.sock');
const files = createVolumeFiles(docker, dataId);

function killedHalfWay(): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > 4_000_000) process.kill(process.pid, 'SIGKILL');
      done(null, chunk);
    },
  });
}

const parts: VolumeRestore = {
  ...files,
  beginVolumes: async () => {
    const volumes = await files.beginVolumes();
    return { ...volumes, fill: async (name, tar, aborted) => await volumes.fill(name, name.endsWith('second') ? tar.pipe(killedHalfWay()) : tar, aborted) };
  },
};
const { contents } = await checkBackup(file, signal);
await using made = new AsyncDisposableStack();
await restoreEngine({ file, contents, keepsVolumes: false, onStep: () => undefined, signal }, { docker, ...parts }, made);
