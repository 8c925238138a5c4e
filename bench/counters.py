"""
What memcached and the network say of themselves after a load of known length: bytes of memory per
item, notifications per batch, copies per value.
"""

import subprocess

from figure import Figure, Peer, rounded
from instruments import ROOT, Image, kiln, loadgen, wire
from linux_guest import LinuxGuest, build

KEY_BYTES, VALUE_BYTES, ITEMS = 16, 100, 100_000
LINE_END = 2            # stored and copied with the value


def stats(ask, section=b""):
    """{name: value} of `stats <section>`; `ask` sends a request and returns the reply up to its END."""
    reply = ask(b" ".join(filter(None, [b"stats", section])) + b"\r\n", b"END\r\n").decode()
    return dict(line.split(" ", 2)[1:] for line in reply.splitlines() if line.startswith("STAT ") and line.count(" ") > 1)


# ---- memory per item ----

def overhead(guest):
    """Bytes that the slabs hold for one item, besides its key and value; and the hash table's share."""
    loadgen(guest, "-c", 1, "-k", ITEMS, "-v", VALUE_BYTES, "-n", 1, "-w", 0)
    general, slabs = stats(guest.ask), stats(guest.ask, b"slabs")
    items = int(general["curr_items"])
    chunks = sum(int(count) * int(slabs[name.replace("used_chunks", "chunk_size")])
                 for name, count in slabs.items() if name.endswith(":used_chunks"))
    return chunks / items - KEY_BYTES - VALUE_BYTES, int(general["hash_bytes"]) / items


class NativePeer:
    """Debian trixie's memcached on this machine."""
    namespace, console = None, ""

    def __enter__(self):
        program = subprocess.run([ROOT / "tools" / "peer", "memcached"], capture_output=True, text=True, check=True,
                                 timeout=900).stdout.strip()
        self.version = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=20).stdout.strip()
        self.host, self.port = "127.0.0.1", kiln.free_port()
        self.command = [program, "-u", "root", "-t", "1", "-U", "0", "-l", self.host, "-p", str(self.port)]
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL)
        assert kiln.eventually(self._answers)
        return self

    def _answers(self):
        try:
            return self.ask(b"version\r\n").startswith(b"VERSION")
        except OSError:
            return False

    def ask(self, request, until=b"\r\n"):
        with kiln.socket.create_connection((self.host, self.port), 10) as s:
            s.sendall(request)
            return kiln.read_until(s, until)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(20)


def item_overhead(tell):
    tell(f"storing {ITEMS:,} items")
    with wire() as namespace, Image("memcached", net="tap", namespace=namespace) as image:
        ours, our_table = overhead(image)
    with NativePeer() as native:
        theirs, their_table = overhead(native)
        peer = Peer(rounded(theirs), f"the same items in {native.version}, built for this machine from Debian's sources; "
                    f"its hash table {their_table:.1f} bytes per item", " ".join(["memcached", *native.command[1:]]),
                    {"memcached": native.version.split()[-1]})
    return Figure("item_overhead_bytes", rounded(ours), "bytes", f"slab chunks in use times their size (stats slabs) per "
                  f"item, less {KEY_BYTES} bytes of key and {VALUE_BYTES} of value, {ITEMS:,} items",
                  peer=peer, aim=1, aim_is="ratio", note=f"hash table {our_table:.1f} bytes per item more")


# ---- notifications and copies ----

def kicks_per_batch(tell):
    """From two loads of different length, so that opening and closing connections does not count."""
    at_once, short, long = 50, 20, 4020
    tell(f"{long} batches")
    kicks = []
    with wire() as namespace, Image("memcached", net="tap", namespace=namespace) as image:
        for rounds in (short, long):
            before = image.counters()["net_kicks"]
            loadgen(image, "-c", at_once, "-L", at_once, "-k", 1000, "-w", 0, "-n", rounds * at_once, "-P", image.guest.pid)
            kicks.append(image.counters()["net_kicks"] - before)
    return Figure("kicks_per_batch", round((kicks[1] - kicks[0]) / (long - short), 2), "notifications",
                  f"notifications of the network card (net_kicks) for each round of {at_once} gets that arrive at once from "
                  f"as many connections, their replies and acknowledgements included, {long} rounds", aim=1.05)


NOTIFIED = "virtio_queue_notify vdev"       # QEMU's word for each write to a device's notification register
TRANSMIT = " n 1 "


def notifications(guest):
    with open(f"{guest.folder}/notified", encoding="ascii") as log:
        return sum(line.count(NOTIFIED) and TRANSMIT in line for line in log)


def notified_per_batch(guest, at_once, rounds):
    """Notifications of a guest's transmit queues by QEMU's own trace; from two loads, as above."""
    seen = []
    for count in rounds:
        before = notifications(guest)
        loadgen(guest, "-c", at_once, "-L", at_once, "-k", 1000, "-w", 0, "-n", count * at_once, "-P", guest.guest.pid)
        seen.append(notifications(guest) - before)
    return (seen[1] - seen[0]) / (rounds[1] - rounds[0])


def traced(guest):
    guest.machine.extra = [*guest.machine.extra, "-d", "trace:virtio_queue_notify", "-D", f"{guest.folder}/notified"]
    return guest


def kicks_beside_linux(tell, at_once=50, rounds=(10, 210)):
    build(tell)
    tell(f"{rounds[1]} batches on both")
    with wire() as namespace, traced(Image("memcached", net="tap", namespace=namespace)) as image:
        ours = notified_per_batch(image, at_once, rounds)
    with wire() as namespace, traced(LinuxGuest("tap", namespace)) as linux:
        theirs = notified_per_batch(linux, at_once, rounds)
        peer = Peer(round(theirs, 2), "the same on the Linux guest", linux.command_line(), linux.versions())
    return Figure("kicks_per_batch", round(ours, 2), "notifications",
                  f"notifications of the network card's transmit queue, traced by QEMU, for each round of {at_once} gets that arrive at "
                  f"once from as many connections, their replies and acknowledgements included, {rounds[1]} rounds", peer=peer, aim=1.05)


def copies_per_value(image, value_bytes, gets):
    """How often a byte of a value is moved on its way out, by memcached or by the network stack."""
    load = ["-c", 10, "-k", 100, "-v", value_bytes, "-w", 0]
    loadgen(image, *load, "-n", 10)

    def moved():
        now = stats(image.ask, b"kiln")
        return int(now["value_bytes_copied"]) + int(now["output_bytes_copied"])

    asked = [moved(), moved()]              # asking moves bytes, too
    loadgen(image, *load, "-F", "-n", gets)
    return (moved() - asked[1] - (asked[1] - asked[0])) / (gets * (value_bytes + LINE_END))


def value_copies(tell, gets=5000):
    tell("small and large values")
    made = []
    with wire() as namespace, Image("memcached", net="tap", namespace=namespace) as image:
        for suffix, value_bytes, aim in (("", VALUE_BYTES, 1), ("_large", 100_000, 0)):
            made.append(Figure(f"value_copies_per_get{suffix}", round(copies_per_value(image, value_bytes, gets), 2), "copies",
                               f"bytes that memcached and the network stack have copied (stats kiln: value_bytes_copied, "
                               f"output_bytes_copied), per byte of value (with its line end), {gets:,} gets of {value_bytes:,} bytes; no peer, since neither Debian's "
                               "memcached nor its kernel counts what it copies", aim=aim))
    return made
