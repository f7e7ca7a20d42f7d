/** Keeps an app's config values out of what people read and what is stored of it: build output, deployment logs, failures. */

const shortest = 8;
const mask = '[redacted]';

/**
 * A function that masks every occurrence of the values. Left as they are: values below 8 characters, and plain words such
 * as `production` or `eu-west`, which would tear holes into any output and are no secrets.
 */
export function createRedactor(values: readonly string[]): (text: string) => string {
  const secrets = [...new Set(values.flatMap((value) => value.split(/\r?\n/)))].filter(isSecretLike);
  // The longest first: one value may begin with another.
  secrets.sort((a, b) => b.length - a.length);
  return (text) => secrets.reduce((masked, secret) => masked.replaceAll(secret, mask), text);
}

const isSecretLike = (line: string): boolean => line.length >= shortest && !/^[a-z ._/:-]*$/.test(line);
