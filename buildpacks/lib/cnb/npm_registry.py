"""Packages from the npm registry, without npm: how the first Node.js gets onto an image that has none."""
import os
import tempfile
from urllib.parse import quote

from cnb.failure import BuildFailure
from cnb.fetch import NotFound, fetch_file, fetch_json

ABBREVIATED = "application/vnd.npm.install-v1+json"


def registry_url():
    """The registry that builds are set to. An app's .npmrc is for its own packages: it does not choose where tools come from."""
    url = os.environ.get("npm_config_registry") or os.environ.get("NPM_CONFIG_REGISTRY")
    if not url:
        raise BuildFailure("This build knows no npm registry: the builder was made where npm was missing.",
                           "Set npm_config_registry in the app's config, or make the builder again beside npm.")
    return url.rstrip("/")


def find_versions(package):
    """{version: its description in the registry}."""
    try:
        return fetch_json(f"{registry_url()}/{quote(package, safe='@')}", ABBREVIATED)["versions"]
    except NotFound as error:
        raise BuildFailure(f"The npm registry has no package {package}: {error}.",
                           "Check npm_config_registry: a private registry must also serve the public packages.") from error


def download_package(package, version):
    """The tarball as a temporary file, checked against the registry's digest; the caller deletes it."""
    try:
        dist = fetch_json(f"{registry_url()}/{quote(package, safe='@')}/{version}")["dist"]
        handle, path = tempfile.mkstemp(suffix=".tgz")
        os.close(handle)
        fetch_file(dist["tarball"], path, dist.get("integrity") or f"sha1={dist['shasum']}")
    except NotFound as error:
        raise BuildFailure(f"{package} {version} is not in the npm registry: {error}.",
                           "Ask for a version that is, or correct npm_config_registry.") from error
    return path
