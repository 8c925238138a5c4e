#!/usr/bin/python3
"""
The gate: instruction figures do not grow unnoticed.

    gate.py record      make bench-baseline: measures and writes bench/baseline.json
    gate.py check       measures and compares with it; ends with 1 when a figure grew

bench/baseline.json holds each figure and how many of its instructions each function takes. A figure that
is more than LIMIT above fails the check (make test runs it), and the functions that take more than they
did are named, the largest growth first. A baseline is recorded anew in a commit of its own that says why.

Where replies are longer than a segment, timing does move something: the client's acknowledgement comes either
while the guest is still awake or wakes it once more. In these figures the functions of waking and falling
asleep are left out of the comparison; in the others each request wakes the guest once, and they count.
Compilers and emulators differ in what they make of the same source, so a baseline holds for the tool
chain that it names and says nothing about another.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

import instr
import instruments
from instruments import wire

BASELINE = Path(__file__).resolve().with_name("baseline.json")
LIMIT = 0.02
NOTABLE = 0.001         # of its figure: functions that take less are not kept
NAMED = 8
LOOKS = 3
REQUESTS = 0.4          # of what the figure itself is taken with
LONG_REPLIES = ("instr_per_get_pipelined16", "instr_per_key_multiget16")
WAKING = ("idle_in_place", "rest_on", "sleep_until_woken", "net_look", "settle_and_arm", "virtq_kick_early", "mmio_quiet_queues",
          "quiet")


def tool_chain():
    return {"compiler": instruments.compiler_version(), "qemu": instruments.qemu_version()}


def source_name(function):
    """The function's name in the source: parts and copies of it that the compiler made are one."""
    return re.sub(r"\.(lto_priv|constprop|isra|part|cold)\b.*", "", function)


def take_one(measure, image, elf):
    with tempfile.TemporaryDirectory() as folder:
        value, by_name = instr.take_profile(measure, image, elf, folder, requests=int(measure.requests * REQUESTS))
    functions = {}
    for name, insns in by_name.items():
        functions[source_name(name)] = functions.get(source_name(name), 0) + insns
    kept = {name: round(insns, 1) for name, insns in sorted(functions.items(), key=lambda f: -f[1])
            if insns >= NOTABLE * value}
    return {"value": round(value, 1), "functions": kept}


def take(elf, measures, tell=lambda text: None):
    """{name: {"value", "functions"}} of the image in `elf`."""
    taken = {}
    with wire("gate") as namespace, instr.on_tap(namespace, kernel=elf) as image:
        for measure in measures:
            taken[measure.name] = take_one(measure, image, elf)
            tell(f"{measure.name} {taken[measure.name]['value']:g}")
    return taken


def steady(name, figure):
    """What of a figure timing cannot move."""
    waking = sum(figure["functions"].get(function, 0) for function in WAKING) if name in LONG_REPLIES else 0
    return figure["value"] - waking


def grown(old, new):
    """Names of the figures that grew by more than LIMIT."""
    return [name for name in old if name in new and steady(name, new[name]) > steady(name, old[name]) * (1 + LIMIT)]


def blame(old, new):
    """One sentence on a figure that grew: by how much, and in which functions."""
    before, after = old["functions"], new["functions"]
    more = sorted(((after[name] - before.get(name, 0), name) for name in after), reverse=True)
    named = [f"{name} {before.get(name, 0):g} -> {after[name]:g}" for growth, name in more[:NAMED]
             if growth >= NOTABLE * old["value"]]
    return (f"{old['value']:g} -> {new['value']:g} instructions ({new['value'] / old['value'] - 1:+.1%}); what grew: "
            + ", ".join(named))


def compare(old, measure_again):
    """
    Sentences about figures that grew. `measure_again` takes names and returns their figures: what seems
    to have grown is looked at on other boots, too, and the least counts.
    """
    new = measure_again(list(old))
    for _ in range(LOOKS - 1):
        suspects = grown(old, new)
        if suspects:
            other = measure_again(suspects)
            new.update({name: min(new[name], other[name], key=lambda f: steady(name, f)) for name in suspects})
    return [f"{name}: {blame(old[name], new[name])}" for name in grown(old, new)]


def measured_by_name(elf, tell):
    return lambda names: take(elf, [m for m in instr.PLAIN if m.name in names], tell)


def check(tell=lambda text: None):
    """(sentences about what grew, or a reason why nothing can be said)."""
    if not BASELINE.exists():
        return [], "there is no bench/baseline.json: make bench-baseline records one"
    baseline = json.loads(BASELINE.read_text())
    if baseline["tool_chain"] != tool_chain():
        return [], (f"bench/baseline.json was recorded with {baseline['tool_chain']}; instructions of {tool_chain()} "
                    "cannot be compared with it")
    instruments.compile_tools()
    return compare(baseline["figures"], measured_by_name(instruments.kiln.build_image("memcached"), tell)), None


def record(tell):
    instruments.compile_tools()
    elf = instruments.kiln.build_image("memcached")
    runs = [take(elf, instr.PLAIN, tell) for _ in range(3)]
    figures = {name: sorted((run[name] for run in runs), key=lambda f: f["value"])[1] for name in runs[0]}
    BASELINE.write_text(json.dumps({"tool_chain": tool_chain(), "figures": figures}, indent=1) + "\n")


def main(argv):
    def tell(text):
        print(text, file=sys.stderr, flush=True)
    if argv == ["record"]:
        record(tell)
        return 0
    if argv != ["check"]:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    complaints, excuse = check(tell)
    print("\n".join(complaints) or excuse or f"no instruction figure grew by more than {LIMIT:.0%}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
