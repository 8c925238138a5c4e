"""Parts of the storage on their own: the hash table's longest step, the hash functions' published results."""

import subprocess

import pytest
from servers import ROOT


@pytest.mark.parametrize("name", ["table_test", "hash_test"])
def test_unit(name):
    subprocess.run(["make", "-s", f"build/native/{name}"], cwd=ROOT, check=True)
    done = subprocess.run([ROOT / "build/native" / name], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
