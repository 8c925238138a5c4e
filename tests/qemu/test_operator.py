"""The operator's door, the port kiln.ctl, on a running image."""

import pytest

from kiln import Image, machine


def test_help_lists_the_commands(memcached):
    text = "\n".join(memcached.door("help"))
    for command in ("stop", "stats", "trace"):
        assert command in text


def test_stats_grow_with_what_the_image_does(memcached):
    before = memcached.counters()
    for _ in range(20):
        memcached.ask(b"version\r\n")
    after = memcached.counters()
    assert len(after) > 5
    grown = [name for name in before if after.get(name, 0) > before[name]]
    assert grown, "no counter has grown"


def test_an_unknown_command_is_an_error_that_names_it(memcached):
    with pytest.raises(machine.Trouble, match="error:.*frobnicate"):
        memcached.door("frobnicate")


def test_nonsense_at_the_door_does_no_harm(memcached):
    for line in ("", " ", "\t\t", "x" * 5000, "stats " + "y" * 3000, "\x01\x02\xff"):
        try:
            memcached.door(line, timeout=2)
        except (machine.Trouble, OSError):        # the latter when QEMU has no time for us
            pass
    assert memcached.door("help")
    assert memcached.ask(b"version\r\n").startswith(b"VERSION ")


def test_a_client_of_the_door_may_leave_in_the_middle(memcached):
    import door
    for _ in range(20):
        for _ in range(10):
            with door.connect(f"{memcached.folder}/door", 60) as s:
                s.sendall(b"stats\nstats\nhe")
        assert any("stop" in line for line in memcached.door("help"))


def test_stop_powers_the_machine_off():
    with Image("memcached") as image:
        assert image.stop() == 0


def test_stop_works_with_clients_connected():
    with Image("memcached") as image:
        sockets = image.connect_many(20)
        sockets[0].sendall(b"set unfinished 0 0 1000\r\nhalf")
        assert image.stop() == 0


def test_the_door_works_on_a_legacy_bus():
    with Image("memcached", legacy=True) as image:
        assert any("stop" in line for line in image.door("help"))
        assert image.stop() == 0
