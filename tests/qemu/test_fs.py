"""Disks with file systems: mounting them by bootargs, what is wrong with some, and that they come back clean."""

import os
import random
import struct

import pytest

from fsdisk import is_clean, make_disk, run, sums_of, sums_seen, tool
import machine
from test_panic import PANIC_STATUS


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A folder with what trees hold: sizes of all kinds, holes, links, names of 255 bytes, a large directory."""
    top = tmp_path_factory.mktemp("tree")
    chance = random.Random(4)
    for size in (0, 1, 59, 60, 61, 1024, 4095, 4096, 65537, 700001):
        (top / f"of-{size}").write_bytes(chance.randbytes(size))
    with open(top / "hole", "wb") as f:
        f.seek(5 << 20)
        f.write(b"behind the hole")
    (top / "many").mkdir()
    for number in range(500):
        (top / "many" / f"file-{number}").write_bytes(b"%d" % number)
    (top / ("n" * 255)).write_text("a long name")
    (top / "deep" / "er" / "still").mkdir(parents=True)
    (top / "deep" / "er" / "still" / "here").write_text("here")
    (top / "short").symlink_to("deep/er")
    (top / "long").symlink_to("deep/" + "x" * 200)
    return top


# ---- mounting ----

def test_a_disk_goes_to_the_image_and_back(tree, tmp_path):
    disk = make_disk(tmp_path / "disk", mib=48, tree=tree)
    console = run(["sums=/data", "write=/data/deep", "sums=/data/deep"], "/dev/vda:/data:ext4", [disk])
    assert "mount: /dev/vda is at /data" in console
    first, second = console.split("fstest: sums=/data is done")
    assert sums_seen(first, "/data") == sums_of(tree, "/data")
    assert is_clean(disk)
    # What Linux's tools read of it is what the image has seen.
    tool("debugfs", "-R", f"rdump / {tmp_path}", disk)
    os.rename(tmp_path / "deep", tmp_path / "dumped")
    assert sums_seen(second, "/data/deep") == sums_of(tmp_path / "dumped", "/data/deep")


@pytest.mark.parametrize("options", [["-b", "1024", "-O", "^has_journal"], ["-b", "2048", "-O", "^metadata_csum,^64bit"],
                                     ["-O", "orphan_file,metadata_csum_seed"]], ids=["no journal", "no checksums", "Debian 13"])
def test_other_formats_come_back_clean(options, tmp_path):
    disk = make_disk(tmp_path / "disk", *options)
    console = run(["write=/data", "orphan=/data", "sums=/data", "remove=/data/many"], "vda:/data:ext4", [disk])
    assert " /data/hole\n" in console and "nameless" not in console
    assert is_clean(disk)


def test_disks_are_found_by_name_and_by_serial_and_mounted_in_one_another(tmp_path):
    make_disk(tmp_path / "one")
    make_disk(tmp_path / "two")
    disks = [machine.Disk(tmp_path / "one", serial="first"), machine.Disk(tmp_path / "two", serial="second")]
    console = run(["write=/a/b", "sums=/a"], ["/dev/disk/by-id/virtio-second:/a:ext4", "/dev/vda:/a/b:ext4:nosuid"], disks)
    assert "folder /a/b\n" in console and " /a/b/hole\n" in console
    assert is_clean(tmp_path / "one") and is_clean(tmp_path / "two")
    assert "hole" in tool("debugfs", "-R", "ls -p /", tmp_path / "one").stdout
    assert "hole" not in tool("debugfs", "-R", "ls -p /", tmp_path / "two").stdout


def test_a_read_only_disk_is_read_and_nothing_else(tree, tmp_path):
    disk = make_disk(tmp_path / "disk", mib=48, tree=tree)
    before = disk.read_bytes()
    console = run(["sums=/data", "write=/data"], "vda:/data:ext4", [machine.Disk(disk, read_only=True)], status=1)
    assert "ext4: vda cannot be written to, and is mounted read-only" in console
    assert sums_seen(console, "/data") == sums_of(tree, "/data")
    assert "Read-only file system" in console
    assert disk.read_bytes() == before


def test_the_option_ro_writes_nothing(tmp_path):
    disk = make_disk(tmp_path / "disk")
    before = disk.read_bytes()
    console = run(["sums=/data", "remove=/data"], "vda:/data:ext4:ro,noatime", [disk], status=1)
    assert "Read-only file system" in console and disk.read_bytes() == before


# ---- what cannot be mounted ----

def damage(path, offset, data):
    with open(path, "r+b") as f:
        f.seek(offset)
        f.write(data)


def set_incompat(path, bit):
    with open(path, "r+b") as f:
        f.seek(1024 + 0x60)
        features, = struct.unpack("<I", f.read(4))
        f.seek(1024 + 0x60)
        f.write(struct.pack("<I", features | bit))


def empty(path):
    path.write_bytes(bytes(1 << 20))


def tiny(path):
    path.write_bytes(bytes(2048))


def truncated(path):
    make_disk(path, "-O", "^metadata_csum")
    os.truncate(path, 5 << 20)


def text(path):
    path.write_bytes(b"This is no disk.\n" * 5000)


def swap(path):
    path.write_bytes(bytes(1 << 20))
    tool("mkswap", path)


def unknown(path):
    make_disk(path, "-O", "^metadata_csum")
    set_incompat(path, 0x40000000)


def encrypted(path):
    make_disk(path, "-O", "^metadata_csum,encrypt")


def torn(path):
    make_disk(path, "-O", "^has_journal")
    damage(path, 1024 + 0x28, b"\xff\xff\xff\xff")


def journal(path):
    make_disk(path, "-b", "4096", "-O", "^metadata_csum")
    first = int(tool("debugfs", "-R", "blocks <8>", path).stdout.split()[0])
    damage(path, first * 4096, bytes(64))


BAD = [
    (empty, "begins with nothing but zeroes: it has no file system yet (mke2fs makes one)"),
    (tiny, "has 2048 bytes: no file system fits into it"),
    (truncated, "is truncated: its file system has 16777216 bytes, the disk 5242880"),
    (text, "holds no ext4, nor another format that is known"),
    (swap, "holds swap space; ext4 was expected"),
    (unknown, "uses what cannot be read here: incompat_40000000"),
    (encrypted, "uses what cannot be read here: encrypt"),
    (torn, ": the superblock is damaged (checksum)"),
    (journal, "journal: no superblock of a journal where it should be"),
]


@pytest.mark.parametrize("kinds", [BAD[:5], BAD[5:]], ids=["no ext4", "ext4"])
def test_an_image_goes_on_without_optional_disks_and_says_what_is_wrong_with_them(kinds, tmp_path):
    disks = [tmp_path / make.__name__ for make, _ in kinds]
    for disk, (make, _) in zip(disks, kinds):
        make(disk)
    before = [d.read_bytes() for d in disks]
    mounts = [f"vd{'abcde'[n]}:/data/{n}:ext4:optional" for n in range(len(disks))]
    console = run(["write=/data", "sums=/data"], mounts, disks)
    for n, (_, sentence) in enumerate(kinds):
        name = "vd" + "abcde"[n]
        assert (sentence if sentence.startswith("journal") else
                f"ext4: {name}{'' if sentence.startswith(':') else ' '}{sentence}") in console
        assert f"mount: {name} could not be mounted at /data/{n}" in console
    assert " /data/hole\n" in console       # the directories are there, and empty
    assert [d.read_bytes() for d in disks] == before


@pytest.mark.parametrize("make, sentence", [(None, "ext4: there is no disk vda"), BAD[3]], ids=["missing", "text"])
def test_without_a_disk_that_it_needs_an_image_ends(make, sentence, tmp_path):
    if make:
        make(tmp_path / "disk")
    console = run(["write=/data"], "vda:/data:ext4", [tmp_path / "disk"] if make else [], status=1)
    assert sentence in console
    assert "mount: vda could not be mounted at /data" in console and "fstest begins" not in console


@pytest.mark.parametrize("given, sentence", [
    ("vda", "mount=vda: it should be DISK:/DIRECTORY:TYPE[:OPTIONS]"),
    ("vda:/data:ext5", 'mount: this image has no file system "ext5"'),
    ("vda:/data:ext4:data=fast", 'ext4: no mount option "data=fast"'),
    ("vda:/a:ext4;vda:/b:ext4", "ext4: vda is in use")])
def test_what_is_wrong_with_mount_is_told_in_a_sentence(given, sentence, tmp_path):
    disk = make_disk(tmp_path / "disk", mib=8)
    console = run(["sums=/data"], given, [disk], status=1)
    assert sentence in console and "fstest begins" not in console
    assert is_clean(disk)


# ---- what is found damaged later ----

def damage_folder(disk, name):
    """Spoils the names in the only block of a folder that no earlier look at the disk has to read."""
    block, = tool("debugfs", "-R", f"blocks /{name}", disk).stdout.split()
    damage(disk, int(block) * 4096 + 24, b"\xff" * 40)


@pytest.fixture
def spoilt(tree, tmp_path):
    disk = make_disk(tmp_path / "disk", "-b", "4096", mib=48, tree=tree)
    damage_folder(disk, "deep")
    return disk


def test_damage_is_told_with_its_place_and_turns_the_disk_read_only(spoilt, tree):
    inode = tool("debugfs", "-R", "stat /deep", spoilt).stdout.split()[1]
    console = run(["sums=/data/many", "sums=/data/deep"], "vda:/data:ext4", [spoilt], status=1)
    assert "ext4: vda is damaged: " in console and f"(inode {inode}, block " in console
    assert "ext4: vda is read-only from now on; e2fsck repairs it" in console
    assert "fstest: /data/deep: " in console
    # The replay of its journal does not forget it; what is whole can be read and written; e2fsck looks without being told to.
    console = run(["sums=/data/many", "write=/data/many"], "vda:/data:ext4", [spoilt])
    assert "ext4: vda is marked as damaged: e2fsck should look at it" in console
    assert sums_seen(console, "/data/many") == sums_of(tree / "many", "/data/many")
    assert "clean with errors" in tool("dumpe2fs", "-h", spoilt).stdout
    assert "First error function:" in tool("dumpe2fs", "-h", spoilt).stdout
    tool("e2fsck", "-y", spoilt, check=False)
    assert is_clean(spoilt)
    after = sums_seen(run(["sums=/data/many"], "vda:/data:ext4", [spoilt]), "/data/many")
    assert sums_of(tree / "many", "/data/many") < after


@pytest.mark.parametrize("asked", ["mount option", "superblock"])
def test_damage_is_a_panic_where_that_is_wanted(asked, spoilt):
    if asked == "superblock":
        tool("tune2fs", "-e", "panic", spoilt)
    options = ":errors=panic" if asked == "mount option" else ""
    console = run(["sums=/data/deep"], "vda:/data:ext4" + options, [spoilt], status=PANIC_STATUS)
    assert "panic: ext4: vda is damaged, and was mounted with errors=panic" in console


# ---- what is free ----

@pytest.mark.parametrize("options", [[], ["-b", "1024", "-O", "^has_journal"]], ids=["journal", "no journal"])
def test_fitrim_gives_the_disk_what_is_free_and_nothing_else(options, tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(random.Random(7).randbytes(24 << 20))
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-E", "nodiscard", *options, disk)
    used = os.stat(disk).st_blocks * 512
    console = run(["write=/data", "remove=/data/many", "sums=/data", "trim=/data"], "vda:/data:ext4", [disk])
    trimmed = int(next(line for line in console.splitlines() if line.startswith("trim: ")).split()[1])
    header = dict(line.split(":", 1) for line in tool("dumpe2fs", "-h", disk).stdout.splitlines() if ":" in line)
    free = int(header["Free blocks"]) * int(header["Block size"])
    assert trimmed == free
    assert os.stat(disk).st_blocks * 512 <= used - trimmed + (1 << 20)
    assert is_clean(disk)
    assert sums_seen(run(["sums=/data"], "vda:/data:ext4", [disk]), "/data") == sums_seen(console, "/data")


# ---- full disks, and the end ----

@pytest.mark.parametrize("options", [[], ["-b", "1024", "-O", "^has_journal"], ["-N", "64"]],
                         ids=["journal", "no journal", "few inodes"])
def test_a_full_disk_says_so_and_its_room_can_be_used_again(options, tmp_path):
    disk = make_disk(tmp_path / "disk", *options, mib=12)
    console = run(["full=/data"], "vda:/data:ext4", [disk])
    words = next(line for line in console.splitlines() if line.startswith("full: ")).split()
    first, names, again = int(words[1]), int(words[3]), int(words[5])
    assert first > 4 << 20 and names >= 3
    assert again >= first - (1 << 20)
    assert is_clean(disk)


def test_an_end_in_the_middle_leaves_a_clean_disk_too(tmp_path):
    disk = make_disk(tmp_path / "disk")
    console = run(["write=/data", "orphan=/data", "end=0"], "vda:/data:ext4", [disk])
    assert "fstest ends" not in console
    assert is_clean(disk)
    run(["sums=/data", "write=/data/deep", "end=3"], "vda:/data:ext4", [disk], status=3)
    assert is_clean(disk)
