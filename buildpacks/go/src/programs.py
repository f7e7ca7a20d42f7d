"""Which programs the module has, and which process types they become."""
import re
from subprocess import CalledProcessError

from cnb.command import read_output
from cnb.failure import BuildFailure
from cnb.say import say

# Names that say "this one serves", the plainest first.
WEB_NAMES = ("web", "server", "api", "app", "http")
# Folders whose programs help to develop the app.
HELPERS = {"internal", "tools", "tool", "scripts", "hack", "examples", "example", "_examples", "test", "tests", "testdata", "vendor", "third_party"}
PACKAGES = '{{if eq .Name "main"}}{{.ImportPath}}{{end}}'


def find_programs(app, env, module):
    """{name: import path}: the module's root and cmd/; where neither is one, every program but helpers."""
    try:
        packages = read_output(["go", "list", "-e", "-f", PACKAGES, "./..."], cwd=app, env=env).split()
    except CalledProcessError as error:
        raise BuildFailure("The packages of the module could not be read:", *error.stderr.strip().splitlines()[-5:]) from error
    own = {package: package.removeprefix(module.path).strip("/").split("/") for package in packages}
    main = {package for package, parts in own.items() if parts in ([""], []) or parts[0] == "cmd"}
    chosen = main or {package for package, parts in own.items() if not HELPERS & set(parts)}
    if not chosen:
        raise BuildFailure("The module has no program: no package main in its root, in cmd/ or below.",
                           "Looked through: go list ./... Add a package main, commit and push again.")
    programs = {}
    for package in sorted(chosen, key=lambda package: (len(own[package]), package)):
        name = module.name if own[package] == [""] else own[package][-1]
        programs.setdefault(name, package)
    return programs


def name_processes(programs, module, procfile):
    """{type: argv} beside the Procfile. `web` is the only program, or the one named so, or as the module, or in its root."""
    names = list(programs)
    web = None if "web" in procfile else _find_web(names, module)
    if web is None and "web" not in procfile:
        say(f"None of the programs {', '.join(names)} is web by its name: a Procfile can say which, such as: web: {names[0]}")
    processes = {"web": [web]} if web else {}
    for name in names:
        kind = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        if name != web and kind and kind not in procfile:
            processes.setdefault(kind, [name])
    return processes


def _find_web(names, module):
    if len(names) == 1:
        return names[0]
    return next((name for name in ("web", module.name, *WEB_NAMES) if name in names), None)
