"""The app's packages, in a layer that is a virtual environment; made again only when what they are made from changed."""
import json
import os
import shutil

from cnb.archive import pack, unpack
from cnb.command import read_output, run, scratch
from cnb.digest import digest
from cnb.say import say


class VirtualEnvironment:
    """After prepare(), `packages` holds {name: version} of all that is installed."""

    def __init__(self, context, uv, interpreter, requirements):
        self._app, self._uv, self._interpreter, self._requirements = context.app, uv, interpreter, requirements
        self._layer = context.layer("venv")
        self._downloads = context.layer("downloads")
        self._key = digest("venv 1", context.architecture, context.base, interpreter.key, requirements.arguments, requirements.tree,
                           [context.app / name for name in requirements.files])
        self.python = self._layer.path / "bin" / "python"
        self.packages = {}

    def prepare(self, *, for_build):
        """`for_build`: the packages must be there now, not only in the image."""
        if self._layer.matches(self._key) and (self._layer.has_contents() or not for_build):
            say("Dependencies are unchanged: kept from the last build")
            self.packages = self._layer.metadata.get("packages", {})
            if for_build:
                self._interpreter.install()
        else:
            self._interpreter.install()
            self._install()

    def keep(self, *, for_build):
        self._layer.keep(launch=True, cache=for_build, key=self._key, packages=self.packages)
        if self._downloads.has_contents():
            self._downloads.keep(cache=True, key="uv")

    def _install(self):
        say(f"Installing dependencies with uv ({self._requirements.name})")
        shutil.rmtree(self._layer.path, ignore_errors=True)
        self._layer.metadata = {}
        cache = str(scratch("downloads") / "uv-cache")
        archive = self._downloads.path / "downloads.tar"
        if archive.is_file():
            unpack(archive, os.path.dirname(cache))
        env = self._uv.env(UV_CACHE_DIR=cache, UV_PYTHON_DOWNLOADS="never", UV_PROJECT_ENVIRONMENT=str(self._layer.path),
                           VIRTUAL_ENV=str(self._layer.path), UV_PYTHON=str(self._interpreter.program))
        read_output([self._uv.program, "venv", "--quiet", "--python", self._interpreter.program, self._layer.path], env=env)
        before = self._find_leavings()
        with self._headers():
            run([self._uv.program, *self._requirements.arguments], cwd=self._app, env={**env, "UV_PYTHON": str(self.python)},
                failure=("The dependencies could not be installed", "uv's own message above says why."))
        self._clean(before)
        self.packages = self._list_packages(env)
        self._set_environment()
        self._store_downloads(env, cache, archive)

    def _headers(self):
        """Lets native modules compile: the copy of Python has no C headers, the build image's own are the same."""
        return _TemporaryLink(self._interpreter.layer.path / "include", "/usr/include")

    def _find_leavings(self):
        """Folders that build backends write beside the sources of the app's own packages."""
        found = set()
        for folder, folders, _ in os.walk(self._app):
            leavings = [name for name in folders if name == "build" or name.endswith(".egg-info")]
            found.update(self._app / os.path.relpath(os.path.join(folder, name), self._app) for name in leavings)
            folders[:] = [name for name in folders if name not in leavings and name not in (".git", "node_modules")]
        return found

    def _clean(self, before):
        # What installing the app's own package leaves in its folder would be in the image of this build and of no other.
        for path in self._find_leavings() - before:
            shutil.rmtree(path)
        for path in self._layer.path.glob("lib/*/site-packages/*.dist-info/uv_cache.json"):
            path.unlink()

    def _list_packages(self, env):
        found = json.loads(read_output([self._uv.program, "pip", "list", "--format=json", "--quiet", "--python", self.python], env=env))
        return {entry["name"].lower(): entry["version"] for entry in sorted(found, key=lambda entry: entry["name"].lower())}

    def _set_environment(self):
        self._layer.set_env("VIRTUAL_ENV", str(self._layer.path))
        # Output must reach the logs at once; what is compiled is in the layer already.
        self._layer.set_env("PYTHONUNBUFFERED", "1", how="default")
        self._layer.set_env("PYTHONDONTWRITEBYTECODE", "1", how="default")

    def _store_downloads(self, env, cache, archive):
        # Keeps what was built from source; wheels are downloaded again faster than they are read from a cache.
        read_output([self._uv.program, "cache", "prune", "--ci", "--quiet"], env=env)
        self._downloads.reset()
        pack(os.path.dirname(cache), [os.path.basename(cache)], archive)


class _TemporaryLink:
    def __init__(self, path, target):
        self._path, self._target = path, target

    def __enter__(self):
        self._is_ours = not self._path.exists()
        if self._is_ours:
            self._path.symlink_to(self._target)

    def __exit__(self, *_):
        if self._is_ours:
            self._path.unlink()
