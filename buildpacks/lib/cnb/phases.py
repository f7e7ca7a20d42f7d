"""The two entrances of a buildpack, and what the lifecycle gives them (Buildpack API 0.10)."""
import json
import os
import platform
import sys
from pathlib import Path

from cnb.failure import BuildFailure, NotDetected
from cnb.layer import Layer
from cnb.toml_text import read_toml, write_toml

NOT_DETECTED_STATUS = 100


class Detection:
    """What bin/detect knows; `require` and `provide` make the build plan."""

    def __init__(self):
        self.app = Path.cwd()
        self.env = os.environ
        self._plan = {"provides": [], "requires": []}

    def provide(self, name):
        self._plan["provides"].append({"name": name})

    def require(self, name, **metadata):
        entry = {"name": name, "metadata": metadata} if metadata else {"name": name}
        self._plan["requires"].append(entry)

    def write(self):
        plan = {key: entries for key, entries in self._plan.items() if entries}
        write_toml(os.environ["CNB_BUILD_PLAN_PATH"], plan)


class Build:
    """What bin/build knows, and where its results go."""

    def __init__(self):
        self.app = Path.cwd()
        self.env = os.environ
        self.buildpack = Path(os.environ["CNB_BUILDPACK_DIR"])
        self.layers_directory = Path(os.environ["CNB_LAYERS_DIR"])
        self.plan = read_toml(os.environ["CNB_BP_PLAN_PATH"]).get("entries", [])
        self.architecture = os.environ.get("CNB_TARGET_ARCH") or _architecture()
        self.base = "-".join(os.environ.get(f"CNB_TARGET_DISTRO_{part}", "") for part in ("NAME", "VERSION"))

    def layer(self, name):
        return Layer(self.layers_directory, name)

    def launch(self, processes, slices=()):
        """`processes`: {type: argv}. `web`, or the only one, is what the image starts by default."""
        default = "web" if "web" in processes else next(iter(processes), None) if len(processes) == 1 else None
        # All of argv in `command`: what is given when the process starts comes after it, rather than in place of its arguments.
        entries = [{"type": kind, "command": list(argv), "default": kind == default} for kind, argv in processes.items()]
        write_toml(self.layers_directory / "launch.toml", {
            **({"processes": entries} if entries else {}),
            **({"slices": [{"paths": list(paths)} for paths in slices]} if slices else {}),
        })

    def write_sbom(self, document):
        """The software of the running app that this buildpack brought."""
        (self.layers_directory / "launch.sbom.cdx.json").write_text(
            json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _architecture():
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def run_detect(detect):
    """Calls detect(Detection) and ends the process as the lifecycle expects."""
    detection = Detection()
    try:
        detect(detection)
        detection.write()
    except NotDetected as reason:
        print(f"no: {reason}")
        sys.exit(NOT_DETECTED_STATUS)
    except BuildFailure as failure:
        _report(failure)
        sys.exit(1)


def run_build(build):
    """Calls build(Build) and ends the process as the lifecycle expects."""
    try:
        build(Build())
    except BuildFailure as failure:
        _report(failure)
        sys.exit(1)


def _report(failure):
    sys.stdout.flush()
    print("Error: " + "\n".join(failure.lines), file=sys.stderr, flush=True)
