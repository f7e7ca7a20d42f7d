/** An operation: one thing a person can ask of forge, as a value. SSH, the command line, completion and the reference all read it. */
import type { Writable } from 'node:stream';
import type { z } from 'zod';
import type { Session } from '../domain.ts';
import type { RequiredPermission } from './authorize.ts';
import type { Services } from './services.ts';
import type { Style } from './style.ts';

/** What the operation is about, and so whose permission counts: the machine; `input.app`; the same, which may also be new; or the app of `input.deployment`. */
export type Target = 'machine' | 'app' | 'new-app' | 'deployment';

export interface Context {
  readonly session: Session;
  readonly services: Services;
  /** Where progress goes while the operation runs; not mixed into the output when that is JSON. */
  readonly progress: Writable;
  readonly isJson: boolean;
  readonly style: Style;
}

export interface Definition<Input extends z.ZodObject, Output> {
  /** `noun:verb` */
  readonly name: string;
  /** Short forms, such as `apps`. */
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** Further paragraphs of the help, examples above all. */
  readonly help?: string;
  readonly target: Target;
  readonly permission: RequiredPermission;
  /** Whether it changes anything: then it is recorded in the audit. */
  readonly isChange: boolean;
  /** Whether it reads stdin: only then does the command line hand it over. */
  readonly readsStdin?: boolean;
  /** Whether a terminal of the person's becomes that of a command of the app, which ends lines as terminals do. */
  readonly hasOwnTerminal?: boolean;
  /** Fields of the input that are words without a flag, in order; the last one may take several words. */
  readonly positionals: readonly (keyof z.input<Input> & string)[];
  /** The words of the last positional are another program's command: nothing after the first of them is read as a flag. */
  readonly isCommandLine?: boolean;
  readonly input: Input;
  /** What the audit keeps besides actor and app. Never secrets. */
  readonly audit?: (input: z.output<Input>) => Readonly<Record<string, unknown>>;
  readonly run: (input: z.output<Input>, context: Context) => Promise<Output>;
  /** The output for people; ends without a line end. `undefined`: nothing is printed. */
  readonly print: (output: Output, context: Context) => string | undefined;
  /** Default 0. */
  readonly exitStatus?: (output: Output) => number;
}

/** A definition whose types are known to itself only, as it stands in the list. */
export type Operation = Definition<z.ZodObject, unknown>;

/** Checks a definition's parts against each other and makes it one of the list. */
export const defineOperation = <Input extends z.ZodObject, Output>(definition: Definition<Input, Output>): Operation =>
  definition as unknown as Operation;
