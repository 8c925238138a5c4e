"""The programs of tests/abi on Linux and on Kiln: the same text, the same end."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "qemu"))

from kiln import Image       # noqa: E402
import archive               # noqa: E402  (tools/run, which kiln.py makes known)
from machine import Disk     # noqa: E402

PROGRAMS = sorted(p.stem for p in (HERE / "programs").glob("*.c"))
IN_A_TREE = ("tree", "tree_pages", "tree_random", "locks", "inotify", "proc", "fifos", "permissions", "limits", "mounts",
             "unix_sockets", "file_errors", "tree_threads")
MARKER = "OUTPUT BEGINS"
TOOLS = dict(os.environ, PATH=os.environ["PATH"] + ":/sbin:/usr/sbin")

MOTD = "Welcome to a file.\nSecond line.\n"


def surroundings(name, folder):
    """What `disk` needs beside itself: its environment on Linux, and fields of the machine for Kiln."""
    if name in IN_A_TREE:
        return {"TREE": tempfile.mkdtemp(dir="/dev/shm")}, {}
    if name != "disk":
        return {}, {}
    files = folder / "files" / "etc"
    files.mkdir(parents=True)
    (files / "motd").write_text(MOTD)
    for disk in ("disk.linux", "disk.kiln"):
        with open(folder / disk, "wb") as f:
            f.truncate(4 << 20)
    (folder / "initrd").write_bytes(archive.archive(folder / "files"))
    return ({"DISK": f"{folder}/disk.linux:{files}/motd"},
            {"disks": [Disk(folder / "disk.kiln", serial="abi-1")], "initrd": folder / "initrd",
             "options": ["env=DISK=/dev/disk/by-id/virtio-abi-1:/etc/motd"]})


def run_on_linux(name, folder, environment):
    """What the program prints natively, and its status."""
    program = folder / name
    subprocess.run([os.environ.get("HOSTCC", "gcc"), "-O1", "-o", str(program), str(HERE / "programs" / f"{name}.c"),
                    "-pthread", "-lm"], check=True, timeout=60)
    # A namespace of its own lets anybody mount, and keeps the machine as it is.
    prefix = ["unshare", "--user", "--map-root-user", "--mount"] if name == "mounts" else []
    done = subprocess.run([*prefix, str(program)], env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return done.stdout, done.returncode


def run_on_kiln(name, harts, options=(), **machine):
    """What it prints in an image, behind the marker that the image prints first, and the status."""
    with Image("abitest", net="none", args=[name], options=["loglevel=error", *options], harts=harts, mem="64M",
               **machine) as image:
        status = image.wait_exit(timeout=240)
        console = image.console.replace("\r", "")
    assert MARKER in console, console
    return console.split(MARKER + "\n", 1)[1], status


def skip_what_cannot_run_here(name):
    if name == "permissions" and os.geteuid():
        pytest.skip("only root can become others")
    if name == "mounts" and subprocess.run(["unshare", "-Urm", "true"], capture_output=True, timeout=60).returncode:
        pytest.skip("no namespace to mount in")


def ext4_disk(path):
    """An ext4 whose root is as empty as a new tmpfs."""
    with open(path, "wb") as f:
        f.truncate(64 << 20)
    for command in (["mke2fs", "-q", "-t", "ext4", "-b", "4096", str(path)], ["debugfs", "-w", "-R", "rmdir lost+found", str(path)]):
        subprocess.run(command, env=TOOLS, check=True, capture_output=True, timeout=60)
    return path


@pytest.mark.parametrize("name", IN_A_TREE)
def test_says_the_same_on_an_ext4_of_kiln(name, tmp_path):
    skip_what_cannot_run_here(name)
    expected, expected_status = run_on_linux(name, tmp_path, surroundings(name, tmp_path)[0])
    disk = ext4_disk(tmp_path / "disk.ext4")
    text, status = run_on_kiln(name, 1, disks=[Disk(disk)], options=["mount=vda:/mnt:ext4", "env=TREE=/mnt"])
    assert text.splitlines() == expected.splitlines()
    assert status == expected_status
    checked = subprocess.run(["e2fsck", "-fn", str(disk)], env=TOOLS, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("harts", [1, 4])
@pytest.mark.parametrize("name", PROGRAMS)
def test_says_the_same_on_linux_and_on_kiln(name, harts, tmp_path):
    skip_what_cannot_run_here(name)
    environment, machine = surroundings(name, tmp_path)
    expected, expected_status = run_on_linux(name, tmp_path, environment)
    text, status = run_on_kiln(name, harts, **machine)
    assert text.splitlines() == expected.splitlines()
    assert status == expected_status
    if name == "disk":
        assert (tmp_path / "disk.kiln").read_bytes() == (tmp_path / "disk.linux").read_bytes()


def test_an_unknown_program_is_refused_with_a_status():
    with Image("abitest", net="none", args=["nothing"], mem="64M") as image:
        assert image.wait_exit() == 2
        assert "usage: abitest" in image.console
