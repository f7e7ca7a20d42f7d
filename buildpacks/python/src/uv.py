"""uv, which resolves and installs Python packages: from the builder, else from the Python package index."""
import os
import re
import sys
from glob import glob
from html import unescape
from urllib.parse import urljoin

from cnb.archive import unpack_zip
from cnb.bundled import bundled
from cnb.command import scratch, tool_env
from cnb.failure import BuildFailure
from cnb.fetch import NotFound, fetch_file, fetch_text
from cnb.say import say

VERSION = "0.13.8"
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
LINK = re.compile(r'<a\s[^>]*href="([^"]+)"[^>]*>\s*([^<\s]+)\s*</a>')


class Uv:
    """Found or downloaded when it is first needed; a build that changes no dependency does without."""

    def __init__(self, context):
        self._architecture = ARCHITECTURES.get(context.architecture, context.architecture)
        self._program = None

    @property
    def program(self):
        if self._program is None:
            there = bundled("uv").get(VERSION)
            self._program = there / "bin" / "uv" if there else download_uv(self._architecture, scratch("uv"))
        return self._program

    def env(self, **variables):
        """The environment of uv: never a Python that it finds by itself, no links into its cache."""
        index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL") or os.environ.get("PIP_INDEX_URL")
        return tool_env(os.environ, UV_LINK_MODE="copy", UV_NO_PROGRESS="1", UV_PYTHON_PREFERENCE="only-system",
                        UV_DEFAULT_INDEX=index, PYC_INVALIDATION_MODE="UNCHECKED_HASH", UV_COMPILE_BYTECODE="1", UV_NO_CONFIG=None, **variables)


def package_index():
    """The index that pip would use: PIP_INDEX_URL, else the one that the distribution's pip carries."""
    if os.environ.get("PIP_INDEX_URL"):
        return os.environ["PIP_INDEX_URL"].rstrip("/")
    wheel = next(iter(glob("/usr/share/python-wheels/pip-*.whl")), None)
    if wheel is None:
        raise BuildFailure("This build knows no Python package index: its builder has no pip to ask.",
                           "Set PIP_INDEX_URL in the app's config.")
    sys.path.append(wheel)
    from pip._internal.models.index import PyPI
    return PyPI.simple_url.rstrip("/")


def download_uv(architecture, root):
    """The program inside the wheel of its name, checked against the index's digest. Returns its path."""
    say(f"Installing uv {VERSION}")
    index = package_index()
    page = f"{index}/uv/"
    wheel = re.compile(rf"^uv-{re.escape(VERSION)}-py3-none-manylinux_2_17_{architecture}\.")
    try:
        links = {name: urljoin(page, unescape(href)) for href, name in LINK.findall(fetch_text(page, "text/html"))}
        name = next((name for name in links if wheel.match(name)), None)
        if name is None:
            raise NotFound(f"{page} lists no uv {VERSION} for {architecture}")
        url, _, digest = links[name].partition("#")
        archive = root / name
        fetch_file(url, archive, digest or None)
    except NotFound as error:
        raise BuildFailure(f"uv, which installs Python packages, could not be had: {error}.",
                           "Check PIP_INDEX_URL: a private index must also serve the public packages.") from error
    unpack_zip(archive, root, wants=lambda path: path.endswith("/scripts/uv"))
    archive.unlink()
    program = next(root.glob("*/scripts/uv"))
    program.chmod(0o755)
    (root / "bin").mkdir(exist_ok=True)
    return program.rename(root / "bin" / "uv")
