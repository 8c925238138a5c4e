"""The monitor's port of a running image, and the tools that look inside it."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree
from pathlib import Path

import pytest

from kiln import ROOT, Forward, Image, build_image, eventually, free_port, quiet_make

sys.path.insert(0, str(ROOT / "tests" / "monitor"))

import exposition                   # noqa: E402
from client import Http, get        # noqa: E402
from trace_format import Trace      # noqa: E402

MONITOR_PORT = 9100


class Monitored(Image):
    """An image whose monitor is reached at self.monitor."""

    def __init__(self, name="memcached_monitor", monitor_port=MONITOR_PORT, **options):
        super().__init__(name, **options)
        self.monitor = ("127.0.0.1", free_port())
        self.machine.monitor = Forward(self.monitor[1], monitor_port)

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
    assert grown("kiln_net_received_packets_total", protocol="tcp") + grown("kiln_net_rx_predicted_total", hart="0") >= 50
    assert grown("kiln_sched_sleeps_total", hart="0") > 0
    assert grown("kiln_uptime_seconds") > 0
    assert 0 < exposition.value(during, "kiln_timers_armed", hart="0") < 100


def test_memory_adds_up(image):
    metrics = image.metrics()
    owners = metrics["kiln_memory_bytes"][1]
    assert {"free", "slab", "stack", "net", "kernel"} <= {labels[0][1] for labels in owners}
    total = exposition.value(metrics, "kiln_memory_total_bytes")
    assert sum(n for labels, n in owners.items() if labels != (("owner", "reserved"),)) == total
    caches = metrics["kiln_heap_cache_bytes"][1]
    assert 0 < sum(caches.values()) <= owners[(("owner", "slab"),)] + owners[(("owner", "net"),)] + total / 10


@pytest.mark.measures
def test_time_adds_up(image):
    """Idle and busy time together are the time that passed."""
    def seconds(metrics):
        return sum(sum(metrics[name][1].values()) for name in ("kiln_thread_seconds_total", "kiln_hart_idle_seconds_total"))

    def differ_by():
        first = image.metrics()
        time.sleep(1)
        second = image.metrics()
        passed = exposition.value(second, "kiln_uptime_seconds") - exposition.value(first, "kiln_uptime_seconds")
        return abs(seconds(second) - seconds(first) - passed) / passed
    assert eventually(lambda: differ_by() < 0.1)      # the numbers of one scrape are read one after the other


def test_promtool_has_nothing_to_complain_about(image):
    """Prometheus's own checker, of Debian's package prometheus: the format, and the customs of naming."""
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed (package prometheus)")
    done = subprocess.run(["promtool", "check", "metrics"], input=get(image.monitor, "/metrics"), capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0 and not done.stdout + done.stderr


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


# ---- profile ----

def fetch(port, stop, done):
    """One client's load: a get of a small value, again and again."""
    import socket
    with socket.create_connection(("127.0.0.1", port), 60) as s:
        s.settimeout(60)
        s.sendall(b"set key 0 0 100\r\n" + 100 * b"v" + b"\r\n")
        assert s.recv(100) == b"STORED\r\n"
        want = len(b"VALUE key 0 100\r\n") + 102 + len(b"END\r\n")
        while not stop.is_set():
            s.sendall(4 * b"get key\r\n")
            got = 0
            while got < 4 * want:
                got += len(s.recv(65536))
            done.append(4)


class Load:
    """Keeps the image busy while the block runs."""

    def __init__(self, port, clients=2):
        self.stop, self.done = threading.Event(), []
        self.threads = [threading.Thread(target=fetch, args=(port, self.stop, self.done), daemon=True)
                        for _ in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        assert eventually(lambda: self.done)
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)


def folded(text):
    """{(frames...): count}"""
    found = {}
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        assert stack not in found, "a stack twice"
        found[tuple(stack.split(";"))] = int(count)
    return found


def share(stacks, function):
    """What part of the samples of work has the function in its stack."""
    work = {frames: n for frames, n in stacks.items() if frames[1] != "idle"}
    return sum(n for frames, n in work.items() if function in frames) / max(1, sum(work.values()))


def check_profile(stacks):
    """
    Under a load of gets: whole stacks, with the server's and the stack's functions where they belong. On a busy
    machine the samples of work are few, so small shares are only asked to be there.
    """
    work = sum(n for frames, n in stacks.items() if frames[1] != "idle")
    assert work >= 20
    assert share(stacks, "main") > 0.9
    assert share(stacks, "stream_run") > 0.8
    assert 0 < share(stacks, "conn_received") < 0.8
    assert share(stacks, "net_template_send") > 0
    assert share(stacks, "virtq_kick") + share(stacks, "net_leave") > 0
    under = [frames for frames in stacks if "conn_received" in frames and "stream_run" in frames]
    assert under and all(frames.index("stream_run") < frames.index("conn_received") for frames in under)


@pytest.mark.measures
def test_a_profile_over_http(image):
    with Load(image.port):
        stacks = folded(get(image.monitor, "/profile?seconds=2"))
    assert share(stacks, "main") > 0.9 and share(stacks, "stream_run") > 0.8
    assert sum(stacks.values()) > 50
    assert any(frames[1] == "idle" for frames in stacks)


@pytest.mark.measures
def test_an_idle_image_is_idle(image):
    stacks = folded(get(image.monitor, "/profile?seconds=1"))
    idle = sum(n for frames, n in stacks.items() if frames[1] == "idle")
    assert idle > 0.8 * sum(stacks.values())


def test_one_profile_at_a_time(image):
    def statuses_of_two():
        with Http(image.monitor) as first, Http(image.monitor) as second:
            first.send(b"GET /profile?seconds=2 HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.3)
            return second.get("/profile?seconds=1")[0], first.answer()[0]
    assert eventually(lambda: statuses_of_two() == (503, 200))     # the other way round if the second overtakes
    with Http(image.monitor) as gone:
        gone.send(b"GET /profile?seconds=60 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.3)
    assert eventually(lambda: Http(image.monitor).get("/profile?seconds=1")[0] == 200)


@pytest.mark.parametrize("query", ["seconds=0", "seconds=61", "hz=0", "hz=99999"])
def test_a_profile_has_bounds(image, query):
    with Http(image.monitor) as http:
        assert http.get(f"/profile?{query}")[0] == 400


@pytest.mark.measures
def test_off_it_costs_no_interrupt(image):
    before = image.counters()["timer_fires"]
    time.sleep(2)
    assert image.counters()["timer_fires"] - before < 100


class Running:
    """An image started as `make run` starts it, in a folder of its own, for the tools that look for one."""

    def __init__(self, name, folder):
        self.name, self.folder, self.port = name, folder, free_port()
        build_image(name)
        self.environment = {**quiet_make(), "KILN_RUN_DIR": str(folder)}
        self.log = open(folder / "log", "w+")
        self.process = subprocess.Popen([sys.executable, "tools/run/run.py", name, f"PORT={self.port}"], cwd=ROOT,
                                        env=self.environment, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT)

    def __enter__(self):
        if not eventually(lambda: "listens on" in self.said(), timeout=60):
            self.__exit__()
            raise AssertionError(self.said())
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()

    def said(self):
        return Path(self.log.name).read_text()

    def make(self, *words):
        return subprocess.run(["make", "-s", *words], cwd=ROOT, env=self.environment, capture_output=True, text=True,
                              timeout=300, stdin=subprocess.DEVNULL)


def test_the_image_with_a_monitor_is_the_release_with_two_options_more():
    plain, monitored = ((ROOT / "configs" / f"{name}_defconfig").read_text().split()
                        for name in ("memcached", "memcached_monitor"))
    assert sorted(monitored) == sorted([*plain, "CONFIG_MONITOR=y", "CONFIG_PROFILE=y"])


def test_make_run_says_where_the_monitor_is(tmp_path):
    with Running("memcached_monitor", tmp_path) as running:
        assert eventually(lambda: "/metrics" in running.said())
        port = int(re.search(r"http://127.0.0.1:(\d+)/metrics", running.said())[1])
        assert exposition.parse(get(("127.0.0.1", port), "/metrics"))


@pytest.mark.measures
def test_preempted_threads_are_sampled_too():
    with Monitored("memcached_debug", harts=2) as image, Load(image.port):
        stacks = folded(get(image.monitor, "/profile?seconds=2"))
        assert share(stacks, "stream_run") > 0.6
        check_trace(get(image.monitor, "/trace?ms=50"), harts=2)


@pytest.mark.measures
def test_make_profile_draws_a_flame_graph(tmp_path):
    with Running("memcached_monitor", tmp_path) as running, Load(running.port):
        done = running.make("profile", "SECONDS=5", f"OUT={tmp_path}/graph")
        assert done.returncode == 0, done.stderr
    check_profile(folded((tmp_path / "graph.folded").read_text()))
    svg = xml.etree.ElementTree.parse(tmp_path / "graph.svg").getroot()
    titles = [t.text for t in svg.iter("{http://www.w3.org/2000/svg}title")]
    assert any(t.startswith("conn_received: ") and "apps/memcached/conn.c" in t for t in titles)
    width = float(svg.get("width"))
    for box in svg.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(box.get("x", 0)) + float(box.get("width")) <= width


def test_make_profile_says_when_it_cannot(tmp_path):
    environment = {**quiet_make(), "KILN_RUN_DIR": str(tmp_path)}
    done = subprocess.run(["make", "-s", "profile"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode and "make run" in done.stderr
    with Running("memcached", tmp_path) as running:
        done = running.make("profile")
        assert done.returncode and "CONFIG_PROFILE" in done.stderr
        assert running.make("profile", "SECONDS=x").stderr.startswith("SECONDS=x is not")


# ---- trace ----

def check_trace(text, harts=1):
    """A trace taken under load: each hart has its track, the server's thread runs and rests, interrupts come."""
    trace = Trace(text)
    assert {name for process, name in trace.spans if process == "harts"} <= {f"hart {h}" for h in range(harts)}
    assert "main" in trace.names("harts")
    assert any(name.startswith("idle/") for name in trace.names("harts"))
    for (process, _), spans in trace.spans.items():
        flat = sorted((begin, end) for _, begin, end, depth in spans if process == "harts" and depth == 0)
        assert all(a[1] <= b[0] for a, b in zip(flat, flat[1:])), "a hart in two threads at once"
    return trace


def test_a_trace_over_http(image):
    with Load(image.port):
        trace = check_trace(get(image.monitor, "/trace?ms=500"))
    assert {"stack", "serve", "kick"} <= trace.names("threads")
    served = [span for (_, track), spans in trace.spans.items() if track == "main" for span in spans if span[0] == "serve"]
    assert len(served) > 20
    assert trace.counters["network memory"]
    assert trace.busy("serve", "threads") < trace.busy("main")


def viewer_of_chromium():
    """The viewer's page and what it takes to run its importer; a skip where they are not installed."""
    pages = sorted(Path("/usr/share").glob("go-*/src/**/trace_viewer_full.html"))
    here = dict(os.environ, NODE_PATH=os.pathsep.join(filter(None, [os.environ.get("NODE_PATH"), "/usr/share/nodejs"])))
    pages = [Path(os.environ["TRACE_VIEWER"])] if "TRACE_VIEWER" in os.environ else pages
    if not pages or not shutil.which("node") or \
            subprocess.run(["node", "-e", "require('jsdom'), require('acorn')"], env=here, capture_output=True, timeout=60).returncode:
        pytest.skip("not installed: node-jsdom, node-acorn and golang-1.19-src (trixie: golang-1.24-src)")
    return pages[-1], here


def test_chromiums_viewer_takes_a_trace(image, tmp_path):
    page, environment = viewer_of_chromium()
    with Load(image.port):
        (tmp_path / "trace").write_text(get(image.monitor, "/trace?ms=500"))
    done = subprocess.run(["node", ROOT / "tests/monitor/viewer.js", page, tmp_path / "trace"], env=environment, capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout)
    threads = {(p["name"], t["name"]): t for p in seen["processes"] for t in p["threads"]}
    assert seen["warnings"] == [] and not any(t["open"] for t in threads.values())
    assert threads["harts", "hart 0"]["slices"] > 50 and threads["threads", "main"]["slices"] > 50
    assert any(c["name"] == "network memory" and c["samples"] for p in seen["processes"] for c in p["counters"])


@pytest.mark.measures
def test_harts_of_a_trace_run_side_by_side():
    with Monitored(harts=4) as image, Load(image.port, clients=4):
        check_trace(get(image.monitor, "/trace?ms=300"), harts=4)


def test_tracing_ends_with_its_client(image):
    def second_is_refused():
        with Http(image.monitor) as gone, Http(image.monitor) as second:
            gone.send(b"GET /trace?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n")
            return eventually(lambda: second.get("/trace?ms=1")[0] == 503, timeout=5)
    assert eventually(second_is_refused)
    with Http(image.monitor) as http:
        assert http.get("/trace?ms=60001")[0] == 400
        assert http.get("/trace", method="HEAD")[0] == 200
    assert eventually(lambda: Http(image.monitor).get("/trace?ms=1")[0] == 200)


def test_make_trace_fetches_one(tmp_path):
    with Running("memcached", tmp_path) as running:
        with Load(running.port):
            done = running.make("trace", "MS=100", f"OUT={tmp_path}/trace.json")
        assert done.returncode == 0, done.stderr
        check_trace((tmp_path / "trace.json").read_text())
        assert "ui.perfetto.dev" in done.stdout and "events" in done.stdout
        assert running.make("trace", "MS=0").returncode
