"""
kiln-fs beside e2fsprogs: what one writes the other reads, byte for byte, and e2fsck finds nothing wrong.
"""

import fcntl
import os
import random
import struct
import subprocess

import pytest

from programs import KILN_FS, build_kiln_fs, run

FORMATS = {"4k": ["-b", "4096"], "1k": ["-b", "1024"], "no_journal": ["-b", "2048", "-O", "^has_journal"],
           "no_checksums": ["-O", "^metadata_csum,^64bit"]}


def kiln(disk, *arguments, check=True):
    return run(KILN_FS, disk, *arguments, ok=(0,) if check else None)


@pytest.fixture(scope="module", autouse=True)
def program():
    build_kiln_fs()


def make_disk(folder, *options):
    path = folder / "disk"
    (folder / "tree" / "folder").mkdir(parents=True)
    (folder / "tree" / "folder" / "old").write_bytes(b"old bytes\n")
    run("truncate", "-s", "32M", path)
    run("mke2fs", "-q", "-t", "ext4", *options, "-d", folder / "tree", path)
    return path


@pytest.fixture(params=FORMATS)
def disk(request, tmp_path):
    return make_disk(tmp_path, *FORMATS[request.param])


@pytest.fixture
def plain(tmp_path):
    return make_disk(tmp_path)


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


def test_what_is_there_is_only_replaced_when_something_can_take_its_place(plain, tmp_path):
    mine = tmp_path / "mine"
    mine.write_bytes(b"precious")
    for absent in ("/absent", "/folder", "/link"):
        assert kiln(plain, "get", absent, mine, check=False).returncode == 1
    assert mine.read_bytes() == b"precious"
    assert b"Is a directory" in kiln(plain, "put", tmp_path, "/folder/old", check=False).stderr
    assert kiln(plain, "cat", "/folder/old").stdout == b"old bytes\n"
    for root in ("/", "/folder/.."):
        assert kiln(plain, "rm", "-r", root, check=False).returncode == 1
    assert b"/folder/old" in kiln(plain, "tree").stdout


def test_neither_links_nor_dots_lead_out_of_the_disk(plain):
    kiln(plain, "ln", "-s", "/folder/old", "/link")
    assert kiln(plain, "cat", "/link").stdout == b"old bytes\n"
    assert kiln(plain, "cat", "/../../folder/old").stdout == b"old bytes\n"
    kiln(plain, "mkdir", "/../new")
    assert is_clean(plain) and b" new\n" in kiln(plain, "ls").stdout


def test_a_pipe_is_no_file_to_copy(plain, tmp_path):
    run("debugfs", "-w", "-R", "mknod pipe p", plain)
    for words in (("cat", "/pipe"), ("get", "/pipe", tmp_path / "out")):
        done = kiln(plain, *words, check=False)
        assert done.returncode == 1 and done.stderr == b"kiln-fs: /pipe: Invalid argument\n"
    assert b"/pipe: neither a folder nor a file nor a link, left out" in kiln(plain, "get", "-r", "/", tmp_path / "all").stderr


def test_a_tree_keeps_its_permissions(plain, tmp_path):
    (tmp_path / "shared" / "below").mkdir(parents=True)
    (tmp_path / "shared" / "file").write_bytes(b"x")
    (tmp_path / "shared" / "file").chmod(0o666)
    (tmp_path / "shared").chmod(0o1777)
    kiln(plain, "put", "-r", tmp_path / "shared", "/shared")
    assert b"mode d1777" in kiln(plain, "stat", "/shared").stdout
    assert b"mode -0666" in kiln(plain, "stat", "/shared/file").stdout


def test_output_that_is_lost_is_no_success(plain, tmp_path):
    (tmp_path / "large").write_bytes(bytes(1_000_000))
    kiln(plain, "put", tmp_path / "large", "/large")
    for words in (("ls",), ("cat", "/folder/old"), ("cat", "/large")):
        with open("/dev/full", "w") as full:
            done = subprocess.run([KILN_FS, plain, *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        assert done.returncode == 1 and done.stderr == "kiln-fs: standard output: No space left on device\n"
    assert b"/dev/full: No space left" in kiln(plain, "get", "/large", "/dev/full", check=False).stderr


def test_a_disk_that_others_use_is_left_to_them(plain):
    """As QEMU locks its disks: bytes 100 and on for what it does, 200 and on for what nobody else may."""
    def others(kind, start, length):
        return fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, 0))

    reading, writing = (fcntl.F_RDLCK, 100, 1), (fcntl.F_RDLCK, 100, 2)
    with open(plain, "r+b") as file:
        for lock, works in ((reading, True), (writing, False), ((fcntl.F_WRLCK, 0, 0), False)):
            others(*lock)
            assert (kiln(plain, "ls", check=False).returncode == 0) == works
            assert (kiln(plain, "check", check=False).returncode == 0) == works
            assert kiln(plain, "mkdir", "/new", check=False).stderr.endswith(b"disk: in use by another program\n")
            others(fcntl.F_UNLCK, 0, 0)
    kiln(plain, "mkdir", "/new")
    assert is_clean(plain)


def test_a_journal_is_replayed_where_nothing_else_is_written(tmp_path):
    """A disk without extents is only read, but for its journal."""
    disk, block = tmp_path / "disk", tmp_path / "block"
    run("truncate", "-s", "16M", disk)
    run("mke2fs", "-q", "-t", "ext3", "-b", "1024", disk)
    block.write_bytes(b"j" * 1024)
    run("debugfs", "-w", "-R", "jo", disk, ok=None)
    (tmp_path / "commands").write_text(f"jo\njw -b 9000 {block}\njc\n")
    run("debugfs", "-w", "-f", tmp_path / "commands", disk)
    assert b"needs_recovery" in run("dumpe2fs", "-h", disk).stdout
    kiln(disk, "replay")
    assert b"needs_recovery" not in run("dumpe2fs", "-h", disk).stdout
    assert disk.read_bytes()[9000 * 1024:9001 * 1024] == block.read_bytes()
