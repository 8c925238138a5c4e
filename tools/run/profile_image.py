#!/usr/bin/python3
"""
make profile: samples the running image and draws where its time goes.

    profile_image.py [IMAGE] [SECONDS=5] [HZ=997] [OUT=build/<image>/profile]

Writes OUT.svg, a flame graph to be opened in a browser, and OUT.folded, the same as lines of
`outermost;...;innermost count`, which other flame graph tools read. The image samples itself
(CONFIG_PROFILE) and answers through its door with addresses; names, files and inlined functions
come from images/<image>.elf. Time in which a hart had nothing to do is told apart.
"""

import collections
import re
import subprocess
import sys
import time
from pathlib import Path

import door
import flamegraph
from inside import choose, elf_of, number, read_knobs
from machine import ROOT, Trouble
from symbols import Symbolizer

SECONDS_MAX = 600


class Frames:
    """Functions at addresses, inlined ones included, asked of addr2line all at once."""

    def __init__(self, elf, addresses, prefix="riscv64-linux-gnu-"):
        self.at = {}
        done = subprocess.run([prefix + "addr2line", "-a", "-f", "-i", "-e", str(elf)], text=True, timeout=120,
                              input="".join(f"{a:x}\n" for a in sorted(addresses)), capture_output=True, check=True)
        current = None
        lines = iter(done.stdout.splitlines())
        for line in lines:
            if re.fullmatch(r"0x[0-9a-f]+", line):
                current = self.at.setdefault(int(line, 16), [])
                continue
            place = Symbolizer._shorten(next(lines))
            name = re.sub(r"\.(lto_priv|isra|constprop|part|cold|localalias)(\.\d+)*", "", line)
            current.append((name, "" if place.startswith("??") else re.sub(r"^\./", "", place).partition(":")[0]))

    def names(self, address):
        """[(function, file)] of an address, outermost first."""
        found = self.at.get(address) or [("??", "")]
        return [(f"{address:x}", "") if name == "??" else (name, place) for name, place in reversed(found)]


def parse(lines):
    """({(hart, thread): {addresses: count}}, {hart: idle}, lost) of the door's answer."""
    stacks, idle, lost = collections.defaultdict(collections.Counter), collections.Counter(), 0
    for line in lines:
        text, _, count = line.rpartition(" ")
        if text == "lost":
            lost = int(count)
            continue
        hart, thread, *addresses = text.split(";")
        if thread == "idle":
            idle[hart] += int(count)
            continue
        # All but the innermost are return addresses; the call stands before them.
        calls = [int(a, 16) - (i < len(addresses) - 1) for i, a in enumerate(addresses)]
        stacks[hart, thread][tuple(calls)] += int(count)
    return stacks, idle, lost


def named(stacks, elf):
    """{((name, file), ...): count} with hart and thread as the outermost frames."""
    frames = Frames(elf, {a for counts in stacks.values() for calls in counts for a in calls})
    found = collections.Counter()
    for (hart, thread), counts in stacks.items():
        for calls, count in counts.items():
            inner = [frame for address in calls for frame in frames.names(address)]
            found[((hart, ""), (f"thread {thread}", ""), *inner)] += count
    return found


def sample(running, seconds, hz):
    try:
        door.ask(running["door"], f"profile start {hz}")
    except Trouble as trouble:
        if "no command" in str(trouble) or "not in this image" in str(trouble):
            raise Trouble(f"The image {running['image']} has no profiler: build one with CONFIG_PROFILE, such as "
                          "memcached_monitor ('make memcached_monitor_defconfig', 'make run').") from None
        raise
    time.sleep(seconds)
    return door.ask(running["door"], "profile stop", timeout=60)


def summary(stacks, idle, lost):
    busy = sum(stacks.values())
    parts = [f"{busy} samples of work"]
    for hart in sorted(set(idle) | {frames[0][0] for frames in stacks}):
        work = sum(n for frames, n in stacks.items() if frames[0][0] == hart)
        parts.append(f"{hart} idle {100 * idle[hart] / max(1, idle[hart] + work):.0f} %")
    if lost:
        parts.append(f"{lost} lost for want of memory")
    return ", ".join(parts)


def main(argv):
    image, knobs = read_knobs(argv, {"SECONDS", "HZ", "OUT"})
    running = choose(image)
    elf = elf_of(running)
    seconds, hz = number(knobs, "SECONDS", 5, SECONDS_MAX), number(knobs, "HZ", 997, 10000)
    out = Path(knobs.get("OUT") or ROOT / "build" / running["image"] / "profile")
    print(f"Sampling {running['image']} for {seconds} s.", flush=True)
    stacks, idle, lost = parse(sample(running, seconds, hz))
    stacks = named(stacks, elf)
    notes = summary(stacks, idle, lost)
    out.parent.mkdir(parents=True, exist_ok=True)
    folded = "".join(f"{';'.join(name for name, _ in frames)} {n}\n" for frames, n in sorted(stacks.items()))
    idle_lines = "".join(f"{hart};idle {n}\n" for hart, n in sorted(idle.items()))
    out.with_name(out.name + ".folded").write_text(folded + idle_lines)
    svg = out.with_name(out.name + ".svg")
    svg.write_text(flamegraph.draw(stacks, f"{running['image']}: {seconds} s", notes))
    print(f"{notes}.\nOpen {svg} in a browser; {out.name}.folded beside it is the same as text.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        sys.exit(1)
