"""Instruction figures do not grow unnoticed; see bench/gate.py."""

import re
import shutil
import subprocess
import sys

import pytest

import kiln
from kiln import ROOT

sys.path.insert(0, str(ROOT / "bench"))

import gate         # noqa: E402
import instr        # noqa: E402
import instruments  # noqa: E402

pytestmark = pytest.mark.measures

needs_a_tap = pytest.mark.skipif(not instruments.can_use_tap(), reason="needs root for a network namespace")
GET = instr.GETS[0]


@needs_a_tap
def test_no_instruction_figure_has_grown():
    complaints, excuse = gate.check()
    if excuse:
        pytest.skip(excuse)
    assert not complaints, "\n".join(complaints)


def copy_with_a_slow_lookup(folder):
    """The tree as it is, with a loop in the function that finds an item by its key."""
    tracked = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                             capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    for name in tracked:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    source = folder / "apps" / "memcached" / "table.c"
    slow, places = re.subn(r"^(struct item \*table_find\([^;]*?\)\n\{)", r"__attribute__((noinline)) \1\n"
                           r"\tfor (volatile int planted = 0; planted < 100; planted++)\n\t\t;", source.read_text(),
                           flags=re.M)
    assert places == 1, "there is no table_find() to slow down"
    source.write_text(slow)
    return kiln.build_image("memcached", root=folder)


@needs_a_tap
def test_the_gate_notices_a_planted_slow_down_and_names_the_function(tmp_path):
    instruments.compile_tools()
    (tmp_path / "tree").mkdir()
    slow = copy_with_a_slow_lookup(tmp_path / "tree")
    before = gate.take(kiln.build_image("memcached"), [GET])
    complaints = gate.compare(before, lambda names: gate.take(slow, [GET]))
    assert len(complaints) == 1 and complaints[0].startswith(f"{GET.name}: ")
    assert re.search(r"what grew: table_find ", complaints[0]), complaints[0]


def test_the_gate_lets_noise_and_speed_ups_pass_and_looks_again():
    def figure(value, **functions):
        return {"value": value, "functions": functions}
    old = {"get": figure(1000, parse=400, send=600), "set": figure(2000, parse=2000)}
    better = {"get": figure(1015, parse=415, send=600), "set": figure(100, parse=100)}
    assert gate.compare(old, lambda names: better) == []
    noisy = {"get": figure(1100, parse=500, send=600)}
    results = [{**noisy, "set": figure(2000, parse=2000)}, noisy, {"get": figure(1001, parse=401)}]
    assert gate.compare(old, lambda names: results.pop(0)) == []
    worse = {"get": figure(1100, parse=400, send=500, copy=200), "set": figure(2000, parse=2000)}
    assert gate.compare(old, lambda names: worse) == [
        "get: 1000 -> 1100 instructions (+10.0%); what grew: copy 0 -> 200"]


def test_the_gate_counts_waking_where_it_is_one_for_each_request():
    once = {"value": 1000, "functions": {"parse": 980, "sleep_until_woken": 20}}
    twice = {"value": 1040, "functions": {"parse": 980, "sleep_until_woken": 60}}
    assert gate.compare({"instr_per_get_pipelined16": once}, lambda names: {"instr_per_get_pipelined16": twice}) == []
    assert gate.compare({"instr_per_get_tcp": once}, lambda names: {"instr_per_get_tcp": twice}) != []


def test_a_baseline_of_another_tool_chain_says_nothing(tmp_path, monkeypatch):
    path = tmp_path / "baseline.json"
    path.write_text('{"tool_chain": {"compiler": "gcc 99", "qemu": "99"}, "figures": {}}')
    monkeypatch.setattr(gate, "BASELINE", path)
    complaints, excuse = gate.check()
    assert complaints == [] and "gcc 99" in excuse
