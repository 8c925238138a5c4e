"""bootargs: Kiln's options, the application's arguments, and nonsense."""

import pytest

from kiln import Image


def limit(image):
    return [line for line in image.ask(b"stats\r\n", until=b"END\r\n").decode().splitlines()
            if "limit_maxbytes" in line][0].split()[-1]


def test_arguments_reach_the_application():
    with Image("memcached", args=["-m", "17"]) as image:
        assert limit(image) == str(17 << 20)


def test_without_a_dash_dash_unknown_words_are_the_applications():
    with Image("memcached", raw_append="-m 18") as image:
        assert limit(image) == str(18 << 20)


def test_the_applications_port_moves():
    with Image("memcached", args=["-p", "4711"]) as image:
        assert image.machine.forwards[0].guest_port == 4711
        assert image.ask(b"version\r\n").startswith(b"VERSION ")


def test_an_unknown_argument_is_named_and_ends_the_image():
    with Image("memcached", args=["--frobnicate"], wait=False) as image:
        assert image.wait_exit() != 0
        assert "frobnicate" in image.console


@pytest.mark.parametrize("words", [
    "ip=", "ip=999.1.2.3/24", "ip=10.0.2.15/99", "gw=nowhere", "ip6=::::/64", "dns=,,,", "loglevel=shout",
    "'unpaired", '"', "= == =x", "--", "-- --", "ip", "\\", "x" * 1500,
], ids=lambda w: w[:20])
def test_nonsense_in_bootargs_never_stops_hello(words):
    with Image("hello", net="user", raw_append=words) as image:
        assert image.wait_exit() == 0
        assert "hello" in image.console.lower()


def test_a_bad_address_is_reported_by_name():
    with Image("memcached", raw_append="ip=999.1.2.3/24", wait=False) as image:
        console = image.expect("999.1.2.3")
        assert "ip=" in console.split("999.1.2.3")[0].splitlines()[-1]


def test_debug_log_says_more_than_the_default():
    sizes = {}
    for level in ("error", "debug"):
        with Image("memcached", options=[f"loglevel={level}"]) as image:
            image.ask(b"version\r\n")
            sizes[level] = len(image.console)
    assert sizes["error"] < sizes["debug"]
