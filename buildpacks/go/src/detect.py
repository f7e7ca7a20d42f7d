"""A go.mod is there."""
from cnb.failure import NotDetected


def detect(detection):
    if not (detection.app / "go.mod").is_file():
        raise NotDetected("no go.mod")
    detection.provide("go")
    detection.require("go")
