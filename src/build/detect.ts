/** Which builder takes a source, and why: an ordered table, the first match wins. Pure. */
import type { AppSettings, BuilderName, Plan, Source } from '../domain.ts';
import { ForgeError } from '../errors.ts';
import { appFileOf } from './app-file-of.ts';
import { type AppJson, parseAppJson } from './app-json.ts';
import { parseProcfile } from './procfile.ts';
import { parseProjectToml } from './project-toml.ts';
import { readAppFile } from './read-app-file.ts';

/** Any of these says that a program serves the app, so that its HTML files are not the app. */
const serverManifests = [
  'package.json', 'requirements.txt', 'pyproject.toml', 'go.mod', 'Gemfile', 'composer.json', 'pom.xml', 'Procfile',
];
/** What buildpacks look for; whether the builder in use has one that takes it, its own detection says. */
const buildpackManifests = [
  ...serverManifests, 'uv.lock', 'Pipfile', 'setup.py', 'build.gradle', 'build.gradle.kts', 'Cargo.toml', 'mix.exs', 'deno.json', 'bun.lock',
];
const staticSigns = ['index.html', 'static.json', 'public/index.html'];

interface Row {
  readonly name: BuilderName;
  /** What the row looks for, for the error when none matches. */
  readonly looksFor: string;
  /** The reason for a match as one line. */
  matches(source: Source, settings: AppSettings): string | undefined;
}

const rows: readonly Row[] = [
  ...(['dockerfile', 'static', 'cnb'] as const).map((name): Row => ({
    name,
    looksFor: '',
    matches: (_source, settings) => (settings.builder === name ? `builder set to ${name}` : undefined),
  })),
  ...(['dockerfile', 'static', 'cnb'] as const).map((name): Row => ({
    name,
    looksFor: '',
    matches: (source) => (projectBuilder(source) === name ? `project.toml chooses ${name}` : undefined),
  })),
  { name: 'cnb', looksFor: 'project.toml', matches: found('project.toml') },
  { name: 'dockerfile', looksFor: 'Dockerfile', matches: found('Dockerfile') },
  {
    name: 'static',
    looksFor: `${staticSigns.join(' or ')} (with none of ${serverManifests.join(', ')})`,
    matches: (source) => (serverManifests.some((path) => source.paths.has(path)) ? undefined : found(...staticSigns)(source)),
  },
  { name: 'cnb', looksFor: buildpackManifests.join(', '), matches: found(...buildpackManifests) },
];

/**
 * Decides how the source is built. Throws `invalid` when nothing matches (saying what was looked for), when an explicit
 * choice cannot work (saying why), or when the Procfile, app.json or project.toml is broken.
 */
export function detect(source: Source, settings: AppSettings): Plan {
  const { warnings, appJson } = parseAppJson(readAppFile(source, 'app.json') ?? '');
  const { processes: procfile, release } = parseProcfile(readAppFile(source, 'Procfile') ?? '');
  const appFile = appFileOf(appJson, release);
  for (const row of rows) {
    const reason = row.matches(source, settings);
    if (reason === undefined) continue;
    checkPossible(row.name, reason, source);
    return { builder: row.name, reason, procfile, warnings: [...warnings, ...unheeded(appJson)], appFile };
  }
  if (settings.builder === 'image') {
    throw new ForgeError('invalid', 'this app is set to run a prebuilt image, and files were pushed', {
      hint: 'deploy with forge deploy --image REF, or unset the builder',
    });
  }
  throw new ForgeError('invalid', 'forge found nothing that it knows how to build', {
    details: ['looked in the root of the app for:', ...rows.filter((row) => row.looksFor !== '').map((row) => `  ${row.name}: ${row.looksFor}`), ...whatIsThere(source)],
    hint: 'add one of these (a Dockerfile always works) and push again',
  });
}

/** Parts of app.json that are checked only. */
const notApplied = ['visibility'] as const;

function unheeded(appJson: AppJson): string[] {
  const ports = Object.entries(appJson.formation).filter(([type, { port }]) => type !== 'web' && port !== undefined);
  return [
    ...notApplied.filter((key) => Object.keys(appJson[key] ?? {}).length > 0).map((key) => `app.json: ${key} is checked, but this version of forge does not act on it`),
    ...ports.map(([type]) => `app.json: formation.${type}.port is left out: only web is given requests`),
  ];
}

/** An explicit choice is taken at its word, so say at once what it lacks. */
function checkPossible(builder: BuilderName, reason: string, source: Source): void {
  if (builder === 'dockerfile' && !source.paths.has('Dockerfile')) {
    throw new ForgeError('invalid', `${reason}, but there is no Dockerfile in the root of the app`, { hint: 'add a Dockerfile, or unset the builder' });
  }
  if (builder === 'static' && found(...staticSigns)(source) === undefined) {
    throw new ForgeError('invalid', `${reason}, but there is none of ${staticSigns.join(', ')}`, {
      hint: 'add an index.html, or a static.json whose "root" names the folder to serve',
    });
  }
}

function found(...paths: readonly string[]): (source: Source) => string | undefined {
  return (source) => {
    const path = paths.find((candidate) => source.paths.has(candidate));
    return path === undefined ? undefined : `found ${path}`;
  };
}

const projectBuilder = (source: Source): BuilderName | undefined => parseProjectToml(readAppFile(source, 'project.toml') ?? '').forgeBuilder;

/** What is there instead: often the app lies one folder deeper. */
function whatIsThere(source: Source): string[] {
  const top = [...source.paths].filter((path) => !path.replace(/\/$/, '').includes('/')).sort();
  if (top.length === 0) return ['the source has no files at all'];
  const shown = top.slice(0, 20).join(', ');
  return [`found instead: ${shown}${top.length > 20 ? `, and ${top.length - 20} more` : ''}`];
}
