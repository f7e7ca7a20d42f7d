/**
 * static.json as Heroku's static buildpack defines it. Every value ends in a web server's configuration, so each is
 * checked against what can stand there and nothing else is let through.
 */
import { z } from 'zod';
import { ForgeError } from '../../errors.ts';
import { readJson } from '../read-json.ts';

export interface StaticSettings {
  /** Folder to serve, without slashes at its ends; '' is the root of the app; `undefined` = not said. */
  readonly root: string | undefined;
  /** `/about` serves `about.html`. */
  readonly hasCleanUrls: boolean;
  /** Paths (`*` within a folder, `**` across) → file to serve when no file is there. */
  readonly routes: readonly { readonly path: string; readonly file: string }[];
  /** Served with status 404. */
  readonly errorPage: string | undefined;
  readonly headers: readonly { readonly path: string; readonly name: string; readonly value: string }[];
  readonly redirects: readonly { readonly path: string; readonly url: string; readonly status: number }[];
  /** What was found and is not done, one line each. */
  readonly warnings: readonly string[];
}

const folder = z.string().max(1024).regex(/^(?:\.?\/)?(?:[\w][\w. ~/-]*)?$|^\.$/, 'expected a folder of the app').refine(isInside, 'expected a path without ..');
const file = z.string().max(1024).regex(/^\/?[\w][\w.~/-]*$/, 'expected a file of the app').refine(isInside, 'expected a path without ..');
const path = z.string().max(1024).regex(/^\/[\w.~/*@+-]*$/, 'expected a path that begins with /, of letters, digits and . _ ~ - @ + / *');
const headerName = z.string().max(128).regex(/^[A-Za-z][A-Za-z0-9-]*$/, 'expected the name of a header');
const headerValue = z.string().max(4096).regex(/^[\x20-\x7e]*$/, 'expected printable ASCII').regex(/^[^"\\$]*$/, 'expected none of " \\ $');
const url = z.string().max(4096).regex(/^(https?:\/\/[\w.:-]+)?\/?[\w.~/%?&=#+@:,-]*$/, 'expected a path or an http(s) URL');

const schema = z.object({
  root: folder.optional(),
  clean_urls: z.boolean().default(false),
  routes: z.record(path, file).default({}),
  error_page: file.optional(),
  headers: z.record(path, z.record(headerName, headerValue)).default({}),
  redirects: z.record(path, z.object({ url, status: z.union([z.literal(301), z.literal(302), z.literal(307), z.literal(308)]).default(301) })).default({}),
});

const notDone: Readonly<Record<string, string>> = {
  https_only: 'is left out: this version of forge serves no HTTPS',
  proxies: 'is not supported by forge: requests to it get 404',
  canonical_host: 'is not supported by forge',
  logging: 'is left out: every request is logged',
  encoding: 'is left out: text is served as UTF-8',
};

/** Parses the text; '' gives the defaults. Throws `invalid` naming the place, what was expected and what was found. */
export function parseStaticJson(text: string): StaticSettings {
  const value = readObject(text);
  const result = schema.safeParse(value);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new ForgeError('invalid', `static.json: ${issue?.path.map(String).join(' → ') ?? ''}: ${issue?.message ?? 'is not valid'}`);
  }
  const { root, clean_urls, routes, error_page, headers, redirects } = result.data;
  return {
    root: root?.replace(/^(\.?\/)+|^\.$|\/+$/g, ''),
    hasCleanUrls: clean_urls,
    routes: Object.entries(routes).map(([from, to]) => ({ path: from, file: to.replace(/^\//, '') })),
    errorPage: error_page?.replace(/^\//, ''),
    headers: Object.entries(headers).flatMap(([from, named]) => Object.entries(named).map(([name, content]) => ({ path: from, name, value: content }))),
    redirects: Object.entries(redirects).map(([from, to]) => ({ path: from, ...to })),
    warnings: Object.keys(value)
      .filter((key) => !(key in schema.shape))
      .map((key) => `static.json: ${key} ${notDone[key] ?? 'is not a key that forge knows'}`),
  };
}

function readObject(text: string): object {
  const value = readJson(text, 'static.json');
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ForgeError('invalid', 'static.json: expected an object');
  return value;
}

function isInside(value: string): boolean {
  return !value.split('/').includes('..');
}
