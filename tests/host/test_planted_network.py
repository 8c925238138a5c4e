"""
The tests with malformed frames bite: each check that they are there for is left out in turn, in a
build of its own, and then they must fail.
"""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOST = ROOT / "build" / "host"
NET = ROOT / "libos" / "net"

PLANTS = ["NET_FRAME_SHORT", "NET_TCP_HEADER", "NET_TCP6_HEADER", "NET_TCP_OPTIONS"]


def run(command, timeout=300):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def parts():
    """The unit-test program in its parts: compiler command, objects, and the sources that hold checks."""
    built = run(["make", "-s", "unit", "TEST=net_malformed_frames"])
    assert built.returncode == 0, built.stdout + built.stderr
    command = (HOST / "obj/libos/net/flags").read_text().split()
    objects = (HOST / "objects").read_text().split()
    checked = [p for p in sorted(NET.glob("*.c")) if "planted(" in p.read_text()]
    return command, objects, checked


def build_with(plant, parts):
    command, objects, checked = parts
    where = HOST / "planted" / plant.lower()
    where.mkdir(parents=True, exist_ok=True)
    for source in checked:
        old = f"libos/net/{source.stem}.o"
        new = where / f"{source.stem}.o"
        made = run([*command, f"-DKILN_PLANT_{plant}=1", "-c", "-o", str(new), str(source.relative_to(ROOT))])
        assert made.returncode == 0, made.stderr
        objects = [str(new) if o.endswith(old) else o for o in objects]
    made = run([*command, "-o", str(where / "unit"), *objects])
    assert made.returncode == 0, made.stderr
    return where / "unit"


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_bug_is_found_by_malformed_frames(plant, parts):
    program = build_with(plant, parts)
    ran = run([str(program), "net_malformed_frames"])
    assert ran.returncode != 0, f"{plant} was not noticed:\n{ran.stdout[-2000:]}"
