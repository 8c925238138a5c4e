"""Virtio drivers in a running image: every shape of device, batches, interrupts that give way to polling."""

import re
import threading

import pytest

from kiln import Image, read_until

SHAPES = {
    "version 2": {},
    "legacy": {"legacy": True},
    "no event index": {"extra": ["-global", "virtio-net-device.event_idx=off"]},
    "no indirect descriptors": {"extra": ["-global", "virtio-net-device.indirect_desc=off"]},
    "legacy, plain rings": {"legacy": True, "extra": ["-global", "virtio-net-device.event_idx=off",
                                                      "-global", "virtio-net-device.indirect_desc=off",
                                                      "-global", "virtio-net-device.any_layout=off"]},
    "no merged buffers": {"extra": ["-global", "virtio-net-device.mrg_rxbuf=off"]},
}


def store_and_fetch(image, sizes, rounds=1, name=b"k"):
    with image.connect() as s:
        for n in range(rounds):
            for size in sizes:
                value = bytes([97 + (n + size) % 26]) * size
                s.sendall(b"set %s 0 0 %d\r\n%s\r\nget %s\r\n" % (name, size, value, name))
                want = b"STORED\r\nVALUE %s 0 %d\r\n%s\r\nEND\r\n" % (name, size, value)
                assert read_until(s, b"END\r\n") == want


def assert_no_lies(image):
    counters = image.counters()
    assert counters["virtio_lies"] == counters["virtio_resets"] == counters["eth0_resets"] == 0
    assert counters["eth0_tx_dropped"] == 0
    return counters


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_network_card_carries_values_of_every_size(shape):
    with Image("memcached", **SHAPES[shape]) as image:
        store_and_fetch(image, [1, 50, 150, 200, 250, 1000, 1500, 5000, 60000, 500000], rounds=3)
        assert_no_lies(image)


def test_a_crowd_is_served_with_few_interrupts_and_few_notifications(memcached):
    before = memcached.counters()
    threads = [threading.Thread(target=store_and_fetch, args=(memcached, [100, 3000, 20000], 60, b"key%d" % i))
               for i in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    after = assert_no_lies(memcached)
    grown = {name: after[name] - before[name] for name in after if name.startswith("eth0_")}
    assert grown["eth0_tx_packets"] > 5000
    assert grown["eth0_irqs"] < grown["eth0_rx_packets"] / 4, grown
    assert grown["eth0_kicks"] < grown["eth0_tx_packets"] / 4, grown


def test_a_small_machine_gives_the_network_little_memory():
    with Image("memcached", mem="12M") as image:
        found = re.search(r"eth0: virtio-net, (\d+) receive buffers of (\d+) bytes", image.console)
        assert found and int(found[1]) * int(found[2]) <= 256 << 10, image.console
        store_and_fetch(image, [100, 1000, 50000], rounds=20)
        assert_no_lies(image)


def test_devices_that_nobody_wants_and_a_second_card_do_no_harm():
    extra = ["-device", "virtio-balloon-device", "-netdev", "user,id=second", "-device", "virtio-net-device,netdev=second"]
    with Image("memcached", extra=extra) as image:
        store_and_fetch(image, [100, 10000])
        assert "eth1" in image.console


@pytest.mark.root
def test_the_host_merges_what_it_sends_on_a_wire_with_offloads(wire):
    with Image("memcached", net="tap", namespace=wire, mem="128M") as image:
        before = image.counters()
        store_and_fetch(image, [900000], rounds=10)
        after = assert_no_lies(image)
        frames = after["eth0_rx_packets"] - before["eth0_rx_packets"]
        assert (after["eth0_rx_bytes"] - before["eth0_rx_bytes"]) / frames > 3000


@pytest.mark.parametrize("harts", [1, 4])
def test_one_request_at_a_time_costs_neither_an_interrupt_nor_a_switch(harts):
    """The server waits in place, on the hart that devices interrupt, and looks at them by itself when that wakes."""
    with Image("memcached", harts=harts) as image:
        store_and_fetch(image, [100], rounds=20)
        before = image.counters()
        with image.connect() as s:
            for _ in range(500):
                s.sendall(b"get k\r\n")
                read_until(s, b"END\r\n")
        after = assert_no_lies(image)
    grown = {name: after[name] - before[name] for name in after if name in before}
    assert grown["stream_wakeups"] > 400
    assert grown["eth0_irqs"] < 100, grown
    assert grown["sched_switches"] < 200, grown
