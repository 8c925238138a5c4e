"""Disks with ext4 for tests: made and judged by e2fsprogs, mounted by the image fstest (apps/fstest)."""

import os
import subprocess
import zlib

from kiln import Image
import machine

ENV = dict(os.environ, PATH=os.environ["PATH"] + ":/sbin:/usr/sbin")


def tool(*command, check=True):
    done = subprocess.run([str(c) for c in command], env=ENV, capture_output=True, text=True, errors="replace", timeout=300,
                          stdin=subprocess.DEVNULL)
    assert not check or done.returncode == 0, (command, done.stdout, done.stderr)
    return done


def make_disk(path, *options, mib=16, tree=None):
    """A new file with ext4 of mke2fs's defaults, or as `options` have it."""
    with open(path, "wb") as f:
        f.truncate(mib << 20)
    tool("mke2fs", "-q", "-F", "-t", "ext4", *options, *(["-d", tree] if tree else []), path)
    return path


def is_clean(path):
    """Is e2fsck content, without a journal to replay first? Else its words are the failure's."""
    done = tool("e2fsck", "-fn", path, check=False)
    assert done.returncode == 0, done.stdout
    header = tool("dumpe2fs", "-h", path).stdout
    return "needs_recovery" not in header and "state:         clean\n" in header


def run(commands, mounts, disks, status=0, mem="64M", **fields):
    """Boots fstest with its commands and mount=; the console, once it has ended with `status`."""
    disks = [d if isinstance(d, machine.Disk) else machine.Disk(d) for d in disks]
    options = ["mount=" + ";".join([mounts] if isinstance(mounts, str) else mounts)]
    with Image("fstest", net="none", args=commands, options=options, disks=disks, mem=mem, wait=False, **fields) as image:
        ended = image.wait_exit()
        assert ended == status, (ended, image.console)
        return image.console


def sums_of(folder, seen_as):
    """What fstest's sums= prints of a folder of this machine that the image sees as `seen_as`: a set of lines."""
    lines = set()
    for where, folders, files in os.walk(folder):
        there = seen_as + where[len(str(folder)):]
        for name in folders + files:
            path = os.path.join(where, name)
            if os.path.islink(path):
                lines.add(f"link {there}/{name} -> {os.readlink(path)}")
            elif os.path.isdir(path):
                lines.add(f"folder {there}/{name}")
            else:
                data = open(path, "rb").read()
                lines.add(f"sum {zlib.crc32(data):08x} {len(data)} {there}/{name}")
    return lines


def sums_seen(console, below):
    """The same from a console: the lines about what lies below a folder."""
    return {line for line in console.splitlines()
            if line.startswith(("sum ", "link ", "folder ")) and f" {below}/" in line and "lost+found" not in line}
