"""Unpacking what was downloaded, and keeping many small files as one."""
import os
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

from cnb.failure import BuildFailure


def unpack_tar(archive, target, *, strip=1, wants=lambda name: True):
    """Unpacks files, folders and links below `target`, without the first `strip` parts of their names."""
    target = os.path.realpath(target)
    with tarfile.open(archive) as tar:
        for member in tar:
            name = "/".join(member.name.split("/")[strip:])
            if not name or not wants(name):
                continue
            path = _inside(target, name, archive)
            if member.isdir():
                os.makedirs(path, exist_ok=True)
            elif member.issym():
                _inside(target, os.path.join(os.path.dirname(name), member.linkname), archive)
                os.symlink(member.linkname, path)
            elif member.isfile():
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with tar.extractfile(member) as source, open(path, "wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
                os.chmod(path, 0o755 if member.mode & stat.S_IXUSR else 0o644)


def unpack_zip(archive, target, *, strip=0, wants=lambda name: True):
    """As unpack_tar, for zip files; a file's mode is executable where the archive says so."""
    target = os.path.realpath(target)
    with zipfile.ZipFile(archive) as contents:
        for info in contents.infolist():
            name = "/".join(info.filename.split("/")[strip:])
            if not name or info.is_dir() or not wants(name):
                continue
            path = _inside(target, name, archive)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with contents.open(info) as source, open(path, "wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
            os.chmod(path, 0o755 if (info.external_attr >> 16) & stat.S_IXUSR else 0o644)


def _inside(target, name, archive):
    path = os.path.normpath(os.path.join(target, name))
    if path != target and not path.startswith(target + os.sep):
        raise BuildFailure(f"{os.path.basename(archive)} holds a file that would leave its folder: {name}.")
    return path


def pack(root, names, archive):
    """
    Keeps folders below `root` as one plain tar. The lifecycle reads, hashes and writes every cached file at every
    build; one big file costs it a fraction of thousands of small ones, and is opened only when it is needed.
    """
    Path(archive).parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            tar.add(os.path.join(root, name), arcname=name)


def unpack(archive, root):
    """Puts back what pack() kept."""
    with tarfile.open(archive) as tar:
        tar.extraction_filter = lambda member, path: member
        tar.extractall(root)
