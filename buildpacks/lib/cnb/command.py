"""Running the tools of an ecosystem: argv, never a shell; their output goes straight to the person who pushed."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from cnb.failure import BuildFailure


def run(argv, *, cwd, env, failure):
    """Runs to the end. A status other than 0 raises BuildFailure with the lines of `failure`, the status first among them."""
    status = subprocess.run([str(part) for part in argv], cwd=cwd, env=env, stdin=subprocess.DEVNULL, check=False).returncode
    if status != 0:
        what, *more = failure
        raise BuildFailure(f"{what} ({_describe(status)}).", *more)


def read_output(argv, *, cwd=None, env=None):
    """Standard output of a command that must succeed."""
    return subprocess.run([str(part) for part in argv], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                          check=True, capture_output=True, text=True).stdout


def _describe(status):
    if status in (-9, 137):
        return "killed: the build ran out of memory, or was stopped"
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def scratch(name):
    """An empty folder outside the image. Its path is always the same, as tools write paths into what they make."""
    folder = Path(tempfile.gettempdir()) / f"forge-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def tool_env(env, *, path=(), **variables):
    """The build's environment for a tool: `path` first in PATH, a home that can be written and is thrown away."""
    home = os.path.join(tempfile.gettempdir(), "forge-home")
    os.makedirs(home, exist_ok=True)
    # Bytecode of tools holds the time of its source, which differs from build to build.
    merged = {**env, "HOME": home, "PYTHONDONTWRITEBYTECODE": "1", **{key: value for key, value in variables.items() if value is not None}}
    merged["PATH"] = os.pathsep.join([*map(str, path), env.get("PATH", os.defpath)])
    return merged
