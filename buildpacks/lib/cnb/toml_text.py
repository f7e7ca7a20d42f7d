"""TOML in and out. Reading needs Python 3.11's tomllib or, before that, the distribution's python3-tomli."""
import json
import sys
from pathlib import Path

# The buildpacks start Python with -S, so that nothing of the app's can reach them; the distribution's modules are then
# found only by their path.
DISTRIBUTION_MODULES = "/usr/lib/python3/dist-packages"


def read_toml(path):
    """The tables of a file, or {} when there is none. Raises ValueError with the reason for broken TOML."""
    path = Path(path)
    if not path.exists():
        return {}
    return _parser().loads(path.read_text(encoding="utf-8"))


def _parser():
    try:
        import tomllib
        return tomllib
    except ImportError:
        sys.path.append(DISTRIBUTION_MODULES)
        import tomli
        return tomli


def write_toml(path, table):
    """Writes tables of strings, booleans, numbers, lists and tables, keys in the order given."""
    Path(path).write_text("\n".join(_table(table, ())) + "\n", encoding="utf-8")


def _table(table, prefix):
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not _is_table(value)]
    for key, value in table.items():
        name = (*prefix, key)
        header = ".".join(map(_key, name))
        if isinstance(value, dict):
            lines += [f"[{header}]", *_table(value, name)]
        elif _is_table(value):
            for item in value:
                lines += [f"[[{header}]]", *_table(item, name)]
    return lines


def _is_table(value):
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _key(key):
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else _string(key)


def _value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _string(str(value))


def _string(text):
    # JSON's escapes are a subset of TOML's but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
