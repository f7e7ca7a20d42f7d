"""The lines of go.mod that the build needs. https://go.dev/ref/mod#go-mod-file"""
import re
from dataclasses import dataclass

from cnb.failure import BuildFailure

VERSION = re.compile(r"^(\d+)\.(\d+)(?:\.(\d+)|(?:beta|rc)\d+)?$")


@dataclass(frozen=True)
class Module:
    """`required`: the Go version that go.mod asks for at least, and `where` it says so."""

    path: str
    required: str
    where: str

    @property
    def name(self):
        """What the module's own program is called: the last part of the path that is no version."""
        parts = [part for part in self.path.split("/") if not re.match(r"^v\d+$", part)]
        return parts[-1]


def read_go_mod(app):
    """Raises BuildFailure for a go.mod without a module line or with a version that is none."""
    text = (app / "go.mod").read_text(encoding="utf-8-sig")
    path = re.search(r'^module\s+"?([^\s"]+)', text, re.M)
    if not path:
        raise BuildFailure("go.mod has no module line.", "Run go mod init <path>, commit go.mod and push again.")
    toolchain = re.search(r"^toolchain\s+go(\S+)", text, re.M)
    language = re.search(r"^go\s+(\S+)", text, re.M)
    asked, where = (toolchain[1], "toolchain in go.mod") if toolchain else (language[1], "go in go.mod") if language else ("1.21", "go.mod says none")
    if not VERSION.match(asked):
        raise BuildFailure(f'go.mod asks for Go "{asked}", which is no version.', "Write for example: go 1.24")
    return Module(path[1], asked, where)


def version_key(text):
    """Versions in order; a missing last number counts as 0."""
    major, minor, patch = VERSION.match(text).groups()
    return int(major), int(minor), int(patch or 0)
