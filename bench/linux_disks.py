"""
The peer with disks: the Linux guest's kernel with ext4 and virtio-blk, busybox, and programs of ours, which do what a script says.

The kernel and busybox are of the packages that the guest of memcached is made of (linux_guest.py). They and the kernel's modules
make an initramfs in the cache; programs and script are an archive of their own, which the kernel unpacks over it. The script
is one of busybox's shell, calls its commands as `$B COMMAND`, and the guest is off when it ends.
"""

import lzma
import shutil
import subprocess
import tempfile
from pathlib import Path

import linux_guest
from instruments import ROOT, Image
from linux_guest import CACHE, archive

MEM = "256M"
MODULES = ["virtio_mmio", "virtio_blk", "crc16", "crc32c_generic", "libcrc32c", "mbcache", "jbd2", "ext4"]
INITRAMFS = CACHE / "disks-initramfs"
INIT = """#!/bin/sh
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
$B mount -t tmpfs tmp /tmp
for module in $($B cat /modules/order); do $B insmod /modules/$module.ko; done
. /script
$B poweroff -f
"""


def build(tell=lambda text: None):
    """Makes the guest unless it is there."""
    linux_guest.build(tell)
    if INITRAMFS.exists() and INITRAMFS.stat().st_mtime > Path(__file__).stat().st_mtime:
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
        (root / "modules" / "order").write_text(" ".join(present))
        (root / "init").write_text(INIT)
        (root / "init").chmod(0o755)
        made = INITRAMFS.with_suffix(f".{folder.rsplit('/', 1)[1]}")      # another checkout may be at it, too
        made.write_bytes(archive(root))
        made.rename(INITRAMFS)


def _copy_module(unpacked, name, root):
    """False when the kernel has it built in."""
    for packed in unpacked.glob(f"usr/lib/modules/*/kernel/**/{name}.ko.xz"):
        (root / "modules" / f"{name}.ko").write_bytes(lzma.decompress(packed.read_bytes()))
        return True
    return False


def program(name, *sources):
    """A program for the guest's /bin, compiled anew when a source is newer; its place."""
    out = ROOT / "build" / "linux" / name
    headers = [header for source in sources for header in source.parent.glob("*.h")]
    if not out.exists() or out.stat().st_mtime < max(path.stat().st_mtime for path in [*sources, *headers]):
        out.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["riscv64-linux-gnu-gcc", "-static", "-O2", "-pthread", "-o", out, *sources, "-lm"], check=True, timeout=120)
    return out


def guest(script, programs, disks=(), kind=Image, **fields):
    """An Image, not yet booted. The first of `disks` is /dev/vda."""
    made = kind("linux", kernel=CACHE / "Image", net="none", wait=False, disks=list(disks),
                raw_append="console=ttyS0 quiet panic=-1", **{"mem": MEM, **fields})
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "bin").mkdir()
        for path in programs:
            shutil.copy(path, root / "bin" / path.name)
        (root / "script").write_text(script)
        made.machine.initrd = Path(made.folder) / "initramfs"
        made.machine.initrd.write_bytes(INITRAMFS.read_bytes() + archive(root))
    return made
