"""Node.js, its package manager, the dependencies, the build script, and what to start."""
import os

from cnb.command import run, scratch, tool_env
from cnb.say import say
from manifest import Manifest
from node_modules import NodeModules
from node_runtime import NodeRuntime
from package_managers import choose_package_manager, npm_range
from package_tool import PackageTool
from software import node_software
from start import find_processes
from versions import requested_node


def build(context):
    manifest = Manifest(context.app)
    is_site = any(entry["name"] == "node" and entry.get("metadata", {}).get("launch") is False for entry in context.plan)
    processes = {} if is_site else find_processes(manifest)
    manager = choose_package_manager(manifest)
    asked, where = requested_node(manifest)

    runtime = NodeRuntime(context, asked, where, context.app / manager.lockfile if manager.lockfile else "")
    say(f"Node.js {runtime.version} ({where})")
    tools = _choose_tools(context, manifest, manager, runtime)
    names = [f"node {runtime.version}", *(f"{tool.name} {tool.version}" for tool in tools)]
    modules = NodeModules(context, manifest, manager, names) if manifest.has_dependencies() else None

    # Scripts that run at installation build something too, often with tools that only development needs.
    builds = bool(manifest.build_script) or manifest.has_install_scripts()
    installs = modules is not None and not modules.is_ready(for_build=builds)
    env = _prepare_tools(runtime, tools, manager, installs=installs, builds=builds, launches=not is_site)
    if modules and builds:
        modules.put_for_build(env)
    if manifest.build_script:
        _run_build_script(context, manager, manifest.build_script, env)
    if modules and not is_site:
        modules.keep_for_launch(env, was_built=builds)
    if modules:
        modules.keep_downloads()
    if not is_site:
        _keep_environment(context, manifest)
        context.write_sbom(node_software(context.app, manager, runtime, tools))
    context.launch(processes, modules.slices if modules and not is_site else ())


def _choose_tools(context, manifest, manager, runtime):
    """npm is always there, as `npm start` and `npm run` are how people know their apps."""
    own = npm_range(runtime.version)
    npm_asked = manager.asked if manager.name == "npm" and manager.asked else own
    npm = PackageTool(context, "npm", "npm", npm_asked, preferred=own)
    return [npm] if manager.name == "npm" else [npm, PackageTool(context, manager.name, manager.package, manager.asked)]


def _prepare_tools(runtime, tools, manager, *, installs, builds, launches):
    node, headers = runtime.prepare(with_headers=installs, at_launch=launches, at_every_build=builds)
    folders = [tool.prepare(for_build=installs or builds, at_launch=launches, at_every_build=builds) for tool in tools]
    # Where node-gyp finds Node's C headers: native modules then need no download.
    variables = {"npm_package_config_node_gyp_nodedir": str(headers) if headers else None, **manager.env,
                 "npm_config_update_notifier": "false"}
    if headers and tools[0].version.startswith(("8.", "9.", "10.")):
        variables["npm_config_nodedir"] = str(headers)
    env = tool_env(os.environ, path=[node, *folders], NODE_ENV=os.environ.get("NODE_ENV", "production"), **variables)
    env[manager.cache_variable] = str(scratch("downloads") / "downloads")
    return env


def _run_build_script(context, manager, script, env):
    say(f"Running the script {script} of package.json")
    run([manager.name, "run", script], cwd=context.app, env=env,
        failure=(f"The script {script} of package.json failed", "Its own output above says why."))


def _keep_environment(context, manifest):
    layer = context.layer("environment")
    layer.reset()
    layer.set_env("NODE_ENV", "production", how="default")
    layer.set_env("PATH", str(context.app / "node_modules" / ".bin"), how="prepend", separator=":")
    # What scripts started by npm find, as the start script runs without npm where it can.
    layer.set_env("npm_package_name", manifest.name, how="default")
    layer.set_env("npm_package_version", manifest.version, how="default")
    layer.keep(launch=True, key="environment")
