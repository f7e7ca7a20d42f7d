"""A Python manifest is there."""
from cnb.failure import NotDetected

MANIFESTS = ("requirements.txt", "uv.lock", "pyproject.toml", "setup.py", "Pipfile", "poetry.lock")


def detect(detection):
    if not any((detection.app / name).is_file() for name in MANIFESTS):
        raise NotDetected(f"none of {', '.join(MANIFESTS)}")
    detection.provide("python")
    detection.require("python")
