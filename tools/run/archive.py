#!/usr/bin/python3
"""
archive: a folder as a cpio archive in "newc" form, which an image takes as its first files.

    archive.py OUTPUT [FOLDER | ARCHIVE]

The same folder always gives the same bytes: members are sorted by name, belong to root, and have no
times. A file that is an archive already is copied; without a source the archive is empty.
"""

import os
import stat
import sys
from pathlib import Path

MAGIC = b"070701"
KINDS = (stat.S_ISDIR, stat.S_ISREG, stat.S_ISLNK)


def member(number, name, mode, data, links=1):
    name = os.fsencode(name) + b"\0"
    fields = [number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name), 0]
    head = MAGIC + b"".join(b"%08X" % field for field in fields) + name
    return pad(head) + pad(data)


def pad(data):
    return data + bytes(-len(data) % 4)


def folder_archive(folder):
    """The bytes of an archive of what lies in `folder`: folders, files and symbolic links."""
    folder, parts = Path(folder), []
    for number, path in enumerate(sorted(folder.rglob("*")), 1):
        info = path.lstat()
        if not any(kind(info.st_mode) for kind in KINDS):
            continue
        if path.is_symlink():
            data = os.fsencode(os.readlink(path))
        else:
            data = b"" if path.is_dir() else path.read_bytes()
        parts.append(member(number, path.relative_to(folder), info.st_mode, data))
    return b"".join(parts) + member(0, "TRAILER!!!", 0, b"")


def archive(source):
    """The archive that `source` is, or that it becomes."""
    source = Path(source)
    return folder_archive(source) if source.is_dir() else source.read_bytes()


def main(output, source=None):
    Path(output).write_bytes(archive(source) if source else b"")


if __name__ == "__main__":
    main(*sys.argv[1:])
