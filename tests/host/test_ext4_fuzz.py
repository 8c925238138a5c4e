"""The fuzzer of damaged ext4 disks: it finds nothing in a short run, and it finds the bug that is planted for it."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not shutil.which("clang"), reason="clang is not installed")


def fuzz(program, runs, folder):
    subprocess.run(["make", "-s", f"build/native/{program}"], cwd=ROOT, check=True)
    done = subprocess.run([ROOT / "build/native" / program, f"-runs={runs}", "-seed=1", "-max_len=600", "-len_control=0",
                           "-timeout=20", f"-artifact_prefix={folder}/", folder],
                          capture_output=True, text=True, errors="replace", timeout=300)
    return done.returncode, done.stderr


def test_damaged_disks_are_withstood(tmp_path):
    code, out = fuzz("ext4_fuzz", 3_000, tmp_path)
    assert code == 0, out[-3000:]
    assert "Done 3000 runs" in out


def test_a_planted_bug_is_found(tmp_path):
    code, out = fuzz("ext4_fuzz_planted", 60_000, tmp_path)
    assert code != 0
    assert "caught: a transfer outside the disk" in out or "AddressSanitizer" in out
