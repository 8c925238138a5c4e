"""
File systems: fsbench (apps/fsbench) in an image of ours, and the same source on a Linux guest, on disks of
the same kind in the same QEMU.

The Linux guest is the kernel of Debian trixie with an initramfs of busybox, the modules that ext4 and virtio-blk
need, and fsbench, linked statically. Each run has a new disk of mke2fs's defaults. The guests run one after the other,
by turns. Instructions are counted by the TCG plugin between two marks that fsbench prints; after each it is quiet,
so that the count is read while the guest does nothing.
"""

import lzma
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import linux_guest
from figure import Figure, Peer, median, rounded
from instruments import ROOT, Counted, Image
from linux_guest import CACHE, archive
from machine import Disk          # of tools/run

DISK_BYTES = 1 << 30
MEM = "256M"
MKE2FS = ["mke2fs", "-q", "-t", "ext4", "-F"]
MODULES = ["virtio_mmio", "virtio_blk", "crc16", "crc32c_generic", "libcrc32c", "mbcache", "jbd2", "ext4"]
INIT = """#!/bin/sh
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
$B mount -t tmpfs tmp /tmp
for module in {modules}; do $B insmod /modules/$module.ko; done
words=$($B sed 's/.*fsbench=//' /proc/cmdline | $B tr , ' ')
/bin/fsbench $words
$B poweroff -f
"""

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


def build_linux(tell):
    """The initramfs for fsbench, of the packages that the guest of memcached is made of."""
    linux_guest.build(tell)
    out, source = CACHE / "fs-initramfs", ROOT / "apps" / "fsbench" / "main.c"
    if out.exists() and out.stat().st_mtime > max(source.stat().st_mtime, Path(__file__).stat().st_mtime):
        return
    tell("making the Linux guest's files")
    with tempfile.TemporaryDirectory() as folder:
        root, unpacked = Path(folder) / "root", Path(folder) / "unpacked"
        for name in ("bin", "proc", "sys", "dev", "tmp", "mnt", "modules"):
            (root / name).mkdir(parents=True)
        for deb in CACHE.glob("packages/*.deb"):
            if deb.name.startswith(("linux-image", "busybox")):
                subprocess.run(["dpkg-deb", "-x", deb, unpacked], check=True, timeout=300)
        shutil.copy(next(unpacked.glob("usr/bin/busybox")), root / "bin" / "busybox")
        (root / "bin" / "sh").symlink_to("busybox")
        present = [name for name in MODULES if _copy_module(unpacked, name, root)]
        subprocess.run(["riscv64-linux-gnu-gcc", "-static", "-O2", "-o", root / "bin" / "fsbench", source], check=True,
                       timeout=120)
        init = root / "init"
        init.write_text(INIT.format(modules=" ".join(present)))
        init.chmod(0o755)
        out.write_bytes(archive(root))


def _copy_module(unpacked, name, root):
    """False when the kernel has it built in."""
    for packed in unpacked.glob(f"usr/lib/modules/*/kernel/**/{name}.ko.xz"):
        (root / "modules" / f"{name}.ko").write_bytes(lzma.decompress(packed.read_bytes()))
        return True
    return False


def new_disk(folder):
    disk = Path(folder) / "disk"
    with open(disk, "wb") as f:
        f.truncate(DISK_BYTES)
    subprocess.run([*MKE2FS, disk], check=True, capture_output=True, timeout=60)
    return Disk(disk)


def ours(disk, words, kind=Image):
    return kind("fs", net="none", wait=False, mem=MEM, disks=[disk], args=words)


def linux(disk, words, kind=Image):
    return kind("fs_on_linux", kernel=CACHE / "Image", net="none", wait=False, mem=MEM, disks=[disk],
                 raw_append="console=ttyS0 quiet panic=-1 fsbench=" + ",".join(words),
                 extra=["-initrd", str(CACHE / "fs-initramfs")])


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
    build_linux(tell)
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
    build_linux(tell)
    mine, theirs = count_marks(ours, tell), count_marks(linux, tell)
    return [Figure(name, rounded(mine[mark]), "instructions", f"{what}; ext4; every instruction of the guest counted by a TCG "
                   "plugin", peer_of(theirs[mark]), aim=0.5, aim_is="ratio") for name, (mark, what) in COUNTS.items()]
