"""Where the app's dependencies are written down, and how uv installs them from there."""
import re
from dataclasses import dataclass

from cnb.digest import digest_tree
from cnb.failure import BuildFailure
from wanted_version import read_project

LOCAL_LINE = re.compile(r"^\s*(-e|--editable|\.|/|file:)", re.M)


@dataclass(frozen=True)
class Requirements:
    """`arguments` for uv; `files` decide about the result; `tree` is a digest of the whole app where all of it does."""

    name: str
    arguments: tuple
    files: tuple
    tree: str = ""


def find_requirements(app):
    """The first of uv.lock, requirements.txt, pyproject.toml, setup.py. Raises BuildFailure for what is not supported."""
    return next(found for found in (make(app) for make in (_uv_lock, _requirements_txt, _pyproject, _setup_py, _refuse)) if found)


def _uv_lock(app):
    if not (app / "uv.lock").is_file():
        return None
    own = () if "build-system" in read_project(app) else ("--no-install-project",)
    # --locked: a lockfile that does not fit pyproject.toml is an error, not something to repair silently.
    return Requirements("uv.lock", ("sync", "--locked", "--no-dev", *own), ("uv.lock", "pyproject.toml", "uv.toml", "setup.py", "setup.cfg"))


def _requirements_txt(app):
    if not (app / "requirements.txt").is_file():
        return None
    files = sorted(str(path.relative_to(app)) for pattern in ("*.txt", "requirements/**/*.txt", "*.in") for path in app.glob(pattern))
    is_local = any(LOCAL_LINE.search((app / name).read_text(encoding="utf-8", errors="replace")) for name in files)
    return Requirements("requirements.txt", ("pip", "install", "-r", "requirements.txt"), (*files, "uv.toml"), digest_tree(app) if is_local else "")


def _pyproject(app):
    project = read_project(app)
    if "project" not in project:
        return None
    if (app / "poetry.lock").is_file():
        _refuse_poetry()
    own = ("-e", ".") if "build-system" in project else ()
    return Requirements("pyproject.toml, without a lockfile: commit uv.lock, so that every build gets the same versions",
                        ("pip", "install", "-r", "pyproject.toml", *own), ("pyproject.toml", "uv.toml", "setup.py", "setup.cfg"))


def _setup_py(app):
    if not (app / "setup.py").is_file():
        return None
    return Requirements("setup.py", ("pip", "install", "-e", "."), ("setup.py", "setup.cfg"), digest_tree(app))


def _refuse(app):
    if (app / "poetry.lock").is_file() or "poetry" in read_project(app).get("tool", {}):
        _refuse_poetry()
    if (app / "Pipfile").is_file():
        raise BuildFailure("Pipfile is there, and this buildpack reads requirements.txt, uv.lock and pyproject.toml.",
                           "Run: pipenv requirements > requirements.txt, commit it and push again.")
    raise BuildFailure("pyproject.toml names no dependencies: it has no [project] table.",
                       "Add [project], or a requirements.txt (it may be empty), commit and push again.")


def _refuse_poetry():
    raise BuildFailure("The dependencies are Poetry's, and this buildpack reads requirements.txt, uv.lock and pyproject.toml.",
                       "Run: poetry export -f requirements.txt -o requirements.txt (or move to uv: uvx migrate-to-uv), commit and push again.")
