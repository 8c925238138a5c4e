#!/usr/bin/python3
"""
make bench: takes the figures, writes them down as they are.

    bench.py [IMAGE...] [--only NAME]

For each image bench/results/<image>.json holds a list of objects (name, value, unit, peer, ratio,
aim, method, peer_is), and bench/results/README.md a table and a plot of them all. An `aim` for a
figure with a peer is an aim for the ratio. Progress goes to standard error.
"""

import json
import platform
import sys
import time
from pathlib import Path

import measure
import report
from measure import Figure, machine

RESULTS = Path(__file__).resolve().parent / "results"

PLANS = {
    "hello": [
        ("size", lambda tell: measure.image_bytes("hello", 100 << 10)),
        ("boot time", measure.boot_to_line),
        ("boot instructions", measure.boot_instructions_hello),
        ("least memory", measure.min_ram_hello),
    ],
    "memcached": [
        ("size", lambda tell: measure.image_bytes("memcached", 450 << 10)),
        ("boot time", measure.boot_to_version),
        ("boot instructions", measure.boot_instructions_memcached),
        ("idle", measure.idle),
        ("instructions per get", measure.instr_per_get),
        ("least memory", measure.min_ram_memcached),
    ],
}


def tell_from(image, step):
    def tell(text):
        print(f"\r\033[K{image}: {step}: {text}" if sys.stderr.isatty() else f"{image}: {step}: {text}",
              end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)
    return tell


def run_plan(image, only):
    figures, failures = [], 0
    measure.kiln.build_image(image)
    for step, take in PLANS[image]:
        if only and only != step:
            continue
        tell = tell_from(image, step)
        tell("begins")
        try:
            got = take(tell)
        except Exception as trouble:      # one figure that cannot be taken must not lose the others
            print(f"\n{image}: {step} could not be measured: {trouble}", file=sys.stderr)
            failures += 1
            continue
        for figure in [got] if isinstance(got, Figure) else got:
            tell(report.sentence(figure.as_dict()) + "\n" * sys.stderr.isatty())
            figures.append(figure.as_dict())
    return figures, failures


def merge(old, new):
    """New figures replace old ones of the same name; the others stay."""
    names = {f["name"]: f for f in old}
    names.update({f["name"]: f for f in new})
    return list(names.values())


def main(argv):
    only = argv[argv.index("--only") + 1] if "--only" in argv else None
    images = [a for a in argv if a in PLANS] or list(PLANS)
    RESULTS.mkdir(exist_ok=True)
    measure.compile_tools()
    failures = 0
    for image in images:
        figures, failed = run_plan(image, only)
        failures += failed
        path = RESULTS / f"{image}.json"
        old = json.loads(path.read_text()) if only and path.exists() else []
        path.write_text(json.dumps(merge(old, figures), indent=2) + "\n")
    taken = {image: json.loads((RESULTS / f"{image}.json").read_text())
             for image in PLANS if (RESULTS / f"{image}.json").exists()}
    setting = (f"QEMU {machine.qemu_version(machine.find_qemu())} on {platform.machine()}, "
               f"{time.strftime('%Y-%m-%d')}")
    report.write(RESULTS, taken, setting)
    print(f"Results are in {RESULTS.relative_to(measure.ROOT)}.", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
