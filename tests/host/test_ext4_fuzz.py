"""The fuzzer of damaged ext4 disks: it finds nothing in a short run, and it finds the bug that is planted for it."""

import shutil

import pytest
from fuzzing import fuzz

pytestmark = pytest.mark.skipif(not shutil.which("clang"), reason="clang is not installed")


def test_damaged_disks_are_withstood(tmp_path):
    code, out = fuzz("ext4_fuzz", 3_000, tmp_path)
    assert code == 0, out[-3000:]
    assert "Done 3000 runs" in out


def test_a_planted_bug_is_found(tmp_path):
    code, out = fuzz("ext4_fuzz_planted", 60_000, tmp_path)
    assert code != 0
    assert "caught: a transfer outside the disk" in out or "AddressSanitizer" in out
