"""
Figures of an image by itself: how fast it boots, how large it is, how little memory it needs, how
little it does when idle. Each says in `method` what was done, so that it can be read without this file.
"""

import functools
import select
import socket
import subprocess
import time

from figure import Figure, Peer
from instruments import USER_IP, Counted, Image, kiln, loadgen, qemu_version, wire
from linux_guest import LinuxGuest, build, image_bytes as linux_bytes


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


def empty_payload(runs_ms):
    return Peer(round(min(runs_ms), 1), "the empty payload on the same devices, by turns with it: start of QEMU to "
                "its first line", versions={"qemu": qemu_version()})


def boot_to_version(tell, runs=10):
    ours, peers = [], []
    for i in range(runs):
        tell(f"boot {i + 1} of {runs}")
        ours.append(first_reply_ms(Image("memcached", wait=False, options=USER_IP)))
        peers.append(empty_payload_ms())
    return Figure("boot_to_version_ms", round(min(ours), 1), "ms",
                  f"start of QEMU to the first reply to 'version' over user networking with a static address, best "
                  f"of {runs}; a new connection every 2 ms", empty_payload(peers), aim=1.7, aim_is="ratio")


def boot_beside_linux(tell, runs=3):
    build(tell)
    ours, theirs = [], []
    for i in range(runs):
        tell(f"boot {i + 1} of {runs}")
        ours.append(first_reply_ms(Image("memcached", wait=False, options=USER_IP)))
        linux = LinuxGuest("user", wait=False)
        theirs.append(first_reply_ms(linux))
    return Figure("boot_to_version_beside_linux_ms", round(min(ours), 1), "ms",
                  f"as boot_to_version_ms, best of {runs}",
                  Peer(round(min(theirs), 1), "the Linux guest, by turns with it", linux.command_line(), linux.versions()))


def boot_to_line(tell, runs=10):
    ours, peers = [], []
    for i in range(runs):
        tell(f"boot {i + 1} of {runs}")
        ours.append(first_line_ms(Image("hello", wait=False, net="none"), "hello"))
        peers.append(empty_payload_ms())
    return Figure("boot_to_line_ms", round(min(ours), 1), "ms",
                  f"start of QEMU to hello's line on the console, best of {runs}", empty_payload(peers))


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


def image_beside_linux(tell):
    build(tell)
    figure = image_bytes("memcached", 450 << 10)
    figure.peer = Peer(linux_bytes(), "kernel and initramfs of the Linux guest: what its boot loader loads", versions=LinuxGuest.versions())
    return figure


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


def serves(kib, connections, make=None, **machine):
    """So many connections at once, each stores and reads values, which are compared."""
    make = make or functools.partial(Image, "memcached", boot_seconds=20)
    try:
        with make(mem=f"{kib}K", **machine) as image:
            loadgen(image, "-c", connections, "-L", 50, "-n", 2 * connections, "-w", 50, "-k", 1000, timeout=60)
            return True
    except (OSError, AssertionError, subprocess.TimeoutExpired):
        return False


def min_ram_memcached(tell):
    kib = least_memory_kib(lambda kib: serves(kib, 50, options=USER_IP), 4096, 65536, 256, tell)
    return Figure("min_ram_kib", kib, "KiB", "least -m of QEMU with which 50 connections at once store and read 100 "
                  "bytes, bisected in steps of 256 KiB; default options", aim=12 * 1024)


def min_ram_beside_linux(tell):
    """The Linux guest's is bisected more coarsely, since each boot of it takes seconds."""
    build(tell)
    figure = min_ram_memcached(tell)
    linux = functools.partial(LinuxGuest, "user", boot_seconds=60)
    kib = least_memory_kib(lambda kib: serves(kib, 50, linux), 32 << 10, 256 << 10, 8 << 10, tell)
    guest = linux(wait=False)
    figure.peer = Peer(kib, "the same on the Linux guest, in steps of 8 MiB", guest.command_line(), guest.versions())
    guest.close()
    return figure


def min_ram_10k(tell):
    with wire() as namespace:
        kib = least_memory_kib(lambda kib: serves(kib, 10000, net="tap", namespace=namespace,
                                                  args=["-c", "10050", "-m", "16"]), 16384, 262144, 4096, tell)
    return Figure("min_ram_kib_10k_conns", kib, "KiB", "least -m of QEMU with which 10,000 connections, all open at "
                  "once over a tap, store and read 100 bytes, bisected in steps of 4 MiB; -c 10050 -m 16", aim=64 * 1024)


def min_ram_hello(tell):
    kib = least_memory_kib(hello_runs, 4096, 16384, 64, tell)
    return Figure("min_ram_kib", kib, "KiB", "least -m with which hello prints and powers off, bisected in steps "
                  "of 64 KiB", aim=6 * 1024)
