"""
kiln-fs beside e2fsprogs: what one writes the other reads, byte for byte, and e2fsck finds nothing wrong.
"""

import random

import pytest

from programs import KILN_FS, build_kiln_fs, run

FORMATS = {"4k": ["-b", "4096"], "1k": ["-b", "1024"], "no_journal": ["-b", "2048", "-O", "^has_journal"],
           "no_checksums": ["-O", "^metadata_csum,^64bit"]}


def kiln(disk, *arguments, check=True):
    return run(KILN_FS, disk, *arguments, ok=(0,) if check else None)


@pytest.fixture(scope="module", autouse=True)
def program():
    build_kiln_fs()


@pytest.fixture(params=FORMATS)
def disk(request, tmp_path):
    path = tmp_path / "disk"
    (tmp_path / "tree" / "folder").mkdir(parents=True)
    (tmp_path / "tree" / "folder" / "old").write_bytes(b"old bytes\n")
    run("truncate", "-s", "32M", path)
    run("mke2fs", "-q", "-t", "ext4", *FORMATS[request.param], "-d", tmp_path / "tree", path)
    return path


def is_clean(disk):
    return run("e2fsck", "-fn", disk, ok=None).returncode == 0


def test_a_disk_goes_back_and_forth(disk, tmp_path):
    mine = tmp_path / "mine"
    mine.write_bytes(random.Random(1).randbytes(3_000_017))
    assert kiln(disk, "cat", "/folder/old").stdout == b"old bytes\n"
    kiln(disk, "mkdir", "/new", "/new/deeper")
    kiln(disk, "put", mine, "/new/deeper/bytes")
    kiln(disk, "ln", "-s", "deeper/bytes", "/new/link")
    kiln(disk, "mv", "/folder/old", "/new/moved")
    kiln(disk, "ln", "/new/moved", "/second")
    assert is_clean(disk)
    run("debugfs", "-R", f"dump /new/deeper/bytes {tmp_path}/back", disk)
    assert (tmp_path / "back").read_bytes() == mine.read_bytes()
    run("debugfs", "-w", "-R", f"write {mine} by_debugfs", disk)
    kiln(disk, "get", "/by_debugfs", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == mine.read_bytes()
    assert b"links 2" in kiln(disk, "stat", "/second").stdout
    kiln(disk, "rm", "-r", "/new")
    kiln(disk, "rm", "/by_debugfs")
    assert is_clean(disk)
    assert b"new" not in kiln(disk, "tree").stdout


def test_check_tells_a_clean_disk_from_a_damaged_one_and_writes_nothing(disk):
    before = disk.read_bytes()
    assert b"clean" in kiln(disk, "check").stdout
    assert disk.read_bytes() == before
    run("debugfs", "-w", "-R", "set_inode_field /folder/old links_count 7", disk)
    before = disk.read_bytes()
    done = kiln(disk, "check", check=False)
    assert done.returncode == 4 and b"not clean" in done.stdout
    assert disk.read_bytes() == before


def test_what_it_cannot_do_it_says(tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(b"")
    assert b"empty" in kiln(disk, "ls", check=False).stderr
    disk.write_bytes(b"XFSB" + bytes(100_000))
    assert b"holds XFS; ext4 was expected" in kiln(disk, "ls", check=False).stderr
    assert b"No such file" in kiln(tmp_path / "absent", "ls", check=False).stderr
    run("truncate", "-s", "16M", disk)
    run("mke2fs", "-q", "-F", "-t", "ext4", disk)
    assert b"/absent: No such file" in kiln(disk, "cat", "/absent", check=False).stderr
    run("truncate", "-s", "8M", disk)
    for asked in ("ls", "check"):
        done = kiln(disk, asked, check=False)
        assert done.returncode and done.stderr.decode() == (
            "kiln-fs: ext4: disk is truncated: its file system has 16777216 bytes, the disk 8388608\n")
    assert kiln(tmp_path, "ls", check=False).stderr.endswith(b": Is a directory\n")
    assert kiln(disk, "frobnicate", check=False).returncode == 2
