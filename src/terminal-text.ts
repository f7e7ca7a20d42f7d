/** Text of strangers (builds, apps) on its way to somebody's terminal. */

/** Colours and weights; harmless, and what build tools use. */
const style = /^\x1b\[[0-9;:]*m$/;
/** Whole escape sequences, control characters of both sets (a lone U+009B begins a sequence too), and what turns the direction of writing. */
const unsafe =
  /\x1b\[[0-?]*[ -/]*[@-~]?|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]?|[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
const reset = '\x1b[0m';

/**
 * One line as it may be shown: tabs and styles stay and end with the line; what would move the cursor, change lines
 * already written, or speak to the terminal itself (title, clipboard, queries) goes.
 */
export function terminalText(line: string): string {
  let isStyled = false;
  const text = line.replaceAll(unsafe, (found) => {
    if (!style.test(found)) return '';
    isStyled = true;
    return found;
  });
  return isStyled && !text.endsWith(reset) ? text + reset : text;
}
