"""Files to serve: ready-made, or made by the build script of a front end that has no server of its own."""
import json
import re

from cnb.failure import NotDetected

# Start scripts that serve a front end while it is written; they are not for visitors.
DEVELOPMENT_SERVER = re.compile(
    r"^(?:npx\s+)?(vite(?!\s+preview)|react-scripts start|react-app-rewired start|ng serve|ng s\b|vue-cli-service serve|webpack(-dev-server| serve)|"
    r"parcel|astro dev|gatsby develop|snowpack|rsbuild dev|eleventy --serve|serve\b|http-server\b|live-server\b|npm run (dev|serve))")
SERVERS = ("server.js", "server.mjs", "server.ts", "app.js")
# Frameworks whose build is a program, not a folder of files.
SERVER_FRAMEWORKS = ("next", "nuxt", "@sveltejs/adapter-node", "@astrojs/node", "@remix-run/serve", "@react-router/serve", "express", "fastify", "koa")
READY_MADE = ("static.json", "index.html", "public/index.html")


def detect(detection):
    app = detection.app
    if (app / "Procfile").is_file():
        raise NotDetected("the Procfile says what runs")
    if (app / "package.json").is_file():
        _check_front_end(app)
        detection.require("node", launch=False)
    elif not any((app / name).is_file() for name in READY_MADE):
        raise NotDetected(f"no front end in package.json, and none of {', '.join(READY_MADE)}")
    detection.provide("site")
    detection.require("site")


def _check_front_end(app):
    try:
        manifest = json.loads((app / "package.json").read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise NotDetected("package.json is not valid JSON") from error
    scripts = manifest.get("scripts", {})
    if not isinstance(scripts, dict) or not (scripts.get("build") or scripts.get("heroku-postbuild")):
        raise NotDetected("package.json has no build script")
    if (app / "static.json").is_file():
        return
    start = str(scripts.get("start", ""))
    if start and not DEVELOPMENT_SERVER.match(start):
        raise NotDetected(f"package.json starts a server: {start}")
    server = next((name for name in SERVERS if (app / name).is_file()), None)
    if server:
        raise NotDetected(f"{server} is there")
    framework = next((name for name in SERVER_FRAMEWORKS if name in (manifest.get("dependencies") or {})), None)
    if framework:
        raise NotDetected(f"{framework} runs a server")
