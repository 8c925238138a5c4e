#!/usr/bin/python3
"""
make run: boots an image in QEMU, says where it listens, and ends it cleanly on Ctrl-C.

    run.py IMAGE [PORT=n] [MEM=size] [HARTS=n] [ARGS='...'] [APPEND='...'] [NET=user|tap|none]
                 [QEMU=program] [FORM=elf|img] [MONITOR=n] [DISK='file[,serial=name][,ro] ...'] [FILES=folder]

ARGS are the application's arguments, APPEND Kiln's own options; both travel in bootargs. What the
DISK names files that become /dev/vda, /dev/vdb and so on; what lies in the folder FILES are the image's
first files. What the guest prints is passed through, with file:line behind each frame of a backtrace. The
exit status is the guest's: 0 after a clean stop or power-off, QEMU's code after a panic.
"""

import re
import shlex
import signal
import sys
import threading
from pathlib import Path

import machine
import netns
import record
from archive import archive
from guest import Guest, free_port, port_is_free
from machine import Forward, Machine, Trouble
from symbols import Symbolizer

KNOBS = {"PORT", "MEM", "HARTS", "ARGS", "APPEND", "NET", "QEMU", "FORM", "GDB", "LEGACY", "DISK", "FILES", "MONITOR"}
MONITOR_PORT = 9100
FIRST_REPLY_SECONDS = 60
FIRMWARE_LINE = re.compile(r"$|OpenSBI v|[ _/\\|()<>'`.]+$|.*\| '_ |(Platform|Firmware|Runtime|Domain0|Boot HART) ")


def say(text):
    print(text, flush=True)


def read_knobs(words):
    knobs = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in KNOBS:
            raise Trouble(f"run does not know {word}: it takes {', '.join(sorted(KNOBS))}.")
        if value.strip():
            knobs[name] = value.strip()
    return knobs


def whole_number(knobs, name, default, least, most):
    text = knobs.get(name, str(default))
    if not text.isdigit() or not least <= int(text) <= most:
        raise Trouble(f"{name}={text} is not a whole number from {least} to {most}.")
    return int(text)


def has_word(options, name):
    return any(o == name or o.startswith(name + "=") for o in options)


def monitor_forward(image, knobs, options):
    """The image's monitor, if it has one, on the same port of 127.0.0.1 or, when that is taken, any."""
    if not machine.has_option(image, "MONITOR"):
        return None
    inside = next((o.partition("=")[2] for o in options if o.startswith("monitor.port=")), str(MONITOR_PORT))
    if not inside.isdigit() or not 0 < int(inside) < 65536:
        return None
    wanted = whole_number(knobs, "MONITOR", inside, 1, 65535)
    return Forward(wanted if "MONITOR" in knobs or port_is_free(wanted) else free_port(), int(inside))


def describe(image, knobs):
    """The Machine that the user asked for, and its Facts. Trouble when it cannot run."""
    facts = machine.image_facts(image)
    form = knobs.get("FORM", "elf")
    if form not in ("elf", "img"):
        raise Trouble(f"FORM={form} is not a form of an image: it is elf or img.")
    net = knobs.get("NET", "user")
    if net not in ("user", "tap", "none"):
        raise Trouble(f"NET={net} is not a kind of network: it is user, tap or none.")
    try:
        app_args, options = shlex.split(knobs.get("ARGS", "")), shlex.split(knobs.get("APPEND", ""))
    except ValueError:
        raise Trouble("ARGS and APPEND need their quotation marks in pairs.") from None
    m = Machine(machine.image_path(image, form), mem=knobs.get("MEM", facts.mem),
                harts=whole_number(knobs, "HARTS", 1, 1, 8), options=options, app_args=app_args, net=net,
                legacy="LEGACY" in knobs, qemu=machine.find_qemu(knobs.get("QEMU")), door="door")
    machine.check_memory(image, machine.image_path(image), m.mem)
    m.disks = machine.parse_disks(knobs.get("DISK", ""))
    m.initrd = knobs.get("FILES", "")
    if m.initrd and not Path(m.initrd).exists():
        raise Trouble(f"FILES={m.initrd}: there is no such folder.")
    if "GDB" in knobs:
        m.gdb = knobs["GDB"]
    port = whole_number(knobs, "PORT", facts.port or 0, 0, 65535)
    if port and net == "user":
        if not port_is_free(port):
            raise Trouble(f"Port {port} of 127.0.0.1 is in use: choose another, such as PORT={port + 1}, "
                          "or end what listens there.")
        m.forwards = [Forward(port, facts.guest_port(app_args) or port)]
        if facts.udp:
            m.forwards.append(Forward(port, facts.guest_port(app_args), "udp"))
    if net == "user":
        m.monitor = monitor_forward(image, knobs, options)
    if net == "tap":
        m.tap = netns.TAP
        if not has_word(options, "ip"):
            m.options.append(f"ip={netns.GUEST_IP4}/{netns.PREFIX4}")
            if not has_word(options, "gw"):
                m.options.append(f"gw={netns.HOST_IP4}")
    return m, facts


class Run:
    """One guest from start to end, with its records and, for NET=tap, its network namespace."""

    def __init__(self, image, m, facts):
        self.image, self.machine, self.facts = image, m, facts
        self.namespace = None
        self.guest = None
        self.asked_to_stop = threading.Event()
        self.symbols = Symbolizer(machine.image_path(image))
        self.firmware_speaks = True

    def start(self):
        old = record.read(self.image)
        if old:
            raise Trouble(f"The image {self.image} is already running (process {old['pid']}): 'make stop' ends it.")
        record.remove(self.image)
        run_dir = record.folder(self.image)
        run_dir.mkdir(parents=True)
        prefix = ()
        if self.machine.initrd:
            (run_dir / "initrd").write_bytes(archive(self.machine.initrd))
            self.machine.initrd = run_dir / "initrd"
        if self.machine.net == "tap":
            self.namespace = netns.Namespace()
            prefix = self.namespace.prefix()
        # QEMU runs in the folder of its socket, whose name then is short enough for any path.
        self.guest = Guest(self.machine, prefix=prefix, cwd=run_dir, on_line=self.print_line)
        self.machine.door = str(run_dir / "door")
        record.write(self.image, self.guest.pid, door=self.machine.door,
                     port=self.machine.forwards[0].host_port if self.machine.forwards else 0)

    def print_line(self, line):
        """Passes a line on, once the firmware's banner (thirty-five lines) is over."""
        if not self.firmware_speaks or not FIRMWARE_LINE.match(line):
            self.firmware_speaks = False
            say(self.symbols.annotate(line))

    def address(self):
        if self.machine.net == "tap":
            return netns.GUEST_IP4, self.facts.guest_port(self.machine.app_args)
        return "127.0.0.1", self.machine.forwards[0].host_port if self.machine.forwards else 0

    def announce(self):
        """Waits for the first real reply, then says where the image listens."""
        host, port = self.address()
        if self.machine.net == "none" or not port or not self.facts.probe or self.machine.gdb:
            return
        make = self.namespace.socket if self.namespace else None
        seconds = self.guest.wait_reply((host, port), self.facts.probe, self.facts.reply,
                                        FIRST_REPLY_SECONDS, make)
        if seconds is None:
            if self.guest.is_running() and not self.asked_to_stop.is_set():
                say(f"{self.image} has not answered on {host} port {port} within {FIRST_REPLY_SECONDS} seconds.")
            return
        say(f"{self.image} listens on {host} port {port} (first reply after {seconds * 1000:.0f} ms). "
            "Ctrl-C or 'make stop' ends it.")
        if self.machine.monitor:
            say(f"What it is doing: http://127.0.0.1:{self.machine.monitor.host_port}/metrics, 'make trace', 'make profile'.")
        if self.facts.hello:
            inside = " ".join(self.namespace.prefix()) + " sh -c \"" if self.namespace else ""
            tail = "\"" if self.namespace else ""
            say(f"Try: {inside}{self.facts.hello.format(host=host, port=port)}{tail}")

    def wait(self):
        """Until the guest ends or somebody asks; the exit status for the shell."""
        while not self.asked_to_stop.is_set():
            status = self.guest.wait_exit(0.2)
            if status is not None:
                return status
        say(f"\nStopping {self.image}.")
        if not self.guest.stop():
            say(f"{self.image} did not stop by itself within half a minute; its QEMU was ended.")
        return 0

    def close(self):
        if self.guest:
            self.guest.kill()
        if self.namespace:
            self.namespace.close()
        if self.guest:
            record.remove(self.image)


def main(argv):
    try:
        if not argv:
            raise Trouble("run needs the name of an image.")
        image, knobs = argv[0], read_knobs(argv[1:])
        m, facts = describe(image, knobs)
        run = Run(image, m, facts)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: run.asked_to_stop.set())
        try:
            run.start()
            threading.Thread(target=run.announce, daemon=True).start()
            status = run.wait()
        finally:
            run.close()
    except Trouble as trouble:
        print(trouble, file=sys.stderr, flush=True)
        return 1
    if status:
        say(f"{image} ended with status {status}.")
    return status if 0 <= status < 256 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
