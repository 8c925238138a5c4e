"""The contract of stream.h on its epoll back end, under the sanitizers."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_epoll_back_end_keeps_the_contract():
    subprocess.run(["make", "-s", "build/native/stream_test"], cwd=ROOT, check=True)
    done = subprocess.run([ROOT / "build/native/stream_test"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok ") == 15
