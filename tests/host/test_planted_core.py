"""
The tests of core against hostile input bite: each check that they are there for is left out in turn, in
a build of its own, and then they must fail.
"""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOST = ROOT / "build" / "host"

# The planted bug, the file that holds the check, the test that must notice.
PLANTS = [
    ("FDT_NODE_NAME", "core/lib/fdt", "fdt_survives"),
    ("FDT_PROP_LENGTH", "core/lib/fdt", "fdt_survives"),
    ("FDT_PROP_NAME", "core/lib/fdt", "fdt_survives"),
    ("FDT_RESERVED", "core/lib/fdt", "fdt_survives"),
    ("PAGE_RESERVED", "core/mm/page_host_test", "page_boot"),
    ("PAGE_RESERVED_MANY", "core/mm/page_host_test", "page_boot"),
    ("PAGE_RAM_TWICE", "core/mm/page_host_test", "page_boot"),
]


def run(command, timeout=300):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def parts():
    """The unit-test program in its parts: objects, and the compiler command of each directory."""
    built = run(["make", "-s", "unit", "TEST=fdt_finds"])
    assert built.returncode == 0, built.stdout + built.stderr
    commands = {d: (HOST / "obj" / d / "flags").read_text().split() for d in ("core/lib", "core/mm")}
    return (HOST / "objects").read_text().split(), commands


def build_with(plant, source, parts):
    objects, commands = parts
    command = commands[str(Path(source).parent)]
    where = HOST / "planted" / plant.lower()
    where.mkdir(parents=True, exist_ok=True)
    new = where / "planted.o"
    made = run([*command, f"-DKILN_PLANT_{plant}=1", "-c", "-o", str(new), source + ".c"])
    assert made.returncode == 0, made.stderr
    objects = [str(new) if o.endswith(source + ".o") else o for o in objects]
    made = run([*command, "-o", str(where / "unit"), *objects])
    assert made.returncode == 0, made.stderr
    return where / "unit"


@pytest.mark.parametrize("plant,source,test", PLANTS)
def test_a_planted_bug_is_found_by_hostile_input(plant, source, test, parts):
    program = build_with(plant, source, parts)
    ran = run([str(program), test])
    assert ran.returncode != 0, f"{plant} was not noticed:\n{ran.stdout[-2000:]}"
