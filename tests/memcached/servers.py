"""The servers that the conversations are held with.

native   memcached of this tree as a program of this machine, under the address and
         undefined-behaviour sanitizers; a report of theirs fails the test
debian   Debian trixie's memcached, built by tools/peer: the judge of these tests
image    the memcached image in QEMU

All have host, port, connect(), ask() and close(), and take memcached's own options.
"""

import functools
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60            # far more than anything takes: a slow machine is no fault of the server
MARK = b"mn\r\n"
MARKED = b"MN\r\n"


def eventually(condition, seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Talk:
    """A connection; say() returns everything that the server answers to what is sent."""

    def __init__(self, host, port, timeout=SECONDS, receive_buffer=None):
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self, count):
        data = bytearray()
        while len(data) < count:
            piece = self.socket.recv(min(count - len(data), 1 << 20))
            if not piece:
                raise AssertionError(f"connection closed after {bytes(data[-200:])!r}")
            data += piece
        return bytes(data)

    def read_until(self, end):
        data = bytearray()
        while not data.endswith(end):
            piece = self.socket.recv(1 << 16)
            if not piece:
                raise AssertionError(f"connection closed after {bytes(data[-200:])!r}")
            data += piece
        return bytes(data)

    def read_to_close(self):
        data = bytearray()
        while piece := self.socket.recv(1 << 16):
            data += piece
        return bytes(data)

    def say(self, data):
        """Sends, then asks for a mark, so that an answer too many or none at all is seen."""
        self.send(data)
        self.send(MARK)
        return self.read_until(MARKED)[:-len(MARKED)]


class Server:
    host = "127.0.0.1"

    def connect(self, **kw):
        return Talk(self.host, self.port, **kw)

    def ask(self, data):
        with self.connect() as talk:
            return talk.say(data)

    def stats(self, section=b""):
        text = self.ask(b"stats %s\r\n" % section if section else b"stats\r\n").decode()
        return dict(line.split(" ", 2)[1:] for line in text.splitlines() if line.startswith("STAT "))


class Process(Server):
    def __init__(self, program, args):
        self.folder = tempfile.mkdtemp(prefix="memcached-test-")
        ports = Path(self.folder) / "ports"
        self.log_path = Path(self.folder) / "log"
        command = [str(program), "-p", "-1", *(() if "-U" in args else ("-U", "0")), "-l", "127.0.0.1", *args]
        if os.geteuid() == 0:
            command += ["-u", "root"]
        environment = dict(os.environ, MEMCACHED_PORT_FILENAME=str(ports), ASAN_OPTIONS="exitcode=99:quarantine_size_mb=4")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        kinds = ["TCP", "UDP"] if "-U" in args else ["TCP"]
        deadline = time.monotonic() + SECONDS
        while not (ports.exists() and all(kind in ports.read_text() for kind in kinds) and
                   ports.read_text().endswith("\n")):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.01)
        self.ports = ports.read_text().splitlines()
        found = dict(re.findall(r"(TCP|UDP) INET6?: (\d+)", ports.read_text()))
        self.port, self.udp_port = int(found["TCP"]), int(found.get("UDP", 0))

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def resident_kib(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError("no VmRSS")

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(SECONDS)
        log = self.log
        shutil.rmtree(self.folder, ignore_errors=True)
        return code, log


@functools.cache
def program_of(peer):
    done = subprocess.run([ROOT / "tools/peer", peer], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


class Native(Process):
    name = "native"

    def __init__(self, args=()):
        program = ROOT / "build/native/memcached-asan"
        subprocess.run(["make", "-s", "native"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        super().__init__(program, args)

    def close(self):
        code, log = super().close()
        assert code == 0, f"exit code {code}\n{log}"


class Debian(Process):
    name = "debian"
    peer = "memcached"

    def __init__(self, args=()):
        super().__init__(program_of(self.peer), args)

    def close(self):
        """Its clean stop takes a second, and is none of our tests."""
        self.process.kill()
        return super().close()


class InQemu(Server):
    name = "image"

    def __init__(self, args=()):
        sys.path.insert(0, str(ROOT / "tests/qemu"))
        import kiln
        self.image = kiln.Image("memcached", args=list(args))
        self.image.boot()
        self.host, self.port = self.image.host, self.image.port
        self.udp_port = self.port

    def close(self):
        self.image.close()


KINDS = {kind.name: kind for kind in (Native, Debian, InQemu)}
