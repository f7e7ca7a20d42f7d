"""A package.json is there, and no other language's manifest says that it only serves that language's front end."""
from cnb.failure import NotDetected
from manifest import Manifest
from start import PROGRAMS

OTHER_LANGUAGES = ("requirements.txt", "pyproject.toml", "uv.lock", "go.mod")


def detect(detection):
    if not (detection.app / "package.json").is_file():
        raise NotDetected("no package.json")
    other = next((name for name in OTHER_LANGUAGES if (detection.app / name).is_file()), None)
    if other and not _starts_by_itself(detection.app):
        raise NotDetected(f"{other} is there, and package.json says nothing to start")
    detection.provide("node")
    detection.require("node")


def _starts_by_itself(app):
    return bool(Manifest(app).scripts.get("start")) or any((app / name).is_file() for name in PROGRAMS)
