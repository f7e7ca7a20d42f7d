/** forge is ended with SIGKILL between any two steps of a change: what then serves, and what is left, when it runs again. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faultPoints } from '../../src/faults.ts';
import { faultCases, openFaultStage, type FaultCase, type FaultStage } from '../support/fault-run.ts';

/** Each point once, each change at least once, and all of an app of which two must never run; `bench/faults.ts` runs all of them, many times. */
const isFirst = (index: number, matches: (other: FaultCase) => boolean): boolean => faultCases.findIndex(matches) === index;
const chosen = faultCases.filter(([point, change], index) => isFirst(index, ([other]) => other === point) || isFirst(index, ([, other]) => other === change) || change === 'push to a recreate app');

let stage: FaultStage;

beforeAll(async () => void (stage = await openFaultStage()));
afterAll(async () => await stage.remove());

it('every point of a change is one at which forge is ended here', () => {
  expect(new Set(faultCases.map(([point]) => point))).toEqual(new Set(faultPoints));
});

describe('a forge that is ended at any point, and started again', () => {
  it.each(chosen)('%s, in a %s: has one release serving, no attempt without end and nothing left over, lost no request, and deploys', async (point, change) => {
    expect(await stage.run(point, change)).toEqual([]);
  });
});
