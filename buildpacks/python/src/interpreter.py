"""
The Python that the app runs on. The run image has none: the build image's own CPython is copied into a layer, another
version comes from uv's downloads where builds may reach them.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bytecode import compile_unchecked
from cnb.command import read_output
from cnb.digest import digest
from cnb.failure import BuildFailure
from cnb.say import say

# Not needed to run an app: tests, editors, what links or installs Python itself.
LEFT_OUT = {"test", "tests", "idlelib", "turtledemo", "tkinter", "ensurepip", "lib2to3", "sitecustomize.py", "EXTERNALLY-MANAGED", "LICENSE.txt"}


class Interpreter:
    """`program` exists after install(); without it the layer may be known by its metadata alone."""

    def __init__(self, layer, version, reason, key, install):
        self.layer, self.version, self.reason, self.key = layer, version, reason, key
        self.program = layer.path / "bin" / "python3"
        self._install = install

    def install(self):
        """Makes the program usable in this build."""
        if not self.layer.has_contents():
            say(f"Installing Python {self.version}")
            self._install(self.layer.reset())

    def keep(self):
        self.layer.keep(launch=True, key=self.key, version=self.version)


def prepare_interpreter(context, uv, wanted):
    """Chooses the version. Raises BuildFailure naming what is available when it cannot be had."""
    layer = context.layer("python")
    own = "{}.{}.{}".format(*sys.version_info[:3])
    if wanted.fits(own):
        return _system_interpreter(layer, own, wanted.where)
    key = digest("uv python", wanted.text, context.architecture)
    if layer.matches(key):
        version = layer.metadata["version"]
        return Interpreter(layer, version, wanted.where, key, lambda root: _download(uv, version, root))
    try:
        version = _download(uv, wanted.text, layer.reset())
    except subprocess.CalledProcessError as error:
        layer.drop()
        if wanted.is_same_series(own):
            return _system_interpreter(layer, own, f"{wanted.where} asks for {wanted.text}, which cannot be downloaded here: the builder's of the same series")
        raise BuildFailure(f'Python "{wanted.text}" ({wanted.where}) is not available: the builder has {own}, and others could not be downloaded.',
                           *(line for line in error.stderr.strip().splitlines()[-3:]),
                           f"Ask for {own.rpartition('.')[0]}, or use a Dockerfile.") from error
    return Interpreter(layer, version, wanted.where, key, lambda root: _download(uv, version, root))


def _system_interpreter(layer, version, reason):
    # The distribution's revisions of one version differ in the program's bytes.
    program = Path(os.path.realpath(sys.executable))
    key = digest("system python", version, program)
    if not layer.matches(key):
        layer.drop()
    return Interpreter(layer, version, reason, key, lambda root: _copy_system_python(program, root))


def _copy_system_python(program, root):
    """A relocated copy: Python finds its library beside its program."""
    series = "python{}.{}".format(*sys.version_info[:2])
    (root / "bin").mkdir()
    shutil.copy2(program, root / "bin" / series)
    for alias in ("python3", "python"):
        (root / "bin" / alias).symlink_to(series)
    library = root / "lib" / series
    _copy_library(Path("/usr/lib") / series, library)
    compile_unchecked(library)


def _copy_library(source, target):
    target.mkdir(parents=True)
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        name = entry.name
        if name in LEFT_OUT or name.startswith(("config-", "_test", "_xxtest", "xxlimited", "_ctypes_test")):
            continue
        if entry.is_dir():
            _copy_library(Path(entry.path), target / name)
        elif os.path.isfile(entry.path):
            shutil.copy2(entry.path, target / name)


def _download(uv, asked, root):
    store = root / "versions"
    read_output([uv.program, "python", "install", "--no-bin", asked], env=uv.env(UV_PYTHON_INSTALL_DIR=str(store), UV_PYTHON_DOWNLOADS="manual"))
    home = next(path for path in store.iterdir() if path.is_dir() and not path.is_symlink() and path.name.startswith("cpython"))
    for part in ("bin", "lib", "include"):
        os.rename(home / part, root / part)
    shutil.rmtree(store)
    compile_unchecked(root / "lib")
    return read_output([root / "bin" / "python3", "-c", "import platform; print(platform.python_version())"]).strip()
