"""The node program: from the builder if it brings the right one, else from the npm package that carries it."""
import os
import shutil

from cnb.archive import unpack_tar
from cnb.bundled import bundled
from cnb.command import scratch
from cnb.digest import digest
from cnb.failure import BuildFailure
from cnb.npm_registry import download_package, find_versions
from cnb.say import say
from semver import newest, satisfies
from versions import DEFAULT_MAJOR

ARCHITECTURES = {"amd64": "x64", "arm64": "arm64"}


class NodeRuntime:
    """
    One resolved version. The layer holds the program alone; C headers for native modules are only there while
    something is installed.
    """

    def __init__(self, context, asked, where, renew_key):
        self.layer = context.layer("node")
        self._package = f"node-linux-{ARCHITECTURES.get(context.architecture, context.architecture)}"
        self._asked_key = digest(asked, context.architecture, renew_key)
        self.version = self._resolve(asked, where)
        self._bundled = bundled("node").get(self.version)
        self._key = digest("node", self.version, context.architecture)

    def _resolve(self, asked, where):
        """The builder's version if it fits, else that of the last build while nothing asks for a newer one."""
        fitting = newest(list(bundled("node")), asked)
        if fitting:
            return fitting
        if self.layer.metadata.get("asked") == self._asked_key:
            return self.layer.metadata["version"]
        versions = list(find_versions(self._package))
        # An open range such as ">=18" gets the version with long-term support rather than the newest of all.
        supported = newest([version for version in versions if satisfies(version, DEFAULT_MAJOR)], asked)
        found = supported or newest(versions, asked)
        if found is None:
            majors = sorted({int(version.split(".")[0]) for version in versions if version[0].isdigit()})
            raise BuildFailure(f'No Node.js fits "{asked}" ({where}).',
                               f"There are versions of the majors {', '.join(map(str, majors[-8:]))}. Change it, commit and push again.")
        return found

    def prepare(self, *, with_headers, at_launch, at_every_build):
        """Returns (folder of the program, folder for npm's `nodedir` or None)."""
        is_cached = at_every_build and self._bundled is None
        needs_contents = self._bundled is None and (is_cached or with_headers)
        is_there = self.layer.matches(self._key) and (self.layer.has_contents() or not needs_contents)
        headers = self._bundled
        if at_launch or self._bundled is None:
            if not is_there:
                say(f"Installing Node.js {self.version}")
                headers = self._install(with_headers)
            elif with_headers and headers is None:
                headers = self._download(scratch("node"), "include/")
            self.layer.keep(launch=at_launch, cache=is_cached, key=self._key, version=self.version, asked=self._asked_key)
        else:
            self.layer.drop()
        return (self._bundled or self.layer.path) / "bin", headers

    def _install(self, with_headers):
        (self.layer.reset() / "bin").mkdir()
        if self._bundled:
            shutil.copy2(self._bundled / "bin" / "node", self.layer.path / "bin" / "node")
            return self._bundled
        root = self._download(scratch("node"), ("bin/", "include/") if with_headers else "bin/")
        shutil.move(root / "bin" / "node", self.layer.path / "bin" / "node")
        return root

    def _download(self, root, wanted):
        archive = download_package(self._package, self.version)
        unpack_tar(archive, root, wants=lambda name: name.startswith(wanted))
        os.unlink(archive)
        return root
