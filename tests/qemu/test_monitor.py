"""The monitor's port of a running image, and the tools that look inside it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from kiln import ROOT, Forward, Image, eventually, free_port

sys.path.insert(0, str(ROOT / "tests" / "monitor"))

import exposition                   # noqa: E402
from client import Http, get        # noqa: E402

MONITOR_PORT = 9100


class Monitored(Image):
    """An image whose monitor is reached at self.monitor."""

    def __init__(self, name="memcached_monitor", monitor_port=MONITOR_PORT, **options):
        super().__init__(name, **options)
        self.monitor = ("127.0.0.1", free_port())
        self.machine.forwards.append(Forward(self.monitor[1], monitor_port))

    def metrics(self):
        return exposition.parse(get(self.monitor, "/metrics"))


@pytest.fixture(scope="module")
def image():
    with Monitored() as image:
        yield image


def test_metrics_tell_what_has_happened(image):
    before = image.metrics()
    with image.connect() as s:
        for i in range(50):
            s.sendall(b"set key%d 0 0 5\r\nvalue\r\nget key%d\r\nget none\r\n" % (i, i))
            got = b""
            while not got.endswith(b"END\r\nEND\r\n"):
                got += s.recv(4096)
        during = image.metrics()
        states = during["kiln_tcp_connections"][1]
        assert states[(("state", "established"),)] >= 2 and states[(("state", "listen"),)] >= 2

    def grown(name, **labels):
        return exposition.value(during, name, **labels) - exposition.value(before, name, **labels)
    assert grown("memcached_commands_total", command="get", status="hit") == 50
    assert grown("memcached_commands_total", command="get", status="miss") == 50
    assert grown("memcached_commands_total", command="set", status="hit") == 50
    assert exposition.value(during, "memcached_current_items") >= 50
    assert grown("kiln_netdev_received_packets_total", device="eth0") >= 50
    assert grown("kiln_net_received_packets_total", protocol="tcp") >= 50
    assert grown("kiln_sched_sleeps_total", hart="0") > 0
    assert grown("kiln_uptime_seconds") > 0


def test_memory_adds_up(image):
    metrics = image.metrics()
    owners = metrics["kiln_memory_bytes"][1]
    assert {"free", "slab", "stack", "net", "kernel"} <= {labels[0][1] for labels in owners}
    total = exposition.value(metrics, "kiln_memory_total_bytes")
    assert sum(n for labels, n in owners.items() if labels != (("owner", "reserved"),)) == total
    caches = metrics["kiln_heap_cache_bytes"][1]
    assert 0 < sum(caches.values()) <= owners[(("owner", "slab"),)] + owners[(("owner", "net"),)] + total / 10


def test_time_adds_up(image):
    """Idle and busy time together are the time that passed."""
    def seconds(metrics):
        return sum(sum(metrics[name][1].values()) for name in ("kiln_thread_seconds_total", "kiln_hart_idle_seconds_total"))
    first = image.metrics()
    time.sleep(1)
    second = image.metrics()
    passed = exposition.value(second, "kiln_uptime_seconds") - exposition.value(first, "kiln_uptime_seconds")
    assert seconds(second) - seconds(first) == pytest.approx(passed, rel=0.1)


def test_drops_are_counted_by_reason(image):
    reasons = {dict(labels)["reason"] for labels in image.metrics()["kiln_net_dropped_packets_total"][1]}
    assert {"checksum", "length", "memory", "protocol"} <= reasons


def test_slow_clients_hold_little_memory(image):
    """Clients that ask for much and read nothing: memory stays, the application and the monitor answer."""
    before = image.metrics()
    slow = []
    for _ in range(6):
        http = Http(image.monitor, receive_buffer=4096)
        http.send(200 * b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        slow.append(http)
    time.sleep(1)
    assert image.ask(b"version\r\n").startswith(b"VERSION")
    during = image.metrics()
    grown = exposition.value(during, "kiln_net_memory_bytes") - exposition.value(before, "kiln_net_memory_bytes")
    assert grown < 6 * 64 * 1024
    for http in slow:
        http.socket.close()
    assert eventually(lambda: image.metrics()["kiln_tcp_connections"][1][(("state", "established"),)] < 6)


def test_hostile_requests_do_no_harm(image):
    for data in (b"\x00" * 5000, b"GET /" + b"a" * 9000, b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", b"\r\n" * 5000):
        with Http(image.monitor) as http:
            http.send(data)
            assert http.answer()[0] in (400, 431)
    assert image.metrics()


def test_every_hart_is_shown():
    with Monitored(harts=4) as image:
        metrics = image.metrics()
        assert len(metrics["kiln_hart_instructions_total"][1]) == 4
        assert len(metrics["kiln_hart_idle_seconds_total"][1]) == 4
        assert all(n > 0 for n in metrics["kiln_hart_instructions_total"][1].values())


def test_the_port_is_chosen_in_bootargs():
    with Monitored(monitor_port=8000, options=["monitor.port=8000"]) as image:
        assert image.metrics()


def test_the_port_can_be_left_out():
    with Monitored(options=["monitor.port=0"]) as image:
        assert not any("monitor" in line for line in image.door("threads"))
