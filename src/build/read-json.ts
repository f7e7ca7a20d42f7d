/** The one door to jsonc-parser: JSON with comments and trailing commas, as people write it into an app's files. */
import { createScanner, parse, type ParseError, printParseErrorCode } from 'jsonc-parser';
import { ForgeError } from '../errors.ts';

/** No file that forge reads needs more; the parser calls itself once a level. */
const maxDepth = 100;

/** The value of the file's text; `{}` for ''. Throws `invalid` with the file's name and the line of what is wrong. */
export function readJson(written: string, name: string): unknown {
  if (written.trim() === '') return {};
  const text = written.replace(/^\ufeff/, '');
  checkTokens(text, name);
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (!first) return value;
  const line = text.slice(0, first.offset).split('\n').length;
  throw new ForgeError('invalid', `${name}, line ${line}: not valid JSON: ${printParseErrorCode(first.error)}`);
}

/** What the parser would fall over or get wrong. */
function checkTokens(text: string, name: string): void {
  const scanner = createScanner(text, true);
  let depth = 0;
  let before = '';
  for (;;) {
    scanner.scan();
    const first = text[scanner.getTokenOffset()];
    if (first === undefined) return;
    if (first === '{' || first === '[') depth += 1;
    if (first === '}' || first === ']') depth -= 1;
    const refuse = (why: string) => new ForgeError('invalid', `${name}, line ${scanner.getTokenStartLine() + 1}: ${why}`);
    if (depth > maxDepth) throw refuse(`nested deeper than ${maxDepth} levels`);
    // It would become the prototype of its object: what it holds would be read as if it stood beside it, or be lost.
    if (first === ':' && before === '__proto__') throw refuse('"__proto__" cannot be a key');
    before = first === '"' ? scanner.getTokenValue() : '';
  }
}
