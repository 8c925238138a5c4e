"""
The peer: a Linux guest of Debian trixie's riscv64 kernel and memcached, in the same QEMU on the same
devices as an image of ours.

It is made from packages alone. apt fetches them with a configuration of our own for the architecture
riscv64, so the machine's set-up stays as it is, and checks the archive's signature; dpkg-deb unpacks
them; an initramfs holds busybox, memcached, the libraries that it names, and the kernel modules of the
network card. Its init sets the address given on the kernel's command line and becomes memcached.
Everything lies in the cache (KILN_CACHE) and is made once.
"""

import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from instruments import ROOT, Image, machine, netns, qemu_version
from archive import archive        # of tools/run

SUITE = "trixie"
CACHE = Path(os.environ.get("KILN_CACHE") or Path.home() / ".cache" / "kiln") / "linux-guest"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PACKAGES = ["memcached", "busybox-static", "libc6", "libgcc-s1", "libevent-2.1-7t64", "libsasl2-2", "libdb5.3t64",
            "libssl3t64", "zlib1g", "libzstd1"]
MODULES = ["drivers/virtio/virtio_mmio", "net/core/failover", "drivers/net/net_failover", "drivers/net/virtio_net"]
LIBRARIES = "usr/lib/riscv64-linux-gnu"
LOADER = "usr/lib/ld-linux-riscv64-lp64d.so.1"
MEMCACHED = "-u root -t 1 -m 64 -c 1024 -U 11211 -l 0.0.0.0".split()

INIT = """#!/bin/sh
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
for module in {modules}; do $B insmod /modules/$module.ko; done
for word in $($B cat /proc/cmdline); do
	case $word in
	ip4=*) address=${{word#ip4=}} ;;
	gw4=*) router=${{word#gw4=}} ;;
	esac
done
ulimit -n 20000
$B ip link set lo up
$B ip addr add $address dev eth0
$B ip link set eth0 up
[ -z "$router" ] || $B ip route add default via $router
exec /bin/memcached {memcached}
"""


def _run(command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=900,
                          stdin=subprocess.DEVNULL, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


class Packages:
    """apt with lists and a cache of its own."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("lists/partial", "cache/archives/partial", "none", "state"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        entry = dict(line.split(": ", 1) for line in _run([ROOT / "tools" / "fetch", "--entry"]).splitlines())
        (folder / "debian.sources").write_text(
            f"Types: deb\nURIs: {entry['URIs']}\nSuites: {SUITE}\nComponents: main\nArchitectures: riscv64\n"
            f"Signed-By: {entry.get('Signed-By', KEYRING)}\n")
        (folder / "state" / "status").write_text("")
        (folder / "apt.conf").write_text(
            'APT::Architecture "riscv64";\nAPT::Architectures { "riscv64"; };\n'
            f'Dir::State "{folder}/state";\nDir::State::lists "{folder}/lists";\n'
            f'Dir::State::status "{folder}/state/status";\nDir::Cache "{folder}/cache";\n'
            f'Dir::Etc::sourcelist "{folder}/debian.sources";\nDir::Etc::sourceparts "{folder}/none";\n'
            'APT::Sandbox::User "root";\nAcquire::Languages "none";\nAcquire::Retries "3";\n')
        self.environment = {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}

    def apt(self, *words, **options):
        return _run(words, env=self.environment, **options)

    def download(self, into):
        self.apt("apt-get", "-q", "update")
        kernel = re.search(r"Depends: (linux-image-\S+)", self.apt("apt-cache", "depends", "linux-image-riscv64"))[1]
        into.mkdir(exist_ok=True)
        self.apt("apt-get", "-q", "download", kernel, *PACKAGES, cwd=into)
        return kernel


def _needed(binary):
    return re.findall(r"NEEDED.*\[(.*)\]", _run(["riscv64-linux-gnu-readelf", "-d", binary]))


def _copy_with_libraries(unpacked, program, root):
    """The program and every shared library that it or they name."""
    shutil.copy(unpacked / "usr" / "bin" / program, root / "usr" / "bin" / program)
    (root / LIBRARIES).mkdir(parents=True, exist_ok=True)
    shutil.copy(unpacked / LOADER, root / LOADER)
    waiting = [root / "usr" / "bin" / program]
    while waiting:
        for name in _needed(waiting.pop()):
            place = root / LIBRARIES / name
            if not place.exists() and name != Path(LOADER).name:
                shutil.copy(unpacked / LIBRARIES / name, place)
                waiting.append(place)


def init_text(memcached):
    return INIT.format(modules=" ".join(Path(m).name for m in MODULES), memcached=" ".join(memcached))


def _make_root(unpacked, kernel, root):
    for name in ("usr/bin", "usr/lib", "proc", "sys", "dev", "etc", "modules"):
        (root / name).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    (root / "lib").symlink_to("usr/lib")
    shutil.copy(unpacked / "usr" / "bin" / "busybox", root / "usr" / "bin" / "busybox")
    (root / "usr" / "bin" / "sh").symlink_to("busybox")
    _copy_with_libraries(unpacked, "memcached", root)
    for module in MODULES:
        packed = next(kernel.glob(f"usr/lib/modules/*/kernel/{module}.ko.xz"))
        (root / "modules" / f"{Path(module).name}.ko").write_bytes(lzma.decompress(packed.read_bytes()))
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\n")
    init = root / "init"
    init.write_text(init_text(MEMCACHED))
    init.chmod(0o755)


def build(tell=lambda text: None):
    """Makes the guest unless it is there."""
    if (CACHE / "versions").exists():
        return
    tell(f"fetching Debian {SUITE}'s kernel and memcached for riscv64 (once, about 100 MB)")
    shutil.rmtree(CACHE, ignore_errors=True)
    CACHE.mkdir(parents=True)
    debs = CACHE / "packages"
    Packages(CACHE / "apt").download(debs)
    tell("unpacking them")
    unpacked, kernel = CACHE / "unpacked", CACHE / "kernel"
    versions = {}
    for deb in sorted(debs.glob("*.deb")):
        _run(["dpkg-deb", "-x", deb, kernel if deb.name.startswith("linux-image") else unpacked])
        name, version = _run(["dpkg-deb", "-W", "--showformat=${Package} ${Version}", deb]).split()
        versions[name] = version
    shutil.copy(next(kernel.glob("boot/vmlinu*")), CACHE / "Image")
    _make_root(unpacked, kernel, CACHE / "root")
    (CACHE / "initramfs").write_bytes(archive(CACHE / "root"))
    for leftover in (unpacked, kernel, CACHE / "root", CACHE / "apt"):
        shutil.rmtree(leftover)
    (CACHE / "versions").write_text("".join(f"{name} {version}\n" for name, version in versions.items()))


def overlay(init_args, files):
    """The initramfs with files over it, and memcached started with further options: the kernel unpacks one archive after the other."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, data in files.items():
            (root / name).write_bytes(data)
        (root / "init").write_text(init_text([*MEMCACHED, *init_args]))
        (root / "init").chmod(0o755)
        return (CACHE / "initramfs").read_bytes() + archive(root)


def image_bytes():
    return sum((CACHE / name).stat().st_size for name in ("Image", "initramfs"))


class LinuxGuest(Image):
    """memcached on Linux; used as an Image of memcached is. `memcached` are options beside MEMCACHED, `files` lie in its root."""

    def __init__(self, net, namespace=None, mem="256M", memcached=(), files=None, extra=(), **fields):
        self.memcached = [*MEMCACHED, *memcached]
        words = ["console=ttyS0", "quiet", "panic=-1"]
        if net == "tap":
            words += [f"ip4={netns.GUEST_IP4}/{netns.PREFIX4}", f"gw4={netns.HOST_IP4}"]
        else:
            words += ["ip4=10.0.2.15/24", "gw4=10.0.2.2"]
        super().__init__("memcached_on_linux", kernel=CACHE / "Image", net=net, namespace=namespace, mem=mem,
                         raw_append=" ".join(words), **fields)
        initramfs = CACHE / "initramfs"
        if memcached or files:
            initramfs = Path(self.folder) / "initramfs"
            initramfs.write_bytes(overlay(memcached, files or {}))
        self.machine.extra = [*self.machine.extra, "-initrd", str(initramfs), *extra]

    def command_line(self):
        words = self.machine.command()
        for folder in (CACHE, self.folder, ROOT):        # where things lie on this machine is nobody's business
            words = [word.replace(f"{folder}/", "") for word in words]
        words = [re.sub(r"127\.0\.0\.1:\d+-", "127.0.0.1:PORT-", word) for word in words]     # another one in each run
        return " ".join(machine.quote_word(word) for word in words) + "; memcached " + " ".join(self.memcached)

    @staticmethod
    def versions():
        known = dict(line.split() for line in (CACHE / "versions").read_text().splitlines())
        kernel = next(f"{name} {version}" for name, version in known.items() if name.startswith("linux-image"))
        return {"kernel": kernel, "memcached": known["memcached"], "QEMU": qemu_version()}


if __name__ == "__main__":
    build(lambda text: print(text, file=sys.stderr))
