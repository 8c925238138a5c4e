"""The programs of tests/abi on Linux and on Kiln: the same text, the same end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "qemu"))

from kiln import Image  # noqa: E402

PROGRAMS = sorted(p.stem for p in (HERE / "programs").glob("*.c"))
MARKER = "OUTPUT BEGINS"


def run_on_linux(name, folder):
    """What the program prints natively, and its status."""
    program = folder / name
    subprocess.run([os.environ.get("HOSTCC", "gcc"), "-O1", "-o", str(program), str(HERE / "programs" / f"{name}.c"),
                    "-pthread", "-lm"], check=True, timeout=60)
    done = subprocess.run([str(program)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return done.stdout, done.returncode


def run_on_kiln(name, harts):
    """What it prints in an image, behind the marker that the image prints first, and the status."""
    with Image("abitest", net="none", args=[name], options=["loglevel=error"], harts=harts, mem="64M") as image:
        status = image.wait_exit(timeout=60)
        console = image.console.replace("\r", "")
    assert MARKER in console, console
    return console.split(MARKER + "\n", 1)[1], status


@pytest.mark.parametrize("harts", [1, 4])
@pytest.mark.parametrize("name", PROGRAMS)
def test_says_the_same_on_linux_and_on_kiln(name, harts, tmp_path):
    expected, expected_status = run_on_linux(name, tmp_path)
    text, status = run_on_kiln(name, harts)
    assert text.splitlines() == expected.splitlines()
    assert status == expected_status


def test_an_unknown_program_is_refused_with_a_status():
    with Image("abitest", net="none", args=["nothing"], mem="64M") as image:
        assert image.wait_exit() == 2
        assert "usage: abitest" in image.console
