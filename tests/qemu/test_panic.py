"""Crashes: each protection of the machine layer bites, says what happened and where."""

import re
import sys

import pytest

from kiln import ROOT, Image, build_image

sys.path.insert(0, str(ROOT / "tools" / "run"))

from symbols import Symbolizer  # noqa: E402

PANIC_STATUS = 101


def crash(kind):
    with Image("selftest", net="none", options=[f"crash={kind}"]) as image:
        status = image.wait_exit(60)
        return status, image.console[image.console.index("panic:"):] if "panic:" in image.console else image.console


@pytest.mark.parametrize("kind, sentence, function", [
    ("assert", r"assertion failed: one == 2 \(.*crash\.c:\d+\)", "crash_assert"),
    ("null", r"a store to an unmapped page at 0x0\b", "crash_null"),
    ("stack", r"a store to an unmapped page at 0x[0-9a-f]+: the guard page below a stack", "crash_stack_deeper"),
    ("guard", r"a function wrote behind its local variables", "crash_guard"),
    ("text", r"a store to a read-only page", "write_code"),
    ("alias", r"a store to a read-only page", "write_code"),
    ("data", r"a jump to a page without code", None),
])
def test_a_broken_rule_is_named_with_its_place(kind, sentence, function):
    status, report = crash(kind)
    assert status == PANIC_STATUS
    assert re.search("panic: " + sentence, report), report
    names = re.findall(r"^\s+#\d+\s+0x[0-9a-f]+ ([\w.]+)\+0x", report, re.M)
    if function:
        # The compiler may have put a function of one caller into that caller.
        wanted = {function, f"crash_{kind}", "crash_on_demand"}
        assert names and wanted & set(names[:6]), report
    if kind != "stack":
        assert "main_thread" in names, report
    assert len(names) < 30, "the backtrace does not end"


def test_file_and_line_are_added_from_the_elf():
    _, report = crash("null")
    symbols = Symbolizer(build_image("selftest"))
    lines = [symbols.annotate(line) for line in report.splitlines()]
    first = next(line for line in lines if "#0" in line)
    found = re.search(r"apps/selftest/crash\.c:(\d+)", first)
    assert found, first
    source = (ROOT / "apps" / "selftest" / "crash.c").read_text().splitlines()
    assert "*nothing = 1;" in source[int(found[1]) - 1]


def test_other_lines_are_left_alone():
    symbols = Symbolizer("/nonexistent")
    for line in ("hello", "  pc  ffffffff80201234  status 0", "#1 is not a frame", ""):
        assert symbols.annotate(line) == line
