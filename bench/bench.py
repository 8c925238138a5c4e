#!/usr/bin/python3
"""
make bench, make bench-peer: take the figures, write them down as they are.

    bench.py [IMAGE...] [--only STEP] [--peer | --all]

For each image bench/results/<image>.json holds a list of figures (figure.py), and
bench/results/README.md a table and plots of them all. --peer measures memcached and file systems by turns with a Linux
guest, which runs Debian's memcached, and fsbench; --all does both. Figures of a step that was not run stay, those of one
that failed are dropped: what stands there was measured. Progress goes to standard error.

A step that could not be taken is named at the end, and the status is 1 then. An aim that was missed is a result like
any other: it is named, too, and fails nothing.
"""

import dataclasses
import json
import platform
import sys
import time
from pathlib import Path

import boot
import counters
import crash
import fs
import instr
import instruments
import rates
import report
from figure import Figure

RESULTS = Path(__file__).resolve().parent / "results"

PLANS = {
    "hello": [
        ("size", lambda tell: boot.image_bytes("hello", 100 << 10)),
        ("boot time", boot.boot_to_line),
        ("boot instructions", boot.boot_instructions_hello),
        ("least memory", boot.min_ram_hello),
    ],
    "fs": [
        ("size", lambda tell: boot.image_bytes("fs", 400 << 10)),
        ("power cuts", crash.cuts),
    ],
    "memcached": [
        ("size", lambda tell: boot.image_bytes("memcached", 450 << 10)),
        ("boot time", boot.boot_to_version),
        ("boot instructions", boot.boot_instructions_memcached),
        ("idle", boot.idle),
        ("least memory", boot.min_ram_memcached),
        ("least memory for 10,000 connections", boot.min_ram_10k),
        ("instructions", instr.per_request),
        ("instructions with TLS", instr.with_tls),
        ("10,000 connections", instr.ten_thousand),
        ("notifications", counters.kicks_per_batch),
        ("copies", counters.value_copies),
        ("bytes per item", counters.item_overhead),
        ("rates", rates.alone),
        ("rates of the generator", rates.of_the_generator),
    ],
}
PEER_PLANS = {
    "fs": [
        ("instructions beside Linux", fs.instructions),
        ("rates beside Linux", fs.beside_linux),
    ],
    "memcached": [
        ("size beside Linux", boot.image_beside_linux),
        ("boot beside Linux", boot.boot_beside_linux),
        ("least memory beside Linux", boot.min_ram_beside_linux),
        ("instructions beside Linux", instr.beside_linux),
        ("instructions with TLS beside Linux", instr.tls_beside_linux),
        ("notifications beside Linux", counters.kicks_beside_linux),
        ("rates beside Linux", rates.beside_linux),
    ],
}


def tell_from(image, step):
    def tell(text):
        print(f"\r\033[K{image}: {step}: {text}" if sys.stderr.isatty() else f"{image}: {step}: {text}",
              end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)
    return tell


def run_plan(image, plan, only):
    """(figures, sentences about steps that failed)."""
    figures, failures = [], []
    instruments.kiln.build_image(image)
    for step, take in plan:
        if only and only != step:
            continue
        tell = tell_from(image, step)
        tell("begins")
        try:
            got = take(tell)
        except Exception as trouble:      # one figure that cannot be taken must not lose the others
            print(f"\n{image}: {step} could not be measured: {trouble}", file=sys.stderr)
            failures.append(f"{image}: {step} ({' '.join(str(trouble).split())[:300] or type(trouble).__name__})")
            continue
        for figure in [got] if isinstance(got, Figure) else got:
            tell(report.sentence(figure.as_dict()) + "\n" * sys.stderr.isatty())
            figures.append(figure.as_dict())
    return figures, failures


def merge(old, new):
    """New figures replace old ones of the same name, where they stood; the others stay."""
    names = {f["name"]: f for f in old}
    names.update({f["name"]: f for f in new})
    return list(names.values())


def read(path):
    """The figures written there, as far as they have the form of today."""
    fields = {field.name for field in dataclasses.fields(Figure)}
    return [figure for figure in json.loads(path.read_text()) if fields <= figure.keys()] if path.exists() else []


def measure(plans, images, only):
    """Takes the plans' figures and writes them down; sentences about steps that failed."""
    failures = []
    for image in images:
        figures, failed = run_plan(image, plans[image], only)
        failures += failed
        path = RESULTS / f"{image}.json"
        keep = only or plans is PEER_PLANS
        path.write_text(json.dumps(merge(read(path) if keep else [], figures), indent=2) + "\n")
    return failures


def outcome(figures, failures):
    """The last words: what missed its aim, and what could not be measured."""
    missed = [figure["name"] for figure in figures if report.verdict(figure) == "missed"]
    return ([f"Measured, and short of the aim: {', '.join(missed)}."] if missed else []) + \
        [f"Not measured, which makes the status 1: {failure}" for failure in failures]


def main(argv):
    only = argv[argv.index("--only") + 1] if "--only" in argv else None
    turns = [PEER_PLANS] if "--peer" in argv else [PLANS, PEER_PLANS] if "--all" in argv else [PLANS]
    RESULTS.mkdir(exist_ok=True)
    instruments.compile_tools()
    begin, failures = time.monotonic(), []
    for plans in turns:
        failures += measure(plans, [a for a in argv if a in plans] or list(plans), only)
    taken = {image: read(RESULTS / f"{image}.json") for image in PLANS}
    setting = f"QEMU {instruments.qemu_version()} on {platform.machine()}, {time.strftime('%Y-%m-%d')}"
    report.write(RESULTS, taken, setting)
    figures = [figure for figures in taken.values() for figure in figures]
    print("\n".join([*report.peers(figures), *outcome(figures, failures)]), file=sys.stderr)
    print(f"Results are in {RESULTS.relative_to(instruments.ROOT)}, after {time.monotonic() - begin:.0f} s.",
          file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
