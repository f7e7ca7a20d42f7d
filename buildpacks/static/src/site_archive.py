"""
The served files as one tar. The lifecycle gives every file of an image the same time, and nginx makes ETags of time and
size: two versions of a page of one length would look the same to browsers. In the archive each file has a time made
from its content.
"""
import hashlib
import os
import tarfile

LEFT_OUT = {".git", "node_modules", "static.json"}
WELL_KNOWN = ".well-known"
# In the past, as tar and browsers expect: 2001 to 2014.
FIRST_TIME = 1_000_000_000
TIMES = 400_000_000


def find_site_files(root):
    """Paths below the folder in order; hidden ones (but .well-known), and links that leave it, are not for visitors."""
    found = []
    inside = os.path.realpath(root)
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if _is_public(name))
        for name in sorted(files):
            path = os.path.join(folder, name)
            if _is_public(name) and os.path.isfile(path) and os.path.realpath(path).startswith(inside + os.sep):
                found.append(os.path.relpath(path, root))
    return sorted(found)


def write_site(root, files, archive):
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in files:
            path = os.path.join(root, name)
            info = tarfile.TarInfo(name)
            info.size, info.mode = os.path.getsize(path), 0o644
            with open(path, "rb") as file:
                info.mtime = FIRST_TIME + int(hashlib.sha256(file.read()).hexdigest()[:8], 16) % TIMES
                file.seek(0)
                tar.addfile(info, file)


def _is_public(name):
    return name not in LEFT_OUT and (not name.startswith(".") or name == WELL_KNOWN)
