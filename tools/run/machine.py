"""
The machine an image runs on: QEMU's virt board, described once.

make run, make debug, the system tests and the benchmarks all start guests through Machine, so a
guest under test stands on the same devices as one that a user runs. Machine only describes;
Guest (guest.py) starts it and looks after the process.

A machine has a 16550 console on QEMU's standard output, virtio-mmio devices (version 2 unless
`legacy`), a virtio-rng, the operator's door as virtio-serial port `kiln.ctl` on a UNIX socket, and
at most one network card.
"""

import configparser
import dataclasses
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20

# What must fit beside the image: OpenSBI below it, the device tree at the top (QEMU puts it on a
# 2 MiB boundary), and what an image needs to get going at all.
FIRMWARE_BYTES = 2 * MIB
DEVICE_TREE_BYTES = 2 * MIB
WORKING_BYTES = 512 << 10


class Trouble(Exception):
    """Something the user can put right; its text is one sentence for the terminal."""


@dataclasses.dataclass
class Forward:
    """A port of 127.0.0.1 that reaches a port of the guest (user networking only)."""
    host_port: int
    guest_port: int
    protocol: str = "tcp"


@dataclasses.dataclass
class Facts:
    """What images.ini says about an image."""
    name: str
    mem: str = "64M"
    port: int = 0
    option: str = ""
    udp: bool = False
    probe: bytes = b""
    reply: bytes = b""
    hello: str = ""

    def guest_port(self, app_args):
        """The port it will serve, which its own option may have moved."""
        port = self.port
        if self.option:
            for i, word in enumerate(app_args):
                number = ""
                if word == self.option and i + 1 < len(app_args):
                    number = app_args[i + 1]
                elif word.startswith(self.option):
                    number = word[len(self.option):]
                if number.isdigit():
                    port = int(number)
        return port


def image_facts(name):
    table = configparser.ConfigParser(default_section="default", interpolation=None)
    table.read(Path(__file__).with_name("images.ini"))
    family = name.split("_")[0]          # memcached_debug serves what memcached serves
    section = next((table[n] for n in (name, family) if table.has_section(n)), table["default"])

    def text(key):
        return section.get(key, "").encode().decode("unicode_escape")

    return Facts(name, mem=section.get("mem", "64M"), port=section.getint("port", 0),
                 option=section.get("option", ""), udp=section.getboolean("udp", False),
                 probe=text("probe").encode(), reply=text("reply").encode(), hello=section.get("hello", ""))


def has_option(name, option, root=ROOT):
    """Whether the image was configured with an option, e.g. MONITOR."""
    try:
        return f"CONFIG_{option}=y\n" in (root / "build" / name / "include/config/auto.conf").read_text()
    except OSError:
        return False


def image_path(name, form="elf", root=ROOT):
    """images/<name>.elf or .img, or Trouble."""
    path = root / "images" / f"{name}.{form}"
    if not path.is_file():
        raise Trouble(f"There is no image {path.relative_to(root)}: build it with 'make {name}_defconfig' and 'make'.")
    return path


def parse_size(text):
    """'12M', '512K', '1G', or plain MiB as QEMU takes it; bytes."""
    found = re.fullmatch(r"(\d+)([KkMmGg]?)", text)
    if not found:
        raise Trouble(f"MEM={text} is not a size: write a number with K, M or G, such as MEM=64M.")
    return int(found[1]) * {"k": 1 << 10, "": MIB, "m": MIB, "g": 1 << 30}[found[2].lower()]


def image_span(elf_path):
    """How many bytes of memory the image's loaded segments span."""
    data = Path(elf_path).read_bytes()
    if data[:4] != b"\x7fELF":
        return len(data)
    phoff, = struct.unpack_from("<Q", data, 32)
    phentsize, phnum = struct.unpack_from("<HH", data, 54)
    spans = []
    for i in range(phnum):
        kind, _flags, _off, _va, pa, _filesz, memsz, _align = struct.unpack_from("<IIQQQQQQ", data, phoff + i * phentsize)
        if kind == 1:
            spans.append((pa, pa + memsz))
    return max(end for _, end in spans) - min(start for start, _ in spans)


def check_memory(name, kernel, mem):
    """Trouble when `mem` cannot hold the image at all. The guest judges the rest itself."""
    span = image_span(kernel)
    need = FIRMWARE_BYTES + DEVICE_TREE_BYTES + WORKING_BYTES + span
    if parse_size(mem) < need:
        raise Trouble(f"MEM={mem} is too little for {name}: it needs at least {-(-need // MIB)}M "
                      f"(image {span >> 10} KiB, firmware and device tree 4 MiB, {WORKING_BYTES >> 10} KiB to work in).")


def find_qemu(choice=None):
    """The emulator's path: QEMU= or qemu-system-riscv64 of PATH."""
    name = choice or os.environ.get("QEMU") or "qemu-system-riscv64"
    path = shutil.which(name)
    if not path:
        raise Trouble(f"QEMU is missing: there is no program {name}. 'make setup' installs it, or QEMU= names another.")
    return path


def qemu_version(qemu):
    first = subprocess.run([qemu, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    return first.splitlines()[0].removeprefix("QEMU emulator version ")


def quote_word(word):
    """One word of bootargs as the image's parser reads it: '...' or "..." around blanks."""
    if word and not re.search(r"[\s'\"]", word):
        return word
    if "'" not in word:
        return f"'{word}'"
    if '"' not in word:
        return f'"{word}"'
    raise Trouble(f"The argument {word} holds both kinds of quotation marks, which bootargs cannot carry.")


def bootargs(options, app_args):
    """Kiln's own options, then `--`, then the application's arguments."""
    words = list(options)
    if app_args:
        words += ["--", *(quote_word(word) for word in app_args)]
    return " ".join(words)


@dataclasses.dataclass
class Disk:
    """A file that the guest has as virtio-blk disk."""
    file: Path
    serial: str = ""
    read_only: bool = False
    cache: str = "writeback"     # of QEMU: unsafe and none, too
    queues: int = 1

    def arguments(self, number):
        name = f"disk{number}"
        # A comma in a name is written twice.
        drive = (f"file={str(self.file).replace(',', ',,')},id={name},if=none,format=raw,cache={self.cache},"
                 f"discard=unmap,readonly={'on' if self.read_only else 'off'}")
        device = f"virtio-blk-device,drive={name}" + (f",serial={self.serial}" if self.serial else "") + \
            (f",num-queues={self.queues}" if self.queues > 1 else "")
        return ["-drive", drive, "-device", device]


def parse_disks(text):
    """The disks of DISK=: words of the form FILE[,serial=NAME][,ro], or Trouble."""
    disks = []
    for word in text.split():
        name, *settings = word.split(",")
        disk = Disk(Path(name).absolute())
        for setting in settings:
            key, _, value = setting.partition("=")
            if setting == "ro":
                disk.read_only = True
            elif key == "serial" and re.fullmatch(r"[A-Za-z0-9._-]{1,20}", value):
                disk.serial = value
            else:
                raise Trouble(f"DISK={word}: {setting} is neither ro nor serial=NAME (up to 20 letters, digits, "
                              "dots, dashes and underscores).")
        if not disk.file.is_file():
            raise Trouble(f"DISK={word}: there is no file {name}. 'truncate -s 64M {name}' makes an empty disk.")
        disks.append(disk)
    return disks


@dataclasses.dataclass
class Machine:
    kernel: Path
    mem: str = "64M"
    harts: int = 1
    options: list = dataclasses.field(default_factory=list)   # Kiln's words in bootargs
    app_args: list = dataclasses.field(default_factory=list)
    net: str = "user"            # user, tap, none
    forwards: list = dataclasses.field(default_factory=list)
    monitor: Forward = None      # how the monitor's port is reached, in images that have one
    tap: str = ""                # name of the tap, when net is tap
    nic: str = "virtio-net-device"
    legacy: bool = False         # virtio-mmio version 1
    rng: bool = True
    disks: list = dataclasses.field(default_factory=list)     # of Disk: the first is /dev/vda
    initrd: str = ""             # a cpio archive
    door: str = ""               # UNIX socket of kiln.ctl
    gdb: str = ""                # a gdb chardev, e.g. tcp:127.0.0.1:1234; the guest waits for it
    extra: list = dataclasses.field(default_factory=list)
    qemu: str = ""
    raw_append: str = None       # bootargs word for word, for tests of bad ones

    def bootargs(self):
        return self.raw_append if self.raw_append is not None else bootargs(self.options, self.app_args)

    def command(self):
        args = [find_qemu(self.qemu or None), "-M", "virt", "-smp", str(self.harts), "-m", self.mem,
                "-nodefaults", "-display", "none", "-monitor", "none", "-no-reboot",
                "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
                "-kernel", str(self.kernel)]
        if self.bootargs():
            args += ["-append", self.bootargs()]
        if not self.legacy:
            args += ["-global", "virtio-mmio.force-legacy=false"]
        if self.rng:
            args += ["-object", "rng-random,id=entropy,filename=/dev/urandom",
                     "-device", "virtio-rng-device,rng=entropy"]
        if self.door:
            args += ["-chardev", f"socket,id=door,path={self.door},server=on,wait=off",
                     "-device", "virtio-serial-device", "-device", "virtserialport,chardev=door,name=kiln.ctl"]
        for number, disk in enumerate(self.disks):
            args += disk.arguments(number)
        if self.initrd:
            args += ["-initrd", str(self.initrd)]
        args += self._network()
        if self.gdb:
            args += ["-S", "-gdb", self.gdb]
        return args + list(self.extra)

    def _network(self):
        if self.net == "none":
            return []
        if self.net == "tap":
            backend = f"tap,id=net0,ifname={self.tap},script=no,downscript=no"
        else:
            backend = "user,id=net0" + "".join(
                f",hostfwd={f.protocol}:127.0.0.1:{f.host_port}-:{f.guest_port}" for f in [*self.forwards, *([self.monitor] if self.monitor else [])])
        return ["-netdev", backend, "-device", f"{self.nic},netdev=net0"]
