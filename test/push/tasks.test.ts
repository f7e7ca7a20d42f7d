/** predeploy, release and postdeploy: what they see, what stays of them, and what becomes of a deploy when one fails. */
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appFolder, bootForge, dockerfileApp, until, writeFiles, type RunningForge } from '../support/forge.ts';

let forge: RunningForge;
beforeAll(async () => {
  forge = await bootForge({ settings: { taskTimeout: '30', drainTimeout: '2' } });
});
afterAll(async () => await forge.remove());

interface Scripts {
  readonly predeploy?: string;
  readonly postdeploy?: string;
  readonly first?: string;
}

const appJson = ({ predeploy, postdeploy, first }: Scripts, more: object = {}): Record<string, string> => ({ 'app.json': JSON.stringify({ ...more, scripts: { postdeploy: first, dokku: { predeploy, postdeploy } } }) });
/** Every row of a deployment, newest first, as `deployments:list --json` has them. */
const lastDeployment = async (app: string) => (await forge.json<{ id: string; status: string; failure?: string; warning?: string }[]>('deployments:list', app))[0];
const containersOf = async (app: string): Promise<string[]> => {
  const { stdout } = await execa('docker', ['ps', '-a', '--filter', `label=forge.app=${app}`, '--format', '{{.Names}}']);
  return stdout.split('\n').filter((name) => name.startsWith(`${app}.`)).map((name) => name.split('.')[1] ?? '');
};
const logsOf = async (app: string, process: string): Promise<string> => (await forge.ssh$(['logs', app, '-p', process])).all;

describe('the tasks of a deploy', () => {
  it('run in their order: what predeploy leaves is part of the image, what the others leave is not', async () => {
    const folder = await appFolder({
      ...dockerfileApp('one'),
      ...appJson({ predeploy: 'sh -c "echo packed; touch /app/of-predeploy"', postdeploy: 'touch /app/of-postdeploy', first: 'echo seeded' }),
      Procfile: 'web: node server.js\nrelease: sh -c "ls /app/of-predeploy; echo $TABLE; touch /app/of-release"\n',
    });
    expect((await forge.ssh$(['apps:create', 'tasks'])).exitCode).toBe(0);
    expect((await forge.ssh$(['config:set', 'tasks', 'TABLE=the-orders-table'])).exitCode).toBe(0);
    const pushed = await forge.push(folder, 'tasks');
    expect(pushed).toMatchObject({ exitCode: 0 });
    const steps = ['Running predeploy: sh -c', 'packed', 'Running release: sh -c', 'remote:        /app/of-predeploy', 'Starting v1', 'Application deployed', 'Running postdeploy: echo seeded', 'seeded', 'Running postdeploy: touch'];
    const places = steps.map((step) => pushed.all.indexOf(step));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places).not.toContain(-1);
    const files = await forge.ssh$(['run', 'tasks', 'ls', '/app']);
    expect(files.stdout.split('\n')).toContain('of-predeploy');
    expect(files.stdout).not.toMatch(/of-release|of-postdeploy/);
    expect((await forge.get('tasks')).body).toBe('one');
    await until('its tasks are gone', async () => (await containersOf('tasks')).join() === 'web');
  });

  it('are in the log of the app under their names', async () => {
    expect(await logsOf('tasks', 'predeploy')).toMatch(/predeploy\.1.*packed/);
    expect(await logsOf('tasks', 'release')).toContain('the-orders-table');
    expect(await logsOf('tasks', 'web')).not.toContain('packed');
  });

  it('leave nothing of the config in the image', async () => {
    const { stdout } = await execa('docker', ['images', '--filter', 'label=forge.app=tasks', '--format', '{{.ID}}']);
    const ids = [...new Set(stdout.split('\n').filter(Boolean))];
    expect(ids.length).toBeGreaterThan(0);
    for (const id of ids) expect((await execa('docker', ['inspect', id])).stdout).not.toContain('the-orders-table');
  });

  it('are run by a push, not by a change of config nor by a rollback', async () => {
    for (const words of [['config:set', 'tasks', 'COLOR=blue'], ['releases:rollback', 'tasks', 'v1']]) {
      const changed = await forge.ssh$(words);
      expect(changed).toMatchObject({ exitCode: 0 });
      expect(changed.all).not.toContain('Running ');
    }
    expect((await forge.ssh$(['run', 'tasks', 'ls', '/app/of-predeploy'])).exitCode).toBe(0);
  });

  it('get their words as arguments of an ENTRYPOINT', async () => {
    const folder = await appFolder({
      Dockerfile: 'FROM forge-test/node:24\nWORKDIR /app\nCOPY . .\nENTRYPOINT ["node", "entry.js"]\nCMD ["serve"]\n',
      'entry.js': `const words = process.argv.slice(2);\nif (words[0] === 'serve') require('node:http').createServer((q, r) => r.end('served')).listen(process.env.PORT);\nelse console.log(JSON.stringify(words));\n`,
      ...appJson({ predeploy: 'pack "two words"', postdeploy: 'tell' }),
      Procfile: 'web: serve\nrelease: migrate --all\n',
    });
    const pushed = await forge.push(folder, 'entry');
    expect(pushed).toMatchObject({ exitCode: 0 });
    for (const words of ['["pack","two words"]', '["migrate","--all"]', '["tell"]']) expect(pushed.all).toContain(words);
    expect((await forge.get('entry')).body).toBe('served');
  });
});

describe('a task that fails before the release serves', () => {
  const folderOf = async (app: string) => {
    const folder = await appFolder(dockerfileApp('old'));
    expect(await forge.push(folder, app)).toMatchObject({ exitCode: 0 });
    return folder;
  };
  const refOf = async (folder: string, app: string) => (await forge.git$(folder, ['ls-remote', forge.remote(app), 'refs/heads/main'])).stdout;

  it('rejects the push with its name, status and output, and the old release serves', async () => {
    const folder = await folderOf('broken');
    const before = await refOf(folder, 'broken');
    for (const [task, files] of [
      ['predeploy', appJson({ predeploy: 'sh -c "echo no compiler; exit 4"' })],
      ['release', { 'app.json': '{}', Procfile: 'web: node server.js\nrelease: sh -c "echo no such table >&2; exit 4"\n' }],
    ] as const) {
      await writeFiles(folder, files);
      const pushed = await forge.push(folder, 'broken');
      expect(pushed.exitCode).not.toBe(0);
      expect(pushed.all).toContain(`the ${task} task failed with status 4`);
      expect(pushed.all).toMatch(/no compiler|no such table/);
      expect(await lastDeployment('broken')).toMatchObject({ status: 'failed', failure: `the ${task} task failed with status 4` });
      expect((await forge.get('broken')).body).toBe('old');
      expect(await refOf(folder, 'broken')).toBe(before);
      expect(await containersOf('broken')).toEqual(['web']);
    }
  });

  it('leaves an app that was never deployed without a release', async () => {
    const folder = await appFolder({ ...dockerfileApp('one'), Procfile: 'web: node server.js\nrelease: no-such-program\n' });
    const pushed = await forge.push(folder, 'never');
    expect(pushed.exitCode).not.toBe(0);
    expect(pushed.all).toContain('status 127: the command was not found in the image');
    expect((await forge.get('never')).status).toBe(404);
    expect(await containersOf('never')).toEqual([]);
  });

  it('sees the config that the deploy brings, which goes with it', async () => {
    const folder = await folderOf('brings');
    await writeFiles(folder, { 'app.json': '{"env":{"MODE":"from-the-file"}}', Procfile: 'web: node server.js\nrelease: sh -c "echo mode is $MODE; exit 1"\n' });
    const pushed = await forge.push(folder, 'brings');
    expect(pushed.exitCode).not.toBe(0);
    expect(pushed.all).toContain('mode is from-the-file');
    expect((await forge.ssh$(['config:get', 'brings', 'MODE'])).exitCode).not.toBe(0);
  });

  it('by taking too long is ended', async () => {
    const slow = await bootForge({ settings: { taskTimeout: '2' } });
    try {
      const pushed = await slow.push(await appFolder({ ...dockerfileApp('one'), Procfile: 'web: node server.js\nrelease: sleep 60\n' }), 'slow');
      expect(pushed.exitCode).not.toBe(0);
      expect(pushed.all).toContain('the release task did not end within 2 s (setting taskTimeout)');
    } finally {
      await slow.remove();
    }
  });

  it('because it was canceled frees the turn within 2 s', async () => {
    const folder = await folderOf('cancels');
    await writeFiles(folder, { Procfile: 'web: node server.js\nrelease: sh -c "echo began; exec sleep 60"\n' });
    const pushing = forge.push(folder, 'cancels');
    await until('the task runs', async () => (await logsOf('cancels', 'release')).includes('began'));
    const { id } = (await lastDeployment('cancels')) ?? { id: '' };
    const began = performance.now();
    expect(await forge.ssh$(['deployments:cancel', id])).toMatchObject({ exitCode: 0 });
    expect((await pushing).exitCode).not.toBe(0);
    expect(performance.now() - began).toBeLessThan(4_000);
    expect(await lastDeployment('cancels')).toMatchObject({ status: 'canceled' });
    expect((await forge.get('cancels')).body).toBe('old');
    await until('its container is gone', async () => (await containersOf('cancels')).join() === 'web');
  });

  it('because forge was killed leaves nothing of it behind', async () => {
    const folder = await folderOf('killed');
    await writeFiles(folder, { Procfile: 'web: node server.js\nrelease: sh -c "echo began; exec sleep 60"\n' });
    const pushing = forge.push(folder, 'killed');
    await until('the task runs', async () => (await logsOf('killed', 'release')).includes('began'));
    await forge.restart('SIGKILL');
    expect((await pushing).exitCode).not.toBe(0);
    await until('the task is gone', async () => (await containersOf('killed')).join() === 'web');
    expect(await lastDeployment('killed')).toMatchObject({ status: 'failed' });
    expect((await forge.get('killed')).body).toBe('old');
  });
});

describe('a postdeploy that fails', () => {
  it('leaves the release live and says so; the push has succeeded, with a warning', async () => {
    const folder = await appFolder({ ...dockerfileApp('one'), ...appJson({ postdeploy: 'sh -c "echo cannot reach the chat; exit 1"' }) });
    const pushed = await forge.push(folder, 'warned');
    expect(pushed).toMatchObject({ exitCode: 0 });
    expect(pushed.all).toContain(' !     v1 is live and stays live; the postdeploy task failed with status 1: its output is above');
    expect(pushed.all).toContain('cannot reach the chat');
    expect((await forge.get('warned')).body).toBe('one');
    expect(await lastDeployment('warned')).toMatchObject({ status: 'succeeded', warning: expect.stringContaining('the postdeploy task failed with status 1') as string });
    expect((await forge.git$(folder, ['ls-remote', forge.remote('warned'), 'refs/heads/main'])).stdout).not.toBe('');
  });

  it('can be canceled by itself', async () => {
    const folder = await appFolder({ ...dockerfileApp('one'), ...appJson({ postdeploy: 'sh -c "echo began; exec sleep 60"' }) });
    const pushing = forge.push(folder, 'stuck');
    await until('the task runs', async () => (await logsOf('stuck', 'postdeploy')).includes('began'));
    const { id } = (await lastDeployment('stuck')) ?? { id: '' };
    expect((await forge.ssh$(['deployments:cancel', id])).all).toContain('is live and stays live; its postdeploy task was canceled');
    const pushed = await pushing;
    expect(pushed).toMatchObject({ exitCode: 0 });
    expect(pushed.all).toContain('v1 is live and stays live; the postdeploy task was canceled by');
    expect((await forge.get('stuck')).body).toBe('one');
  });
});

describe('scripts.postdeploy', () => {
  it('runs at the first deploy alone, and at the next ones until it has succeeded once', async () => {
    const folder = await appFolder({ ...dockerfileApp('one'), ...appJson({ first: 'sh -c "echo seeding; exit 1"' }) });
    const first = await forge.push(folder, 'seeds');
    expect(first).toMatchObject({ exitCode: 0 });
    expect(first.all).toContain('it runs again at the next deploy');
    await writeFiles(folder, appJson({ first: 'echo seeding' }));
    expect((await forge.push(folder, 'seeds')).all).toContain('Running postdeploy: echo seeding');
    const third = await forge.push(folder, 'seeds');
    expect(third).toMatchObject({ exitCode: 0 });
    expect(third.all).not.toContain('seeding');
  });

  it('that comes with a later deploy is not run: the app has its data by then', async () => {
    const folder = await appFolder(dockerfileApp('one'));
    expect(await forge.push(folder, 'grown')).toMatchObject({ exitCode: 0 });
    await writeFiles(folder, appJson({ first: 'echo dropping everything' }));
    expect((await forge.push(folder, 'grown')).all).not.toContain('dropping everything');
  });
});
