"""Fixtures: `tree` is a copy of the sources for one test, `minimal` one with the minimal image built."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from tree import Tree  # noqa: E402


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path / "kiln")


@pytest.fixture(scope="module")
def minimal(tmp_path_factory):
    tree = Tree(tmp_path_factory.mktemp("minimal") / "kiln")
    tree.built("IMAGE=minimal")
    return tree
