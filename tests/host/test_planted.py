"""
The tests with hostile input bite: each check that they are there for is left out in turn, in a build of
its own, and then they must fail. Where they print the seed of a failure, that seed repeats it.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOST = ROOT / "build" / "host"

# Directory and tests that must notice: the checks left out, each by the name that planted() gives it.
HOSTILE = {
    ("core/lib", "fdt_survives"): ["FDT_NODE_NAME", "FDT_PROP_LENGTH", "FDT_PROP_NAME", "FDT_RESERVED"],
    ("core/mm", "page_boot"): ["PAGE_RESERVED", "PAGE_RESERVED_MANY", "PAGE_RAM_TWICE"],
    ("libos/drivers", "virtq_"): ["VIRTQ_INDEX", "VIRTQ_ID", "VIRTQ_OUTSTANDING", "VIRTQ_LENGTH"],
    ("libos/drivers", "net_"): ["NET_SHORT_HEADER", "NET_NUM_BUFFERS", "NET_MTU"],
    ("libos/drivers", "blk_"): ["BLK_SHORT_READ", "BLK_CAPACITY"],
    ("libos/dev", "partition"): ["PARTITION_END", "PARTITION_CRC"],
    ("libos/vfs", "cpio_"): ["CPIO_NAME", "CPIO_TERMINATOR", "CPIO_DATA"],
    ("libos/fs/jbd2", "journal_survives"): ["JOURNAL_BARRIER", "JOURNAL_TAIL_BARRIER", "JOURNAL_REVOKE"],
    ("libos/fs/jbd2", "journal_"): ["JOURNAL_ESCAPE", "JOURNAL_DATA_SUM"],
    ("libos/fs/jbd2", "ext4_survives_power_cuts"): ["JOURNAL_BARRIER", "JOURNAL_TAIL_BARRIER"],
    ("libos/fs/ext4", "ext4_survives_power_cuts"): ["EXT4_ORDERED"],
    ("libos/net", "net_malformed_frames"): ["NET_FRAME_SHORT", "NET_TCP_HEADER", "NET_TCP6_HEADER",
                                            "NET_TCP_OPTIONS"],
    ("libos/net", "prediction_changes"): ["PREDICT_SUM", "PREDICT_QUEUED", "PREDICT_DUPLICATE", "PREDICT_STATE"],
    ("libos/net", "datagrams_with_wrong"): ["DATAGRAM_SUM"],
    ("libos/net", "stream_output_is_copied"): ["STREAM_SECOND_COPY"],
}
PLANTS = [(plant, directory, test) for (directory, test), plants in HOSTILE.items() for plant in plants]


def run(command, timeout=300, **environment):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
                          env=os.environ | environment)


@pytest.fixture(scope="module")
def objects():
    """The objects of the unit-test program, which is built first."""
    built = run(["make", "-s", "unit", "TEST=fdt_finds"])
    assert built.returncode == 0, built.stdout + built.stderr
    return (HOST / "objects").read_text().split()


def text_of(source):
    """The source and what it includes of the .c files beside it."""
    text = source.read_text()
    return text + "".join(other.read_text() for other in source.parent.glob("*.c") if f'#include "{other.name}"' in text)


def build_without(plant, directory, test, objects):
    """The unit-test program with one check left out."""
    command = (HOST / "obj" / directory / "flags").read_text().split()
    where = HOST / "planted" / f"{plant.lower()}-{test}"
    where.mkdir(parents=True, exist_ok=True)
    replaced = 0
    for source in sorted((ROOT / directory).glob("*.c")):
        old, new = f"{directory}/{source.stem}.o", where / f"{source.stem}.o"
        if f"planted({plant})" not in text_of(source) or not any(o.endswith(old) for o in objects):
            continue
        made = run([*command, f"-DKILN_PLANT_{plant}=1", "-c", "-o", str(new), str(source.relative_to(ROOT))])
        assert made.returncode == 0, made.stderr
        objects = [str(new) if o.endswith(old) else o for o in objects]
        replaced += 1
    assert replaced, f"no check is called {plant}"
    made = run([*command, *(HOST / "link-flags").read_text().split(), "-o", str(where / "unit"), *objects])
    assert made.returncode == 0, made.stderr
    return where / "unit"


def failures(ran):
    """The lines with seeds, of the run on one hart: there nothing is left to chance."""
    return [line for line in ran.stdout.split("2 harts:")[0].splitlines() if "CRASH_SEED=" in line]


@pytest.mark.parametrize("plant,directory,test", PLANTS)
def test_a_check_left_out_is_noticed(plant, directory, test, objects):
    program = build_without(plant, directory, test, objects)
    ran = run([str(program), test])
    assert ran.returncode != 0, f"{plant} was not noticed:\n{ran.stdout[-2000:]}"
    for failure in failures(ran)[:1]:
        seed = re.search(r"CRASH_SEED=(\d+)", failure)[1]
        again = run([str(program), test], CRASH_SEED=seed)
        assert failure in failures(again), f"{failure}\nis not repeated:\n{again.stdout[-2000:]}"
