import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Instance } from '../../src/domain.ts';
import { reconcile, type ReconcileAction, type WantedApp } from '../../src/deploy/reconcile.ts';

const instance = (overrides: Partial<Instance>): Instance => ({
  name: `${overrides.type ?? 'web'}.${overrides.ordinal ?? 1}`,
  app: 'hello',
  version: 2,
  type: 'web',
  ordinal: 1,
  containerId: 'c1',
  address: '10.0.0.2',
  port: 5000,
  isRunning: true,
  deploymentId: 'd1',
  ...overrides,
});
const wantsWeb: WantedApp = { app: 'hello', version: 2, places: [{ type: 'web', ordinal: 1 }], failedDeployments: new Set() };

describe('reconcile', () => {
  it('does nothing when the machine is as it should be', () => {
    expect(reconcile([wantsWeb], [instance({})])).toEqual([]);
  });

  it('starts what is missing, restarts what stands still and retires an old release', () => {
    const old = instance({ version: 1, containerId: 'old' });
    expect(reconcile([wantsWeb], [old])).toEqual([
      { kind: 'start', app: 'hello', version: 2, places: [{ type: 'web', ordinal: 1 }] },
      { kind: 'retire', app: 'hello', instance: old },
    ]);
    const stopped = instance({ isRunning: false });
    expect(reconcile([wantsWeb], [stopped])).toEqual([{ kind: 'restart', app: 'hello', instance: stopped }]);
  });

  it('keeps the instance that served beside one of an interrupted restart, whichever is found first', () => {
    const unproven = instance({ deploymentId: 'interrupted', containerId: 'a' });
    const served = instance({ containerId: 'b' });
    const wanted = { ...wantsWeb, failedDeployments: new Set(['interrupted']) };
    for (const found of [[unproven, served], [served, unproven]]) expect(reconcile([wanted], found)).toEqual([{ kind: 'retire', app: 'hello', instance: unproven }]);
    expect(reconcile([wanted], [unproven])).toEqual([]);
  });

  it('retires the containers of an app that is gone, but no one-off task', () => {
    const stray = instance({ app: 'gone' });
    const task = instance({ type: 'run' });
    expect(reconcile([wantsWeb], [instance({}), stray, task])).toEqual([{ kind: 'retire', app: 'gone', instance: stray }]);
  });

  it('converges from any state in one pass, and a second pass finds nothing to do', () => {
    fc.assert(
      fc.property(fc.array(wantedApps(), { maxLength: 3 }).map(uniqueByApp), fc.array(instances(), { maxLength: 12 }).map(uniqueById), (wanted, found) => {
        const actions = reconcile(wanted, found);
        const after = carryOut(actions, found);
        expect(reconcile(wanted, after)).toEqual([]);
        for (const action of actions) if (action.kind === 'retire') expect(isTheOnlyOneInAWantedPlace(action.instance, wanted, found)).toBe(false);
      }),
    );
  });

  it('never leaves a wanted place without the running instance that it had, nor with two', () => {
    fc.assert(
      fc.property(fc.array(wantedApps(), { maxLength: 3 }).map(uniqueByApp), fc.array(instances(), { maxLength: 12 }).map(uniqueById), (wanted, found) => {
        const after = carryOut(reconcile(wanted, found), found);
        for (const { app, version, places } of wanted) {
          for (const { type, ordinal } of places) {
            const isHere = (one: Instance) => one.app === app && one.type === type && one.ordinal === ordinal;
            const live = found.filter((one) => isHere(one) && one.version === version && one.isRunning);
            const kept = after.filter(isHere);
            expect(kept).toHaveLength(1);
            expect(kept[0]).toMatchObject({ version, isRunning: true });
            if (live.length > 0) expect(live).toContainEqual(kept[0]);
          }
        }
      }),
    );
  });

  it('starts and restarts only what is wanted: nothing of an app that is stopped, removed or has no release', () => {
    fc.assert(
      fc.property(fc.array(wantedApps(), { maxLength: 3 }).map(uniqueByApp), fc.array(instances(), { maxLength: 12 }).map(uniqueById), (wanted, found) => {
        for (const action of reconcile(wanted, found)) {
          if (action.kind === 'retire') continue;
          const app = wanted.find(({ app: name }) => name === action.app);
          const places = action.kind === 'start' ? action.places : [action.instance];
          for (const { type, ordinal } of places) expect(app?.places.some((place) => place.type === type && place.ordinal === ordinal)).toBe(true);
        }
        const idle = wanted.filter(({ places }) => places.length === 0).map(({ app }) => app);
        const left = carryOut(reconcile(wanted, found), found).filter(({ app, type }) => idle.includes(app) && type !== 'run');
        expect(left).toEqual([]);
      }),
    );
  });

  it('decides the same in whatever order the engine lists what it has', () => {
    fc.assert(
      fc.property(fc.array(wantedApps(), { maxLength: 2 }).map(uniqueByApp), fc.array(instances(), { maxLength: 8 }).map(uniqueById), (wanted, found) => {
        const key = (action: ReconcileAction) => JSON.stringify(action);
        expect(reconcile(wanted, found.toReversed()).map(key).sort()).toEqual(reconcile(wanted, found).map(key).sort());
      }),
    );
  });
});

const appNames = fc.constantFrom('a', 'b', 'c');
const types = fc.constantFrom('web', 'worker', 'run');
const wantedApps = (): fc.Arbitrary<WantedApp> =>
  fc
    .record({ app: appNames, version: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }), web: fc.integer({ min: 0, max: 3 }), failed: fc.subarray(['d1', 'd2']) })
    .map(({ app, version, web, failed }) => ({
      app,
      version,
      places: version === undefined ? [] : Array.from({ length: web }, (_, index) => ({ type: 'web', ordinal: index + 1 })),
      failedDeployments: new Set(failed),
    }));
const instances = (): fc.Arbitrary<Instance> =>
  fc
    .record({ app: appNames, version: fc.integer({ min: 1, max: 3 }), type: types, ordinal: fc.integer({ min: 1, max: 4 }), isRunning: fc.boolean(), deploymentId: fc.constantFrom('d1', 'd2', 'd3'), id: fc.uuid() })
    .map(({ id, ...rest }) => instance({ ...rest, name: `${rest.type}.${rest.ordinal}`, containerId: id }));
const uniqueByApp = (apps: WantedApp[]): WantedApp[] => [...new Map(apps.map((app) => [app.app, app])).values()];
const uniqueById = (found: Instance[]): Instance[] => [...new Map(found.map((one) => [one.containerId, one])).values()];

let started = 0;
function carryOut(actions: readonly ReconcileAction[], found: readonly Instance[]): Instance[] {
  let state = [...found];
  for (const action of actions) {
    if (action.kind === 'retire') state = state.filter(({ containerId }) => containerId !== action.instance.containerId);
    if (action.kind === 'restart') state = state.map((one) => (one.containerId === action.instance.containerId ? { ...one, isRunning: true } : one));
    if (action.kind === 'start') {
      state.push(...action.places.map((place) => instance({ ...place, app: action.app, version: action.version, name: `${place.type}.${place.ordinal}`, containerId: `new${(started += 1)}` })));
    }
  }
  return state;
}

function isTheOnlyOneInAWantedPlace(one: Instance, wanted: readonly WantedApp[], found: readonly Instance[]): boolean {
  const app = wanted.find(({ app: name }) => name === one.app);
  if (!app || app.version !== one.version || !app.places.some(({ type, ordinal }) => type === one.type && ordinal === one.ordinal)) return false;
  return found.filter((other) => other.app === one.app && other.version === one.version && other.name === one.name).length === 1;
}
