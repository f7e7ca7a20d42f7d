"""nginx's configuration for a site. Pure; every value in it comes checked from read_static_json()."""
import re

SITE = "/tmp/forge-site/files"
COMPRESSED = ("text/css text/plain text/xml text/csv text/markdown application/javascript text/javascript application/json "
              "application/manifest+json application/xml application/rss+xml application/atom+xml application/wasm image/svg+xml font/ttf font/otf")
CHARSET = ("text/css text/plain text/xml text/csv text/markdown text/javascript application/javascript application/json "
           "application/xml image/svg+xml")


def nginx_conf(settings, nginx):
    maps, lines = _header_maps(settings)
    missing = f"/{settings.error_page}" if settings.error_page else "@missing"
    error_page = f"    error_page 404 {missing};\n" if settings.error_page else ""
    clean = "$uri.html " if settings.clean_urls else ""
    route = "$forge_route " if settings.routes else ""
    return f"""{_main_block(nginx)}
http {{
{_http_block(nginx)}
{_route_map(settings)}{maps}
  server {{
    listen @PORT@;
    server_name _;
    root {SITE};
    index index.html;
    absolute_redirect off;
{lines}    # The time of a file is made from its content, so the ETag is right and Last-Modified would mislead.
    add_header Last-Modified "";
{error_page}    error_page 403 =404 {missing};
    location @missing {{ return 404; }}
    location ~ "/\\.(?!well-known(?:/|$))" {{ return 404; }}
{_redirects(settings)}    location / {{
      try_files $uri {clean}$uri/ {route}=404;
    }}
  }}
}}
"""


def _main_block(nginx):
    brotli = f"load_module {nginx.brotli_module};\n" if nginx.has_brotli else ""
    return f"""{brotli}worker_processes 2;
daemon off;
pid /tmp/forge-site/nginx.pid;
error_log /dev/stderr warn;
events {{ worker_connections 1024; }}"""


def _http_block(nginx):
    temporary = "\n".join(f"  {kind}_temp_path /tmp/forge-site/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""  include {nginx.mime_types};
  types {{ application/manifest+json webmanifest; text/javascript mjs; text/markdown md; font/ttf ttf; font/otf otf; }}
  default_type application/octet-stream;
  charset utf-8;
  charset_types {CHARSET};
  access_log /dev/stdout;
{temporary}
  server_tokens off;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 75;
  gzip on;
  gzip_static on;
  gzip_vary on;
  gzip_proxied any;
  gzip_min_length 1024;
  gzip_types {COMPRESSED};
{"  brotli_static on;" if nginx.has_brotli else ""}
  # The path that was asked for: $uri becomes the file that answers.
  map $request_uri $forge_path {{ "~^(?<forge_asked>[^?]*)" $forge_asked; }}"""


def _route_map(settings):
    if not settings.routes:
        return ""
    lines = "\n".join(f'    {_expression(path)} "/{file}";' for path, file in settings.routes)
    return f'  map $forge_path $forge_route {{\n    default "";\n{lines}\n  }}\n'


def _header_maps(settings):
    """One map a header name; a later rule wins over an earlier one, as in Heroku's buildpack."""
    by_name = {"cache-control": ("Cache-Control", [])}
    for path, name, value in settings.headers:
        by_name.setdefault(name.lower(), (name, []))[1].append((path, value))
    maps, lines = [], []
    for index, (key, (name, rules)) in enumerate(by_name.items()):
        default = "no-cache" if key == "cache-control" else ""
        body = "".join(f'    {_expression(path)} "{value}";\n' for path, value in reversed(rules))
        maps.append(f'  map $forge_path $forge_header_{index} {{\n    default "{default}";\n{body}  }}\n')
        lines.append(f"    add_header {name} $forge_header_{index};\n")
    return "".join(maps), "".join(lines)


def _redirects(settings):
    return "".join(f'    location ~ {_expression(path).replace("~", "", 1)} {{ return {status} "{url}"; }}\n' for path, url, status in settings.redirects)


def _expression(glob):
    """A glob as nginx takes a regular expression, quoted because of braces and spaces."""
    translate = {"**": ".*", "*": "[^/]*"}
    escaped = re.sub(r"\*\*|\*|[.+@]", lambda match: translate.get(match[0], f"\\{match[0]}"), glob)
    return f'"~^{escaped}$"'
