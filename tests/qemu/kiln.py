"""
Booting whole images in tests.

    with Image("memcached", mem="64M") as image:
        assert image.ask(b"version\r\n").startswith(b"VERSION")

An Image is a guest with a limit on its life: it boots with a time-out, has no standard input, gets
a free port of 127.0.0.1, waits for replies instead of connects, and is ended by its own pid when
the block is left. What it printed is kept for the report of a failed test (conftest.py).
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "run"))

import door                      # noqa: E402
import machine                   # noqa: E402
import netns                     # noqa: E402
from guest import Guest, free_port  # noqa: E402
from machine import Forward, Machine  # noqa: E402

BOOT_SECONDS = 60
IO_SECONDS = 60

started = []      # every Image of the running test, for its report


class BootFailed(AssertionError):
    pass


_built = {}


def build_image(name, root=ROOT):
    """Builds an image once a session through the makefile; the path of its ELF."""
    if (root, name) not in _built:
        _built[root, name] = subprocess.run(["make", "-s", f"IMAGE={name}", "image"], cwd=root, capture_output=True, text=True,
                                            timeout=900, env=quiet_make())
    done = _built[root, name]
    assert done.returncode == 0, f"make IMAGE={name} failed:\n{done.stdout}{done.stderr}"
    return root / "images" / f"{name}.elf"


def quiet_make():
    """The environment for a make of our own, without the calling make's flags and job server."""
    return {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "IMAGE", "MAKEOVERRIDES")}


def build_empty_payload():
    """bench/empty.S as an ELF: a payload that prints one line and waits."""
    out = ROOT / "build" / "bench" / "empty.elf"
    source = ROOT / "bench" / "empty.S"
    if not out.exists() or out.stat().st_mtime < source.stat().st_mtime:
        out.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["riscv64-linux-gnu-gcc", "-nostdlib", "-static", "-no-pie", "-fno-pic", "-mcmodel=medany",
                        "-Wl,-N,--no-warn-rwx-segments,-Ttext=0x80200000,--build-id=none", "-o", str(out),
                        str(source)], check=True, timeout=60)
    return out


class Image:
    def __init__(self, name, kernel=None, form="elf", net="user", args=(), options=(), namespace=None,
                 static_ip=None, wait=True, boot_seconds=BOOT_SECONDS, guest_port=None, **machine_fields):
        self.name, self.boot_seconds, self.namespace = name, boot_seconds, namespace
        self.facts = machine.image_facts(name)
        self.folder = tempfile.mkdtemp(prefix=f"kiln-{name}-")
        self.wait_ready = wait
        if kernel is None:
            kernel = build_image(name).with_suffix("." + form)
        options = list(options)
        self.guest_port = guest_port or self.facts.guest_port(list(args))
        self.host, self.port = "127.0.0.1", 0
        forwards = []
        if net == "user" and self.guest_port:
            self.port = free_port()
            forwards = [Forward(self.port, self.guest_port)]
            if self.facts.udp:
                forwards.append(Forward(self.port, self.guest_port, "udp"))
        if net == "tap":
            assert namespace is not None, "a tap needs the `wire` fixture"
            self.host, self.port = netns.GUEST_IP4, self.guest_port
            if static_ip is not False and not any(o.startswith("ip=") for o in options):
                options.append(f"ip={netns.GUEST_IP4}/{netns.PREFIX4}")
        machine_fields.setdefault("mem", self.facts.mem)
        self.machine = Machine(Path(kernel), net=net, options=options, app_args=list(args), forwards=forwards,
                               tap=netns.TAP if net == "tap" else "", door="door", **machine_fields)
        self.guest = None
        started.append(self)

    def __enter__(self):
        self.boot()
        return self

    def __exit__(self, *_):
        self.close()

    def boot(self):
        prefix = self.namespace.prefix() if self.namespace else ()
        self.guest = Guest(self.machine, prefix=prefix, cwd=self.folder)
        try:
            if self.wait_ready and self.guest_port and self.facts.probe and self.machine.net != "none":
                self.wait_serving()
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.guest:
            self.guest.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # What it prints and how it ends.

    @property
    def console(self):
        return self.guest.console if self.guest else ""

    def expect(self, text, timeout=BOOT_SECONDS):
        """Waits until the console shows `text`."""
        if not self.guest.wait_console(lambda seen: text in seen, timeout):
            raise AssertionError(f"{self.name} did not print {text!r} within {timeout} s"
                                 f"{'' if self.guest.is_running() else ' before it ended'}")
        return self.console

    def wait_exit(self, timeout=BOOT_SECONDS):
        """The status QEMU ended with."""
        status = self.guest.wait_exit(timeout)
        assert status is not None, f"{self.name} still runs after {timeout} s"
        return status

    def is_running(self):
        return self.guest.is_running()

    # Talking to it.

    def wait_serving(self):
        """Waits for the first real reply."""
        seconds = self.guest.wait_reply((self.host, self.port), self.facts.probe, self.facts.reply,
                                        self.boot_seconds, self._socket)
        if seconds is None:
            raise BootFailed(f"{self.name} did not answer within {self.boot_seconds} s"
                             f"{'' if self.is_running() else ', its QEMU has ended'}")
        return seconds

    def _socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        if self.namespace:
            return self.namespace.socket(family, kind, protocol)
        return socket.socket(family, kind, protocol)

    def connect(self, timeout=IO_SECONDS, receive_buffer=None, address=None, family=socket.AF_INET):
        s = self._socket(family)
        s.settimeout(timeout)
        if receive_buffer:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        s.connect(address or (self.host, self.port))
        return s

    def connect_from(self, port, timeout=IO_SECONDS):
        """From a port of the client's choice."""
        s = self._socket()
        s.settimeout(timeout)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("", port))
        s.connect((self.host, self.port))
        return s

    def connect_many(self, count, **options):
        """
        `count` connections, each known to be served. QEMU's user networking lets one client wait to
        be accepted and drops the next one's SYN, so each is greeted before the next comes.
        """
        sockets = []
        for _ in range(count):
            s = self.connect(**options)
            s.sendall(self.facts.probe)
            got = s.recv(200)
            assert got.startswith(self.facts.reply), got
            sockets.append(s)
        return sockets

    def ask(self, request, until=b"\r\n", timeout=IO_SECONDS):
        """One request on a connection of its own; the answer up to and including `until`."""
        with self.connect(timeout) as s:
            s.sendall(request)
            return read_until(s, until)

    def door(self, command, timeout=IO_SECONDS):
        """A command at the operator's door; its lines of answer."""
        return door.ask(f"{self.folder}/door", command, timeout)

    def stop(self, timeout=IO_SECONDS):
        """A clean stop through the door; QEMU's exit status."""
        door.ask(f"{self.folder}/door", "stop", timeout, reply_wanted=False)
        return self.wait_exit(timeout)

    def counters(self):
        """The image's counters by name."""
        found = {}
        for line in self.door("stats"):
            name, _, value = line.replace(":", " ").partition(" ")
            if value.split() and value.split()[0].isdigit():
                found[name] = int(value.split()[0])
        return found

    def tool(self, *command, timeout=120):
        """Runs a program of the build machine where it can reach the image; asserts success."""
        prefix = self.namespace.prefix() if self.namespace else []
        done = subprocess.run([*prefix, *command], capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def read_until(s, end):
    got = b""
    while not got.endswith(end):
        data = s.recv(65536)
        if not data:
            raise AssertionError(f"the connection ended after {got[-200:]!r}, before {end!r}")
        got += data
    return got


def read_exactly(s, count):
    parts, left = [], count
    while left:
        data = s.recv(min(left, 1 << 16))
        if not data:
            raise AssertionError(f"the connection ended {left} bytes early")
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


def eventually(condition, timeout=IO_SECONDS, every=0.1):
    """Waits until condition() is true; whether it became so."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
