"""memcached of this tree as a program of this machine, under the sanitizers, with its monitor."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests" / "memcached"), str(ROOT / "tools" / "run")]

from guest import free_port  # noqa: E402


class Native:
    """monitor: the address of /metrics; port: memcached's."""

    def __init__(self):
        program = ROOT / "build/native/memcached-asan"
        subprocess.run(["make", "-s", "build/native/memcached-asan"], cwd=ROOT, check=True, timeout=600,
                       env={k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"})
        self.port, self.monitor = free_port(), ("127.0.0.1", free_port())
        self.report = tempfile.TemporaryFile()
        self.process = subprocess.Popen([program, "-p", str(self.port), "-l", "127.0.0.1"], cwd=ROOT,
                                        stdin=subprocess.DEVNULL, stderr=self.report,
                                        env={**os.environ, "KILN_MONITOR_PORT": str(self.monitor[1])})
        self.wait()

    def wait(self):
        import socket
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                for port in (self.port, self.monitor[1]):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None
                time.sleep(0.05)
        raise AssertionError("memcached does not listen")

    def close(self):
        self.process.terminate()
        status = self.process.wait(60)
        self.report.seek(0)
        text = self.report.read().decode(errors="replace")
        assert status == 0 and "ERROR" not in text and "runtime error" not in text, text


@pytest.fixture(scope="module")
def native():
    server = Native()
    yield server
    server.close()
