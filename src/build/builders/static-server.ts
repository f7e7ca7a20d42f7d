/** The image under every static app: the distribution's nginx, made on this machine. */
import type { Docker } from '../../docker/connect.ts';
import type { Report } from '../../report.ts';
import { readAptSources } from '../apt-sources.ts';
import { makeBaseImage, type BaseImage } from '../base-image.ts';
import { portMark } from './nginx-conf.ts';

/** nobody: nothing of the server needs more. */
export const staticUser = '65534:65534';
export const staticEntrypoint = '/usr/local/bin/forge-static';

/** Releases whose distribution has no brotli module for nginx; their apps get gzip. */
const withoutBrotli = new Set(['focal', 'jammy', 'bullseye']);

const startScript = `#!/bin/sh
set -eu
port="\${PORT:-5000}"
case "$port" in
  '' | *[!0-9]*) echo "PORT must be a number, found: $port" >&2; exit 1 ;;
esac
sed "s/${portMark}/$port/" /etc/forge/nginx.conf > /tmp/nginx.conf
exec /usr/sbin/nginx -e /dev/stderr -c /tmp/nginx.conf
`;

export interface StaticServerOptions {
  readonly docker: Docker;
  readonly cacheDir: string;
  readonly report: Report;
  readonly signal: AbortSignal;
}

/** Makes the image unless it is there. Takes half a minute the first time and root or fakechroot, so installing forge calls it. */
export async function makeStaticServer(options: StaticServerOptions): Promise<BaseImage> {
  const { suite } = await readAptSources(undefined, options.signal);
  const hasBrotli = !withoutBrotli.has(suite);
  return await makeBaseImage({
    ...options,
    name: 'static-server',
    suite,
    variant: 'essential',
    packages: ['nginx', 'netbase', ...(hasBrotli ? ['libnginx-mod-http-brotli-static'] : [])],
    setup: {
      files: [
        { path: 'usr/local/bin/forge-static', content: startScript, mode: 0o755 },
        { path: 'etc/forge/', mode: 0o755 },
        { path: 'etc/forge/modules.conf', content: hasBrotli ? 'load_module /usr/lib/nginx/modules/ngx_http_brotli_static_module.so;\n' : '' },
        { path: 'etc/forge/brotli.conf', content: hasBrotli ? 'brotli_static on;\n' : '' },
      ],
    },
  });
}
