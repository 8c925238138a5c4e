"""Runs a fuzzer of this machine for so many inputs: its exit status, and what it said."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def fuzz(program, runs, folder):
    subprocess.run(["make", "-s", f"build/native/{program}"], cwd=ROOT, check=True)
    done = subprocess.run([ROOT / "build/native" / program, f"-runs={runs}", "-seed=1", "-max_len=600", "-len_control=0",
                           "-timeout=20", f"-artifact_prefix={folder}/", folder],
                          capture_output=True, text=True, errors="replace", timeout=300)
    return done.returncode, done.stderr
