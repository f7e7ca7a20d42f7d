import { expect, test } from 'vitest';
import { parseAppJson } from '../../src/build/app-json.ts';
import { cronEntries } from '../../src/build/app-json-cron.ts';

const read = (...cron: unknown[]) => cronEntries(parseAppJson(JSON.stringify({ cron })).appJson.cron);
const entry = { command: 'node clean.js', schedule: '0 4 * * *' };

test('an entry is a command in words and a schedule; the rest has defaults', () => {
  expect(read(entry, { ...entry, name: 'nightly', schedule: '@daily', time_zone: 'Europe/Berlin', concurrency_policy: 'forbid', suspend: true })).toEqual([
    { name: 'cron-1', argv: ['node', 'clean.js'], schedule: '0 4 * * *', timeZone: 'UTC', concurrencyPolicy: 'allow', isSuspended: false },
    { name: 'nightly', argv: ['node', 'clean.js'], schedule: '0 0 * * *', timeZone: 'Europe/Berlin', concurrencyPolicy: 'forbid', isSuspended: true },
  ]);
});

test('Dokku’s words are known too', () => {
  expect(read({ ...entry, timezone: 'Asia/Tokyo', maintenance: true })).toMatchObject([{ timeZone: 'Asia/Tokyo', isSuspended: true }]);
});

test('quotes keep words together', () => {
  expect(read({ ...entry, command: `node -e 'console.log("a && b; $(c)")' "two words" --x=1` })[0]?.argv).toEqual(['node', '-e', 'console.log("a && b; $(c)")', 'two words', '--x=1']);
});

test.each([
  [{ schedule: '0 4 * * *' }, 'app.json: cron.0.command: expected string, found nothing'],
  [{ command: 'x' }, 'app.json: cron.0.schedule: expected string, found nothing'],
  [{ ...entry, schedule: '61 * * * *' }, 'app.json: cron.0.schedule: "61 * * * *" is not a schedule'],
  [{ ...entry, schedule: '0 0 4 * * *' }, 'app.json: cron.0.schedule: "0 0 4 * * *" is not a schedule: 6 fields: forge’s schedules have no seconds field'],
  [{ ...entry, time_zone: 'Mars/Base' }, 'app.json: cron.0.time_zone: "Mars/Base" is not a time zone'],
  [{ ...entry, timezone: '+02:00' }, 'app.json: cron.0.timezone: "+02:00" is not a time zone'],
  [{ ...entry, name: 'No Name' }, 'app.json: cron.0.name: expected a name of 1 to 30'],
  [{ ...entry, concurrency_policy: 'never' }, 'app.json: cron.0.concurrency_policy'],
])('%j is refused with its path', (wrong, message) => {
  expect(() => read(wrong)).toThrow(message);
});

test('a name that is there twice is refused, also one that is made', () => {
  expect(() => read({ ...entry, name: 'cron-2' }, entry)).toThrow('app.json: cron.1.name: "cron-2" is the name of an entry before it');
});

test.each([
  ['a && b', '"&&"'],
  ['a || b', '"||"'],
  ['a | b', '"|"'],
  ['a; b', '";"'],
  ['a > log', '">"'],
  ['a 2>>log', '">>"'],
  ['a < in', '"<"'],
  ['a $(date)', '"$("'],
  ['a `date`', '"`"'],
  ['a $HOME', '"$"'],
  ['a "$HOME"', '"$"'],
  ['ls *.js', '"*"'],
  ['a &', '"&"'],
  ['cd x', ''],
  ['A=1 b', ''],
])('%s needs a shell, which is said', (command, operator) => {
  expect(() => read({ ...entry, command })).toThrow(`app.json: cron.0.command: ${JSON.stringify(command)} needs a shell${operator && ` for ${operator}`}, and commands of cron run without one`);
});

test('an app has at most a hundred schedules: all may be due in the same minute', () => {
  const many = (count: number) => parseAppJson(JSON.stringify({ cron: Array.from({ length: count }, () => ({ command: 'true', schedule: '* * * * *' })) })).appJson.cron;
  expect(cronEntries(many(100))).toHaveLength(100);
  expect(() => cronEntries(many(101))).toThrow('app.json: cron: 101 entries, and an app may have 100');
});
