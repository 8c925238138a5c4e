"""
fsck.kiln beside e2fsck: on a corpus of damaged disks both say "clean", or both say "not clean"; where they do not,
the table below says why. And what a crash leaves is repaired so that e2fsck finds nothing.

KILN_FSCK_CASES=N makes N disks of each kind instead of the usual few (make fuzz-fsck).
"""

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import corpus
from ext4 import Disk

ROOT = Path(__file__).resolve().parents[2]
FSCK = ROOT / "build" / "host" / "fsck.kiln"
CASES = int(os.environ.get("KILN_FSCK_CASES", "42"))

# Who alone says "not clean", of which cases, and why that is as it should be.
DISAGREEMENTS = [
    ("kiln", r"super\+0x(c|d|e|f|10|11|12|13)=",
     "more free blocks or inodes than there are: Kiln refuses to mount that; e2fsck -n tells it and calls the disk clean"),
    ("kiln", r"group\d\+0x[0-9a-f]+=\S+( |,|$)(?!.*summed)",
     "a descriptor's wrong checksum: Kiln refuses to mount that; e2fsck -n tells it and calls the disk clean"),
    ("kiln", r"uninit.*super\+0x(6[89a-f]|7[0-7])=",
     "another UUID makes the descriptors' checksums wrong: as above"),
    ("kiln", r"last_orphan|super\+0xe[89ab]=",
     "an inode on the orphan list that is none: e2fsck -n does not look at the list"),
    ("kiln", r"ext3 set_bg \d (flags|itable)|ext3 group\d\+0x1[cd23]=",
     "bitmaps called uninitialised without checksums of descriptors: e2fsck -n tells it and calls the disk clean"),
    ("kiln", r"journal\+",
     "a damaged journal that is not needed: e2fsck -n does not look at all of it; Kiln refuses to mount it"),
    ("kiln", r"extents\d\+0x[67]=",
     "the depth of an extent node is not what its parent says: e2fsck does not compare them; Kiln, as Linux, cannot read it"),
    ("kiln", r"group\d\+0x(c|d|e|f|10|11|1c|1d|2[c-f]|3[0-3])=",
     "a descriptor counts more than a group has: Kiln refuses to mount that; e2fsck -n tells it and calls the disk clean"),
    ("kiln", r"(inode\(<8>\)|orphans-inode)\+0x(6[89ab]|7[0-7]|8[01])=",
     "fields of the journal's or the orphan file's inode that e2fsck looks at only in inodes with names: a fragment, attributes, upper "
     "halves, the size of further fields"),
    ("kiln", r"(inode\(\S+\)\+0xa[4-7]|attributes\+0x39)=",
     "an attribute without a name, in an inode or behind a block's last: e2fsck does not mind those there"),
    ("e2fsck", r"debian1[23] (set_bg 1 flags 7|group1\+0x12=)",
     "e2fsck wants the last group's bitmap to be initialised, since old versions of Linux forgot its padding"),
    ("e2fsck", r"journal\+0x6[4-7]=",
     "a limit in a journal that nobody reads any more"),
]


def run(*command, timeout=120):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout, errors="replace",
                          env=corpus.ENVIRONMENT, stdin=subprocess.DEVNULL)


def kiln(option, disk):
    done = run(FSCK, option, disk)
    assert done.returncode in (0, 1, 4, 8), f"{disk}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def e2fsck(disk):
    return run("e2fsck", "-fn", disk)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    built = run("make", "-s", "-C", ROOT, "fsck.kiln", timeout=1200) if not os.environ.get("KILN_FSCK_BUILT") else None
    assert not built or built.returncode == 0, built.stdout + built.stderr
    return tmp_path_factory.mktemp("disks")


@pytest.fixture(scope="session", params=corpus.BASES)
def base(request, folder):
    return corpus.Base(request.param, folder)


def explained(who, name):
    return any(who == only and re.search(pattern, name) for only, pattern, _ in DISAGREEMENTS)


def judge(base, folder, kind, seed):
    """None, or how the two disagree about a disk."""
    disk = folder / f"{base.name}-{kind}-{seed}"
    if kind == "command":
        name = corpus.damaged_by_command(base, seed, disk)
    else:
        name, data = corpus.damaged_by_bytes(base, seed)
        disk.write_bytes(data)
    before = disk.read_bytes()
    ours, theirs = kiln("-n", disk), e2fsck(disk)
    assert disk.read_bytes() == before, f"{name}: -n has written"
    disk.unlink()
    if bool(ours.returncode) == bool(theirs.returncode) or explained("kiln" if ours.returncode else "e2fsck", name):
        return None
    return f"{name} (seed {seed})\n  Kiln: {ours.stdout}{ours.stderr}\n  e2fsck: {theirs.stdout}"


def test_clean_disks_are_clean(base, folder):
    disk = folder / "clean"
    disk.write_bytes(base.bytes)
    assert kiln("-n", disk).returncode == 0
    assert kiln("-p", disk).returncode == 0
    assert disk.read_bytes() == base.bytes, "-p has written, and there was nothing to do"


@pytest.mark.parametrize("kind", ["command", "bytes"])
def test_both_agree_about_damaged_disks(base, folder, kind):
    first = list(corpus.BASES).index(base.name) % 2
    seeds = range(first, 2 * CASES, 2)
    with ThreadPoolExecutor(2) as pool:
        new = [text for text in pool.map(lambda seed: judge(base, folder, kind, seed), seeds) if text]
    assert not new, "\n".join(new)


# ---- what a crash leaves ----

def debugfs(disk, *commands):
    for command in commands:
        run("debugfs", "-w", "-R", command, disk)


def repaired(disk):
    """-p puts it in order, and then there is nothing left to do, for Kiln and for e2fsck."""
    before = disk.read_bytes()
    looked = kiln("-n", disk)
    assert looked.returncode == 4 and disk.read_bytes() == before, looked.stdout
    done = kiln("-p", disk)
    assert done.returncode == 1, done.stdout + done.stderr
    judged = e2fsck(disk)
    assert judged.returncode == 0, done.stdout + judged.stdout
    assert kiln("-n", disk).returncode == 0 and kiln("-p", disk).returncode == 0


def test_a_pending_journal_is_replayed(base, folder):
    """The journal holds, block by block, a directory's making and a file's removal; nothing of it is in its place."""
    disk, later = folder / "pending", folder / "later"
    later.write_bytes(base.bytes)
    debugfs(later, "mkdir /fresh", "kill_file /d/f3", "unlink /d/f3", "symlink /fresh/link somewhere")
    run("e2fsck", "-fy", later)
    size, journal = base.clean.block_bytes, set(base.clean.extents(8)[1])
    new = later.read_bytes()
    changed = [n for n in range(len(new) // size) if new[n * size:(n + 1) * size] != base.bytes[n * size:(n + 1) * size] and
               n not in journal and n > 1024 // size]
    (folder / "blocks").write_bytes(b"".join(new[n * size:(n + 1) * size] for n in changed))
    disk.write_bytes(base.bytes)
    subprocess.run(["debugfs", "-w", "-f", "-", disk], capture_output=True, text=True, timeout=60, env=corpus.ENVIRONMENT,
                   input=f"jo -c\njw -b {','.join(map(str, changed))} {folder / 'blocks'}\njc\n")
    assert changed and Disk(disk.read_bytes()).incompat & 4, "debugfs has not left a journal to replay"
    repaired(disk)
    now = disk.read_bytes()
    assert all(now[n * size:(n + 1) * size] == new[n * size:(n + 1) * size] for n in changed
               if n >= base.clean.descriptor(0) // size + 1)
    assert "fresh" in run("debugfs", "-R", "ls /", disk).stdout


def test_orphans_are_deleted(base, folder):
    """A file without a name, as a crash leaves one that was open."""
    if base.name == "ext3":
        pytest.skip("Kiln only reads disks without extents, so it deletes nothing there")
    disk = folder / "orphan"
    disk.write_bytes(base.bytes)
    ino = base.inodes["/d/f3"]
    debugfs(disk, "unlink /d/f3", f"sif <{ino}> links_count 0", f"sif <{ino}> dtime 0", f"ssv last_orphan {ino}")
    repaired(disk)
    assert Disk(disk.read_bytes()).u16(Disk(disk.read_bytes()).inode(ino) + 0x1A) == 0


@pytest.mark.parametrize("damage", [
    ["setb 2900 3", "seti <400>"], ["set_bg 0 used_dirs_count 77", "freei <14>"],
    ["freeb 900 50", "seti <500>", "freei <20>", "ssv free_blocks_count 7"]],
    ids=lambda damage: damage[0])
def test_bitmaps_and_counts_are_put_in_order(base, folder, damage):
    disk = folder / "counts"
    disk.write_bytes(base.bytes)
    debugfs(disk, *damage)
    fixed = Disk(disk.read_bytes())
    for group in range(fixed.groups):
        fixed.fix_descriptor(group)
    disk.write_bytes(fixed.data)
    repaired(disk)
    now, size = disk.read_bytes(), base.clean.block_bytes
    for path in ("/", "/d/f1", "/d/f2", "/large", "/sparse"):
        for block in base.clean.extents(base.inodes[path])[1]:
            assert now[block * size:(block + 1) * size] == base.bytes[block * size:(block + 1) * size], path


def test_other_damage_is_left_to_e2fsck(base, folder):
    disk = folder / "left"
    disk.write_bytes(base.bytes)
    debugfs(disk, "sif /d/f1 links_count 7", "setb 2900 1")
    before = disk.read_bytes()
    done = kiln("-y", disk)
    assert done.returncode == 4 and "left to e2fsck" in done.stdout
    assert f"Inode {base.inodes['/d/f1']} has 2 names, and says 7." in done.stdout
    assert disk.read_bytes() == before


def test_a_damaged_superblock_is_judged_by_its_copy(folder):
    (folder / "copy").mkdir()
    base, disk = corpus.Base("debian13", folder / "copy"), folder / "super"
    disk.write_bytes(base.bytes[:1024] + bytes(1024) + base.bytes[2048:])
    done = kiln("-n", disk)
    assert done.returncode == 4 and "copy in group 1" in done.stdout


@pytest.mark.parametrize("content, says", [(b"", "is empty"), (bytes(1 << 20), "nothing but zeroes"),
                                           (b"XFSB" + bytes(1 << 20), "XFS")])
def test_what_is_no_file_system_is_an_error(folder, content, says):
    disk = folder / "none"
    disk.write_bytes(content)
    done = kiln("-n", disk)
    assert done.returncode == 8 and says in done.stdout + done.stderr


def test_a_directory_that_had_too_many_links_and_a_block_at_the_end_of_its_file(folder):
    (folder / "edges").mkdir()
    base, disk = corpus.Base("debian12", folder / "edges"), folder / "edge"
    size = base.clean.u32(base.clean.inode(base.inodes["/sparse"]) + 4)
    for command, status in (("sif /large links_count 1", 0), (f"sif /sparse size {size // 4096 * 4096}", 4)):
        disk.write_bytes(base.bytes)
        debugfs(disk, command)
        assert kiln("-n", disk).returncode == e2fsck(disk).returncode == status, command


def test_damage_in_the_orphan_file_is_found(folder):
    """By hand, since both have to be told of it: a number that nobody looks for, a wrong checksum, and a hole."""
    (folder / "orphans").mkdir()
    base, disk = corpus.Base("debian13", folder / "orphans"), folder / "orphan-file"
    ino = base.clean.u32(1024 + 0x280)
    block = base.clean.extents(ino)[1][3]
    for at, fix in ((0, True), (500, True), (500, False), (base.clean.block_bytes - 8, True)):
        damaged = Disk(base.bytes)
        damaged.put(block * damaged.block_bytes + at, "I", 14)
        if fix:
            damaged.fix_orphans(ino, block)
        disk.write_bytes(damaged.data)
        done = kiln("-p", disk)
        assert done.returncode == 4 and f"Inode {ino}: a block of the file of orphans" in done.stdout, done.stdout
        assert e2fsck(disk).returncode == 4 and disk.read_bytes() == damaged.data


@pytest.mark.parametrize("feature, says", [("quota", "quota"), ("bigalloc", "bigalloc"), ("encrypt", "encrypt"),
                                           ("project", "project"), ("verity", "verity")])
def test_what_cannot_be_checked_is_named_and_left_alone(folder, feature, says):
    disk = folder / "foreign"
    with open(disk, "wb") as file:
        file.truncate(16 << 20)
    corpus.run("mke2fs", "-q", "-F", "-t", "ext4", "-O", f"none,{corpus.COMMON},{feature}", "-I", "256", str(disk))
    debugfs(disk, "ssv state 0", "feature needs_recovery")
    before = disk.read_bytes()
    done = kiln("-p", disk)
    assert done.returncode == 8 and says in done.stderr.replace("foreign", ""), done.stdout + done.stderr
    assert done.stderr.count("\n") == 1 and disk.read_bytes() == before


def test_a_journal_on_another_disk_is_not_checked(folder):
    disk, journal = folder / "without", folder / "journal"
    for path, *words in ((disk, "-t", "ext4", "-O", "^has_journal"), (journal, "-O", "journal_dev")):
        path.write_bytes(b"")
        os.truncate(path, 16 << 20)
        corpus.run("mke2fs", "-q", "-F", "-b", "4096", *words, str(path))
    debugfs(disk, "feature has_journal", "ssv journal_dev 0x700", "ssv journal_uuid random")
    assert kiln("-n", disk).returncode == 8 and "journal on another disk" in kiln("-n", disk).stderr
    done = kiln("-n", journal)
    assert done.returncode == 8 and "holds the journal of another disk" in done.stderr and done.stderr.count("\n") == 1


def test_output_that_is_lost_is_no_success(base, folder):
    disk = folder / "clean"
    disk.write_bytes(base.bytes)
    with open("/dev/full", "w") as full:
        done = subprocess.run([FSCK, "-n", disk], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 8 and "No space left" in done.stderr


def test_usage(folder):
    assert run(FSCK).returncode == 16
    assert run(FSCK, "-x", "disk").returncode == 16
    assert run(FSCK, "-n", folder / "absent").returncode == 8
