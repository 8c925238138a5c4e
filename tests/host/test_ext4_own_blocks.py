"""
Maps that lead into the file system's own blocks, with right checksums all the same (debugfs makes them): damage, which is
neither read nor written through, nor freed.
"""

import re
import shutil

import pytest

from programs import KILN_FS, build_kiln_fs, run

BLOCK = 1024
FORMATS = {"extents": "none,has_journal,extent,filetype,sparse_super,metadata_csum,64bit,ext_attr",
           "maps": "none,has_journal,filetype,sparse_super,ext_attr"}
# Where the first block of a small file stands in its inode.
FIRST = {"extents": "block[5]", "maps": "block[0]"}


@pytest.fixture(scope="module", params=FORMATS)
def disk(request, tmp_path_factory):
    build_kiln_fs()
    folder = tmp_path_factory.mktemp("own_blocks")
    (folder / "tree" / "d").mkdir(parents=True)
    for name in ("f", "d/f"):
        (folder / "tree" / name).write_bytes(b"hello\n")
    run("truncate", "-s", "8M", folder / "disk")
    run("mke2fs", "-q", "-F", "-b", BLOCK, "-I", "256", "-O", FORMATS[request.param], "-d", folder / "tree", folder / "disk")
    if request.param == "maps":  # so that it is written
        run("tune2fs", "-O", "extent", folder / "disk")
    return folder / "disk", request.param


def own_blocks(disk):
    layout = run("dumpe2fs", disk).stdout.decode()
    found = {what: int(re.search(what + r" at (\d+)", layout)[1])
             for what in ("Primary superblock", "Group descriptors", "Block bitmap", "Inode bitmap", "Inode table")}
    found["journal"] = int(run("debugfs", "-R", "blocks <8>", disk).stdout.split()[0])
    return found


def debugfs(disk, *commands):
    for command in commands:
        run("debugfs", "-w", "-R", command, disk)


def bytes_at(disk, block):
    return disk.read_bytes()[block * BLOCK:(block + 1) * BLOCK]


def assert_refused(disk, block, *command, is_journal=False):
    before = bytes_at(disk, block)
    done = run(KILN_FS, disk, *command, ok=None)
    assert done.returncode == 1 and b" own" in done.stderr, (command, done.stderr)
    assert bytes_at(disk, block) == before or is_journal


def test_files_and_folders_do_not_lead_there(disk, tmp_path):
    original, kind = disk
    lying = tmp_path / "disk"
    for what, block in own_blocks(original).items():
        if what == "Primary superblock":  # which mounting and damage change
            continue
        for command in (["cat", "/f"], ["put", original.parent / "tree" / "f", "/f"], ["ls", "/d"], ["rm", "/d/f"]):
            shutil.copy(original, lying)
            debugfs(lying, f"sif f {FIRST[kind]} {block}", f"sif d {FIRST[kind]} {block}")
            assert_refused(lying, block, *command, is_journal=what == "journal")  # which is used all the same


def test_attributes_do_not_lead_there(disk, tmp_path):
    original, _ = disk
    lying = shutil.copy(original, tmp_path / "disk")
    block = own_blocks(original)["Inode table"]
    debugfs(lying, f"sif f file_acl {block}")
    assert_refused(lying, block, "stat", "/f")


def test_own_blocks_that_a_bitmap_calls_free_are_not_given_away(disk, tmp_path):
    original, _ = disk
    lying = shutil.copy(original, tmp_path / "disk")
    block = own_blocks(original)["Inode table"]
    debugfs(lying, f"freeb {block}", "setb 8000")  # so that the counts are right
    assert_refused(lying, block, "put", original.parent / "tree" / "f", "/new")
