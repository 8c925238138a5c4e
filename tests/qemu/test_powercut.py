"""
The power goes while an image works on its disk (apps/fstest, load=). QEMU is killed at a random moment; what it had recorded
of the disk's writes is cut at random places; each disk that comes of it is replayed by kiln-fs, shown to e2fsck, and
holds what the image had printed as promised before the cut.

POWERCUTS=n asks for so many kills, POWERCUT_SEED=n for others.
"""

import os
import random
import subprocess

import blklog
import pytest
from fsdisk import make_disk, tool
from kiln import ROOT, build_image
import machine
import promises

KILLS = int(os.environ.get("POWERCUTS", "2"))
SEED = int(os.environ.get("POWERCUT_SEED", "1"))
CUTS_EACH = 4
MODES = ["", ":data=journal", "", ":data=writeback"]


@pytest.fixture(scope="module", autouse=True)
def kiln_fs():
    subprocess.run(["make", "-s", "kiln-fs"], cwd=ROOT, check=True, timeout=900, env={
        k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"})
    return ROOT / "build" / "host" / "kiln-fs"


def record(folder, chance, mode):
    """Of an image's work."""
    disk = make_disk(folder / "disk", mib=24)
    return promises.record(machine.Machine(build_image("fstest").with_suffix(".elf"), net="none", harts=chance.choice([1, 2]),
                                           options=[f"mount=vda:/data:ext4{mode}"], app_args=["load=/data"]), disk, chance)


def judge(folder, disk, made, place, kiln_fs):
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
    return made.broken_by(tree, place)


@pytest.mark.parametrize("number", range(KILLS))
def test_a_cut_keeps_what_was_promised(number, tmp_path, kiln_fs):
    seed = SEED * 1000 + number
    chance = random.Random(seed)
    before, entries, made = record(tmp_path, chance, MODES[number % len(MODES)])
    assert any(entry.flags & blklog.FLUSH for entry in entries) and made.lines
    # The end, where most is promised, and places anywhere before it.
    places = [len(entries)] + [chance.randrange(1, len(entries)) for _ in range(CUTS_EACH - 1)]
    for at in places:
        disk = blklog.cut_disk(before.read_bytes(), entries, at, chance)
        wrong = judge(tmp_path, disk, made, entries[at - 1].end, kiln_fs)
        assert not wrong, f"POWERCUT_SEED={SEED}, kill {number}, cut after {at} of {len(entries)} writes: {wrong}"


def test_a_disk_without_barriers_is_caught(tmp_path, kiln_fs):
    chance = random.Random(SEED)
    for number in range(8):
        folder = tmp_path / str(number)
        folder.mkdir()
        before, entries, made = record(folder, chance, ":nobarrier")
        disk = blklog.cut_disk(before.read_bytes(), entries, len(entries), chance)
        if judge(folder, disk, made, entries[-1].end, kiln_fs):
            return
    pytest.fail("lost writes went unnoticed eight times")
