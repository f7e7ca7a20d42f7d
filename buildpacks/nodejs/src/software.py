"""The software list of a Node.js app, read from its lockfile."""
import json
import re

from cnb.sbom import component, sbom

YARN_ENTRY = re.compile(r'^"?((?:@[^@/"\s]+/)?[^@"\s]+)@[^\n]*:\n  version:? "?([^"\n]+)"?', re.M)
PNPM_ENTRY = re.compile(r"^  '?/?((?:@[^@/'\s]+/)?[^@/'\s]+)[@/](\d[^():']*)(?:\([^']*)?'?:", re.M)


def node_software(app, manager, runtime, tools):
    """CycloneDX: Node.js, the tools beside it and the packages that the lockfile names."""
    own = [component("generic", "node", runtime.version, kind="platform")]
    own += [component("npm", tool.name, tool.version, kind="application") for tool in tools]
    path = app / manager.lockfile
    packages = READERS[manager.name](path.read_text(encoding="utf-8")) if manager.lockfile and path.is_file() else []
    return sbom(own + [component("npm", name, version) for name, version in packages])


def _npm(text):
    """Production packages only: npm's lockfile marks the others."""
    for path, entry in json.loads(text).get("packages", {}).items():
        name = entry.get("name") or path.rpartition("node_modules/")[2]
        if "node_modules/" in path and name and entry.get("version") and not entry.get("dev") and not entry.get("link"):
            yield name, entry["version"]


def _yarn(text):
    return [(name, version) for name, version in YARN_ENTRY.findall(text) if "use.local" not in version]


def _pnpm(text):
    return PNPM_ENTRY.findall(text.partition("\npackages:")[2].partition("\nsnapshots:")[0])


READERS = {"npm": _npm, "yarn": _yarn, "pnpm": _pnpm}
