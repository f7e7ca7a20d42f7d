"""Which Node.js the app asks for, and where."""
from cnb.failure import BuildFailure
from manifest import strip_comment
from semver import BrokenRange, parse_range

DEFAULT_MAJOR = "24"
CODE_NAMES = {"hydrogen": "18", "iron": "20", "jod": "22", "krypton": "24"}
VERSION_FILES = (".nvmrc", ".node-version")


def requested_node(manifest):
    """(range, where it is said). engines.node wins, as it is what the app promises to run on. Raises BuildFailure."""
    asked, where = _find(manifest)
    range_ = _resolve_alias(asked)
    try:
        parse_range(range_)
    except BrokenRange as error:
        raise BuildFailure(f'{where} asks for Node.js "{asked}", which is no version or range.',
                           f'Write for example "{DEFAULT_MAJOR}" or "^{DEFAULT_MAJOR}.1".') from error
    return range_, where


def _find(manifest):
    if manifest.engines.get("node", "").strip():
        return manifest.engines["node"].strip(), "engines.node in package.json"
    for name in VERSION_FILES:
        path = manifest.app / name
        if path.is_file():
            asked = strip_comment(path.read_text(encoding="utf-8-sig"))
            if asked:
                return asked, name
    return DEFAULT_MAJOR, "forge's default, as neither engines.node nor .nvmrc says one"


def _resolve_alias(asked):
    name = asked.lower()
    if name in ("node", "latest", "current", "stable"):
        return "*"
    if name.startswith("lts/"):
        return CODE_NAMES.get(name[4:], DEFAULT_MAJOR)
    return asked
