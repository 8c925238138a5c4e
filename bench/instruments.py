"""
The instruments: the load generator, the instruction counter, and guests that are looked at through them.
"""

import bisect
import collections
import contextlib
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "qemu"))

import kiln                      # noqa: E402
from kiln import Image, machine, netns  # noqa: E402

HERE = Path(__file__).resolve().parent
OUT = ROOT / "build" / "bench"
USER_IP = ["ip=10.0.2.15/24", "gw=10.0.2.2"]

# struct counts of insncount.h
HARTS, STRIDE, BLOCKS_AT, BLOCKS_MAX = 8, 8, 8 * 8 + 8, 1 << 18
PAGE = 4096


def qemu_version():
    return machine.qemu_version(machine.find_qemu())


def compiler_version():
    return subprocess.run(["riscv64-linux-gnu-gcc", "--version"], capture_output=True, text=True, timeout=20,
                          check=True).stdout.splitlines()[0]


def _compile(out, sources, *flags):
    """With gcc, when a source or header of bench/ is newer than `out`."""
    newest = max(path.stat().st_mtime for path in [*sources, *HERE.glob("*.h"), *HERE.glob("loadgen/*.h")])
    if out.exists() and out.stat().st_mtime > newest:
        return
    command = ["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", out, *sources, *flags]
    subprocess.run([str(word) for word in command], check=True, timeout=120)


def compile_tools():
    """loadgen, the counting plugin for the QEMU in use, and the empty payload."""
    OUT.mkdir(parents=True, exist_ok=True)
    _compile(OUT / "loadgen", sorted(HERE.glob("loadgen/*.c")), "-lssl", "-lcrypto")
    _compile(plugin(), [HERE / "insncount.c"], "-shared", "-fPIC", f"-DPLUGIN_VERSION={_plugin_interface()}")
    kiln.build_empty_payload()


def _plugin_interface():
    return 1 if int(qemu_version().split(".")[0]) < 9 else 2


def plugin():
    return OUT / f"insncount{_plugin_interface()}.so"


def counted(image):
    """The image, not yet booted, with its instructions counted in the file image.counts."""
    image.counts = f"{image.folder}/counts"
    image.machine.extra = [*image.machine.extra, "-plugin", f"{plugin()},out={image.counts}"]
    return image


class Counted(Image):
    """An image whose instructions are counted."""

    def __init__(self, name, **fields):
        super().__init__(name, **fields)
        counted(self)

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
        """(instructions, function) of the whole run so far, most first."""
        sums = profile(Path(self.counts).read_bytes(), elf)
        return sorted(((n, f) for f, n in sums.items()), reverse=True)


class LoadFailed(AssertionError):
    pass


def loadgen(guest, *args, timeout=180):
    """Runs the load generator where it can reach the guest; its JSON object."""
    prefix = guest.namespace.prefix() if guest.namespace else []
    done = subprocess.run([*prefix, str(OUT / "loadgen"), "-s", guest.host, "-p", str(guest.port), *map(str, args)],
                          capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no word"]
        raise LoadFailed(f"{reason[0]} (status {done.returncode} of loadgen {' '.join(map(str, args))})\n"
                         f"{done.stdout}\n{guest.console[-2000:]}")
    return json.loads(done.stdout)


# ---- profiles ----

def _blocks(data):
    """{address: instructions executed there} of a file of counts."""
    used, = struct.unpack_from("=Q", data, (HARTS * STRIDE + 1) * 8)
    sums = collections.Counter()
    for vaddr, insns, runs in struct.iter_unpack("=3Q", data[BLOCKS_AT * 8:(BLOCKS_AT + 3 * min(used, BLOCKS_MAX)) * 8]):
        sums[vaddr] += insns * runs
    return sums


def _functions(elf):
    found = []
    for line in subprocess.run(["riscv64-linux-gnu-nm", "-n", str(elf)], capture_output=True, text=True, timeout=60,
                               check=True).stdout.splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[1] in "tTwW":
            found.append((int(parts[0], 16), parts[2]))
    return found


def _placement(addresses, functions):
    """
    How far the image was moved from where it was linked. Every called function begins a block, so the
    distance that turns most functions' addresses into executed blocks' is the one.
    """
    by_page_offset = collections.defaultdict(list)
    for start, _ in functions:
        by_page_offset[start % PAGE].append(start)
    votes = collections.Counter(address - start for address in addresses if address >> 63
                                for start in by_page_offset[address % PAGE])
    return votes.most_common(1)[0][0] if votes else 0


def profile(data, elf, earlier=b""):
    """{function: instructions} of the counts in `data`, less those of an earlier copy of them."""
    sums, functions = _blocks(data), _functions(elf)
    moved = _placement(sums, functions)
    if earlier:
        sums.subtract(_blocks(earlier))
    starts, by_name = [start for start, _ in functions], collections.Counter()
    end = starts[-1] + PAGE
    for address, insns in sums.items():
        linked = address - moved
        if address >> 63 and starts[0] <= linked < end:
            by_name[functions[bisect.bisect_right(starts, linked) - 1][1]] += insns
        elif insns:
            by_name["firmware and boot"] += insns
    return by_name


# ---- wires ----

def can_use_tap():
    return os.geteuid() == 0 and os.path.exists("/dev/net/tun")


@contextlib.contextmanager
def wire(name="bench"):
    """A tap in a network namespace of its own."""
    namespace = netns.Namespace(f"kiln-{name}-{os.getpid()}")
    try:
        yield namespace
    finally:
        namespace.close()
