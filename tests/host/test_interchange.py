"""
Trees that go from Kiln to e2fsprogs and back: disks as mke2fs makes them in Debian 12 and 13, with blocks of 1, 2 and
4 KiB. What kiln-fs writes, e2fsck finds clean and debugfs reads; what mke2fs writes, and what e2fsck has built anew,
kiln-fs reads; each byte by byte.

KILN_INTERCHANGE=full (make interchange) takes trees of 100,000 files, names of 255 bytes, and directories of 200,000
entries.
"""

import hashlib
import os
import random
from pathlib import Path

import pytest

from programs import KILN_FS, RELEASES, build_kiln_fs, drop, run

FULL = os.environ.get("KILN_INTERCHANGE") == "full"
# With blocks of 1 KiB an index without large_dir is full, for Linux too, at some 20,000 names of 255 bytes, more or fewer by chance.
FILES, ENTRIES, LONG_NAMES = (100_000, 200_000, 15_000) if FULL else (600, 1500, 200)
DISK_MIB = 2048 if FULL else 24

KINDS = [("debian12", 1024), ("debian13", 2048), ("debian12", 4096), ("debian13", 4096)]
if FULL:
    KINDS = [(release, block) for release in RELEASES for block in (1024, 2048, 4096)]


@pytest.fixture(scope="module", autouse=True)
def program():
    build_kiln_fs()


def make_files(folder, count, rng):
    """Folders of some hundred files, a few of them of more than a block; links."""
    for i in range(count):
        if i % 300 == 0:
            below = folder / f"folder {i // 300}" / "deeper"
            below.mkdir(parents=True)
        size = rng.choice((0, 1, 59, 60, 61, 1023, 1024, 1025, 5000)) if i % 50 else 40_000
        (below / f"file-{i}.bin").write_bytes(rng.randbytes(size))
        if i % 100 == 0:
            (below / f"link-{i}").symlink_to("x" * rng.choice((1, 59, 60, 300)))


def make_entries(folder, count):
    folder.mkdir()
    for i in range(count):
        (folder / f"entry number {i}").touch()


def make_long_names(folder, count, rng):
    folder.mkdir()
    for i in range(count):
        (folder / (f"{i:06}" + "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=249)))).touch()


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    rng = random.Random(5)
    folder = tmp_path_factory.mktemp("interchange") / "tree"
    folder.mkdir()
    make_files(folder / "files", FILES, rng)
    make_entries(folder / "many", ENTRIES)
    make_long_names(folder / "long", LONG_NAMES, rng)
    return folder


def contents(folder):
    """{path: what it is, with the checksum of a file's bytes or a link's target}."""
    found = {}
    for base, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(base, name)
            if os.path.islink(path):
                found[os.path.relpath(path, folder)] = "link " + os.readlink(path)
            elif os.path.isdir(path):
                found[os.path.relpath(path, folder)] = "folder"
            else:
                found[os.path.relpath(path, folder)] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return found


def assert_same(folder, tree):
    got, want = contents(folder), contents(tree)
    got = {path: what for path, what in got.items() if path.split("/")[0] != "lost+found"}
    assert len(got) == len(want) and not set(got.items()) ^ set(want.items())


def new_disk(path, features, block, *options):
    path.unlink(missing_ok=True)
    run("truncate", "-s", f"{DISK_MIB}M", path)
    inodes = 2 * (FILES + ENTRIES + LONG_NAMES)
    run("mke2fs", "-q", "-F", "-I", "256", "-O", features, "-b", str(block), "-N", inodes, *options, path)


@pytest.mark.parametrize("release, block", KINDS)
def test_what_kiln_writes_linux_reads(release, block, tree, tmp_path):
    disk = tmp_path / "disk"
    new_disk(disk, RELEASES[release], block)
    run(KILN_FS, disk, "put", "-r", tree, "/")
    run("e2fsck", "-fn", disk)
    (tmp_path / "out").mkdir()
    run("debugfs", "-R", f"rdump / {tmp_path}/out", disk)
    assert_same(tmp_path / "out", tree)
    # e2fsck builds all directories anew; Kiln reads those.
    run("e2fsck", "-fyD", disk, ok=(0, 1))
    run(KILN_FS, disk, "get", "-r", "/", tmp_path / "back")
    assert_same(tmp_path / "back", tree)
    drop(tmp_path)


@pytest.mark.parametrize("release, block", KINDS)
def test_what_linux_writes_kiln_reads(release, block, tree, tmp_path):
    disk = tmp_path / "disk"
    source = tree / "files" if FULL else tree # mke2fs takes hours for a directory of 200,000 names
    new_disk(disk, RELEASES[release], block, "-d", source)
    run(KILN_FS, disk, "get", "-r", "/", tmp_path / "out")
    assert_same(tmp_path / "out", source)
    # Kiln takes out half of it.
    run(KILN_FS, disk, "rm", "-r", *sorted("/" + p.name for p in source.iterdir())[::2])
    run("e2fsck", "-fn", disk)
    drop(tmp_path)
