/** Puts an app that is only files into an image with the distribution's nginx. */
import type { Config } from '../../config.ts';
import type { Docker } from '../../docker/connect.ts';
import { buildImage } from '../../docker/image-build.ts';
import { inspectImage } from '../../docker/images.ts';
import type { Image, Source } from '../../domain.ts';
import { ForgeError } from '../../errors.ts';
import { labels } from '../../labels.ts';
import { withTimeout } from '../../wait.ts';
import type { Builder, BuildRequest } from '../build-request.ts';
import { readAppFile } from '../read-app-file.ts';
import { imageTag } from './image-tag.ts';
import { nginxConf, siteDirectory } from './nginx-conf.ts';
import { openStaticFiles, servedPath } from './static-files.ts';
import { parseStaticJson, type StaticSettings } from './static-json.ts';
import { makeStaticServer, staticEntrypoint, staticUser } from './static-server.ts';

export interface StaticBuilderOptions {
  readonly docker: Docker;
  /** Id of the data directory, by which its images are found again. */
  readonly dataId: string;
  readonly config: Pick<Config, 'buildMemory' | 'buildTimeout' | 'cacheDir'>;
}

/** The same files give the same image, whatever their times. */
export function createStaticBuilder(options: StaticBuilderOptions): Builder {
  return {
    name: 'static',
    async build(request) {
      const seconds = options.config.buildTimeout / 1000;
      return await withTimeout(
        options.config.buildTimeout,
        `the build did not end within its time limit of ${seconds} s (setting buildTimeout)`,
        (signal) => buildStatic(options, { ...request, signal }),
        request.signal,
      );
    },
  };
}

async function buildStatic({ docker, dataId, config }: StaticBuilderOptions, request: BuildRequest): Promise<Image> {
  const { source, report, signal, app } = request;
  const settings = parseStaticJson(readAppFile(source, 'static.json') ?? '');
  for (const warning of settings.warnings) report.body(`warning: ${warning}`);
  const root = servedRoot(source, settings);
  const served = new Set([...source.paths].map((path) => servedPath(path, root)).filter((path) => path !== undefined));
  const errorPage = settings.errorPage ?? (served.has('404.html') ? '404.html' : undefined);
  checkFiles(settings, { served, root });
  const server = await makeStaticServer({ docker, cacheDir: config.cacheDir, report, signal });
  report.step(`Packing ${root === '' ? 'the files' : `the files of ${root}/`} with nginx`);
  const id = await buildImage(docker, {
    context: openStaticFiles({
      tarPath: source.tarPath,
      root,
      extra: { Dockerfile: dockerfile(server.reference), 'image/etc/forge/nginx.conf': nginxConf(settings, errorPage) },
      below: `image${siteDirectory}/`,
      onLeftOut: (path) => report.body(`warning: ${path} is left out: it is a link out of the served folder`),
    }),
    dockerfile: 'Dockerfile',
    tag: imageTag(request),
    labels: { [labels.app]: app, [labels.data]: dataId },
    buildArgs: {},
    // No step runs a command, so there is nothing to limit.
    engineBuilder: 'buildkit',
    memoryBytes: config.buildMemory,
    onEvent: () => undefined,
    signal,
  });
  report.body(`${served.size} files and folders, ${settings.routes.length} routes, error page: ${errorPage ?? 'the default'}`);
  const facts = await inspectImage(docker, id);
  return {
    reference: facts.id,
    digest: facts.id,
    builder: 'static',
    processTypes: { web: { entrypoint: undefined, command: undefined } },
    exposedPorts: facts.exposedPorts,
    user: facts.user,
    launcher: undefined,
  };
}

/** `static.json` decides; else `public/` where it has the only index.html. */
function servedRoot(source: Source, settings: StaticSettings): string {
  if (settings.root !== undefined) return settings.root;
  if (source.paths.has('index.html')) return '';
  return ['public', 'public_html'].find((folder) => source.paths.has(`${folder}/index.html`)) ?? '';
}

function checkFiles(settings: StaticSettings, { served, root }: { served: ReadonlySet<string>; root: string }): void {
  if (served.size === 0) {
    throw new ForgeError('invalid', `there is nothing to serve in ${root === '' ? 'the root of the app' : `${root}/`}`, { hint: 'check "root" in static.json' });
  }
  for (const [key, file] of [['error_page', settings.errorPage] as const, ...settings.routes.map((route) => [`routes → ${route.path}`, route.file] as const)]) {
    if (file !== undefined && !served.has(file)) throw new ForgeError('invalid', `static.json: ${key}: there is no file ${file} in ${root === '' ? 'the root of the app' : `${root}/`}`);
  }
}

const dockerfile = (server: string): string => `FROM ${server}
COPY image/ /
USER ${staticUser}
STOPSIGNAL SIGQUIT
ENTRYPOINT ["${staticEntrypoint}"]
CMD []
`;
