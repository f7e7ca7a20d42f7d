"""A Procfile is there."""
from cnb.failure import NotDetected
from cnb.procfile import read_procfile


def detect(detection):
    if not read_procfile(detection.app / "Procfile"):
        raise NotDetected("no Procfile, or nothing in it")
