"""
The operator's door from the outside: one command a line, lines of answer, then `ok` or `error: ...`.

The socket belongs to QEMU, which serves one client at a time. What the guest wrote while nobody
was connected is thrown away by QEMU, so a new client starts with a clean line.
"""

import os
import socket
import time

from machine import Trouble


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
    """
    deadline = time.monotonic() + timeout
    with connect(path, timeout) as s:
        marker = f"marker-{os.getpid()}-{time.monotonic_ns()}"
        asked, got, unheard = False, b"", 0
        # Control-U forgets what a former client left unfinished; answers to him end where ours is echoed. What is sent while
        # QEMU takes leave of him may be lost, so the marker is sent until it comes back.
        greeting = f"\x15echo {marker}\n".encode()
        s.sendall(greeting)
        while True:
            lines = answer_after(marker, got)
            if lines is not None and not asked:
                s.sendall(f"{command}\n".encode())
                asked = True
            for i, line in enumerate(lines or []):
                if line == "ok":
                    return lines[:i]
                if line.startswith("error:"):
                    raise Trouble(f"The image answered '{command}' with {line}")
            left = deadline - time.monotonic()
            if left <= 0:
                raise Trouble(f"The image did not answer '{command}' within {timeout} seconds.")
            s.settimeout(left if asked else min(left, 1))
            try:
                data = s.recv(65536)
            except ConnectionResetError:
                data = b""
            except socket.timeout:
                if not asked:
                    unheard += 1
                    if unheard == 4:      # QEMU has not noticed us: once more from the beginning
                        s.close()
                        return ask(path, command, max(left - 1, 1), reply_wanted)
                    s.sendall(greeting)
                continue
            if not data:
                if reply_wanted:
                    raise Trouble(f"The image closed its door before it had answered '{command}'.")
                return lines or []
            got += data


def answer_after(marker, got):
    """The whole lines after the marker's last echo, which ends in a line of its own; None before there is one."""
    lines = got.decode(errors="replace").replace("\r\n", "\n").split("\n")[:-1]
    if marker not in lines[:-1]:
        return None
    last = len(lines) - 1 - lines[::-1].index(marker)
    return lines[last + 2:]
