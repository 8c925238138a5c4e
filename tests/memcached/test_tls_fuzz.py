"""The fuzzer of the TLS filter: it finds nothing in a short run, and it finds the bug that is planted for it."""

import shutil
import subprocess

import pytest
from servers import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("clang"), reason="clang is not installed")


def fuzz(program, runs, folder):
    subprocess.run(["make", "-s", f"build/native/{program}"], cwd=ROOT, check=True)
    done = subprocess.run([ROOT / "build/native" / program, f"-runs={runs}", "-seed=1", "-max_len=20000", "-timeout=20",
                           f"-artifact_prefix={folder}/", folder, ROOT / "tests/fuzz/tls"],
                          capture_output=True, text=True, errors="replace", timeout=300)
    return done.returncode, done.stderr


def test_the_record_entry_withstands_a_short_fuzzing(tmp_path):
    code, out = fuzz("tls_fuzz", 1200, tmp_path)
    assert code == 0, out[-3000:]
    assert "Done 1200 runs" in out


def test_a_planted_bug_is_found(tmp_path):
    code, out = fuzz("tls_fuzz_planted", 20_000, tmp_path)
    assert code != 0
    assert "AddressSanitizer: heap-buffer-overflow" in out and "tls_input_callback" in out
