"""npm, yarn and pnpm themselves: npm packages that run on the app's Node.js."""
import json
import os
import re
import shutil

from cnb.archive import unpack_tar
from cnb.bundled import bundled
from cnb.digest import digest
from cnb.failure import BuildFailure
from cnb.npm_registry import download_package, find_versions
from cnb.say import say
from semver import BrokenRange, newest, satisfies

NOT_NEEDED = re.compile(r"^(docs|man|test|README|CHANGELOG)")


class PackageTool:
    """One resolved version of a tool. `package` is its name in the registry; `preferred` a range to take it from if it fits."""

    def __init__(self, context, name, package, asked, *, preferred="*"):
        self.name = name
        self.layer = context.layer(name)
        self._package = package
        self._asked_key = digest(package, asked, preferred)
        self.version = self._resolve(asked, preferred)
        self._bundled = bundled(name).get(self.version)
        self._key = digest(package, self.version)

    def _resolve(self, asked, preferred):
        try:
            fitting = newest(list(bundled(self.name)), asked)
            if fitting:
                return fitting
            if re.match(r"^\d+\.\d+\.\d+$", asked):
                return asked
            if self.layer.metadata.get("asked") == self._asked_key:
                return self.layer.metadata["version"]
            versions = list(find_versions(self._package))
            found = newest([version for version in versions if satisfies(version, preferred)], asked) or newest(versions, asked)
        except BrokenRange as error:
            raise BuildFailure(f'package.json asks for {self.name} "{asked}", which is no version or range.',
                               'Write for example "11" or "11.6.2".') from error
        if found is None:
            raise BuildFailure(f'No {self.name} fits "{asked}", which package.json asks for.', "Change it, commit and push again.")
        return found

    def prepare(self, *, for_build, at_launch, at_every_build):
        """Returns the folder of the tool's commands; without `for_build` it may be known by its metadata alone."""
        is_cached = at_every_build and self._bundled is None
        needs_contents = self._bundled is None and (is_cached or for_build)
        if at_launch or self._bundled is None:
            if not self.layer.matches(self._key) or needs_contents and not self.layer.has_contents():
                self._install()
            self.layer.keep(launch=at_launch, cache=is_cached, key=self._key, version=self.version, asked=self._asked_key)
        else:
            self.layer.drop()
        return (self._bundled or self.layer.path) / "bin"

    def _install(self):
        root = self.layer.reset()
        if self._bundled:
            shutil.copytree(self._bundled, root, symlinks=True, dirs_exist_ok=True)
            return
        say(f"Installing {self.name} {self.version}")
        install_package_tool(self._package, self.version, root)


def install_package_tool(package, version, root):
    """Unpacks the package below lib/node_modules and links its commands into bin/."""
    home = root / "lib" / "node_modules" / package
    home.mkdir(parents=True)
    archive = download_package(package, version)
    unpack_tar(archive, home, wants=lambda name: not NOT_NEEDED.match(name))
    os.unlink(archive)
    commands = json.loads((home / "package.json").read_text(encoding="utf-8")).get("bin", {})
    (root / "bin").mkdir()
    for command, target in commands.items():
        program = home / target
        program.chmod(0o755)
        (root / "bin" / command).symlink_to(os.path.relpath(program, root / "bin"))
