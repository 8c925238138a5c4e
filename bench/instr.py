"""
Instructions per request, counted from outside by a TCG plugin (insncount.c).

All clients are in lockstep: a load that is the same for each run. Before each round of requests
every thread of the emulator sleeps and the count stands still; of several connections that send
at once the guest finds all requests waiting when it wakes, since the emulator is stopped while they
are sent. So the time that a request takes, and whatever else this machine does meanwhile, moves
nothing. Counted is all that the guest executes from the first request to the last reply and the sleep
after it: interrupts, acknowledgements and firmware included. What it executes in an equal time with
the same connections open and nothing to do is taken off (timers; "idle excluded").
"""

import contextlib
import dataclasses
import subprocess
import tempfile
import time
from pathlib import Path

from figure import Figure, Peer, median, rounded
from instruments import Counted, LoadFailed, counted, kiln, loadgen, profile, wire
from linux_guest import LinuxGuest, archive, build

MANY = 10000        # connections
STORED = 1000
ITEMS = ["-k", 200, "-v", 100]      # of those, the ones asked for
IDLE_SECONDS, MAINTENANCE_SECONDS = 0.5, 2


def prepare(guest, transport):
    """
    Stores items once in a guest's life, gets those that are asked for later several times, and waits for
    memcached's maintenance, which goes by time: it has moved them to the list that active items stay in. They
    are as few as that list holds, or it would go on moving items that are all alike from list to list.
    """
    if not getattr(guest, "has_items", False):
        loadgen(guest, *transport, "-k", STORED, "-v", 100, "-d", 16, "-w", 0, "-n", 1000)
        loadgen(guest, *transport, *ITEMS, "-F", "-d", 16, "-w", 0, "-n", 4000)
        time.sleep(MAINTENANCE_SECONDS)
        guest.has_items = True


@dataclasses.dataclass(frozen=True, eq=False)
class Measure:
    name: str
    load: list               # of the load generator
    what: str
    requests: int = 2000
    per: int = 1             # the figure is for one of so many parts of a request
    aim: float = None

    def run(self, guest, snapshots=None, requests=None):
        """What the load generator says of it."""
        prepare(guest, [word for word in self.load if word == "--tls"])
        requests = requests or self.requests
        outlets = ["-o", snapshots] if snapshots else []
        return loadgen(guest, *self.load, *ITEMS, "-F", "-n", requests, "-u", max(requests // 10, 50), "-i", guest.counts, "-P",
                       guest.guest.pid, "-I", IDLE_SECONDS, *outlets)

    def take(self, guest, **options):
        """Instructions per part of a request."""
        return self.run(guest, **options)["per_request"] / self.per


ONE = ["-c", 1, "-L", 1, "-w", 0]
FIFTY = ["-c", 50, "-L", 50, "-w", 0]
HIT = "16-byte key, 100-byte value"
FIFTY_AT_ONCE = Measure("instr_per_get_tcp_50", FIFTY, "50 connections, one get each at once", 5000, aim=2500)
GETS = [
    Measure("instr_per_get_tcp", ONE, "one connection, one get at a time", aim=3000),
    FIFTY_AT_ONCE,
    Measure("instr_per_get_pipelined16", [*ONE, "-d", 16], "one connection, 16 gets in flight", 16000, aim=1000),
    Measure("instr_per_key_multiget16", [*ONE, "-m", 16], "one connection, one get of 16 keys at a time, for each key",
            1000, per=16, aim=600),
    Measure("instr_per_get_udp", [*ONE, "--udp"], "one UDP socket, one get at a time", aim=1000),
    Measure("instr_per_get_udp_50", [*FIFTY, "--udp"], "50 UDP sockets, one get each at once", 5000, aim=1000),
    Measure("instr_per_get_binary", [*ONE, "--binary"], "one connection, one get at a time, binary protocol"),
]
SET = Measure("instr_per_set_tcp", ["-c", 1, "-L", 1, "-w", 100], "one connection, one set at a time", 6000,
              aim=3000)
TLS = Measure("instr_per_get_tls", [*ONE, "--tls"], "one TLS connection, one get at a time")
TEN_THOUSAND = [
    Measure("instr_per_get_10k_conns", ["-c", MANY, "-L", 50, "-g", 10, "-w", 0, "-T"],
            f"{MANY:,} open connections, 50 of them one get each at once, ten times, then the next 50", 10 * MANY),
    # A client acknowledges a reply with its next request, or after some 40 ms by a segment of its own.
    Measure("instr_per_get_10k_conns_walk", ["-c", MANY, "-L", 50, "-w", 0, "-T"],
            f"{MANY:,} open connections, 50 of them one get each at once, then the next 50, so that each reply is "
            "acknowledged by a segment of its own", 2 * MANY),
]
PLAIN = [*GETS, SET]      # sets give the maintenance work, so they come last

HOW = (f"{{requests:,}} requests in lockstep over a tap, {HIT}; every instruction of the guest counted by a TCG "
       "plugin, less those of an equal time idle; median of {runs} boots")


UDP = ("-U", "11211")


def on_tap(namespace, args=UDP, **fields):
    return Counted("memcached", net="tap", namespace=namespace, args=[*args], **fields)


def figure_of(measure, values, peer=None):
    return Figure(measure.name, rounded(median(values)), "instructions",
                  f"{measure.what}: " + HOW.format(requests=measure.requests, runs=len(values)), aim=measure.aim,
                  spread=[rounded(min(values)), rounded(max(values))], peer=peer)


def take_all(tell, guests, measures):
    """{measure: its value on each of the guests}; what a guest cannot do is told and left out."""
    taken = {}
    for i, make in enumerate(guests):
        with wire() as namespace, make(namespace) as guest:
            for measure in measures:
                tell(f"{measure.name}, boot {i + 1} of {len(guests)}")
                try:
                    taken.setdefault(measure, []).append(measure.take(guest))
                except LoadFailed as trouble:
                    taken.pop(measure, None)
                    tell(f"{measure.name} could not be measured: {str(trouble).splitlines()[0]}\n")
    return taken


def per_request(tell, runs=3):
    taken = take_all(tell, [on_tap] * runs, PLAIN)
    return [figure_of(measure, values) for measure, values in taken.items()]


def beside_linux(tell, runs=2):
    build(tell)
    ours = take_all(tell, [on_tap] * runs, PLAIN)
    known = []

    def linux(namespace):
        known.append(counted(LinuxGuest("tap", namespace)))
        return known[-1]

    def peer(values):
        return Peer(rounded(values[0]), "the same load on the Linux guest, counted by the same plugin",
                    known[0].command_line(), known[0].versions())

    theirs = take_all(tell, [linux], PLAIN)
    return [figure_of(measure, values, peer(theirs[measure]) if measure in theirs else None)
            for measure, values in ours.items()]


def ten_thousand(tell):
    """
    Beside the same load from 50 connections, on the same image. TCP's timers walk all connections a few
    times a second while one of them waits for something; that costs time, not requests, and is a figure of
    its own.
    """
    tell(f"{MANY:,} connections")
    with wire() as namespace, on_tap(namespace, args=["-c", str(MANY + 60)]) as image:
        few = rounded(FIFTY_AT_ONCE.take(image))
        ran = {measure: measure.run(image) for measure in TEN_THOUSAND}
    peer = Peer(few, "the same load from 50 connections, on the same image")
    made = [figure_of(measure, [got["per_request"]], peer) for measure, got in ran.items()]
    made[0].aim, made[0].aim_is = 1.1, "ratio"
    timers = median([got["idle_per_s"] for got in ran.values()])
    return [*made, Figure("instr_timers_10k_conns", rounded(timers), "instructions/s", f"what the guest executes with {MANY:,} "
                          "connections open, of which one has replies that its client does not read and the others nothing to do")]


TLS_ARGS = ["-Z", "-o", "ssl_chain_cert=/chain.pem,ssl_key=/key.pem"]


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=bench", "-keyout", folder / "key.pem", "-out", folder / "chain.pem"], check=True,
                   capture_output=True, timeout=60)


@contextlib.contextmanager
def on_tap_with_tls(namespace):
    """memcached behind TLS, with a certificate of its own making in the image's first files."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        files.mkdir()
        make_certificate(files)
        (Path(folder) / "initrd").write_bytes(archive(files))
        with Counted("memcached_tls", net="tap", namespace=namespace, initrd=f"{folder}/initrd", wait=False,
                     args=TLS_ARGS) as image:
            assert kiln.eventually(lambda: listens(image)), image.console
            yield image


def listens(image):
    try:
        image.connect(1).close()
        return True
    except OSError:
        return False


def with_tls(tell, runs=3):
    taken = take_all(tell, [on_tap_with_tls] * runs, [TLS])
    return [figure_of(measure, values) for measure, values in taken.items()]


@contextlib.contextmanager
def linux_with_tls(namespace):
    with tempfile.TemporaryDirectory() as folder:
        make_certificate(Path(folder))
        files = {name: (Path(folder) / name).read_bytes() for name in ("chain.pem", "key.pem")}
        with counted(LinuxGuest("tap", namespace, memcached=TLS_ARGS, files=files, wait=False)) as guest:
            assert kiln.eventually(lambda: listens(guest), 120), guest.console
            yield guest


def tls_beside_linux(tell, runs=2):
    build(tell)
    ours, known = take_all(tell, [on_tap_with_tls] * runs, [TLS]), []

    @contextlib.contextmanager
    def linux(namespace):
        with linux_with_tls(namespace) as guest:
            known.append(guest)
            yield guest

    theirs = take_all(tell, [linux], [TLS])
    peer = Peer(rounded(theirs[TLS][0]), "the same load on the Linux guest, whose memcached uses OpenSSL, counted by the same plugin",
                known[0].command_line(), known[0].versions()) if TLS in theirs else None
    return [figure_of(TLS, ours[TLS], peer)]


def take_profile(measure, image, elf, folder, requests=None):
    """(instructions per part of a request, {function: its share of them}), idle included."""
    requests = requests or measure.requests
    prefix = Path(folder) / measure.name
    value = measure.take(image, snapshots=prefix, requests=requests)
    before, after = (prefix.with_name(f"{prefix.name}.{end}").read_bytes() for end in ("before", "after"))
    parts = requests * measure.per
    return value, {name: insns / parts for name, insns in profile(after, elf, before).items() if insns}
