"""The fuzzers of the protocols: they find nothing in a short run, and each finds the bug that is planted for it."""

import shutil
import subprocess

import pytest
from servers import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("clang"), reason="clang is not installed")


def fuzz(protocol, program, runs, folder):
    subprocess.run(["make", "-s", f"build/native/{program}"], cwd=ROOT, check=True)
    done = subprocess.run([ROOT / "build/native" / program, f"-runs={runs}", "-seed=1", "-max_len=20000", "-timeout=20",
                           f"-dict={ROOT}/tests/fuzz/text.dict", f"-artifact_prefix={folder}/", folder,
                           ROOT / "tests/fuzz" / protocol], capture_output=True, text=True, errors="replace", timeout=300)
    return done.returncode, done.stderr


@pytest.mark.parametrize("protocol,runs", [("text", 5000), ("binary", 8000), ("udp", 20000)])
def test_a_protocol_withstands_a_short_fuzzing(tmp_path, protocol, runs):
    code, out = fuzz(protocol, f"{protocol}_fuzz", runs, tmp_path)
    assert code == 0, out[-3000:]
    assert f"Done {runs} runs" in out


@pytest.mark.parametrize("protocol,where", [("text", "next_word"), ("binary", "binary_command"), ("udp", "received")])
def test_a_planted_bug_is_found(tmp_path, protocol, where):
    code, out = fuzz(protocol, f"{protocol}_fuzz_planted", 200_000, tmp_path)
    assert code != 0
    assert "AddressSanitizer: heap-buffer-overflow" in out and where in out
