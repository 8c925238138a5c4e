"""The fuzzer of the tree of files: it agrees with its model in a short run, and finds the bug that is planted for it."""

import shutil

import pytest
from fuzzing import fuzz

pytestmark = pytest.mark.skipif(not shutil.which("clang"), reason="clang is not installed")


def test_the_tree_does_what_its_model_says(tmp_path):
    code, out = fuzz("vfs_fuzz", 15_000, tmp_path)
    assert code == 0, out[-3000:]
    assert "Done 15000 runs" in out


def test_a_planted_bug_is_found(tmp_path):
    code, out = fuzz("vfs_fuzz_planted", 200_000, tmp_path)
    assert code != 0
    # ENOTEMPTY is missed, or the names are when their directory's memory is given back: whichever input comes first.
    assert "the model says -39" in out or "tree_is_empty(&t->dir.names)" in out
