"""
Journals that Linux's kernel left behind, replayed by Kiln, and Kiln's by Linux.

A guest, either Linux or an image, does with its disk whatever can be done to files (apps/fstest, churn= and load=) until it is killed.
Its writes are recorded and cut (tests/qemu/blklog.py): at the end, and at some places before. Of each disk that comes of it one
copy is replayed by kiln-fs, one by e2fsck, one by an image that mounts it, one by Linux that mounts it. The image and Linux then list
what they see on three of the copies, with everything that stat() tells, checksums, and extended attributes: six lists that
are the same. e2fsck finds nothing wrong with a disk that Kiln replayed, Linux logs no error, and what the guest had
promised before the cut is there.

LINUX_KILLS=n asks for so many kills of each kind, LINUX_SEED=n for others.
"""

import os
import random
import re
import shutil
import struct

import blklog
import linux_disks
import pytest
from fsdisk import is_clean, make_disk, tool
from kiln import ROOT, Image
from machine import Disk
from programs import KILN_FS, RELEASES, build_kiln_fs, drop, run
from promises import record

KILLS = int(os.environ.get("LINUX_KILLS", "1"))
SEED = int(os.environ.get("LINUX_SEED", "1"))
CUTS_EACH, TURNS = 4, 6
SECONDS = 300
ATOM = 4096     # what a disk writes at once. Linux does not mount a disk whose superblock is half old and half new
MODES = {"linux": [(1024, "data=ordered"), (4096, "data=ordered"), (1024, "data=journal"), (4096, "data=journal")],
         "kiln": [(1024, "data=ordered"), (4096, "data=ordered,delalloc"), (1024, "data=journal"), (4096, "data=journal"),
                  (4096, "data=writeback")]}
KINDS = [(writer, release, block, mode) for writer in MODES for release in RELEASES for block, mode in MODES[writer]]


@pytest.fixture(scope="module", autouse=True)
def program():
    build_kiln_fs()


def fstest():
    return linux_disks.program("fstest", *sorted((ROOT / "apps" / "fstest").glob("*.c")))


# ---- the writers ----

def linux_at_work(mode, seed, work):
    return linux_disks.guest(f"$B mkdir /data\n$B mount -t ext4 -o {mode} /dev/vda /data\nexport SEED={seed}\n"
                             f"/bin/fstest {' '.join(work)}\n", [fstest()])


def kiln_at_work(mode, seed, work):
    return Image("fstest", net="none", wait=False, options=[f"mount=vda:/data:ext4:{mode}", f"env=SEED={seed}"],
                 args=work)


WRITERS = {"linux": linux_at_work, "kiln": kiln_at_work}


def history(disk, writer, mode, chance, work=("churn=/data", "load=/data")):
    """A guest's work on a disk: what the disk was, what was written, what was promised."""
    image = WRITERS[writer](mode, chance.randrange(1 << 20), work)
    try:
        return record(image.machine, disk, chance, SECONDS)
    finally:
        image.close()


# ---- the readers ----

def lists(console, places):
    """What fstest's list= has printed: for each place {path: all that is known of it}."""
    found = {place: {} for place in places}
    for place, path, known in re.findall(r"^entry (/\d+)(.*?) (inode .*)$", console, re.M):
        found[place][path] = known
    return [found[place] for place in places]


def seen_by_kiln(disks):
    """Lists of what an image sees on some disks that it mounts, replays, and leaves at its orderly end."""
    places = [f"/{n}" for n in range(len(disks))]
    mounts = ";".join(f"vd{'abcdef'[n]}:{place}:ext4:noatime" for n, place in enumerate(places))
    with Image("fstest", net="none", wait=False, args=[f"list={place}" for place in places], options=["mount=" + mounts],
               disks=[Disk(disk) for disk in disks]) as image:
        assert image.wait_exit(SECONDS) == 0, image.console
        return lists(image.console, places)


def seen_by_linux(disks):
    """The same by Linux, and what it says about ext4."""
    places = [f"/{n}" for n in range(len(disks))]
    script = "".join(f"$B mkdir {place}\n$B mount -t ext4 -o noatime /dev/vd{'abcdef'[n]} {place} && /bin/fstest list={place} && "
                     f"$B umount {place}\n" for n, place in enumerate(places))
    with linux_disks.guest(script + "echo LOG\n$B dmesg | $B grep -E 'EXT4|JBD2'\n", [fstest()],
                           [Disk(disk) for disk in disks]) as image:
        assert image.wait_exit(SECONDS) == 0, image.console
        listed, log = image.console.split("\nLOG\n")
        assert len(re.findall("fstest ends", listed)) == len(disks), image.console
        return lists(listed, places), log


# ---- the judge ----

class Cut:
    """A disk as the power's going has left it, in copies: one for each that replays it."""

    def __init__(self, folder, data):
        self.dirty = folder / "dirty"
        self.dirty.write_bytes(data)
        self.by_kiln_fs, self.by_e2fsck, self.by_image, self.by_linux = (
            shutil.copy(self.dirty, folder / name) for name in ("kiln-fs", "e2fsck", "image", "linux"))

    def needs_recovery(self):
        return "needs_recovery" in tool("dumpe2fs", "-h", self.dirty).stdout

    def replay(self):
        run(KILN_FS, self.by_kiln_fs, "replay")
        assert is_clean(self.by_kiln_fs)
        run("e2fsck", "-fy", "-E", "no_optimize_extents", self.by_e2fsck, ok=(0, 1))


READERS = [f"{reader}, of the copy replayed by {whose}" for reader, own in (("the image", "itself"), ("Linux", "itself"))
           for whose in ("kiln-fs", "e2fsck", own)]


def fail_if_different(lists_of_a_cut):
    """Six of them, in READERS' order."""
    first = lists_of_a_cut[0]
    assert "/churn" in first
    for reader, other in zip(READERS[1:], lists_of_a_cut[1:]):
        found = [f"{path}\n  {first.get(path)}\n  {other.get(path)}" for path in sorted({*first, *other})
                 if first.get(path) != other.get(path)]
        if found:
            pytest.fail(f"{READERS[0]}, and {reader}, differ in {len(found)}:\n" + "\n".join(found[:10]), pytrace=False)


def assert_all_see_the_same(cuts):
    """Two cuts at a time: a machine has room for six disks."""
    kiln = seen_by_kiln([disk for cut in cuts for disk in (cut.by_kiln_fs, cut.by_e2fsck, cut.by_image)])
    linux, log = seen_by_linux([disk for cut in cuts for disk in (cut.by_kiln_fs, cut.by_e2fsck, cut.by_linux)])
    assert not re.search("error|warning|corrupt", log) and log.count("recovery complete") == len(cuts), log
    for n in range(len(cuts)):
        fail_if_different(kiln[3 * n:3 * n + 3] + linux[3 * n:3 * n + 3])
    for cut in cuts:
        assert is_clean(cut.by_image) and is_clean(cut.by_linux)


def assert_keeps(promises, cut, place, folder):
    run(KILN_FS, cut.by_kiln_fs, "get", "-r", "/", folder)
    wrong = promises.broken_by(folder, place)
    assert not wrong, wrong


@pytest.mark.parametrize("number", range(KILLS))
@pytest.mark.parametrize("writer, release, block, mode", KINDS)
def test_a_journal_means_the_same_to_all(writer, release, block, mode, number, tmp_path):
    chance = random.Random(f"{SEED} {number} {writer} {release} {block} {mode}")
    disk = make_disk(tmp_path / "disk", "-I", "256", "-O", RELEASES[release], "-b", str(block), mib=64)
    before, entries, promises = history(disk, writer, mode, chance)
    places = [len(entries)] + sorted(chance.randrange(len(entries) // 4, len(entries)) for _ in range(CUTS_EACH - 1))
    cuts = []
    for at in places:
        folder = tmp_path / str(at)
        folder.mkdir()
        cut = Cut(folder, blklog.cut_disk(before.read_bytes(), entries, at, chance, ATOM))
        assert cut.needs_recovery()
        cut.replay()
        assert_keeps(promises, cut, entries[at - 1].end, folder / "tree")
        cuts.append(cut)
    for n in range(0, len(cuts), 2):
        assert_all_see_the_same(cuts[n:n + 2])
    drop(tmp_path)


# ---- by turns ----

@pytest.mark.parametrize("release, block", [("debian12", 4096), ("debian13", 1024), ("debian13", 4096)])
def test_a_disk_changes_hands(release, block, tmp_path):
    """Each goes on with what the other left behind when it was killed, and changes what the other has made."""
    chance = random.Random(f"{SEED} {release} {block} by turns")
    disk = make_disk(tmp_path / "disk", "-I", "256", "-O", RELEASES[release], "-b", str(block), mib=64)
    for turn in range(TURNS):
        _, entries, promises = history(disk, ("kiln", "linux")[turn % 2], chance.choice(("data=ordered", "data=journal")), chance,
                                       ("churn=/data", "crowd=/data", "load=/data"))
        words = "\n".join(promises.others)
        assert not re.search("EXT4-fs|makes no sense|damage", words), words
        cut = Cut(tmp_path, disk.read_bytes())
        assert cut.needs_recovery()
        cut.replay()
        shutil.rmtree(tmp_path / "tree", ignore_errors=True)
        assert_keeps(promises, cut, entries[-1].end, tmp_path / "tree")
    assert_all_see_the_same([cut])
    drop(tmp_path)


# ---- fast commits ----

def fast_commit_blocks(disk, folder):
    """What lies in the part of the journal that is kept for them."""
    journal = folder / "journal"
    run("debugfs", "-R", f"dump <8> {journal}", disk)
    data = journal.read_bytes()
    block, = struct.unpack_from(">I", data, 12)          # s_blocksize, s_num_fc_blks of jbd2's superblock; 0: 256
    count, = struct.unpack_from(">I", data, 0x54)
    return data[-(count or 256) * block:]


def test_fast_commits_are_left_to_linux(tmp_path):
    """Not to e2fsck: that of Debian 12 finds nothing in such a journal, neither fast commits nor others."""
    chance = random.Random(f"{SEED} fast commits")
    disk = make_disk(tmp_path / "disk", "-I", "256", "-O", RELEASES["debian12"] + ",fast_commit", mib=64)
    _, entries, promises = history(disk, "linux", "data=ordered", chance)
    assert any(fast_commit_blocks(disk, tmp_path)) and "needs_recovery" in tool("dumpe2fs", "-h", disk).stdout
    dirty, sentence = disk.read_bytes(), "it may hold fast commits, which Linux replays when it mounts the disk"

    assert sentence.encode() in run(KILN_FS, disk, "replay", ok=(1,)).stderr
    with Image("fstest", net="none", wait=False, options=["mount=vda:/0:ext4"], disks=[Disk(disk)]) as image:
        assert image.wait_exit() == 1
        assert sentence in image.console
    assert disk.read_bytes() == dirty

    (by_linux,), log = seen_by_linux([disk])
    assert "recovery complete" in log and is_clean(disk)
    assert seen_by_kiln([disk]) == [by_linux] and is_clean(disk)
    run(KILN_FS, disk, "get", "-r", "/", tmp_path / "tree")
    assert not promises.broken_by(tmp_path / "tree", entries[-1].end)
    assert seen_by_linux([disk])[0] == [by_linux]
