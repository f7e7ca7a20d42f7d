"""nginx from the build image, its configuration, and the site as one archive that keeps the times of its files."""
import shutil

from cnb.failure import BuildFailure
from cnb.sbom import component, sbom
from cnb.say import say
from nginx import prepare_nginx
from nginx_conf import nginx_conf
from site_archive import find_site_files, write_site
from static_json import read_static_json

# Where build scripts put what they make, the usual names first.
OUTPUTS = ("dist", "build", "out", "public", "_site", "www", "dist/browser", "dist/*/browser", "dist/*")
READY_MADE_ROOTS = ("", "public")

START_SCRIPT = """#!/bin/sh
# nginx reads no environment, and the image's files have lost their times, which ETags are made of: both are set here.
set -eu
port="${PORT:-5000}"
case "$port" in
  '' | *[!0-9]*) echo "PORT must be a number, found: $port" >&2; exit 1 ;;
esac
here="$(dirname "$0")"
mkdir -p /tmp/forge-site/files
tar -xf "$here/../site.tar" -C /tmp/forge-site/files
sed -e "s|@PORT@|$port|" "$here/../nginx.conf" > /tmp/forge-site/nginx.conf
exec nginx -e /dev/stderr -c /tmp/forge-site/nginx.conf
"""


def build(context):
    settings = read_static_json(context.app)
    for warning in settings.warnings:
        say(f"Warning: {warning}")
    is_built = (context.app / "package.json").is_file()
    folder = _find_root(context.app, settings, is_built)
    files = find_site_files(context.app / folder)
    settings = _complete(settings, files, is_built)
    nginx = prepare_nginx(context)
    say(f"Serving {len(files)} files of {folder or 'the app'} with nginx {nginx.version}")
    _write_site_layer(context, nginx, settings, (context.app / folder, files))
    context.write_sbom(sbom([component("deb", "nginx", nginx.version, kind="application")]))
    context.launch({"web": ["forge-site"]})
    _empty(context.app)


def _find_root(app, settings, is_built):
    """The folder that is served, as a path below the app. Raises BuildFailure when there is none."""
    if settings.root is not None:
        if not (app / settings.root).is_dir():
            made = "the build did not make it" if is_built else "it is not in the app"
            raise BuildFailure(f'static.json serves the folder "{settings.root}", and {made}.', "Correct root in static.json, commit and push again.")
        return settings.root
    patterns = OUTPUTS if is_built else READY_MADE_ROOTS
    for pattern in patterns:
        for index in sorted(app.glob(f"{pattern}/index.html" if pattern else "index.html")):
            return str(index.parent.relative_to(app)) if pattern else ""
    where = ", ".join(pattern or "the app's root" for pattern in patterns)
    raise BuildFailure("There is no index.html to serve.", f"Looked in: {where}.",
                       'Say where it is in static.json: { "root": "folder" }, commit and push again.')


def _complete(settings, files, is_built):
    """What a site gets that says nothing: its own 404 page, or the one page of an app that routes in the browser."""
    if settings.error_page is None and "404.html" in files:
        settings = settings._replace(error_page="404.html")
    pages = [name for name in files if name.endswith(".html")]
    if is_built and not settings.routes and settings.error_page is None and pages == ["index.html"]:
        say("index.html is the only page: it answers every path that is no file")
        settings = settings._replace(routes=(("/**", "index.html"),))
    for what, name in [("error_page", settings.error_page), *(("routes", file) for _, file in settings.routes)]:
        if name is not None and name not in files:
            raise BuildFailure(f'static.json: {what} names "{name}", which is not among the served files.', "Correct it, commit and push again.")
    return settings


def _write_site_layer(context, nginx, settings, site):
    layer = context.layer("site")
    root = layer.reset()
    (root / "bin").mkdir()
    script = root / "bin" / "forge-site"
    script.write_text(START_SCRIPT, encoding="utf-8")
    script.chmod(0o755)
    (root / "nginx.conf").write_text(nginx_conf(settings, nginx), encoding="utf-8")
    write_site(*site, root / "site.tar")
    layer.keep(launch=True, key="site")


def _empty(app):
    """The image holds the site in its layer; sources and dependencies of the build are not for the public."""
    for path in app.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
