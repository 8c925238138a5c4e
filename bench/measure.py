"""
How each figure is taken. Every function returns a Figure or a list of them, and says in `method`
what was done, so that a figure can be read without this file.
"""

import dataclasses
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "qemu"))

import kiln                      # noqa: E402
from kiln import Image, machine, netns  # noqa: E402

OUT = ROOT / "build" / "bench"
USER_IP = ["ip=10.0.2.15/24", "gw=10.0.2.2"]

# struct counts of insncount.h
HARTS, STRIDE, BLOCKS_AT = 8, 8, 8 * 8 + 8


@dataclasses.dataclass
class Figure:
    name: str
    value: float
    unit: str
    method: str
    peer: float = None
    peer_is: str = ""
    aim: float = None

    def as_dict(self):
        ratio = round(self.value / self.peer, 3) if self.peer else None
        return {"name": self.name, "value": self.value, "unit": self.unit, "peer": self.peer, "ratio": ratio,
                "aim": self.aim, "method": self.method, "peer_is": self.peer_is or None}


def compile_tools():
    """loadgen and the counting plugin, for the QEMU in use."""
    OUT.mkdir(parents=True, exist_ok=True)
    here = Path(__file__).parent
    major = int(machine.qemu_version(machine.find_qemu()).split(".")[0])
    for command in (
            ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", OUT / "loadgen", here / "loadgen.c"],
            ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror",
             f"-DPLUGIN_VERSION={1 if major < 9 else 2}", "-o", OUT / "insncount.so", here / "insncount.c"]):
        subprocess.run([str(word) for word in command], check=True, timeout=60)
    kiln.build_empty_payload()


class Counted(Image):
    """An image whose instructions are counted."""

    def __init__(self, name, **fields):
        super().__init__(name, wait=fields.pop("wait", True), extra=[], **fields)
        self.counts = f"{self.folder}/counts"
        self.machine.extra = ["-plugin", f"{OUT / 'insncount.so'},out={self.counts}"]

    def _words(self, at, count):
        with open(self.counts, "rb") as f:
            f.seek(at * 8)
            return struct.unpack(f"={count}Q", f.read(count * 8))

    def instructions(self):
        return sum(self._words(0, HARTS * STRIDE))

    def since_entry(self):
        """Instructions since the image's first one, the firmware's part of them included."""
        entry, = self._words(HARTS * STRIDE, 1)
        return self.instructions() - entry + 1 if entry else 0

    def by_function(self, elf):
        """(instructions, function) of the whole run so far, most first; needs a fixed placement."""
        used, = self._words(HARTS * STRIDE + 1, 1)
        flat = self._words(BLOCKS_AT, 3 * min(used, 1 << 18))
        symbols = []
        for line in subprocess.run(["riscv64-linux-gnu-nm", "-n", str(elf)], capture_output=True, text=True,
                                   timeout=60).stdout.splitlines():
            parts = line.split()
            if len(parts) == 3 and parts[1] in "tTwW":
                symbols.append((int(parts[0], 16), parts[2]))
        import bisect
        starts, sums = [s for s, _ in symbols], {}
        for vaddr, insns, runs in zip(flat[0::3], flat[1::3], flat[2::3]):
            i = bisect.bisect_right(starts, vaddr) - 1
            name = symbols[i][1] if i >= 0 and vaddr >> 63 else "firmware and boot"
            sums[name] = sums.get(name, 0) + insns * runs
        return sorted(((n, f) for f, n in sums.items()), reverse=True)


def first_reply_ms(image):
    """
    Starts the image; milliseconds from then to its first reply. A fresh connection every 2 ms with
    the request sent at once, at most four open: user networking accepts for a guest that does not
    listen yet, and a SYN that comes too early is repeated only much later.
    """
    probe, reply = image.facts.probe, image.facts.reply
    image.boot()
    begin, last, open_sockets = image.guest.started_at, 0.0, []
    try:
        while time.perf_counter() - begin < 60:
            now = time.perf_counter()
            if now - last >= 0.002:
                last = now
                try:
                    s = socket.create_connection((image.host, image.port), 0.05)
                    s.sendall(probe)
                    open_sockets.append(s)
                except OSError:
                    pass
                while len(open_sockets) > 4:
                    open_sockets.pop(0).close()
            for s in select.select(open_sockets, [], [], 0.0005)[0]:
                try:
                    data = s.recv(200)
                except OSError:
                    data = b""
                if data.startswith(reply):
                    return (time.perf_counter() - begin) * 1000
                open_sockets.remove(s)
                s.close()
    finally:
        for s in open_sockets:
            s.close()
        image.close()
    raise AssertionError(f"{image.name} did not answer:\n{image.console}")


def first_line_ms(image, text):
    """Starts the image; milliseconds from then to `text` on its console."""
    image.boot()
    image.expect(text, 60)
    ms = (time.perf_counter() - image.guest.started_at) * 1000
    image.close()
    return ms


def empty_payload_ms():
    return first_line_ms(Image("empty", kernel=kiln.build_empty_payload(), wait=False, guest_port=11211,
                               mem="256M"), "empty payload")


def boot_to_version(tell, runs=10):
    ours, peers = [], []
    for i in range(runs):
        tell(f"boot {i + 1} of {runs}")
        ours.append(first_reply_ms(Image("memcached", wait=False, options=USER_IP)))
        peers.append(empty_payload_ms())
    qemu = machine.qemu_version(machine.find_qemu())
    return Figure("boot_to_version_ms", round(min(ours), 1), "ms",
                  f"start of QEMU {qemu} to the first reply to 'version' over user networking with a static "
                  f"address, best of {runs}; a new connection every 2 ms", round(min(peers), 1),
                  "empty payload on the same devices in the same run, start of QEMU to its first line", 2.0)


def boot_to_line(tell, runs=10):
    ours, peers = [], []
    for i in range(runs):
        tell(f"boot {i + 1} of {runs}")
        ours.append(first_line_ms(Image("hello", wait=False, net="none"), "hello"))
        peers.append(empty_payload_ms())
    qemu = machine.qemu_version(machine.find_qemu())
    return Figure("boot_to_line_ms", round(min(ours), 1), "ms",
                  f"start of QEMU {qemu} to hello's line on the console, best of {runs}", round(min(peers), 1),
                  "empty payload in the same run, start of QEMU to its first line")


def boot_instructions_memcached(tell):
    tell("counting the boot")
    with Counted("memcached", options=USER_IP, wait=False) as image:
        image.guest.wait_reply((image.host, image.port), image.facts.probe, image.facts.reply, 60)
        count = image.since_entry()
    return Figure("boot_instructions", count, "instructions",
                  "from the image's first instruction to the first reply to 'version', counted by a TCG plugin, "
                  "firmware calls included; static address, user networking")


def boot_instructions_hello(tell):
    tell("counting the boot")
    with Counted("hello", wait=False, net="none", options=[]) as image:
        status = image.wait_exit(60)
        count = image.since_entry()
    assert status == 0, image.console
    return Figure("boot_instructions", count, "instructions",
                  "from the image's first instruction to its power-off, counted by a TCG plugin, firmware calls "
                  "included")


def idle(tell, seconds=10):
    tell(f"watching it idle for {seconds} s")
    with Counted("memcached", options=USER_IP) as image:
        image.ask(b"version\r\n")
        time.sleep(2)
        before, begin = image.instructions(), time.perf_counter()
        time.sleep(seconds)
        count, span = image.instructions() - before, time.perf_counter() - begin
    return Figure("idle_instr_per_s", round(count / span), "instructions/s",
                  f"over {seconds} s, from 2 s after the first reply, nobody connected, all harts and the firmware",
                  aim=20000)


def image_bytes(name, aim):
    size = kiln.build_image(name).with_suffix(".img").stat().st_size
    return Figure("image_bytes", size, "bytes", f"size of images/{name}.img, what a boot loader loads", aim=aim)


def least_memory_kib(works, low_kib, high_kib, step_kib, tell):
    """The least size at which works(size) is true, when it is at all multiples above."""
    assert works(high_kib), f"does not work with {high_kib} KiB"
    while high_kib - low_kib > step_kib:
        middle = (low_kib + high_kib) // 2 // step_kib * step_kib
        middle = middle if middle > low_kib else low_kib + step_kib
        tell(f"{middle} KiB")
        if works(middle):
            high_kib = middle
        else:
            low_kib = middle
    return high_kib


def hello_runs(kib):
    with Image("hello", net="none", wait=False, mem=f"{kib}K") as image:
        return image.guest.wait_exit(15) == 0 and "hello" in image.console.lower()


def serves_fifty(kib):
    """Fifty connections at once, each stores and reads a value of its own."""
    try:
        with Image("memcached", mem=f"{kib}K", options=USER_IP, boot_seconds=10) as image:
            sockets = image.connect_many(50, timeout=5)
            for i, s in enumerate(sockets):
                s.sendall(b"set k%d 0 0 100\r\n" % i + b"%03d." % i * 25 + b"\r\n")
            for s in sockets:
                if kiln.read_until(s, b"\r\n") != b"STORED\r\n":
                    return False
            for i, s in enumerate(sockets):
                s.sendall(b"get k%d\r\n" % i)
            for i, s in enumerate(sockets):
                if b"%03d." % i * 25 not in kiln.read_until(s, b"END\r\n"):
                    return False
            return True
    except (OSError, AssertionError):
        return False


def min_ram_memcached(tell):
    kib = least_memory_kib(serves_fifty, 4096, 65536, 256, tell)
    return Figure("min_ram_kib", kib, "KiB", "least -m with which 50 connections at once each store and read 100 "
                  "bytes, bisected in steps of 256 KiB; default options", aim=12 * 1024)


def min_ram_hello(tell):
    kib = least_memory_kib(hello_runs, 4096, 16384, 64, tell)
    return Figure("min_ram_kib", kib, "KiB", "least -m with which hello prints and powers off, bisected in steps "
                  "of 64 KiB", aim=6 * 1024)


def loadgen(image, *args, timeout=120):
    prefix = image.namespace.prefix() if image.namespace else []
    done = subprocess.run([*prefix, str(OUT / "loadgen"), "-s", image.host, "-p", str(image.port), *map(str, args)],
                          capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, f"loadgen: {done.stdout}{done.stderr}\n{image.console[-2000:]}"
    return json.loads(done.stdout)


def count_per_request(image, requests, *args):
    """
    Instructions per request, in lockstep. What the guest does without requests is measured
    just after and taken off for the time that the requests took.
    """
    loadgen(image, "-L", "-n", 200, *args)
    got = loadgen(image, "-L", "-F", "-n", requests, "-i", image.counts, *args)
    time.sleep(1)
    before, begin = image.instructions(), time.perf_counter()
    time.sleep(3)
    idle_rate = (image.instructions() - before) / (time.perf_counter() - begin)
    return (got["instructions"] - idle_rate * got["seconds"]) / requests


def instr_per_get(tell, requests=5000):
    gets = ["-c", 1, "-w", 0, "-k", 1000, "-v", 100]
    how = (f"{requests} hits, 16-byte key, 100-byte value, one connection, one request at a time in lockstep; all "
           "instructions of the guest between the first request and the last reply (TCG plugin), less those of "
           "an equal time idle")
    figures = []
    if os.geteuid() == 0:
        tell("over a tap")
        wire = netns.Namespace(f"kiln-bench-{os.getpid()}")
        try:
            with Counted("memcached", net="tap", namespace=wire) as image:
                figures.append(Figure("instr_per_get_tcp", round(count_per_request(image, requests, *gets)),
                                      "instructions", how + "; over a tap"))
        finally:
            wire.close()
    tell("over user networking")
    with Counted("memcached", options=USER_IP) as image:
        name = "instr_per_get_tcp_user" if figures else "instr_per_get_tcp"
        figures.append(Figure(name, round(count_per_request(image, requests, *gets)), "instructions",
                              how + "; over user networking, which acknowledges each segment by one of its own"))
    return figures
