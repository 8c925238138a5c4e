"""Images boot on every machine that we claim, and say so."""

import pytest

from kiln import Image, build_image

BOOTS = 20


def test_hello_prints_its_line_and_powers_off():
    with Image("hello", net="none") as image:
        assert image.wait_exit() == 0
        assert "hello" in image.console.lower()


@pytest.mark.parametrize("variation", [
    {"form": "img"},
    {"legacy": True},
    {"rng": False},
    {"net": "none"},
    {"harts": 2},
    {"harts": 4},
    {"harts": 8},
    {"mem": "6M"},
    {"mem": "3G"},
    {"extra": ["-cpu", "rv64,sstc=off"]},
    {"extra": ["-cpu", "rv64,zba=off,zbb=off,zbs=off,zbc=off"]},
], ids=lambda v: "-".join(f"{k}={v[k]}" if k != "extra" else v[k][1].split(",", 1)[1] for k in v))
def test_hello_runs_on_every_variation_of_the_machine(variation):
    with Image("hello", **variation) as image:
        assert image.wait_exit() == 0
        assert "hello" in image.console.lower()


@pytest.mark.parametrize("variation", [
    {"form": "img"},
    {"legacy": True},
    {"rng": False},
    {"harts": 2},
    {"harts": 4, "legacy": True},
    {"nic": "virtio-net-device,mrg_rxbuf=off"},
    {"nic": "virtio-net-device,event_idx=off,indirect_desc=off"},
    {"nic": "virtio-net-device,csum=off,guest_csum=off,host_tso4=off,host_tso6=off,gso=off"},
], ids=lambda v: "-".join(f"{k}={v[k]}" for k in v).replace("virtio-net-device,", ""))
def test_memcached_serves_on_every_variation_of_the_machine(variation):
    with Image("memcached", **variation) as image:
        assert image.ask(b"set k 0 0 5\r\nhello\r\nget k\r\n", until=b"END\r\n") == \
            b"STORED\r\nVALUE k 0 5\r\nhello\r\nEND\r\n"


@pytest.mark.parametrize("extension", ["zba", "zbb", "zbs"])
def test_a_processor_without_an_extension_that_the_image_uses_is_told(extension):
    with Image("memcached", wait=False, extra=["-cpu", f"rv64,{extension}=off"]) as image:
        image.wait_exit()
        assert "Kiln cannot start: this processor lacks an instruction set extension" in image.console


@pytest.mark.parametrize("harts", [1, 2, 4])
def test_twenty_boots_in_a_row_none_hangs(harts):
    for boot in range(BOOTS):
        with Image("memcached", harts=harts, boot_seconds=60) as image:
            assert image.ask(b"version\r\n").startswith(b"VERSION "), f"boot {boot}"


@pytest.mark.parametrize("harts", [1, 2, 4])
def test_twenty_boots_of_hello_end_by_themselves(harts):
    for boot in range(BOOTS):
        with Image("hello", net="none", harts=harts) as image:
            assert image.wait_exit(60) == 0, f"boot {boot}: {image.console}"


@pytest.mark.parametrize("name", ["selftest", "selftest_preempt"])
@pytest.mark.parametrize("harts", [1, 2, 4])
def test_the_unit_tests_pass_inside_the_image(name, harts):
    with Image(name, harts=harts, mem="128M") as image:
        status = image.wait_exit(900)
        last = [line for line in image.console.splitlines() if " passed, " in line]
        assert last and last[-1].rstrip().endswith(" 0 failed"), image.console[-3000:]
        assert int(last[-1].split(" passed")[0].split()[-1]) > 0
        assert status == 0


def test_both_forms_hold_the_same_image():
    elf = build_image("hello")
    assert elf.with_suffix(".img").read_bytes()[0x38:0x3c] == b"RSC\x05", "the RISC-V Linux image header's magic"
