"""
File systems: fsbench (apps/fsbench) in an image of ours, and the same source on a Linux guest, on disks of
the same kind in the same QEMU.

On the Linux guest (linux_disks.py) fsbench is linked statically. Each run has a new disk of mke2fs's defaults. The guests
run one after the other, by turns. Instructions are counted by the TCG plugin between two marks that fsbench prints; after each
it is quiet, so that the count is read while the guest does nothing.
"""

import re
import subprocess
import tempfile
import time
from pathlib import Path

import linux_disks
import linux_guest
from figure import Figure, Peer, median, rounded
from instruments import ROOT, Counted, Image
from linux_disks import MEM
from machine import Disk          # of tools/run

DISK_BYTES = 1 << 30
MKE2FS = ["mke2fs", "-q", "-t", "ext4", "-F"]

# name: (unit, what it is)
RATES = {
    "seq_read_mb_s": "reads of 128 KiB in order of a file of 32 MiB that is not cached",
    "seq_write_mb_s": "writes of 128 KiB in order, and an fsync, of a new file of 32 MiB",
    "rand_read_4k_per_s": "2,000 scattered reads of 4 KiB, none of them cached",
    "rand_write_4k_per_s": "2,000 scattered writes of 4 KiB, and an fsync",
    "fsync_per_s": "200 scattered writes of 4 KiB, each with an fsync",
    "create_per_s": "2,000 empty files created in one directory",
    "stat_per_s": "stat() of each",
    "unlink_per_s": "unlink() of each",
    "mount_ms": "mount() of the new disk",
}
COUNTS = {
    "instr_per_cached_read_4k": ("cached_read_4k", "pread() of 4 KiB that are cached, 20,000 times over 64 pages"),
    "instr_per_create": ("create", "2,000 empty files created and closed in one directory"),
    "instr_per_stat": ("stat", "stat() of one file three names deep, 20,000 times"),
}


def new_disk(folder):
    disk = Path(folder) / "disk"
    with open(disk, "wb") as f:
        f.truncate(DISK_BYTES)
    subprocess.run([*MKE2FS, disk], check=True, capture_output=True, timeout=60)
    return Disk(disk)


def ours(disk, words, kind=Image):
    return kind("fs", net="none", wait=False, mem=MEM, disks=[disk], args=words)


def linux(disk, words, kind=Image):
    fsbench = linux_disks.program("fsbench", ROOT / "apps" / "fsbench" / "main.c")
    return linux_disks.guest(f"/bin/fsbench {' '.join(words)}\n", [fsbench], [disk], kind)


def run(make, words):
    """{name: value} of what it prints."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        with make(new_disk(folder), ["-m", "/dev/vda:ext4", "-d", "/mnt", *words]) as guest:
            guest.expect("fsbench done", 300)
            return {name: float(value) for name, value in re.findall(r"fsbench (\w+) ([\d.]+)", guest.console)}


def peer_of(value):
    known = linux_guest.LinuxGuest.versions()
    del known["memcached"]
    return Peer(rounded(value), "the same program on the Linux guest, ext4 of the same options on a disk file of the same kind",
                "fsbench -m /dev/vda:ext4 -d /mnt", known)


def beside_linux(tell, runs=3):
    linux_disks.build(tell)
    taken = {ours: [], linux: []}
    for i in range(runs):
        for make in taken:
            tell(f"{make.__name__}, run {i + 1} of {runs}")
            taken[make].append(run(make, []))
    figures = []
    for name, what in RATES.items():
        mine, theirs = ([got[name] for got in taken[make]] for make in (ours, linux))
        unit = "ms" if name.endswith("_ms") else "MB/s" if name.endswith("mb_s") else "calls/s"
        lower = unit == "ms"
        figures.append(Figure(name, rounded(median(mine)), unit, f"{what}; ext4, virtio-blk, one hart; median of {runs} runs, "
                              "each on a new disk", peer_of(median(theirs)), aim=1, aim_is="ratio",
                              better="lower" if lower else "higher", spread=[rounded(min(mine)), rounded(max(mine))]))
    return figures


# ---- instructions ----

def count_marks(make, tell):
    """{name of a mark: instructions per operation}."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        found = {}
        with make(new_disk(folder), ["-m", "/dev/vda:ext4", "-d", "/mnt", "-i"], Counted) as guest:
            for name, _ in COUNTS.values():
                tell(f"{make.__name__}: {name}")
                guest.expect(f"mark {name} begin", 300)
                before = settled(guest)
                text = guest.expect(f"mark {name} end", 300)
                count = int(re.search(rf"mark {name} begin (\d+)", text)[1])
                found[name] = (settled(guest) - before) / count
            guest.expect("fsbench done", 60)
    return found


def settled(guest):
    """The count as soon as it moves no more: fsbench is quiet after a mark."""
    last = -1
    while (now := guest.instructions()) != last:
        last = now
        time.sleep(0.02)
    return now


def instructions(tell):
    linux_disks.build(tell)
    mine, theirs = count_marks(ours, tell), count_marks(linux, tell)
    return [Figure(name, rounded(mine[mark]), "instructions", f"{what}; ext4; every instruction of the guest counted by a TCG "
                   "plugin", peer_of(theirs[mark]), aim=0.5, aim_is="ratio") for name, (mark, what) in COUNTS.items()]
