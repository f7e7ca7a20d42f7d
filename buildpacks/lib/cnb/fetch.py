"""Downloads over HTTPS: through the build's proxies, trusting its CA bundle, each file checked against a digest."""
import base64
import hashlib
import http.client
import json
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request

from cnb.failure import BuildFailure

ATTEMPTS = 3
TIMEOUT_SECONDS = 60
CHUNK_BYTES = 1 << 20


class NotFound(Exception):
    """The server answered that it has no such thing."""


def fetch_text(url, accept="*/*"):
    return _attempt(url, accept, lambda response: response.read().decode())


def fetch_json(url, accept="application/json"):
    return json.loads(fetch_text(url, accept))


def fetch_file(url, path, integrity):
    """
    Saves a file. `integrity` is `<algorithm>-<base64>` as in npm's metadata, or `<algorithm>=<hex>` as in Python's
    index; None only where the caller checks the contents itself. Raises NotFound; BuildFailure for everything else.
    """
    def save(response):
        with open(path, "wb") as file:
            shutil.copyfileobj(response, file, CHUNK_BYTES)
    _attempt(url, "*/*", save)
    if integrity is not None and not _is_intact(path, integrity):
        os.unlink(path)
        raise BuildFailure(f"{url} was downloaded, but its contents differ from their published digest.",
                           f"Expected: {integrity}", "Nothing of it was used. Push again; if it stays, the mirror or proxy in between alters files.")


def _is_intact(path, integrity):
    is_hex = "=" in integrity.split("-", 1)[0]
    algorithm, expected = integrity.split("=" if is_hex else "-", 1)
    sha = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            sha.update(chunk)
    found = sha.hexdigest() if is_hex else base64.b64encode(sha.digest()).decode()
    return found == expected


def _attempt(url, accept, use):
    reason = None
    for attempt in range(ATTEMPTS):
        if attempt > 0:
            time.sleep(attempt)
        try:
            request = urllib.request.Request(url, headers={"Accept": accept, "User-Agent": "forge-buildpacks"})
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=_trust()) as response:
                return use(response)
        except urllib.error.HTTPError as error:
            if error.code in (401, 403, 404, 410):
                raise NotFound(f"{url} answered {error.code}") from error
            reason = f"it answered {error.code}"
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
    raise BuildFailure(f"{url} could not be downloaded: {reason}.", *_advice(reason))


def _advice(reason):
    if isinstance(reason, ssl.SSLCertVerificationError):
        return ("The build does not trust the server's certificate. Behind a proxy that opens TLS, give forge its certificate: build.extraCa.",)
    return ("Check that builds on this machine may reach the network, or set a mirror and proxies for builds.",)


_context = None


def _trust():
    """The system's bundle (or SSL_CERT_FILE, which OpenSSL reads) and, where it is announced, Node's extra bundle."""
    global _context
    if _context is None:
        _context = ssl.create_default_context()
        extra = os.environ.get("NODE_EXTRA_CA_CERTS")
        if extra and os.path.isfile(extra) and extra != os.environ.get("SSL_CERT_FILE"):
            _context.load_verify_locations(extra)
    return _context
