"""Fixtures for every folder whose tests boot images; its conftest.py imports them. (kiln.py serves bench/ as well, without pytest.)"""

import pytest

import kiln


@pytest.fixture(autouse=True)
def no_guest_outlives_its_test():
    kiln.started.clear()
    yield
    for image in kiln.started:
        image.close()
