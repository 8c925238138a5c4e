"""Device trees that are odd, contradictory or hostile: a sentence, never a crash in silence."""

import re
import subprocess

import pytest

from kiln import Image

MEMORY = r"reg = <0x0+ 0x80000000 0x0+ 0x8000000>;"
STARTED = "to the application"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """QEMU's own device tree of a machine with two harts and 128 MiB, as text."""
    blob = tmp_path_factory.mktemp("dtb") / "virt.dtb"
    subprocess.run(["qemu-system-riscv64", "-M", f"virt,dumpdtb={blob}", "-smp", "2", "-m", "128M", "-nodefaults",
                    "-display", "none"], check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    return subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", str(blob)], check=True, capture_output=True,
                          text=True, timeout=60).stdout


def run_with(text, tmp_path):
    blob = tmp_path / "changed.dtb"
    subprocess.run(["dtc", "-q", "-f", "-I", "dts", "-O", "dtb", "-o", str(blob)], input=text, text=True, check=True,
                   timeout=60)
    with Image("minimal", net="none", mem="128M", harts=2, options=["loglevel=debug"],
               extra=["-dtb", str(blob)]) as image:
        return image.wait_exit(60), image.console


def changed(source, pattern, replacement):
    text, count = re.subn(pattern, replacement, source, count=1, flags=re.S)
    assert count == 1, f"the device tree has no {pattern}"
    return text


def reserving(*ranges):
    nodes = " ".join(f"r@{start:x} {{ reg = <0 {start:#x} {size >> 32:#x} {size & 0xffffffff:#x}>; }};"
                     for start, size in ranges)
    return f"reserved-memory {{ #address-cells = <2>; #size-cells = <2>; ranges; {nodes} }}; poweroff {{"


@pytest.mark.parametrize("pattern, replacement, sentence", [
    (MEMORY, "reg = <0 0x80000000 0 0>;", "Kiln cannot start: the device tree names no memory"),
    (MEMORY, "reg = <0 0x80000000 0xffffffff 0xffffffff>;", "Kiln cannot start: the device tree names no memory"),
    (MEMORY, "reg = <1 0 0 0x8000000>;", "Kiln cannot start: the image does not fit"),
    (MEMORY, "reg = <0 0x80000000 0 0x204000>;", "Kiln cannot start: the image does not fit"),
    ("poweroff {", reserving((0x80000000, 0x8000000)), "Kiln cannot start: there is too little memory"),
    ("poweroff {", reserving(*[(0x83000000 + i * 0x2000, 0x1000) for i in range(40)]),
     "Kiln cannot start: the device tree reserves more memory ranges"),
    (r"timebase-frequency = <[^>]*>", "timebase-frequency = <0xffffffff>", "no sensible timebase-frequency"),
], ids=["no-memory", "memory-wraps", "memory-elsewhere", "memory-too-small", "all-reserved", "many-reserved",
        "timebase"])
def test_what_makes_a_start_impossible_is_told_in_one_sentence(source, tmp_path, pattern, replacement, sentence):
    _, console = run_with(changed(source, pattern, replacement), tmp_path)
    assert sentence in console
    assert "panic" not in console and STARTED not in console


@pytest.mark.parametrize("pattern, replacement, warning", [
    (MEMORY, "reg = <0 0x80000000 0 0x8000000 0 0x84000000 0 0x4000000>;", ""),
    (MEMORY, "reg = <" + " ".join(f"0 {0x80000000 + i * 0x800000:#x} 0 0x800000" for i in range(10)) + ">;",
     "some RAM lies beyond"),
    ("poweroff {", reserving((0x80200000, 0x100000)), ""),
    ("poweroff {", reserving((0x86000000, (1 << 64) - 1)), ""),
    ("riscv,plic0", "nobody,plic0", ""),
    (r'compatible = "sifive,plic[^;]*;', 'compatible = "nobody,plic";', "this machine has no PLIC"),
    (r"reg = <0x0+ 0xc000000 0x0+ 0x[0-9a-f]*>", "reg = <0 0xc000000 0 0x1000>", "plic_init failed with -22"),
    (r'stdout-path = "[^"]*"', 'stdout-path = "/nowhere"', ""),
    (r"reg = <0x0+ 0x101000 0x0+ 0x1000>", "reg = <0 0x101003 0 1>", "goldfish_rtc_init failed with -22"),
], ids=["overlapping-banks", "many-banks", "reserved-on-image", "reserved-wraps", "plic-by-its-other-name", "no-plic",
        "small-plic", "no-stdout", "small-rtc"])
def test_what_can_be_done_without_is_done_without(source, tmp_path, pattern, replacement, warning):
    status, console = run_with(changed(source, pattern, replacement), tmp_path)
    assert status == 0
    assert STARTED in console
    assert warning in console
    assert "panic" not in console


def test_bootargs_that_are_too_long_are_cut_with_a_warning():
    with Image("minimal", net="none", options=["loglevel=debug", *["a"] * 3000]) as image:
        assert image.wait_exit(60) == 0
        assert "bootargs are longer than" in image.console
        assert STARTED in image.console


def test_an_unknown_log_level_is_named():
    with Image("minimal", net="none", options=["loglevel=loud"]) as image:
        assert image.wait_exit(60) == 0
        assert "loglevel=loud is none of error, warn, info, debug" in image.console
