"""Packages from the npm registry, without npm: how the first Node.js gets onto an image that has none."""
import os
import re
import tempfile
from pathlib import Path
from urllib.parse import quote

from cnb.failure import BuildFailure
from cnb.fetch import NotFound, fetch_file, fetch_json

# What npm itself uses where nothing else is set.
PUBLIC_REGISTRY = "https://registry.example.com"
ABBREVIATED = "application/vnd.npm.install-v1+json"


def registry_url(app=None):
    """The registry that npm would use: environment, then the app's .npmrc, then the public one."""
    from_env = os.environ.get("npm_config_registry") or os.environ.get("NPM_CONFIG_REGISTRY")
    npmrc = Path(app) / ".npmrc" if app else None
    from_file = re.search(r"^\s*registry\s*=\s*(https?://\S+)", npmrc.read_text(encoding="utf-8"), re.M) if npmrc and npmrc.is_file() else None
    return (from_env or (from_file[1] if from_file else PUBLIC_REGISTRY)).rstrip("/")


def find_versions(package, app=None):
    """{version: its description in the registry}."""
    try:
        return fetch_json(f"{registry_url(app)}/{quote(package, safe='@')}", ABBREVIATED)["versions"]
    except NotFound as error:
        raise BuildFailure(f"The npm registry has no package {package}: {error}.",
                           "Check npm_config_registry and .npmrc: a private registry must also serve the public packages.") from error


def download_package(package, version, app=None):
    """The tarball as a temporary file, checked against the registry's digest; the caller deletes it."""
    try:
        dist = fetch_json(f"{registry_url(app)}/{quote(package, safe='@')}/{version}")["dist"]
        handle, path = tempfile.mkstemp(suffix=".tgz")
        os.close(handle)
        fetch_file(dist["tarball"], path, dist.get("integrity") or f"sha1={dist['shasum']}")
    except NotFound as error:
        raise BuildFailure(f"{package} {version} is not in the npm registry: {error}.",
                           "Ask for a version that is, or correct npm_config_registry.") from error
    return path
