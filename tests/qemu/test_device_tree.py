"""Device trees that are odd, contradictory or hostile: a sentence, never a crash in silence."""

import random
import re
import subprocess

import pytest

from kiln import Image, build_image

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


# OpenSBI reads the device tree as well, and does not survive each of ours. So a loader in front of the flat
# image hands over another one than OpenSBI had.
LOADER = """
_start: la a1, tree
        la t0, image
        jr t0
        .balign 4096
tree:   .incbin "{tree}"
        .balign 0x200000
image:  .incbin "{image}"
"""


def behind_firmware(blob, tmp_path, **machine):
    """Boots the minimal image with a device tree of ours; its status and console, None for one that never ends."""
    tree, elf = tmp_path / "tree.dtb", tmp_path / "loader.elf"
    tree.write_bytes(blob)
    text = LOADER.format(tree=tree, image=build_image("minimal").with_suffix(".img"))
    subprocess.run(["riscv64-linux-gnu-gcc", "-nostdlib", "-static", "-no-pie", "-fno-pic", "-x", "assembler", "-",
                    "-Wl,-N,--no-warn-rwx-segments,-Ttext=0x80200000,--build-id=none", "-o", str(elf)],
                   input=text, text=True, check=True, timeout=60, stderr=subprocess.DEVNULL)
    with Image("minimal", kernel=elf, net="none", mem="128M", **machine) as image:
        return image.guest.wait_exit(15), image.console


def as_blob(source, seed=False):
    """The tree as firmware hands it over: bootargs, its own memory reserved; perhaps without seed."""
    text = changed(source, r"poweroff \{", reserving((0x80000000, 0x80000)))
    text = changed(text, "chosen {", 'chosen { bootargs = "loglevel=debug";')
    if not seed:
        text = changed(text, r"rng-seed = <[^>]*>;", "")
    return subprocess.run(["dtc", "-q", "-f", "-I", "dts", "-O", "dtb"], input=text.encode(), check=True,
                          capture_output=True, timeout=60).stdout


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
    (r"poweroff \{", reserving((0x80000000, 0x8000000)), "Kiln cannot start: there is too little memory"),
    (r"poweroff \{", reserving(*[(0x83000000 + i * 0x2000, 0x1000) for i in range(40)]),
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
    (r"poweroff \{", reserving((0x80200000, 0x100000)), ""),
    (r"poweroff \{", reserving((0x86000000, (1 << 64) - 1)), ""),
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


def test_a_console_that_is_none_is_not_taken(source, tmp_path):
    """Where the device tree says UART there is a virtio slot."""
    text = changed(source, r"reg = <0x0+ 0x10000000 0x0+ 0x100>", "reg = <0 0x10001000 0 0x100>")
    status, console = behind_firmware(as_blob(text), tmp_path)
    assert status == 0
    assert "uart: nothing answers at 0x10001000; the firmware's console goes on" in console
    assert STARTED in console


def test_bootargs_that_are_too_long_are_cut_with_a_warning():
    with Image("minimal", net="none", options=["loglevel=debug", *["a"] * 3000]) as image:
        assert image.wait_exit(60) == 0
        assert "bootargs are longer than" in image.console
        assert STARTED in image.console


def test_an_unknown_log_level_is_named():
    with Image("minimal", net="none", options=["loglevel=loud"]) as image:
        assert image.wait_exit(60) == 0
        assert "loglevel=loud is none of error, warn, info, debug" in image.console


def places(source, tmp_path, **machine):
    """Where three boots with the same tree put the image."""
    blob = as_blob(source)
    consoles = [behind_firmware(blob, tmp_path, **machine)[1] for _ in range(3)]
    return [re.search(r"image moved by (0x[0-9a-f]+)", console)[1] for console in consoles]


@pytest.mark.parametrize("legacy", [False, True])
def test_without_a_seed_virtio_rng_decides_the_place(source, tmp_path, legacy):
    assert len(set(places(source, tmp_path, legacy=legacy))) == 3


def test_without_any_seed_the_image_stays_where_it_was_linked(source, tmp_path):
    assert set(places(source, tmp_path, rng=False)) == {"0x0"}


def test_a_machine_without_timebase_is_refused(source, tmp_path):
    text = changed(source, r"timebase-frequency = <[^>]*>;", "")
    _, console = behind_firmware(as_blob(text), tmp_path)
    assert "no sensible timebase-frequency" in console


@pytest.mark.parametrize("damage", [lambda b: b[:8], lambda b: b"\0" * len(b), lambda b: b[:4] + b"\xff" * 4 + b[8:]],
                         ids=["cut", "zeroes", "endless"])
def test_a_blob_that_is_no_tree_is_refused(source, tmp_path, damage):
    status, console = behind_firmware(damage(as_blob(source)), tmp_path)
    assert "Kiln cannot start: the firmware passed no device tree that holds together" in console


def test_damaged_trees_start_or_say_why_not(source, tmp_path):
    """Random bytes changed: whatever comes of it, it is not silence."""
    blob, chance = as_blob(source, seed=True), random.Random(2)
    for attempt in range(25):
        broken = bytearray(blob)
        for _ in range(chance.choice([1, 4, 40])):
            broken[chance.randrange(40, len(broken))] = chance.randrange(256)
        status, console = behind_firmware(bytes(broken), tmp_path)
        console = console[console.rfind("SysReset"):] if "SysReset" in console else console
        # Where the change hit the bootargs' loglevel, a start is known by its end alone.
        started = status == 0 or STARTED in console
        assert started or re.search("Kiln cannot start|error: riscv|panic: ", console), (attempt, status, console)
