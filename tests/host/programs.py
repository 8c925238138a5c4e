"""
Programs for tests of disk files: those of e2fsprogs, and kiln-fs.
"""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KILN_FS = ROOT / "build" / "host" / "kiln-fs"
ENV = dict(os.environ, PATH=os.environ["PATH"] + ":/sbin:/usr/sbin")


# Features of a new disk in two releases of Debian, whatever /etc/mke2fs.conf says here.
COMMON = ("none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,large_file,huge_file,"
          "dir_nlink,extra_isize,metadata_csum,64bit")
RELEASES = {"debian12": COMMON, "debian13": COMMON + ",orphan_file,metadata_csum_seed"}


def run(*command, ok=(0,)):
    """A program that has to end with one of these statuses; None: with any."""
    done = subprocess.run([str(c) for c in command], cwd=ROOT, env=ENV, capture_output=True, timeout=3600,
                          stdin=subprocess.DEVNULL)
    assert ok is None or done.returncode in ok, (command, done.stdout[-3000:], done.stderr[-3000:])
    return done


def drop(folder):
    """At the end of a test that makes gigabytes: what it has made is kept only when it failed, for whoever looks."""
    shutil.rmtree(folder)


def build_kiln_fs():
    run("make", "-s", "kiln-fs")
