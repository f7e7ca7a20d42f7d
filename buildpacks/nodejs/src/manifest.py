"""What package.json and the files beside it say."""
import json
import os
import re
from pathlib import Path

from cnb.failure import BuildFailure

# Scripts that npm runs when it installs the app itself: what they do may depend on any file of the app.
INSTALL_SCRIPTS = ("preinstall", "install", "postinstall", "preprepare", "prepare", "postprepare")
GIT_HOOKS = re.compile(r"^(is-ci \|\| |\[ .* \] && )?(npx )?(husky|lefthook|simple-git-hooks)( install)?( \|\| (true|exit 0|:))?$")
LINKED = ("file:", "link:", "portal:", "workspace:", "./", "../")


class Manifest:
    """package.json, read once. Raises BuildFailure for one that is broken."""

    def __init__(self, app):
        self.app = app
        self.table = _read(app / "package.json")
        self.name = _text(self.table.get("name"))
        self.version = _text(self.table.get("version"))
        self.scripts = {key: value for key, value in _table(self.table, "scripts").items() if isinstance(value, str)}
        self.engines = {key: value for key, value in _table(self.table, "engines").items() if isinstance(value, str)}
        self.main = _text(self.table.get("main"))
        self.package_manager = _text(self.table.get("packageManager"))

    @property
    def build_script(self):
        """The script that builds the app; Heroku's name for it wins, as it does there."""
        return next((name for name in ("heroku-postbuild", "build") if self.scripts.get(name)), None)

    def has_dependencies(self):
        return any(_table(self.table, kind) for kind in ("dependencies", "devDependencies", "optionalDependencies")) or self.is_monorepo() or self.has_install_scripts()

    def runtime_dependencies(self):
        return {**_table(self.table, "dependencies"), **_table(self.table, "optionalDependencies")}

    def dependencies(self):
        return {**self.runtime_dependencies(), **_table(self.table, "devDependencies")}

    def is_monorepo(self):
        return bool(self.table.get("workspaces")) or (self.app / "pnpm-workspace.yaml").is_file() and "packages:" in (
            self.app / "pnpm-workspace.yaml").read_text(encoding="utf-8")

    def has_linked_packages(self):
        """Whether node_modules holds links to folders of the app, which break when it is moved."""
        return self.is_monorepo() or any(str(range_).startswith(LINKED) for range_ in self.dependencies().values())

    def has_install_scripts(self):
        """Whether installing the app also makes something in it; git hooks are nothing to a build."""
        packages = [self.table, *(_read(path) for path in self.own_package_files())] if self.has_linked_packages() else [self.table]
        scripts = (_table(package, "scripts").get(name) for package in packages for name in INSTALL_SCRIPTS)
        return any(script and not GIT_HOOKS.match(str(script)) for script in scripts) or (self.app / "binding.gyp").is_file()

    def own_package_files(self):
        """package.json of every package in a folder of the app."""
        for folder, folders, files in os.walk(self.app):
            folders[:] = sorted(name for name in folders if name not in ("node_modules", ".git"))
            if "package.json" in files and folder != str(self.app):
                yield Path(folder) / "package.json"

    def copies_linked_packages(self, manager):
        """Whether installing copies folders of the app, rather than linking to them."""
        return manager != "npm" and any(str(range_).startswith("file:") for range_ in self.dependencies().values())


def _read(path):
    try:
        table = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise BuildFailure(f"package.json is not valid JSON: {error}.", "Correct it, commit and push again.") from error
    if not isinstance(table, dict):
        raise BuildFailure("package.json holds no object: expected { \"name\": …, \"scripts\": … }.")
    return table


def _table(table, key):
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise BuildFailure(f'package.json: "{key}" must be an object, and is {json.dumps(value)[:60]}.')
    return value


def _text(value):
    return value if isinstance(value, str) else ""


def strip_comment(text):
    """The first line of a version file that says something."""
    lines = (re.sub(r"#.*", "", line).strip() for line in text.splitlines())
    return next((line for line in lines if line), "")
