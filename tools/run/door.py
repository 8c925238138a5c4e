"""
The operator's door from the outside: one command a line, lines of answer, then `ok` or `error: ...`.

The socket belongs to QEMU, which serves one client at a time. What the guest wrote while nobody
was connected is thrown away by QEMU, so a new client starts with a clean line.
"""

import os
import socket
import time

from machine import Trouble

ECHO_SECONDS = 4


def connect(path, timeout):
    """
    Connects to a UNIX socket even when its path is longer than a socket address holds. QEMU serves
    one client and lets one more wait; while it has not noticed that the last one has left, a
    further one is told to try again.
    """
    deadline = time.monotonic() + timeout
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_PATH | os.O_DIRECTORY)
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout)
    try:
        while True:
            try:
                s.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
                return s
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
    except BaseException:
        s.close()
        raise
    finally:
        os.close(folder)


def ask(path, command, timeout=10, reply_wanted=True):
    """
    Sends one command; returns its lines of answer without the closing one. Trouble when the guest
    answers `error:`, when it says nothing in time, or when the line ends first (unless no reply is
    wanted: `stop` may take QEMU away before its `ok` arrives).

    Who hears no echo connects again: when a client leaves more behind than the guest has buffers for, QEMU 7.2 may
    find him gone while it sends to him; it then closes the port and only after that marks it as blocked, for the next
    client to find. His leaving ends that.
    """
    deadline = time.monotonic() + timeout
    while True:
        lines = ask_once(path, command, deadline, reply_wanted)
        if lines is not None:
            return lines
        if time.monotonic() >= deadline:
            raise Trouble(f"The image did not answer '{command}' within {timeout} seconds.")


def ask_once(path, command, deadline, reply_wanted):
    """ask() on one connection; None when nothing was echoed within ECHO_SECONDS, or time is over."""
    marker = f"marker-{os.getpid()}-{time.monotonic_ns()}"
    asked, got, limit = False, b"", min(deadline, time.monotonic() + ECHO_SECONDS)
    with connect(path, max(deadline - time.monotonic(), 0.1)) as s:
        # Control-U forgets what a former client left unfinished; answers to him end where our marker is echoed.
        s.sendall(f"\x15echo {marker}\n".encode())
        while True:
            lines = answer_after(marker, got)
            if lines is not None and not asked:
                s.sendall(f"{command}\n".encode())
                asked, limit = True, deadline
            for i, line in enumerate(lines or []):
                if line == "ok":
                    return lines[:i]
                if line.startswith("error:"):
                    raise Trouble(f"The image answered '{command}' with {line}")
            data = receive(s, limit)
            if data is None:
                return None
            if not data and reply_wanted:
                raise Trouble(f"The image closed its door before it had answered '{command}'.")
            if not data:
                return lines or []
            got += data


def receive(s, limit):
    """The next bytes, none when the line has ended, None when time is over."""
    while (left := limit - time.monotonic()) > 0:
        s.settimeout(left)
        try:
            return s.recv(65536)
        except ConnectionResetError:
            return b""
        except socket.timeout:
            pass
    return None


def answer_after(marker, got):
    """The whole lines after the marker's last echo, which ends in a line of its own; None before there is one."""
    lines = got.decode(errors="replace").replace("\r\n", "\n").split("\n")[:-1]
    if marker not in lines[:-1]:
        return None
    last = len(lines) - 1 - lines[::-1].index(marker)
    return lines[last + 2:]
