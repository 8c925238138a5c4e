"""
The power goes while an image works on its disk (apps/fstest, load=). QEMU is killed at a random moment; what it had recorded
of the disk's writes is cut at random places; each disk that comes of it is replayed by kiln-fs, shown to e2fsck, and
holds what the image had printed as promised before the cut.

POWERCUTS=n asks for so many kills, POWERCUT_SEED=n for others.
"""

import os
import random
import subprocess
import time

import blklog
import pytest
from fsdisk import make_disk, tool
from guest import Guest
from kiln import BOOT_SECONDS, ROOT, build_image
import machine

KILLS = int(os.environ.get("POWERCUTS", "2"))
SEED = int(os.environ.get("POWERCUT_SEED", "1"))
CUTS_EACH = 4
SIZES = 40000              # of versions, as in apps/fstest/load.c
MODES = ["", ":data=journal", "", ":data=writeback"]


@pytest.fixture(scope="module", autouse=True)
def kiln_fs():
    subprocess.run(["make", "-s", "kiln-fs"], cwd=ROOT, check=True, timeout=900, env={
        k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"})
    return ROOT / "build" / "host" / "kiln-fs"


def version_bytes(thread, version):
    line = b"%d %d\n" % (thread, version)
    size = (version * 7919 + thread * 104729) % SIZES
    return (line * (size // len(line) + 1))[:size]


class Promises:
    """What the image has printed, and how long the record was then: cuts behind that must keep it."""

    def __init__(self, log):
        self.log, self.lines = log, []

    def hear(self, line):
        words = line.split()
        if words[:1] == ["promise"] and len(words) >= 4:
            gone = words[4:] == ["gone"]
            self.lines.append((self.log.stat().st_size, int(words[1]), int(words[2]), int(words[3]), gone))

    def before(self, place):
        """By (thread, name): the last version promised before a place of the record."""
        return {(thread, name): (version, gone) for end, thread, name, version, gone in self.lines if end <= place}


def record(folder, chance, mode):
    """Boots, lets it work for a while, kills it. The disk before, the record's entries, the promises."""
    disk, log = make_disk(folder / "disk", mib=24), folder / "log"
    before = disk.read_bytes()
    log.touch()
    promises = Promises(log)
    m = machine.Machine(build_image("fstest").with_suffix(".elf"), net="none", harts=chance.choice([1, 2]),
                        options=[f"mount=vda:/data:ext4{mode}"], app_args=["load=/data"],
                        extra=blklog.arguments(disk, log))
    guest = Guest(m, on_line=promises.hear)
    try:
        wanted = chance.randrange(5, 150)
        assert guest.wait_console(lambda seen: seen.count("\npromise ") >= wanted, BOOT_SECONDS), guest.console
        time.sleep(chance.random() * 0.05)        # not always between two promises
        assert guest.is_running(), guest.console
    finally:
        guest.kill()
    return before, blklog.read_log(log), promises


def what_is_wrong(path, thread, promised, newest):
    """A name on the disk against its last promise: whole, and not older. Every sixth version is its, every eleventh gone."""
    version, gone = promised
    versions = range(version, newest + 1, 6)
    if not path.exists():
        return None if gone or any(v % 11 == 0 for v in versions) else "it is lost"
    data = path.read_bytes()
    if any(v % 11 and version_bytes(thread, v) == data for v in versions):
        return None
    return f"its {len(data)} bytes are none of its versions from {version} to {newest}"


def judge(folder, disk, promises, place, kiln_fs):
    """What is wrong with a disk of which the record up to `place` is left, or None."""
    cut, tree = folder / "cut", folder / "tree"
    cut.write_bytes(disk)
    replay = subprocess.run([kiln_fs, cut, "replay"], capture_output=True, text=True, timeout=120)
    if replay.returncode:
        return "kiln-fs cannot replay it: " + replay.stdout + replay.stderr
    check = tool("e2fsck", "-fn", cut, check=False)
    if check.returncode:
        return "e2fsck: " + check.stdout
    tool("rm", "-rf", tree)
    got = subprocess.run([kiln_fs, cut, "get", "-r", "/", tree], capture_output=True, text=True, timeout=120)
    if got.returncode:
        return "kiln-fs cannot read it: " + got.stdout + got.stderr
    for (thread, name), last in promises.before(place).items():
        newest = 1 + max(line[3] for line in promises.lines if line[1] == thread)
        wrong = what_is_wrong(tree / str(thread) / str(name), thread, last, newest)
        if wrong:
            return f"thread {thread}, name {name}, promised {last}: {wrong}"
    return None


@pytest.mark.parametrize("number", range(KILLS))
def test_a_cut_keeps_what_was_promised(number, tmp_path, kiln_fs):
    seed = SEED * 1000 + number
    chance = random.Random(seed)
    before, entries, promises = record(tmp_path, chance, MODES[number % len(MODES)])
    assert any(entry.flags & blklog.FLUSH for entry in entries) and promises.lines
    # The end, where most is promised, and places anywhere before it.
    places = [len(entries)] + [chance.randrange(1, len(entries)) for _ in range(CUTS_EACH - 1)]
    for at in places:
        disk = blklog.cut_disk(before, entries, at, chance)
        wrong = judge(tmp_path, disk, promises, entries[at - 1].end, kiln_fs)
        assert not wrong, f"POWERCUT_SEED={SEED}, kill {number}, cut after {at} of {len(entries)} writes: {wrong}"


def test_a_disk_without_barriers_is_caught(tmp_path, kiln_fs):
    chance = random.Random(SEED)
    for number in range(8):
        folder = tmp_path / str(number)
        folder.mkdir()
        before, entries, promises = record(folder, chance, ":nobarrier")
        disk = blklog.cut_disk(before, entries, len(entries), chance)
        if judge(folder, disk, promises, entries[-1].end, kiln_fs):
            return
    pytest.fail("lost writes went unnoticed eight times")
