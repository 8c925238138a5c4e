"""What tests beside Linux's own kernel need: the guest that bench/ makes, and the helpers of the tests of images."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in ("tests/host", "tests/abi", "bench", "tests/qemu"):
    sys.path.insert(0, str(ROOT / folder))

import linux_disks  # noqa: E402
import pytest       # noqa: E402
from fixtures import no_guest_outlives_its_test  # noqa: E402,F401


@pytest.fixture(scope="session", autouse=True)
def linux():
    linux_disks.build(print)
