#!/usr/bin/python3
"""
make trace: fetches a trace from the running image.

    trace_image.py [IMAGE] [MS=200] [OUT=build/<image>/trace.json]

The image notes what it does for so many milliseconds (CONFIG_TRACE) and hands it out through its door
as JSON in the Trace Event Format: a track for each hart, with its threads and interrupts, and one for
each thread. A ring keeps the newest TRACE_RECORDS events of a hart, so of a busy image the file may
show less than was asked for; what it shows is said.
"""

import json
import sys
import time
from pathlib import Path

import door
from inside import choose, number, read_knobs
from machine import ROOT, Trouble

MS_MAX = 60000


def fetch(running, ms):
    """The text of the document."""
    path = running["door"]
    try:
        door.ask(path, "trace on")
        time.sleep(ms / 1000)
        return "\n".join(door.ask(path, "trace dump", timeout=60)) + "\n"
    except Trouble as trouble:
        if "no command" in str(trouble):
            raise Trouble(f"The image {running['image']} has no trace: build it with CONFIG_TRACE.") from None
        raise


def main(argv):
    image, knobs = read_knobs(argv, {"MS", "OUT"})
    running = choose(image)
    ms = number(knobs, "MS", 200, MS_MAX)
    out = Path(knobs.get("OUT") or ROOT / "build" / running["image"] / "trace.json")
    text = fetch(running, ms)
    times = [e["ts"] for e in json.loads(text)["traceEvents"] if "ts" in e]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)
    span = (max(times) - min(times)) / 1000 if times else 0
    print(f"{len(times)} events of {span:.1f} ms are in {out}.\n"
          "Open it in Perfetto's viewer (https://ui.perfetto.dev, 'Open trace file'; the file stays on this machine) "
          "or at chrome://tracing.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        sys.exit(1)
