/** Of which process types two of one place must never run, so that the old one ends before the new one starts. */
import type { AppSettings } from '../domain.ts';
import { oneOffTypes } from '../labels.ts';

/** All types of an app that recreates, and those whose checks are off; commands that people run are none of it. */
export const runsAlone = ({ strategy, uncheckedTypes }: Pick<AppSettings, 'strategy' | 'uncheckedTypes'>, type: string): boolean =>
  !oneOffTypes.has(type) && (strategy === 'recreate' || uncheckedTypes.includes(type));
