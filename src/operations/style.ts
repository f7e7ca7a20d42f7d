/** How output looks: colours only for a terminal. */
import { styleText } from 'node:util';

type Paint = (text: string) => string;

export interface Style {
  readonly strong: Paint;
  readonly faint: Paint;
  readonly good: Paint;
  readonly bad: Paint;
}

const plain: Paint = (text) => text;
// The stream that styleText would look at is this process's own, not the person's.
const paint = (format: Parameters<typeof styleText>[0]): Paint => (text) => styleText(format, text, { validateStream: false });

export const createStyle = (isColoured: boolean): Style =>
  isColoured
    ? { strong: paint('bold'), faint: paint('gray'), good: paint('green'), bad: paint('red') }
    : { strong: plain, faint: plain, good: plain, bad: plain };
