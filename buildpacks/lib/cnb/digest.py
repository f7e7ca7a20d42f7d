"""Keys of layers: the same inputs give the same key, on every machine."""
import hashlib
import os
from pathlib import Path

LEFT_OUT = {".git", "node_modules"}


def digest(*parts):
    """A short digest of strings, bytes, paths (their contents; missing ones count too) and lists of these."""
    sha = hashlib.sha256()
    for part in parts:
        _add(sha, part)
    return sha.hexdigest()[:32]


def _add(sha, part):
    if isinstance(part, (list, tuple)):
        sha.update(b"[%d" % len(part))
        for item in part:
            _add(sha, item)
        return
    if isinstance(part, Path):
        data = part.read_bytes() if part.is_file() else b"\0missing"
    else:
        data = part if isinstance(part, bytes) else str(part).encode()
    sha.update(b"%d:" % len(data))
    sha.update(data)


def digest_tree(root, left_out=LEFT_OUT):
    """A digest of all names, modes and contents below a folder."""
    sha = hashlib.sha256()
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in left_out)
        for name in sorted(files):
            path = os.path.join(folder, name)
            executable = not os.path.islink(path) and os.access(path, os.X_OK)
            _add(sha, [os.path.relpath(path, root), executable])
            _add(sha, os.readlink(path) if os.path.islink(path) else Path(path))
    return sha.hexdigest()[:32]
