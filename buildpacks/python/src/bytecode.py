"""
Bytecode that stays valid in an image. Exported files lose their times, so bytecode that is checked by time would be
compiled anew at every start of the app; bytecode with an unchecked hash is taken as it is (PEP 552), and is the same
bytes whenever it is made.
"""
import importlib.util
import os
import py_compile

UNCHECKED_HASH = b"\x01\0\0\0"
HEADER_BYTES = 16


def compile_unchecked(root):
    """Converts the bytecode that is there below a folder, compiles what has none."""
    for folder, _, files in os.walk(root):
        for name in files:
            if name.endswith(".py"):
                _make_unchecked(os.path.join(folder, name))


def _make_unchecked(source):
    target = importlib.util.cache_from_source(source)
    try:
        with open(source, "rb") as file:
            text = file.read()
        if not _convert(target, source, text):
            py_compile.compile(source, target, doraise=True, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    except (py_compile.PyCompileError, ValueError):
        # A template or a file for another Python: it is never imported.
        return


def _convert(target, source, text):
    """Whether there was bytecode of just this source, which the header's time and size tell."""
    try:
        with open(target, "rb") as file:
            code = file.read()
    except OSError:
        return False
    stat = os.stat(source)
    expected = importlib.util.MAGIC_NUMBER + bytes(4) + (int(stat.st_mtime) & 0xFFFFFFFF).to_bytes(4, "little") + (len(text) & 0xFFFFFFFF).to_bytes(4, "little")
    if code[:HEADER_BYTES] != expected:
        return False
    with open(target, "wb") as file:
        file.write(importlib.util.MAGIC_NUMBER + UNCHECKED_HASH + importlib.util.source_hash(text) + code[HEADER_BYTES:])
    return True
