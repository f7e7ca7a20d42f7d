/**
 * Ends forge with SIGKILL at every point of every kind of change, again and again, and prints what was not as it must be
 * afterwards: one release serving, consistent with git and the records, nothing left over, no request lost, the next push works.
 *
 *   node bench/faults.ts [--runs 20] [--point routes-swapped]
 */
import { parseArgs } from 'node:util';
import { faultCases, openFaultStage } from '../test/support/fault-run.ts';
import { line, printMachine, summary } from './support.ts';

const { values: flags } = parseArgs({ options: { runs: { type: 'string', default: '20' }, point: { type: 'string' } } });
const cases = faultCases.filter(([point]) => flags.point === undefined || point === flags.point);

printMachine(`${cases.length} points of changes, forge ended at each ${flags.runs} times`);
const stage = await openFaultStage();
let violated = 0;
try {
  for (const [point, change] of cases) {
    const found: string[] = [];
    const took: number[] = [];
    for (let run = 0; run < Number(flags.runs); run++) {
      const startedAt = performance.now();
      found.push(...(await stage.run(point, change)));
      took.push(performance.now() - startedAt);
    }
    violated += found.length;
    line(`${point}, ${change}`, `${found.length} violations (${summary(took.map((ms) => ms / 1000), 's', 1)} a run)`);
    for (const what of found) console.log(`    ${what}`);
  }
} finally {
  await stage.remove();
}
line('in all', `${violated} violations in ${cases.length * Number(flags.runs)} runs`);
process.exitCode = violated === 0 ? 0 : 1;
