/** Schedules of app.json, from the push to the run: what is refused, when they run, what is left of them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { appFolder, bootForge, dockerfileApp, until, writeFiles, type RunningForge } from '../support/forge.ts';

interface Job {
  readonly name: string;
  readonly version: number;
  readonly actor: string;
  readonly dueAt?: string;
  readonly createdAt: string;
  readonly outcome?: string;
  readonly status?: number;
}

const print = `console.log(JSON.stringify([process.argv.slice(2), process.env.DYNO, process.env.FORGE_RELEASE, process.env.COLOR]));`;
const hang = `process.on('SIGTERM', () => { console.log('asked to end'); process.exit(0); }); console.log('began'); setInterval(() => {}, 1000);`;
const entries = [
  { name: 'tick', schedule: '* * * * *', command: 'node print.js "two words" --x=1' },
  { name: 'hang', schedule: '0 0 1 1 *', time_zone: 'Europe/Berlin', command: 'node hang.js', concurrency_policy: 'forbid' },
  { name: 'fails', schedule: '@yearly', command: "sh -c 'echo sorry >&2; exit 4'" },
];
const appJson = (cron: unknown): Record<string, string> => ({ 'app.json': JSON.stringify({ cron }) });

let forge: RunningForge;
let folder: string;
beforeAll(async () => {
  forge = await bootForge({ settings: { drainTimeout: '2', stopTimeout: '2', jobTimeout: '20' } });
  folder = await appFolder({ ...dockerfileApp('hello'), 'print.js': print, 'hang.js': hang, ...appJson(entries) });
  expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
  expect((await forge.ssh$(['config:set', 'hello', 'COLOR=green'])).exitCode).toBe(0);
});
afterAll(async () => await forge.remove());

const runs = async (entry: string): Promise<Job[]> => await forge.json<Job[]>('cron:runs', 'hello', entry);
const logOf = async (entry: string): Promise<string> => (await forge.ssh$(['apps:logs', 'hello', '-p', `cron.${entry}`])).stdout;
const aMinute = 75_000;

test('a schedule runs at its minute, in the live release with its config, into the app’s log', async () => {
  const [first] = await until('the first run ends', async () => {
    const found = (await runs('tick')).toReversed();
    return found[0]?.outcome === undefined ? undefined : found;
  }, aMinute);
  expect(first).toMatchObject({ name: 'cron.tick', actor: 'cron', outcome: 'succeeded', status: 0 });
  expect(first?.dueAt).toMatch(/:00\.000Z$/);
  expect(Date.parse(first?.createdAt ?? '') - Date.parse(first?.dueAt ?? '')).toBeLessThan(8_000);
  expect(await logOf('tick')).toContain(`app[cron.tick]: ${JSON.stringify([['two words', '--x=1'], 'cron.tick', `v${first?.version}`, first?.version === 1 ? null : 'green'])}`);
});

test('cron:list shows when each runs next and how it ended last', async () => {
  const found = await forge.json<{ name: string; next?: string; timeZone: string; last?: Job }[]>('cron:list', 'hello');
  expect(found.map(({ name }) => name)).toEqual(['tick', 'hang', 'fails']);
  expect(Date.parse(found[0]?.next ?? '') - Date.now()).toBeLessThanOrEqual(60_000);
  expect(found[1]?.next).toMatch(/-12-31T23:00:00\.000Z$/);
});

test('cron:run shows the output and passes the status on', async () => {
  const { exitCode, stderr } = await forge.ssh$(['cron:run', 'hello', 'fails']);
  expect([exitCode, stderr]).toEqual([4, 'sorry']);
  expect(await runs('fails')).toMatchObject([{ actor: 'admin@test', outcome: 'failed', status: 4 }]);
  expect(await logOf('fails')).toContain('app[cron.fails]: sorry');
});

test('forbid lets no second run begin, also after kill -9 of forge; the first goes on, and its time is limited', async () => {
  const first = forge.ssh$(['cron:run', 'hello', 'hang']);
  await until('it has begun', async () => (await logOf('hang')).includes('began'));
  expect((await forge.ssh$(['cron:run', 'hello', 'hang'])).exitCode).toBe(5);
  await forge.restart('SIGKILL');
  await first;
  const { exitCode, stderr } = await forge.ssh$(['cron:run', 'hello', 'hang']);
  expect([exitCode, stderr]).toEqual([5, expect.stringContaining('runs already')]);
  const [ended] = await until('its time is over', async () => {
    const found = await runs('hang');
    return found[0]?.outcome === undefined ? undefined : found;
  }, 60_000);
  expect(ended).toMatchObject({ outcome: 'timed-out' });
  expect(await logOf('hang')).toContain('asked to end');
});

test('what is suspended does not run, through deploys and starts, until it is resumed', async () => {
  expect((await forge.ssh$(['cron:suspend', 'hello', 'tick'])).exitCode).toBe(0);
  await writeFiles(folder, { 'note.txt': 'another commit' });
  expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
  await forge.restart();
  const before = (await runs('tick')).length;
  const minute = () => Math.floor(Date.now() / 60_000);
  const began = minute();
  await until('another minute has begun', async () => Date.now() % 60_000 > 7_000 && minute() > began, aMinute);
  expect(await runs('tick')).toHaveLength(before);
  expect((await forge.ssh$(['cron:resume', 'hello', 'tick'])).exitCode).toBe(0);
  await until('it runs again', async () => (await runs('tick')).length > before, aMinute);
});

test('a deploy without the entry ends its schedule; no container is left, nor after the app is gone', async () => {
  await writeFiles(folder, appJson(entries.filter(({ name }) => name !== 'tick')));
  expect(await forge.push(folder, 'hello')).toMatchObject({ exitCode: 0 });
  expect((await forge.json<{ name: string }[]>('cron:list', 'hello')).map(({ name }) => name)).toEqual(['hang', 'fails']);
  expect((await forge.ssh$(['cron:run', 'hello', 'tick'])).exitCode).toBe(4);
  expect((await forge.forge$(['apps:destroy', 'hello', '--confirm', 'hello'])).exitCode).toBe(0);
  const id = readFileSync(join(forge.data, 'id'), 'utf8').trim();
  expect((await execa('docker', ['ps', '-aq', '--filter', `label=forge.data=${id}`, '--filter', 'label=forge.type=run'])).stdout).toBe('');
});

test.each([
  ['a missing key', { schedule: '* * * * *' }, 'cron.0.command: expected string'],
  ['a bad schedule', { schedule: 'often', command: 'x' }, 'cron.0.schedule: "often" is not a schedule'],
  ['a seconds field', { schedule: '0 0 4 * * *', command: 'x' }, 'no seconds field'],
  ['shell operators', { schedule: '@daily', command: 'a && b' }, 'cron.0.command: "a && b" needs a shell for "&&"'],
])('%s is refused at the push, with its path', async (_what, entry, message) => {
  const wrong = await appFolder({ ...dockerfileApp('wrong'), ...appJson([entry]) });
  const { exitCode, all } = await forge.push(wrong, 'wrong');
  expect([exitCode, all]).toEqual([1, expect.stringContaining(message)]);
});
