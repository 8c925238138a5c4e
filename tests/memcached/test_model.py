"""A million random operations, each answered as a simple model of memcached says (model.c), with the time moved.

The same operations are put to Debian's memcached, built with debugtime: the model is memcached's, not ours.
"""

import os
import subprocess
import sys

import pytest
from servers import ROOT, Native, Process, program_of


@pytest.fixture(scope="module")
def model():
    program = ROOT / "build/native/memcached_model"
    subprocess.run(["make", "-s", str(program.relative_to(ROOT))], cwd=ROOT, check=True)

    def run(server, mode, operations, seed):
        done = subprocess.run([program, server.host, str(server.port), str(seed), str(operations), mode],
                              capture_output=True, text=True, errors="replace", timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
        return {name: int(value) for name, value in server.stats().items() if value.isdigit()}

    return run


def test_a_million_operations_are_answered_as_the_model_says(model):
    server = Native(["-m", "64"])
    stats = model(server, "time", 1_000_000, 1)
    assert stats["get_expired"] > 1000 and stats["get_flushed"] > 100
    assert stats["evictions"] == 0
    server.close()


@pytest.mark.parametrize("seed, options", [
    (2, ["-o", "no_lru_maintainer"]), (3, ["-o", "hash_algorithm=xxh3,temporary_ttl=60"]), (4, ["-f", "2", "-n", "8"]),
    (5, ["-o", "hash_algorithm=jenkins,slab_chunk_max=4,lru_crawler_sleep=0"]), (6, ["-m", "8", "-o", "hash_algorithm=keyed"]),
])
def test_whatever_the_options_are(model, seed, options):
    server = Native(["-m", "64", *options])
    model(server, "time", 60_000, seed)
    server.close()


def test_a_cache_that_is_too_small_forgets_but_never_lies(model):
    """A hundred pages or so for everything: what is found is right, and pages move all the time."""
    server = Native(["-m", "1", "-I", "256k", "-o", "slab_automove=2"])
    stats = model(server, "lossy", 300_000, 7)
    assert stats["evictions"] > 300 and stats["slabs_moved"] > 100
    assert stats["slab_reassign_rescues"] > 100 and stats["slab_reassign_chunk_rescues"] > 0
    assert stats["bytes"] < 1 << 20
    server.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_memcached_itself_does_what_the_model_says(model, seed):
    server = Process(program_of("memcached-debug"), ["-m", "64", "-o", "no_lru_maintainer"])
    model(server, "peer", 150_000, seed)
    server.close()


def test_the_image_does_what_the_model_says(model):
    sys.path.insert(0, os.path.join(ROOT, "tests/qemu"))
    import kiln
    with kiln.Image("memcached_debug") as image:
        image.stats = lambda: {}
        model(image, "time", 40_000, 1)
    with kiln.Image("memcached_debug", args=["-m", "1", "-I", "256k", "-o", "slab_automove=2"]) as image:
        image.stats = lambda: {}
        model(image, "lossy", 40_000, 2)
