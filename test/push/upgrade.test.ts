/** What the first release left on a machine, under this one: everything serves and nothing is lost. */
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readMigrations } from '../../src/store/migrate.ts';
import { appFolder, bootForge, dockerfileApp, until, writeFiles, type RunningForge } from '../support/forge.ts';

const schemaOfFirstRelease = 3;
const server = (text: string) => `require('node:http').createServer((request, response) => response.end('${text} ' + process.env.GREETING)).listen(process.env.PORT);\nprocess.on('SIGTERM', () => process.exit(0));\n`;

let forge: RunningForge;
beforeAll(async () => void (forge = await bootForge()));
afterAll(async () => await forge.remove());

/** Writes the database anew with the tables of the first release: what both have in common, and readiness as it was then. */
function takeBackToFirstRelease(path: string, target: string): void {
  const db = new Database(target);
  db.pragma('foreign_keys = OFF');
  db.exec('CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT');
  for (const { number, name, sql } of readMigrations().slice(0, schemaOfFirstRelease)) {
    db.exec(sql);
    db.prepare('INSERT INTO migrations VALUES (?, ?, ?)').run(number, name, '2026-01-01T00:00:00Z');
  }
  db.exec(`ATTACH '${path}' AS today`);
  const columns = (table: string) => (db.pragma(`${table.includes('.') ? 'today.' : ''}table_info(${table.replace('today.', '')})`) as { name: string }[]).map(({ name }) => name);
  for (const table of ['facts', 'apps', 'config', 'releases', 'deployments', 'keys', 'tokens', 'audit', 'network_slots']) {
    const today = columns(`today.${table}`);
    const shared = columns(table).filter((name) => today.includes(name) && !(table === 'apps' && name === 'settings'));
    const readiness = table === 'releases' ? ['readiness', `'{"path":"/","timeoutMs":30000}'`] : undefined;
    db.exec(`INSERT INTO ${table} (${[...shared, ...(readiness ? [readiness[0]] : [])].join(', ')}) SELECT ${[...shared, ...(readiness ? [readiness[1]] : [])].join(', ')} FROM today.${table}`);
  }
  db.exec(`UPDATE apps SET settings = '{"readiness":{"path":"/","timeoutMs":30000}}'`);
  db.exec('DETACH today');
  db.close();
}

it('an app of the first release serves after the upgrade, with its config, its checks and its next push', async () => {
  const folder = await appFolder(dockerfileApp('', server('one')));
  expect(await forge.push(folder, 'shop')).toMatchObject({ exitCode: 0 });
  expect(await forge.ssh$(['config:set', 'shop', 'GREETING=hello'])).toMatchObject({ exitCode: 0 });
  await forge.end('SIGTERM');
  const path = join(forge.data, 'forge.db');
  takeBackToFirstRelease(path, `${path}.old`);
  for (const name of await readdir(forge.data)) if (/^forge\.db(-wal|-shm)?$/.test(name)) await rm(join(forge.data, name));
  await rename(`${path}.old`, path);
  const id = (await readFile(join(forge.data, 'id'), 'utf8')).trim();
  const containers = (await execa('docker', ['ps', '-aq', '--filter', `label=forge.data=${id}`])).stdout.split('\n').filter(Boolean);
  await execa('docker', ['rm', '-f', ...containers]);

  await forge.begin();
  await until('the app answers', async () => (await forge.get('shop')).status === 200, 60_000);
  expect((await forge.get('shop')).body).toBe('one hello');
  expect(await readdir(forge.data)).toContain('forge.db.before-0004');
  expect((await forge.ssh$(['config:get', 'shop', 'GREETING'])).stdout.trim()).toBe('hello');
  const releases = await forge.json<{ version: number }[]>('releases:list', 'shop');
  expect(JSON.stringify(releases)).toContain('Set GREETING');
  expect((await forge.ssh$(['checks:show', 'shop'])).stdout).toMatch(/web[\s\S]*\//);
  expect((await forge.deployments('shop')).map(({ status }) => status)).toEqual(['succeeded', 'succeeded']);

  await writeFiles(folder, { 'server.js': server('two') });
  expect(await forge.push(folder, 'shop')).toMatchObject({ exitCode: 0 });
  expect((await forge.get('shop')).body).toBe('two hello');
  const first = await forge.ssh$(['releases:rollback', 'shop', 'v2']);
  expect(first).toMatchObject({ exitCode: 0 });
  expect((await forge.get('shop')).body).toBe('one hello');
});
