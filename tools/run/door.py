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
        # Control-U forgets what a former client left unfinished; answers to him end where ours is echoed.
        marker = f"marker-{os.getpid()}-{time.monotonic_ns()}"
        s.sendall(f"\x15echo {marker}\n{command}\n".encode())
        got = b""
        while True:
            lines = got.decode(errors="replace").replace("\r\n", "\n").split("\n")
            lines = lines[lines.index(marker) + 2:] if marker in lines[:-2] else [""]
            for i, line in enumerate(lines[:-1]):
                if line == "ok":
                    return lines[:i]
                if line.startswith("error:"):
                    raise Trouble(f"The image answered '{command}' with {line}")
            left = deadline - time.monotonic()
            if left <= 0:
                raise Trouble(f"The image did not answer '{command}' within {timeout} seconds.")
            s.settimeout(left)
            try:
                data = s.recv(65536)
            except ConnectionResetError:
                data = b""
            except socket.timeout:
                continue
            if not data:
                if reply_wanted:
                    raise Trouble(f"The image closed its door before it had answered '{command}'.")
                return lines
            got += data
