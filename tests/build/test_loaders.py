"""The same image starts under OpenSBI, as ELF and flat (QEMU's -kernel), and from U-Boot."""

import os
import select
import subprocess
import time
from pathlib import Path

import pytest
from tree import ROOT, environment

QEMU = os.environ.get("QEMU") or "qemu-system-riscv64"
UBOOT = Path("/usr/lib/u-boot/qemu-riscv64_smode/uboot.elf")
GREETING = b"Hello from hello"


@pytest.fixture(scope="module")
def hello():
    done = subprocess.run(["make", "-s", "IMAGE=hello"], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ROOT / "images/hello"


def console(*words, answers=(), seconds=60):
    """What a guest prints until it powers off. `answers`: (what to wait for, what to type then)."""
    command = [QEMU, "-M", "virt", "-m", "256M", "-nodefaults", "-display", "none", "-serial", "stdio", *words]
    answers, seen, end = list(answers), b"", time.monotonic() + seconds
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as guest:
        try:
            while time.monotonic() < end:
                if select.select([guest.stdout], [], [], 0.5)[0]:
                    some = os.read(guest.stdout.fileno(), 65536)
                    if not some:
                        break
                    seen += some
                if answers and answers[0][0] in seen:
                    guest.stdin.write(answers.pop(0)[1])
                    guest.stdin.flush()
        finally:
            guest.kill()
    return seen


@pytest.mark.parametrize("form", ["elf", "img"])
def test_opensbi_starts_it_as_qemu_loads_it(hello, form):
    assert GREETING in console("-kernel", f"{hello}.{form}")


@pytest.mark.skipif(not UBOOT.exists(), reason="there is no u-boot-qemu")
def test_uboot_starts_it(hello):
    seen = console("-kernel", str(UBOOT), "-device", f"loader,file={hello}.img,addr=0x84000000,force-raw=on",
                   answers=[(b"autoboot", b"\n"), (b"=> ", b"booti 0x84000000 - ${fdtcontroladdr}\n")])
    assert b"Starting kernel" in seen and GREETING in seen, seen[-2000:]
