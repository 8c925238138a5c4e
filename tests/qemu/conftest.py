"""Fixtures and reports of the system tests; see kiln.py."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import kiln  # noqa: E402
from fixtures import no_guest_outlives_its_test  # noqa: E402,F401


def pytest_configure(config):
    config.addinivalue_line("markers", "measures: counts instructions or compares times; runs with nothing beside it")
    config.addinivalue_line("markers", "soak: takes minutes; part of `make soak`, not of `make test`")
    config.addinivalue_line("markers", "ours: of tests/memcached, not asked of Debian's memcached")
    config.addinivalue_line("markers", "root: needs root, for a network namespace with a tap")


def pytest_addoption(parser):
    parser.addoption("--soak", action="store_true", help="also run the tests that take minutes")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if "soak" in item.keywords and not config.getoption("--soak"):
            item.add_marker(pytest.mark.skip(reason="a long test: make soak runs it"))
        if "wire" in item.fixturenames and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root for a network namespace"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        shared = [value for value in item.funcargs.values() if isinstance(value, kiln.Image)]
        for image in dict.fromkeys([*shared, *kiln.started]):
            title = f"console of {image.name} ({' '.join(image.guest.command) if image.guest else 'not started'})"
            report.sections.append((title, image.console[-8000:]))


@pytest.fixture
def wire():
    """A tap in a network namespace of its own, for one test."""
    namespace = kiln.netns.Namespace(f"kiln-test-{os.getpid()}")
    yield namespace
    namespace.close()


@pytest.fixture(scope="module")
def memcached():
    """One memcached image on user networking for the tests of a file that leave it as they found it."""
    with kiln.Image("memcached") as image:
        yield image
