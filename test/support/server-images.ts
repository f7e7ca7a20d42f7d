/** Servers of the distribution as people package them: as root with entrypoints that drop privileges, or with nothing at all. */
import { nodeImage, testImage } from './images.ts';

const install = (...packages: string[]): string => `RUN apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')} && rm -rf /var/lib/apt/lists/*`;

/** Master as root on port 80, workers as www-data. */
export const nginxImage = (): Promise<string> =>
  testImage({ name: 'nginx', dockerfile: `FROM ${nodeImage}\n${install('nginx-light')}\nEXPOSE 80\nCMD ["nginx", "-g", "daemon off;"]\n` });

/** Makes its data directory and its user's cluster at the start, as the official image does. */
export const postgresImage = (): Promise<string> =>
  testImage({
    name: 'postgres',
    dockerfile: `FROM ${nodeImage}\n${install('postgresql')}\nCOPY entry /entry\nRUN chmod +x /entry\nVOLUME /data\nEXPOSE 5432\nENTRYPOINT ["/entry"]\n`,
    files: {
      entry: `#!/bin/sh
set -e
bin=$(dirname /usr/lib/postgresql/*/bin/initdb)
mkdir -p /data/cluster
chown -R postgres:postgres /data
chmod 700 /data/cluster
setpriv --reuid=postgres --regid=postgres --init-groups "$bin/initdb" -D /data/cluster --auth=trust >/dev/null
exec setpriv --reuid=postgres --regid=postgres --init-groups "$bin/postgres" -D /data/cluster -c listen_addresses='*' -c unix_socket_directories=/tmp
`,
    },
  });

export const redisImage = (): Promise<string> =>
  testImage({
    name: 'redis',
    dockerfile: `FROM ${nodeImage}\n${install('redis-server')}\nCOPY entry /entry\nRUN chmod +x /entry\nEXPOSE 6379\nENTRYPOINT ["/entry"]\nCMD ["redis-server", "--protected-mode", "no", "--bind", "0.0.0.0", "--dir", "/data"]\n`,
    files: { entry: '#!/bin/sh\nset -e\nmkdir -p /data\nchown redis:redis /data\nexec setpriv --reuid=redis --regid=redis --init-groups "$@"\n' },
  });

/** A binary that asks for a capability by its file attributes. */
export const capabilityImage = (): Promise<string> =>
  testImage({
    name: 'capability',
    dockerfile: `FROM ${nodeImage}\n${install('libcap2-bin')}\nRUN cp /usr/local/bin/node /usr/local/bin/server && setcap cap_net_bind_service=+ep /usr/local/bin/server\nEXPOSE 80\nCMD ["server", "-e", "require('http').createServer((q, s) => s.end('bound')).listen(80)"]\n`,
  });

/** One static binary and nothing else, as nobody. */
export const scratchImage = (): Promise<string> =>
  testImage({
    name: 'scratch',
    dockerfile: `FROM ${nodeImage} AS tools\n${install('busybox-static')}\nFROM scratch\nCOPY --from=tools /bin/busybox /busybox\nUSER 65534\nEXPOSE 8080\nCMD ["/busybox", "httpd", "-f", "-p", "8080"]\n`,
  });
