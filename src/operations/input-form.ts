/** The command line's view of an operation's input, read from its schema: which flags and words there are and what they take. */
import { z } from 'zod';
import type { Operation } from './operation.ts';

/** `pairs` are `KEY=VALUE` words; a `switch` takes no value. */
export type FieldKind = 'text' | 'number' | 'switch' | 'list' | 'pairs';

export interface Field {
  readonly key: string;
  readonly kind: FieldKind;
  /** Values of pairs are numbers. */
  readonly isNumeric: boolean;
  readonly isRequired: boolean;
  readonly summary: string;
  /** `--no-restart`; for positionals it is not used, except `--app`. */
  readonly flag: string;
  /** What the switch sets: `false` for `--no-…`. */
  readonly sets: boolean;
  /** `-f` */
  readonly short: string | undefined;
  /** `N` in `--lines N`. */
  readonly placeholder: string;
  readonly choices: readonly string[];
}

export interface InputForm {
  readonly positionals: readonly Field[];
  readonly flags: readonly Field[];
}

interface PropertySchema {
  readonly type?: string;
  readonly default?: unknown;
  readonly description?: string;
  readonly short?: string;
  readonly placeholder?: string;
  readonly enum?: readonly string[];
  readonly additionalProperties?: { readonly type?: string };
}

/** How to write what a field takes: `z.string().meta(says('Lines to show', { short: 'n' }))`. */
export const says = (description: string, more: { readonly short?: string; readonly placeholder?: string } = {}) => ({ description, ...more });

const forms = new WeakMap<Operation, InputForm>();

export function inputForm(operation: Operation): InputForm {
  const known = forms.get(operation);
  if (known) return known;
  const form = readForm(operation);
  forms.set(operation, form);
  return form;
}

function readForm(operation: Operation): InputForm {
  const schema = z.toJSONSchema(operation.input, { io: 'input' });
  const required = new Set(schema.required);
  const fields = Object.entries(schema.properties ?? {}).map(([key, property]) => readField(key, property as PropertySchema, required.has(key)));
  const isPositional = (field: Field): boolean => operation.positionals.includes(field.key);
  return {
    positionals: operation.positionals.flatMap((key) => fields.filter((field) => field.key === key)),
    flags: fields.filter((field) => !isPositional(field)),
  };
}

function readField(key: string, property: PropertySchema, isRequired: boolean): Field {
  const kind = kindOf(property);
  const name = key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const isOff = kind === 'switch' && property.default === true;
  return {
    key,
    kind,
    isNumeric: property.additionalProperties?.type === 'integer',
    isRequired,
    summary: property.description ?? '',
    flag: isOff ? `--no-${name}` : `--${name}`,
    sets: !isOff,
    short: property.short === undefined ? undefined : `-${property.short}`,
    placeholder: property.placeholder ?? name.toUpperCase(),
    choices: property.enum ?? [],
  };
}

function kindOf({ type }: PropertySchema): FieldKind {
  switch (type) {
    case 'boolean':
      return 'switch';
    case 'array':
      return 'list';
    case 'object':
      return 'pairs';
    case 'integer':
    case 'number':
      return 'number';
    case undefined:
    default:
      return 'text';
  }
}
