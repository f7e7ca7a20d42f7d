/** The web server's configuration for a static app. Pure; every value in it comes checked from `parseStaticJson`. */
import type { StaticSettings } from './static-json.ts';

/** Where the image holds the app's files. */
export const siteDirectory = '/srv/site';
/** Stands for $PORT: nginx reads no environment, the image's start script fills it in. */
export const portMark = '@PORT@';

const compressed = 'text/css text/plain text/xml text/csv text/markdown application/javascript text/javascript application/json application/manifest+json application/xml application/rss+xml application/atom+xml application/wasm image/svg+xml font/ttf font/otf';

/** `errorPage` names a file that is there, or is `undefined`. Built-in pages carry no version of the server. */
export function nginxConf(settings: StaticSettings, errorPage: string | undefined): string {
  const headers = headerMaps(settings);
  return `${mainBlock}
http {
${httpBlock}
${settings.routes.length === 0 ? '' : routeMap(settings)}${headers.maps}
  server {
    listen ${portMark};
    server_name _;
    root ${siteDirectory};
    index index.html;
    absolute_redirect off;
${headers.lines}    # The time of a file is made from its content, so the ETag is right and Last-Modified would mislead.
    add_header Last-Modified "";
${errorPage === undefined ? '' : `    error_page 404 /${errorPage};\n`}    error_page 403 =404 ${errorPage === undefined ? '@missing' : `/${errorPage}`};
    location @missing { return 404; }
    location ~ "/\\.(?!well-known(?:/|$))" { return 404; }
${redirectBlocks(settings)}    location / {
      try_files $uri ${settings.hasCleanUrls ? '$uri.html ' : ''}$uri/ ${settings.routes.length === 0 ? '' : '$forge_route '}=404;
    }
  }
}
`;
}

const mainBlock = `include /etc/forge/modules.conf;
worker_processes 2;
daemon off;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
events { worker_connections 1024; }`;

const httpBlock = `  include /etc/nginx/mime.types;
  types { application/manifest+json webmanifest; text/javascript mjs; text/markdown md; font/ttf ttf; font/otf otf; }
  default_type application/octet-stream;
  charset utf-8;
  charset_types text/css text/plain text/xml text/csv text/markdown text/javascript application/javascript application/json application/xml image/svg+xml;
  access_log /dev/stdout;
  # Only forge's proxy reaches this server, and it sets the header itself.
  set_real_ip_from 0.0.0.0/0;
  real_ip_header X-Forwarded-For;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  server_tokens off;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 75;
  gzip on;
  gzip_static on;
  gzip_vary on;
  gzip_proxied any;
  gzip_min_length 1024;
  gzip_types ${compressed};
  include /etc/forge/brotli.conf;
  # The path that was asked for: $uri becomes the file that answers.
  map $request_uri $forge_path { "~^(?<forge_asked>[^?]*)" $forge_asked; }`;

function routeMap({ routes }: StaticSettings): string {
  const lines = routes.map(({ path, file }) => `    ${expression(path)} "/${file}";`);
  return `  map $forge_path $forge_route {\n    default "";\n${lines.join('\n')}\n  }\n`;
}

/** One map a header name; a later rule wins over an earlier one, as in Heroku's buildpack. */
function headerMaps({ headers }: StaticSettings): { maps: string; lines: string } {
  const byName = Map.groupBy(headers, ({ name }) => name.toLowerCase());
  const defaults = new Map([['cache-control', 'no-cache']]);
  const names = new Set([...defaults.keys(), ...byName.keys()]);
  const blocks = [...names].map((name, index) => {
    const rules = (byName.get(name) ?? []).toReversed().map(({ path, value }) => `    ${expression(path)} "${value}";`);
    return {
      map: `  map $forge_path $forge_header_${index} {\n    default "${defaults.get(name) ?? ''}";\n${rules.join('\n')}${rules.length > 0 ? '\n' : ''}  }\n`,
      line: `    add_header ${byName.get(name)?.[0]?.name ?? 'Cache-Control'} $forge_header_${index};\n`,
    };
  });
  return { maps: blocks.map(({ map }) => map).join(''), lines: blocks.map(({ line }) => line).join('') };
}

const redirectBlocks = ({ redirects }: StaticSettings): string =>
  redirects.map(({ path, url, status }) => `    location ~ ${expression(path).replace('"~', '"')} { return ${status} "${url}"; }\n`).join('');

/** A glob as nginx takes a regular expression, quoted because of braces and spaces. */
function expression(glob: string): string {
  const escaped = glob.replaceAll(/\*\*|\*|[.+@]/g, (token) => (token === '**' ? '.*' : token === '*' ? '[^/]*' : `\\${token}`));
  return `"~^${escaped}$"`;
}
