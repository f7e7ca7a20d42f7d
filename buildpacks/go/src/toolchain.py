"""The Go toolchain: one on the image that is new enough, else the one that the module proxy carries."""
import base64
import hashlib
import os
import re
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from cnb.archive import unpack_zip
from cnb.bundled import bundled
from cnb.command import read_output
from cnb.digest import digest
from cnb.failure import BuildFailure
from cnb.fetch import NotFound, fetch_file, fetch_text
from cnb.say import say
from go_mod import VERSION, version_key

# Go's own tests, documents and sources of its commands: no build of an app reads them.
NOT_NEEDED = re.compile(r"^(api|doc|misc|test|src/cmd)/|(^|/)testdata/|_test\.go$|^pkg/tool/[^/]+/(trace|pprof|doc|objdump|nm|addr2line|test2json|fix|vet|cover|dist)$")


@dataclass(frozen=True)
class Toolchain:
    root: Path
    version: str
    reason: str


def prepare_toolchain(context, module):
    """Go's own rule: any version that is at least the required one will do; the image's own come first."""
    layer = context.layer("toolchain")
    for version, root in _find_installed():
        if version_key(version) >= version_key(module.required):
            layer.drop()
            return Toolchain(root, version, f"{module.where}: {module.required} or later")
    asked = digest("toolchain", module.required, context.architecture)
    if not (layer.metadata.get("asked") == asked and layer.has_contents()):
        version = _newest_patch(module, context.architecture)
        say(f"Installing Go {version}")
        download_toolchain(version, context.architecture, layer.reset())
        layer.metadata = {"asked": asked, "version": version}
    layer.keep(cache=True, **layer.metadata)
    return Toolchain(layer.path, layer.metadata["version"], f"{module.where}: {module.required}")


def _find_installed():
    """(version, root) of what the builder brings and of the distribution's own, the newest first."""
    found = [(version, root) for version, root in bundled("go").items() if VERSION.match(version)]
    program = shutil.which("go")
    if program:
        version, root = read_output([program, "env", "GOVERSION", "GOROOT"], env={"PATH": os.environ["PATH"], "HOME": "/tmp"}).split()
        if VERSION.match(version.removeprefix("go")):
            found.append((version.removeprefix("go"), Path(root)))
    return sorted(found, key=lambda entry: version_key(entry[0]), reverse=True)


def _newest_patch(module, architecture):
    """A required 1.24 or 1.24.1 gets the newest 1.24.x; `toolchain` names just one."""
    if module.where.startswith("toolchain"):
        return module.required
    series = version_key(module.required)[:2]
    try:
        listed = re.findall(rf"^v0\.0\.1-go(\S+)\.linux-{architecture}$", fetch_text(f"{_proxy()}/golang.org/toolchain/@v/list"), re.M)
    except NotFound:
        listed = []
    fitting = [version for version in listed if re.match(r"^\d+\.\d+\.\d+$", version) and version_key(version)[:2] == series
               and version_key(version) >= version_key(module.required)]
    first = "{}.{}.{}".format(*version_key(module.required))
    return max([*fitting, first], key=version_key)


def download_toolchain(version, architecture, root):
    """Unpacks the toolchain of a version below `root`, checked against the checksum database."""
    name = f"v0.0.1-go{version}.linux-{architecture}"
    handle, archive = tempfile.mkstemp(suffix=".zip")
    os.close(handle)
    try:
        fetch_file(f"{_proxy()}/golang.org/toolchain/@v/{name}.zip", archive, None)
        _check(archive, name)
        unpack_zip(archive, root, strip=2, wants=lambda path: not NOT_NEEDED.search(path))
    except NotFound as error:
        raise BuildFailure(f"Go {version} is not to be had from the module proxy: {error}.",
                           "Ask for a released version in go.mod, such as go 1.24, commit and push again.") from error
    finally:
        os.unlink(archive)
    for program in [*(root / "bin").iterdir(), *(path for path in (root / "pkg" / "tool").glob("*/*"))]:
        program.chmod(0o755)


def _check(archive, name):
    """Compares the archive with the checksum database, unless GOSUMDB=off. https://go.dev/ref/mod#go-sum-files"""
    database = (os.environ.get("GOSUMDB") or "").split(maxsplit=1)[:1]
    if not database:
        raise BuildFailure("This build knows no checksum database for Go: the builder was made where Go was missing.",
                           "Set GOSUMDB in the app's config (off: unchecked), or make the builder again beside Go.")
    database = database[0]
    if database == "off":
        return
    lookup = f"lookup/golang.org/toolchain@{name}"
    try:
        record = fetch_text(f"{_proxy()}/sumdb/{database}/{lookup}")
    except NotFound:
        record = fetch_text(f"https://{database}/{lookup}")
    expected = re.search(rf"^golang\.org/toolchain {re.escape(name)} h1:(\S+)$", record, re.M)
    if not expected or expected[1] != _hash(archive):
        raise BuildFailure(f"The Go toolchain {name} was downloaded, but differs from the checksum database.",
                           "Nothing of it was used. Push again; if it stays, the module proxy alters files.")


def _hash(archive):
    """Go's h1: the digest of the list of the files' digests."""
    lines = []
    with zipfile.ZipFile(archive) as contents:
        for name in sorted(contents.namelist()):
            sha = hashlib.sha256()
            with contents.open(name) as file:
                while chunk := file.read(1 << 20):
                    sha.update(chunk)
            lines.append(f"{sha.hexdigest()}  {name}\n")
    return base64.b64encode(hashlib.sha256("".join(lines).encode()).digest()).decode()


def _proxy():
    """The first proxy of GOPROXY that is a URL."""
    entries = re.split(r"[,|]", os.environ.get("GOPROXY", ""))
    url = next((entry.strip().rstrip("/") for entry in entries if entry.strip().startswith("http")), None)
    if url is None:
        raise BuildFailure("This build knows no Go module proxy: the builder was made where Go was missing.",
                           "Set GOPROXY and GOSUMDB in the app's config, or make the builder again beside Go.")
    return url
