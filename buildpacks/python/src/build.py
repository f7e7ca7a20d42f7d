"""Python, the dependencies in a virtual environment, Django's static files, and what to start."""
import os

from cnb.command import run, tool_env
from cnb.sbom import component, sbom
from cnb.say import say
from django import collects_static_files
from interpreter import prepare_interpreter
from requirements_source import find_requirements
from start import find_processes
from uv import Uv
from virtual_environment import VirtualEnvironment
from wanted_version import wanted_python


def build(context):
    requirements = find_requirements(context.app)
    uv = Uv(context)
    interpreter = prepare_interpreter(context, uv, wanted_python(context.app))
    say(f"Python {interpreter.version} ({interpreter.reason})")
    environment = VirtualEnvironment(context, uv, interpreter, requirements)
    collects = collects_static_files(context)
    environment.prepare(for_build=collects)
    if collects:
        _collect_static_files(context, environment)
    interpreter.keep()
    environment.keep(for_build=collects)
    own = [component("generic", "python", interpreter.version, kind="platform")]
    context.write_sbom(sbom(own + [component("pypi", name, version) for name, version in environment.packages.items()]))
    context.launch(find_processes(context.app, environment.packages))


def _collect_static_files(context, environment):
    if "django" not in environment.packages:
        return
    say("Collecting Django's static files")
    run([environment.python, "manage.py", "collectstatic", "--noinput", "--verbosity=0"], cwd=context.app,
        env=tool_env(os.environ, path=[environment.python.parent]),
        failure=("manage.py collectstatic failed",
                 "Its own output above says why. Settings that it needs can be set with config:set; "
                 "DISABLE_COLLECTSTATIC=1 leaves this step out."))
