"""The toolchain, the modules, every program of the app, and which of them is the web process."""
import os
import re
import shutil

from cnb.command import read_output, run, tool_env
from cnb.procfile import read_procfile
from cnb.sbom import component, sbom
from cnb.say import say
from go_mod import read_go_mod
from programs import find_programs, name_processes
from toolchain import prepare_toolchain

DEPENDENCY = re.compile(r"^\t(?:dep|mod)\t(\S+)\t(v\S+)", re.M)


def build(context):
    module = read_go_mod(context.app)
    toolchain = prepare_toolchain(context, module)
    say(f"Go {toolchain.version} ({toolchain.reason})")
    modules, cache = context.layer("modules"), context.layer("build-cache")
    env = _make_env(toolchain, modules, cache)
    is_vendored = (context.app / "vendor" / "modules.txt").is_file()
    if not is_vendored:
        run(["go", "mod", "download"], cwd=context.app, env=env,
            failure=("The modules of go.mod could not be downloaded", "go's own message above says why."))
    programs = find_programs(context.app, env, module)
    layer = context.layer("programs")
    _compile(context.app, programs, layer, env)
    _keep_caches(modules, cache)
    processes = name_processes(programs, module, read_procfile(context.app / "Procfile"))
    context.write_sbom(_software(layer, toolchain, env))
    context.launch(processes)


def _make_env(toolchain, modules, cache):
    for layer in (modules, cache):
        if not layer.has_contents():
            layer.reset()
    flags = os.environ.get("GOFLAGS", "")
    # -modcacherw: the lifecycle puts the cache back as a user who cannot write into read-only folders.
    return tool_env(os.environ, path=[toolchain.root / "bin"], GOROOT=str(toolchain.root), GOTOOLCHAIN="local", GOMODCACHE=str(modules.path),
                    GOCACHE=str(cache.path), GOFLAGS=f"{flags} -modcacherw".strip(), CGO_ENABLED=os.environ.get("CGO_ENABLED", "0"))


def _compile(app, programs, layer, env):
    say(f"Compiling {', '.join(programs)}")
    folder = layer.reset() / "bin"
    folder.mkdir()
    # Nothing of the machine, the folder or the time goes in: the same source gives the same bytes.
    flags = ["-trimpath", "-buildvcs=false", *([] if "-ldflags" in env["GOFLAGS"] else ["-ldflags=-s -w"])]
    for name, package in programs.items():
        run(["go", "build", *flags, "-o", folder / name, package], cwd=app, env=env,
            failure=(f"{package} does not compile", "go's own message above says where."))
    layer.keep(launch=True, key="programs")


def _keep_caches(modules, cache):
    # What was unpacked is used; the archives it came from would only be carried along.
    for archive in (modules.path / "cache" / "download").glob("**/*.zip"):
        archive.unlink()
    shutil.rmtree(modules.path / "cache" / "vcs", ignore_errors=True)
    if any(modules.path.iterdir()):
        modules.keep(cache=True, key="modules")
    else:
        modules.drop()
    cache.keep(cache=True, key="build-cache")


def _software(layer, toolchain, env):
    found = {entry for program in sorted((layer.path / "bin").iterdir())
             for entry in DEPENDENCY.findall(read_output(["go", "version", "-m", program], env=env))}
    own = [component("generic", "go", toolchain.version, kind="platform")]
    return sbom(own + [component("golang", name, version) for name, version in sorted(found)])
