"""The harness itself: that it notices what it is there to notice."""

import socket
import time

import pytest

import kiln
from kiln import Image, build_empty_payload


def empty(**fields):
    return Image("empty", kernel=build_empty_payload(), **fields)


def test_shows_what_a_payload_prints():
    with empty() as image:
        assert "empty payload\n" in image.expect("empty payload\n")


def test_a_text_that_never_comes_fails_in_time():
    with empty() as image:
        begin = time.monotonic()
        with pytest.raises(AssertionError, match="did not print"):
            image.expect("full payload", timeout=1.5)
        assert time.monotonic() - begin < 30


def test_a_connect_without_a_reply_is_no_boot():
    """User networking accepts for a guest that does not listen; that must not count."""
    with pytest.raises(kiln.BootFailed, match="did not answer"):
        image = empty(guest_port=11211, boot_seconds=2)
        image.facts.probe, image.facts.reply = b"version\r\n", b"VERSION"
        image.boot()
    assert not image.is_running()


def test_a_guest_is_gone_after_its_block():
    with empty() as image:
        image.expect("empty payload\n")
        pid = image.guest.pid
    assert not kiln.eventually(lambda: False, timeout=0.1)
    with pytest.raises(ProcessLookupError):
        import os
        os.kill(pid, 0)


def test_qemu_that_cannot_start_is_reported_with_its_words():
    with empty(extra=["-device", "no-such-device"], wait=False) as image:
        assert image.wait_exit(60) == 1
        assert "no-such-device" in image.console


def test_a_guest_that_still_runs_has_no_exit_status():
    with empty() as image:
        with pytest.raises(AssertionError, match="still runs"):
            image.wait_exit(1)


def test_each_wire_is_a_network_of_its_own(wire):
    with wire.socket() as inside, socket.socket() as outside:
        inside.bind((kiln.netns.HOST_IP4, 5555))
        with pytest.raises(OSError):
            outside.bind((kiln.netns.HOST_IP4, 5555))
