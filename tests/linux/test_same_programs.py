"""
The programs of tests/abi that work on files, on Linux's own ext4 and on Kiln's: the same text, the same end.
"""

import re

import linux_disks
import pytest
from machine import Disk
from test_abi import HERE, IN_A_TREE, ext4_disk, run_on_kiln

SECONDS = 900


def program(name):
    return linux_disks.program(name, HERE / "programs" / f"{name}.c")


@pytest.fixture(scope="module")
def said_on_linux(tmp_path_factory):
    """{name of a program: its lines and its status}, each begun in an empty root of one disk."""
    script = "$B dmesg -n 1\n" + "".join(f"$B mount -t ext4 /dev/vda /mnt\necho BEGIN {name}\nTREE=/mnt /bin/{name} 2>/dev/null\necho END {name} $?\n"
                     "$B umount /mnt\n$B mount /dev/vda /mnt\n$B rm -rf /mnt/* /mnt/.[!.]*\n$B umount /mnt\n" for name in IN_A_TREE)
    disk = ext4_disk(tmp_path_factory.mktemp("linux") / "disk")
    with linux_disks.guest(script, [program(name) for name in IN_A_TREE], [Disk(disk)]) as image:
        assert image.wait_exit(SECONDS) == 0, image.console
        said = re.findall(r"^BEGIN (\w+)\n(.*?)^END \1 (\d+)$", image.console, re.M | re.S)
        assert {name for name, _, _ in said} == set(IN_A_TREE), image.console
        return {name: (text.splitlines(), int(status)) for name, text, status in said}


@pytest.mark.parametrize("name", IN_A_TREE)
def test_says_the_same_on_both_ext4(name, said_on_linux, tmp_path):
    text, status = run_on_kiln(name, 1, disks=[Disk(ext4_disk(tmp_path / "disk"))], options=["mount=vda:/mnt:ext4", "env=TREE=/mnt"])
    lines, linux_status = said_on_linux[name]
    assert text.splitlines() == lines
    assert status == linux_status
