"""nginx, copied from the build image's package: the run image has no server."""
import re
import shutil
import subprocess
from pathlib import Path

from cnb.digest import digest
from cnb.failure import BuildFailure

PROGRAM = Path("/usr/sbin/nginx")
MIME_TYPES = Path("/etc/nginx/mime.types")
# Serves .br files that the build made; not every release of the distribution has it.
BROTLI = Path("/usr/lib/nginx/modules/ngx_http_brotli_static_module.so")


class Nginx:
    def __init__(self, layer, version, has_brotli):
        self.version, self.has_brotli = version, has_brotli
        self.mime_types = layer.path / "mime.types"
        self.brotli_module = layer.path / "modules" / BROTLI.name


def prepare_nginx(context):
    if not PROGRAM.is_file():
        raise BuildFailure("The build image has no nginx, which serves static sites.", "Make the builder again: forge builder:create.")
    layer = context.layer("nginx")
    key = digest("nginx", PROGRAM, MIME_TYPES, BROTLI)
    version = layer.metadata.get("version") if layer.matches(key) else _install(layer)
    layer.keep(launch=True, key=key, version=version)
    return Nginx(layer, version, BROTLI.is_file())


def _install(layer):
    root = layer.reset()
    (root / "bin").mkdir()
    shutil.copy2(PROGRAM, root / "bin" / "nginx")
    shutil.copy2(MIME_TYPES, root / "mime.types")
    if BROTLI.is_file():
        (root / "modules").mkdir()
        shutil.copy2(BROTLI, root / "modules" / BROTLI.name)
    shown = subprocess.run([PROGRAM, "-v"], capture_output=True, text=True, check=True).stderr
    return re.search(r"nginx/(\S+)", shown)[1]
