"""
A running guest: the QEMU process, its console, and the ways to end it.

Life: Guest(machine) starts QEMU in a process group of its own, so that a terminal's Ctrl-C reaches
the tool and not the emulator. A thread reads the console into memory and hands each line to
`on_line`. stop() asks through the operator's door first; kill() ends the process by its pid. QEMU
dies with its parent (PR_SET_PDEATHSIG), so no guest outlives a test that was killed.
"""

import collections
import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
import threading
import time

from machine import Trouble

PR_SET_PDEATHSIG = 1

_given = collections.deque(maxlen=16)    # free_port()'s last


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    """
    A port of 127.0.0.1 that nobody uses, for TCP or UDP. Not one of those that the system chooses for clients (32768 and
    up): a client could have it before the guest that it is meant for. Nor one that another process has just been given
    here and does not use yet: an abstract socket of the port's name keeps it for the last few callers of each process.
    """
    while True:
        port, name = random.randrange(20000, 32768), socket.socket(socket.AF_UNIX)
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
            name.bind(f"\0kiln-port-{port}")
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            _given.append(name)
            return port


def port_is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Guest:
    def __init__(self, machine, prefix=(), cwd=None, on_line=None):
        self.machine = machine
        self.command = [*prefix, *machine.command()]
        self.on_line = on_line
        self.console_bytes = b""
        self._news = threading.Condition()
        self._ended = False
        self.started_at = time.perf_counter()
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, cwd=cwd, start_new_session=True,
                                        preexec_fn=_die_with_parent)
        self._reader = threading.Thread(target=self._read_console, daemon=True)
        self._reader.start()

    @property
    def pid(self):
        return self.process.pid

    @property
    def console(self):
        """What the guest (and QEMU itself) has printed so far."""
        return self.console_bytes.decode(errors="replace").replace("\r\n", "\n")

    def _read_console(self):
        fd, line = self.process.stdout.fileno(), b""
        while True:
            data = os.read(fd, 65536)
            with self._news:
                self.console_bytes += data
                self._ended = not data
                self._news.notify_all()
            if self.on_line:
                *whole, line = (line + data).split(b"\n")
                if not data and line:
                    whole, line = [line], b""
                for one in whole:
                    self.on_line(one.decode(errors="replace").rstrip("\r"))
            if not data:
                return

    def is_running(self):
        return self.process.poll() is None

    def wait_console(self, found, timeout):
        """Waits until found(console text) is true; False when time or the guest ran out first."""
        deadline = time.monotonic() + timeout
        with self._news:
            while not found(self.console):
                left = deadline - time.monotonic()
                if left <= 0 or self._ended:
                    return False
                self._news.wait(left)
        return True

    def wait_exit(self, timeout):
        """QEMU's exit status, or None when it still runs after `timeout` seconds."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        self._reader.join(5)
        return status

    def wait_reply(self, address, probe, reply, timeout, make_socket=None):
        """
        Waits until the guest itself answers. User networking accepts a connection before the guest
        listens, and a connection made too early gets its answer late, so only a reply counts and a
        new connection is tried soon, with more patience each time. Returns seconds since QEMU was
        started, or None.
        """
        deadline, patience = time.monotonic() + timeout, 0.05
        while time.monotonic() < deadline and self.is_running():
            try:
                with (make_socket or socket.socket)() as s:
                    s.settimeout(patience)
                    s.connect(address)
                    s.sendall(probe)
                    got = b""
                    while len(got) < len(reply):
                        data = s.recv(4096)
                        if not data:
                            break
                        got += data
                    if got.startswith(reply):
                        return time.perf_counter() - self.started_at
            except OSError:
                pass
            patience = min(patience * 1.3, 2)
            time.sleep(0.02)
        return None

    def kill(self):
        """Ends this QEMU, and only this one."""
        if self.is_running():
            self.process.kill()
        self.process.wait(20)
        self._reader.join(5)

    def stop(self, timeout=30):
        """A clean stop through the operator's door, then by pid. True when the guest went by itself."""
        clean = False
        if self.is_running() and self.machine.door:
            import door
            try:
                door.ask(self.machine.door, "stop", timeout=timeout, reply_wanted=False)
                clean = self.wait_exit(timeout) is not None
            except (OSError, Trouble):
                pass
        self.kill()
        return clean
