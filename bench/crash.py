"""Power cuts: how many disks the last `make crash` has judged, all of them well. It takes too long to be done again here."""

import json
from pathlib import Path

from figure import Figure

RECORD = Path(__file__).resolve().with_name("crash.json")


def cuts(_tell):
    return Figure("crash_cuts", json.loads(RECORD.read_text())["cuts"], "disks", aim=100000, better="higher",
                  method="distinct disks, by hash, that power cuts have left of random work on a recorded disk; each replayed "
                         "and judged by a model and e2fsck -fn, and a copy by e2fsck -fy; the last `make crash`")
