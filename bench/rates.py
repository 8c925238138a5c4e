"""
Requests per second and latency under a free-running load: 50 connections, nine gets to one set.

Every emulator runs on one core and the load generator on another (where there are two). Rounds of a
few seconds go by turns through all guests that are compared, which stay up meanwhile, since a machine's
speed changes over minutes; a figure is the median of its rounds. Beside each rate stands who was busy:
a thread of QEMU at 1.00 of a core is what limits, and so is a generator at 1.00.
"""

import contextlib
import os
import subprocess

from counters import NativePeer
from figure import Figure, Peer, median, rounded
from instruments import USER_IP, Image, can_use_tap, loadgen, wire
from linux_guest import LinuxGuest, build

LOAD = ["-c", 50, "-w", 10, "-k", 10000, "-v", 100]
DEPTHS = (1, 16)
TIMES_LINUX = {1: 12, 16: 8}     # aims for the rate
SECONDS, ROUNDS = 3, 5
KILN, LINUX = "Kiln", "Linux"


def pid_of(server):
    """Of the emulator, or of a memcached on this machine."""
    return server.process.pid if isinstance(server, NativePeer) else server.guest.pid


def pin(server, core):
    """Ties every thread of the server's process to a core."""
    subprocess.run(["taskset", "-a", "-c", "-p", str(core), str(pid_of(server))], check=True, timeout=20,
                   capture_output=True)


def take(guest, depth, seconds):
    """One round; what the generator says of it."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        pin(guest, cores[0])
        os.sched_setaffinity(0, cores[1:2])      # the generator inherits it
    try:
        return loadgen(guest, *LOAD, "-d", depth, "-t", seconds, "-P", pid_of(guest))
    finally:
        os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def running(who, net):
    with contextlib.ExitStack() as stack:
        namespace = stack.enter_context(wire(f"bench-{who}")) if net == "tap" else None
        if who == LINUX:
            guest = LinuxGuest(net, namespace)
        else:
            guest = Image("memcached", net=net, namespace=namespace, options=[] if net == "tap" else USER_IP)
        yield stack.enter_context(guest)


def shares(rounds, server="QEMU"):
    """Who was busy, as the median over rounds: the server's busiest thread, its others, the generator."""
    by_name = {}
    for got in rounds:
        busy = sorted((t["share"] for t in got["threads"]), reverse=True)
        for name, share in [(f"the busiest thread of {server}", busy[0]), ("its others", sum(busy[1:])),
                            ("the generator", got["own_share"])]:
            by_name.setdefault(name, []).append(share)
    return ", ".join(f"{name} {median(values):.2f}" for name, values in by_name.items()) + " of a core"


def figures(net, depth, ours, seconds, theirs=None, linux=None):
    """
    The figures of one load. `ours` and `theirs` are the generator's words on each round; `linux` the guest
    that gave the latter.
    """
    suffix = net + (f"_pipelined{depth}" if depth > 1 else "")
    how = (f"50 connections, nine gets to one set, {depth} in flight on each, 100-byte values, over "
           f"{'a tap' if net == 'tap' else 'user networking'}; median of {len(ours)} rounds of {seconds} s")
    made = []
    for name, key, unit, better in ((f"ops_{suffix}", "ops", "requests/s", "higher"),
                                    (f"p99_us_{suffix}", "p99_us", "us", "lower"),
                                    (f"p999_us_{suffix}", "p999_us", "us", "lower")):
        peer = None
        if theirs:
            peer = Peer(rounded(median([got[key] for got in theirs])), "the same load on the Linux guest, round by "
                        f"round by turns; seen there: {shares(theirs)}", linux.command_line(), linux.versions())
        values = [got[key] for got in ours]
        made.append(Figure(name, rounded(median(values)), unit, how, peer=peer,
                           aim=TIMES_LINUX[depth] if key == "ops" else 1, aim_is="ratio", better=better,
                           spread=[rounded(min(values)), rounded(max(values))], note=shares(ours)))
    return made


def compare(tell, net, who, rounds, seconds):
    """Figures of both depths over one kind of network."""
    made = []
    with contextlib.ExitStack() as stack:
        guests = {one: stack.enter_context(running(one, net)) for one in who}
        for depth in DEPTHS:
            got = {one: [] for one in who}
            for i in range(rounds):
                for one, guest in guests.items():
                    got[one].append(take(guest, depth, seconds))
                    tell(f"{net}, {depth} in flight, round {i + 1} of {rounds}: {one} {got[one][-1]['ops']:,.0f}/s")
            made += figures(net, depth, got[KILN], seconds, got.get(LINUX), guests.get(LINUX))
    return made


def alone(tell, rounds=3, seconds=SECONDS):
    return [figure for net in ["tap", "user"] if net == "user" or can_use_tap()
            for figure in compare(tell, net, [KILN], rounds, seconds)]


def of_the_generator(tell, rounds=3, seconds=SECONDS):
    """What the generator finds where no emulator is in the way: rates above are not limited by it as long as they are lower."""
    made = []
    with NativePeer() as native:
        for depth in DEPTHS:
            got = []
            for i in range(rounds):
                got.append(take(native, depth, seconds))
                tell(f"{depth} in flight, round {i + 1} of {rounds}: {got[-1]['ops']:,.0f}/s")
            values = [one["ops"] for one in got]
            made.append(Figure("ops_generator" + (f"_pipelined{depth}" if depth > 1 else ""), rounded(median(values)), "requests/s",
                               f"the load of ops_tap with {depth} in flight against {native.version} on this machine, over loopback: "
                               f"how much the generator can do; median of {rounds} rounds of {seconds} s", better="higher",
                               spread=[rounded(min(values)), rounded(max(values))], note=shares(got, "memcached")))
    return made


def beside_linux(tell, rounds=ROUNDS, seconds=SECONDS):
    build(tell)
    return [figure for net in ["tap", "user"] if net == "user" or can_use_tap()
            for figure in compare(tell, net, [KILN, LINUX], rounds, seconds)]
