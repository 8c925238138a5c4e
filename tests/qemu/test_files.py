"""Disks and initial files of an image: make run's DISK= and FILES=, and archives that are not well."""

import os
import struct
import subprocess
import zlib

import pytest

from kiln import ROOT, Image
import archive                   # tools/run, which kiln.py makes known
import machine

TOOLS = dict(os.environ, PATH=os.environ["PATH"] + ":/sbin:/usr/sbin")


def run_disk_program(folder, initrd, **fields):
    disk = folder / "disk"
    with open(disk, "wb") as f:
        f.truncate(2 << 20)
    (folder / "initrd").write_bytes(initrd)
    with Image("abitest", net="none", args=["disk"], options=["env=DISK=/dev/vda:/etc/motd"], mem="32M",
               disks=[machine.Disk(disk)], initrd=folder / "initrd", **fields) as image:
        image.wait_exit()
        return image.console


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "etc").mkdir()
    (folder / "etc" / "motd").write_text("A line.\n")
    return archive.folder_archive(folder)


def test_the_same_folder_gives_the_same_archive(tmp_path, sound):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "motd").write_text("A line.\n")
    assert archive.folder_archive(tmp_path) == sound


@pytest.mark.parametrize("fields", [{}, {"legacy": True}, {"harts": 4}], ids=["modern", "legacy", "4 harts"])
def test_disk_and_file_on_every_transport(tmp_path, sound, fields):
    assert "A line." in run_disk_program(tmp_path, sound, **fields)


@pytest.mark.parametrize("damage", [
    lambda a: b"\x1f\x8b" + a, lambda a: a[:100], lambda a: a[:54] + b"FFFFFFFF" + a[62:], lambda a: b"x",
    lambda a: a[:94] + b"00000000" + a[102:]], ids=["compressed", "cut", "size", "one byte", "no name"])
def test_a_damaged_archive_is_named_and_does_no_harm(tmp_path, sound, damage):
    console = run_disk_program(tmp_path, damage(sound))
    assert "initrd: not a cpio archive" in console
    assert "the file opens: no" in console


def test_disks_are_found_by_their_order_and_serial(tmp_path):
    disks = []
    for number, size in enumerate((3, 5, 2)):
        file = tmp_path / f"d{number}"
        with open(file, "wb") as f:
            f.truncate(size << 20)
        disks.append(machine.Disk(file, serial=f"number-{number}", read_only=number == 2))
    with Image("abitest", net="none", args=["nothing"], mem="64M", disks=disks) as image:
        image.wait_exit()
        for name, kib, serial in (("vda", 3072, 0), ("vdb", 5120, 1), ("vdc", 2048, 2)):
            assert f"virtio-blk {name}, {kib} KiB" in image.console
            line = next(x for x in image.console.splitlines() if f"virtio-blk {name}," in x)
            assert line.endswith(f"serial number-{serial}")
            assert ("read-only" in line) == (serial == 2)


@pytest.mark.parametrize("text, sentence", [
    ("nowhere.img", "there is no file nowhere.img"), ("README.md,fast", "fast is neither ro nor serial"),
    ("README.md,serial=a/b", "is neither ro nor serial")])
def test_wrong_disks_are_told_in_a_sentence(text, sentence):
    done = subprocess.run(["/usr/bin/python3", "tools/run/run.py", "abitest", f"DISK={text}"], cwd=ROOT, text=True,
                          capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert sentence in done.stderr and done.stderr.count("\n") == 1


def test_memcached_keeps_its_items_on_a_disk(tmp_path):
    disk = tmp_path / "disk"
    with open(disk, "wb") as f:
        f.truncate(16 << 20)
    fields = {"args": ["-e", "/dev/disk/by-id/virtio-items"], "disks": [machine.Disk(disk, serial="items")], "mem": "64M"}
    value = b"x" * 5000
    with Image("memcached", **fields) as image:
        for number in range(100):
            assert image.ask(b"set key-%d 7 0 5000\r\n%s\r\n" % (number, value)) == b"STORED\r\n"
        assert image.stop() == 0
    with Image("memcached", **fields) as image:
        for number in range(100):
            answer = image.ask(b"get key-%d\r\n" % number, until=b"END\r\n")
            assert answer == b"VALUE key-%d 7 5000\r\n%s\r\nEND\r\n" % (number, value)
        image.close()                       # the power goes
    with Image("memcached", **fields) as image:
        assert image.ask(b"get key-1\r\n", until=b"END\r\n") == b"END\r\n"    # what was not stopped keeps nothing


def gpt(path, mib, partitions):
    """A disk with a GPT (UEFI 2.10, chapter 5): each partition a name, its first and last block, and the UUID's bytes."""
    blocks = mib * 2048
    entries = b"".join(b"\x01" * 16 + uuid + struct.pack("<QQQ", first, last, 0) + name.encode("utf-16-le").ljust(72, b"\0")
                       for name, first, last, uuid in partitions).ljust(128 * 128, b"\0")
    header = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, 1, blocks - 1, 34, blocks - 34, b"\x02" * 16, 2,
                         128, 128, zlib.crc32(entries))
    header = header[:16] + struct.pack("<I", zlib.crc32(header)) + header[20:]
    with open(path, "wb") as f:
        f.truncate(blocks * 512)
        f.seek(512)
        f.write(header.ljust(512, b"\0") + entries)


def test_disks_and_partitions_have_lasting_names_and_linux_numbers(tmp_path):
    gpt(tmp_path / "one", 4, [("boot area", 64, 127, bytes(range(16))), ("data", 128, 4095, bytes(range(16, 32)))])
    ext4(tmp_path / "two", 1, label="small", uuid="01234567-89ab-cdef-0123-456789abcdef")
    with Image("abitest", net="none", args=["devices"], options=["env=DISKS=yes"], mem="64M",
               disks=[machine.Disk(tmp_path / "one", serial="first"), machine.Disk(tmp_path / "two", serial="../odd")]) as image:
        assert image.wait_exit() == 0
        console = image.console.replace("\r", "")
    for line in (" 254        0       4096 vda\n", " 254        2       1984 vda2\n", " 254       16       1024 vdb\n",
                 "/dev/vda1: block 254:1, mode 660\n", "/dev/vdb: block 254:16, mode 660\n",
                 "/dev/disk/by-id/virtio-first -> ../../vda\n", "/dev/disk/by-id/virtio-first-part2 -> ../../vda2\n",
                 "/dev/disk/by-partuuid/03020100-0504-0706-0809-0a0b0c0d0e0f -> ../../vda1\n",
                 "/dev/disk/by-partlabel/data -> ../../vda2\n", "/dev/disk/by-label/small -> ../../vdb\n",
                 "/dev/disk/by-uuid/01234567-89ab-cdef-0123-456789abcdef -> ../../vdb\n"):
        assert line in console, line
    assert "odd" not in console and "boot area" not in console.split("/dev/disk/by-partlabel")[-1]


def ext4(path, mib, label, uuid="random"):
    with open(path, "wb") as f:
        f.truncate(mib << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-L", label, "-U", uuid, str(path)], env=TOOLS, check=True, capture_output=True,
                   timeout=60)


def test_an_ext4_is_mounted_by_its_label_and_discards_through_several_queues(tmp_path):
    ext4(tmp_path / "one", 8, "other")
    ext4(tmp_path / "two", 64, "data")
    with Image("abitest", net="none", args=["tree_random"], harts=2, mem="64M",
               options=["mount=/dev/disk/by-label/data:/mnt:ext4:discard", "env=TREE=/mnt"],
               disks=[machine.Disk(tmp_path / name, queues=2) for name in ("one", "two")]) as image:
        assert image.wait_exit() == 0
        assert "/dev/disk/by-label/data is at /mnt" in image.console
    for name in ("one", "two"):
        checked = subprocess.run(["e2fsck", "-fn", str(tmp_path / name)], env=TOOLS, capture_output=True, text=True, timeout=60)
        assert checked.returncode == 0, checked.stdout
