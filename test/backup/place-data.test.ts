import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { holdsForge, placeData } from '../../src/backup/place-data.ts';
import { temporaryDirectory } from '../store/open-test-store.ts';

const at = new Date('2026-11-21T10:00:00.123Z');

function folders(present: Record<string, string>): { data: string; aside: string } {
  const data = temporaryDirectory();
  const aside = join(data, '.restore-x');
  mkdirSync(aside);
  for (const [name, text] of Object.entries(present)) writeFileSync(join(data, name), text);
  for (const name of ['forge.db', 'secrets.key', 'id']) writeFileSync(join(aside, name), 'new');
  return { data, aside };
}

describe('putting a restored data directory in place', () => {
  it('moves everything there and leaves no mark', async () => {
    const { data, aside } = folders({});
    expect(await placeData({ aside, data, isReplacing: false, at })).toBeUndefined();
    expect(readdirSync(data).sort()).toEqual(['.restore-x', 'forge.db', 'id', 'secrets.key']);
    expect(await holdsForge(data)).toBe(true);
  });

  it('sets aside what is in the way, and the whole of a forge that is replaced', async () => {
    const partly = folders({ 'secrets.key': 'old', cache: 'kept' });
    const before = await placeData({ ...partly, isReplacing: false, at });
    expect(before).toBe(join(partly.data, 'before-restore-20261121T100000Z'));
    expect(readFileSync(join(before ?? '', 'secrets.key'), 'utf8')).toBe('old');
    expect(readFileSync(join(partly.data, 'secrets.key'), 'utf8')).toBe('new');
    expect(existsSync(join(partly.data, 'cache'))).toBe(true);

    const replaced = folders({ 'forge.db': 'old', 'forge.db-wal': 'old', 'forge.toml': 'old', logs: 'old', cache: 'kept', backups: 'kept' });
    const gone = await placeData({ ...replaced, isReplacing: true, at });
    expect(readdirSync(gone ?? '').sort()).toEqual(['forge.db', 'forge.db-wal', 'forge.toml', 'logs']);
    expect(readdirSync(replaced.data).filter((name) => !name.startsWith('.')).sort()).toEqual(['backups', 'before-restore-20261121T100000Z', 'cache', 'forge.db', 'id', 'secrets.key']);
  });

  it('that was interrupted can be done again: nothing has run there', async () => {
    const { data, aside } = folders({ 'restore-unfinished': 'x', 'secrets.key': 'half', 'forge.db': 'half' });
    expect(await holdsForge(data)).toBe(false);
    const before = await placeData({ aside, data, isReplacing: false, at });
    expect(readdirSync(before ?? '').sort()).toEqual(['forge.db', 'secrets.key']);
    expect(readFileSync(join(data, 'forge.db'), 'utf8')).toBe('new');
    expect(await holdsForge(data)).toBe(true);
  });
});
