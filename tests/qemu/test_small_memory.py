"""Files several times as large as the memory: written, read and forgotten, without a failure and without standing still."""

import subprocess

import pytest

from kiln import Image
import machine                   # tools/run, which kiln.py makes known


@pytest.mark.parametrize("harts", [1, 2])
def test_files_of_four_times_the_memory_are_written_and_read(tmp_path, harts):
    disk = tmp_path / "disk"
    with open(disk, "wb") as f:
        f.truncate(256 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-F", str(disk)], check=True, capture_output=True, timeout=60)
    # Every byte written is read again after it was forgotten; fsbench ends at the first that is wrong.
    with Image("fs", net="none", wait=False, mem="24M", harts=harts, disks=[machine.Disk(disk)],
               args=["-m", "/dev/vda:ext4", "-d", "/mnt", "-s", "96", "-n", "500"]) as image:
        image.expect("fsbench done", timeout=240)
        assert image.wait_exit(timeout=60) == 0
    subprocess.run(["e2fsck", "-fn", str(disk)], check=True, capture_output=True, timeout=120)
