"""What an image carries of the system calls, and what a call needs of its caller's stack."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "qemu"))

from kiln import Image, build_image  # noqa: E402

DOOR_STACK_BYTES = {"echo": 8192, "abitest": 16384}  # libos/syscall/door.h: without files, and with them
MAY_OVERLAP = {"memcpy", "memmove", "memset", "memcmp"}   # core/lib's serve the application, too


def defined_names(*files):
    """Global functions and objects that object files or archives define, weak ones left out."""
    text = subprocess.run(["riscv64-linux-gnu-nm", "-g", "--defined-only", *map(str, files)], check=True,
                          capture_output=True, text=True).stdout
    return set(re.findall(r"^[0-9a-f]+ [TDBRSGC] (\S+)$", text, re.M))


def doors(elf):
    return {name.removeprefix("direct_") for name in defined_names(elf) if name.startswith("direct_")}


def test_an_image_has_the_calls_that_its_program_makes_and_no_others():
    hello = doors(build_image("hello"))
    assert {"writev", "exit_group", "set_tid_address"} <= hello
    assert not hello & {"read", "socket", "epoll_ctl", "pipe2", "clone", "rt_sigaction", "timerfd_create"}, hello
    assert len(hello) < 16, hello


def test_a_missing_call_answers_enosys_and_is_logged_once_by_name():
    with Image("abitest", net="none", args=["missing"], mem="64M") as image:
        assert image.wait_exit() == 0
        console = image.console
    assert console.count("signalfd: ENOSYS") == 3
    assert console.count("signalfd4 (74) is not in this image") == 1
    assert "fork: ENOSYS" in console and "clone (220) is not in this image" in console
    assert "call 499: ENOSYS" in console and "unknown (499) is not in this image" in console
    assert "by number: yes" in console


@pytest.mark.parametrize("image", DOOR_STACK_BYTES)
def test_a_call_fits_the_stack_that_the_door_makes_sure_of(image):
    elf = build_image(image)
    subprocess.run([sys.executable, str(HERE / "stack_depth.py"), str(elf), str(DOOR_STACK_BYTES[image])], check=True,
                   timeout=120)


def test_libc_and_kiln_define_no_name_twice():
    build_image("abitest")
    linked = (ROOT / "images" / "abitest.map").read_text(encoding="utf-8")
    libc = re.search(r"^LOAD (\S+/libc\.a)$", linked, re.M)[1]
    folder = ROOT / "build" / "abitest" / "obj"
    ours = [o for part in ("core", "libos", "third_party", "lwip") for o in (folder / part).rglob("*.o")]
    replaced = defined_names(*(folder / "libos" / "libc").glob("*.o"))
    both = defined_names(*ours) & defined_names(libc)
    assert both - MAY_OVERLAP - replaced == set()
