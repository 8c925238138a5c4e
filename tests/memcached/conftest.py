"""
Fixtures: `server` is one server for a whole file, `start` makes servers with options of their own.

A file with ON_THE_IMAGE = True holds its conversations with the image in QEMU, too, unless --with says who.
"""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import servers  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--with", dest="kinds",
                     help="which servers to talk to: native, debian, image (a list with commas)")


def pytest_generate_tests(metafunc):
    for fixture in ("server", "start"):
        if fixture in metafunc.fixturenames:
            kinds = (metafunc.config.getoption("kinds") or getattr(metafunc.module, "KINDS", "native,debian")).split(",")
            if not metafunc.config.getoption("kinds") and getattr(metafunc.module, "ON_THE_IMAGE", False):
                kinds.append("image")
            if metafunc.definition.get_closest_marker("ours"):
                kinds = [kind for kind in kinds if kind != "debian"]
            metafunc.parametrize(fixture, kinds, indirect=True, scope="module" if fixture == "server" else None)


def pytest_configure(config):
    config.addinivalue_line("markers", "ours: not asked of Debian's memcached")


def make(kind, args=()):
    return servers.KINDS[kind](args)


@pytest.fixture(scope="module")
def server(request):
    it = make(request.param)
    yield it
    it.close()


@pytest.fixture
def start(request):
    started = []

    def begin(*args):
        started.append(make(request.param, args))
        return started[-1]

    begin.kind = request.param
    yield begin
    for it in started:
        it.close()
