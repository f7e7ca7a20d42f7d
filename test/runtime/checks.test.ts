import { expect, test } from 'vitest';
import { emptyAppFile, type Check } from '../../src/app-file.ts';
import { defaultSettings } from '../../src/domain.ts';
import { checksOf, effectiveChecks, plainCheck } from '../../src/runtime/checks.ts';

const defaults = { readinessTimeout: 60_000 };
const gate: Check = { ...plainCheck({ kind: 'tcp' }, 1_000), name: 'gate' };
const readiness: Check = { ...gate, kind: 'readiness', name: 'readiness' };
const liveness: Check = { ...gate, kind: 'liveness', name: 'liveness' };
const release = (set: readonly Check[], file: readonly Check[], type = 'web') => ({ settings: { ...defaultSettings, checks: { [type]: set } }, appFile: { ...emptyAppFile, checks: { [type]: file } } });
const seen = (...parts: Parameters<typeof effectiveChecks>) => effectiveChecks(...parts).map(({ check, origin }) => `${check.name ?? check.probe.kind} ${origin}`);

test('without any, web must listen within the readiness timeout and other types stay up for 3 s', () => {
  expect(checksOf(release([], []), 'web', defaults)).toMatchObject([{ kind: 'startup', probe: { kind: 'tcp' }, attempts: 1, waitMs: 60_000 }]);
  expect(checksOf(release([], []), 'worker', defaults)).toMatchObject([{ kind: 'startup', probe: { kind: 'uptime', uptimeMs: 3_000 } }]);
  expect(checksOf(release([gate], []), 'constructor', defaults)).toMatchObject([{ probe: { kind: 'uptime' } }]);
});

test('what a person set goes before the file, for gates and for liveness apart', () => {
  expect(seen(release([], [gate, readiness, liveness]), 'web', defaults)).toEqual(['gate app.json', 'readiness app.json', 'liveness app.json']);
  expect(seen(release([liveness], [gate]), 'web', defaults)).toEqual(['gate app.json', 'liveness set']);
  expect(seen(release([gate], [readiness, liveness]), 'web', defaults)).toEqual(['gate set', 'liveness app.json']);
  expect(seen(release([], [liveness]), 'web', defaults)).toEqual(['tcp default', 'liveness app.json']);
});
