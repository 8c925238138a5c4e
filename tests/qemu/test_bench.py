"""The instruments of the benchmarks notice what they are there to notice."""

import contextlib
import json
import re
import socket
import socketserver
import subprocess
import sys
import threading

import pytest

import kiln
from kiln import ROOT, Image, build_empty_payload

sys.path.insert(0, str(ROOT / "bench"))

import bench        # noqa: E402
import instr        # noqa: E402
import instruments  # noqa: E402
import report       # noqa: E402
from figure import Figure, Peer  # noqa: E402

pytestmark = pytest.mark.measures


@pytest.fixture(scope="module", autouse=True)
def tools():
    instruments.compile_tools()


@contextlib.contextmanager
def memcached(*args):
    """Debian's memcached on this machine, TCP and UDP on one port."""
    port = kiln.free_port()
    program = subprocess.run([ROOT / "tools/peer", "memcached"], check=True, stdout=subprocess.PIPE, text=True)
    with subprocess.Popen([program.stdout.strip(), "-u", "root", "-l", "127.0.0.1", "-p", str(port), "-U", str(port),
                           "-t", "1", *args], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        def listens():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
        assert kiln.eventually(listens)
        try:
            yield port
        finally:
            process.kill()


class Relay(socketserver.ThreadingTCPServer):
    """Passes on what client and server say, what the server says altered by `alter`."""
    daemon_threads = True

    def __init__(self, port, alter):
        self.behind, self.alter = port, alter
        super().__init__(("127.0.0.1", 0), RelayedConnection)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class RelayedConnection(socketserver.BaseRequestHandler):
    def handle(self):
        with socket.create_connection(("127.0.0.1", self.server.behind)) as server:
            threading.Thread(target=self.pass_on, args=(self.request, server, bytes), daemon=True).start()
            self.pass_on(server, self.request, self.server.alter)

    @staticmethod
    def pass_on(source, sink, alter):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 20):
                sink.sendall(alter(data))
            sink.shutdown(socket.SHUT_WR)


def loadgen(port, *args):
    done = subprocess.run([instruments.OUT / "loadgen", "-p", str(port), *map(str, args)], capture_output=True, text=True,
                          timeout=180)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}


@pytest.mark.parametrize("args", ["-L 1 -c 3", "-L 3 -c 6 -d 4", "-c 5 -d 16", "-c 2 -m 16", "-c 3 -v 100000", "-c 4 --binary",
                                  "-c 4 --binary -m 16 -d 3", "-c 4 --udp -d 4", "-c 2 --udp -v 5000",
                                  "-c 3 --udp -m 16"])
def test_loadgen_counts_each_request_of_an_honest_server(args):
    with memcached() as port:
        status, got = loadgen(port, "-n", 500, "-k", 100, *args.split())
    assert status == 0
    assert got["requests"] == got["gets"] + got["sets"] == 500 and got["sets"] > 0
    assert got["hits"] == got["gets"] * (16 if "-m" in args else 1)
    assert 0 < got["p50_us"] <= got["p99_us"] <= got["p999_us"] <= got["max_us"] * 1.02


def test_loadgen_speaks_tls(tmp_path):
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                           "-subj", "/CN=bench", "-keyout", tmp_path / "key", "-out", tmp_path / "chain"],
                          capture_output=True, timeout=60)
    assert made.returncode == 0, made.stderr
    with memcached("-Z", "-o", f"ssl_chain_cert={tmp_path}/chain,ssl_key={tmp_path}/key") as port:
        status, got = loadgen(port, "-n", 500, "-k", 100, "-c", 5, "-d", 4, "--tls")
    assert status == 0 and got["requests"] == 500 and got["hits"] == got["gets"]


@pytest.mark.parametrize("args", ["-c 1", "-c 1 --binary", "-c 1 -m 16", "-c 3 -d 8"])
def test_loadgen_notices_a_wrong_byte(args):
    """The relay alters one letter of one key's value, behind the key's name that begins it."""
    with memcached() as port, Relay(port, lambda data: data.replace(b"key-000000000007h", b"key-000000000007g")) as relay:
        status, got = loadgen(relay.server_address[1], "-n", 200, "-w", 0, "-k", 10, *args.split())
    assert status == 1 and got["errors"] == got["misses"] == 0
    assert 0 < got["mismatches"] < got["hits"] / 2


def test_loadgen_notices_the_value_of_another_key():
    def swap(data):
        return re.sub(rb"(VALUE key-000000000003 0 100\r\n)key-000000000003", rb"\1key-000000000004", data)
    with memcached() as port, Relay(port, swap) as relay:
        status, got = loadgen(relay.server_address[1], "-n", 200, "-w", 0, "-k", 10, "-c", 1)
    assert status == 1 and got["mismatches"] > 0


def test_loadgen_notices_a_missing_value():
    with memcached() as port:
        loadgen(port, "-n", 1, "-k", 50)
        status, got = loadgen(port, "-n", 200, "-w", 0, "-k", 100, "-c", 1, "-F")
    assert status == 1 and got["misses"] > 0 and got["hits"] + got["misses"] == 200


class LossyRelay(threading.Thread):
    """Passes datagrams on in both directions, except each `period`th."""

    def __init__(self, port, period):
        super().__init__(daemon=True)
        self.front, self.behind, self.period, self.seen = socket.socket(type=socket.SOCK_DGRAM), {}, period, 0
        self.front.bind(("127.0.0.1", 0))
        self.server = ("127.0.0.1", port)
        self.start()

    def is_lost(self):
        self.seen += 1
        return self.seen % self.period == 0

    def run(self):
        while True:
            data, client = self.front.recvfrom(65536)
            if client not in self.behind:
                self.behind[client] = socket.socket(type=socket.SOCK_DGRAM)
                self.behind[client].connect(self.server)
                threading.Thread(target=self.answer, args=(self.behind[client], client), daemon=True).start()
            if not self.is_lost():
                self.behind[client].send(data)

    def answer(self, behind, client):
        while True:
            data = behind.recv(65536)
            if not self.is_lost():
                self.front.sendto(data, client)


@pytest.mark.parametrize("args", ["-c 4 -d 4", "-c 3 -v 5000 -d 2", "-L 2 -c 4"])
def test_loadgen_goes_on_when_datagrams_are_lost(args):
    """The keys are stored over TCP before, past the relay."""
    with memcached() as port:
        assert loadgen(port, "-n", 1, "-k", 50, *(["-v", 5000] if "5000" in args else []))[0] == 0
        relay = LossyRelay(port, 40)
        status, got = loadgen(relay.front.getsockname()[1], "--udp", "-F", "-n", 200, "-k", 50, *args.split())
    assert status == 0 and got["lost"] > 0 and got["requests"] + got["lost"] == 200
    assert got["hits"] == got["gets"] > 0


def test_the_same_seed_asks_the_same_questions():
    with memcached() as port:
        runs = [loadgen(port, "-n", 300, "-L", 1, "-S", 7, "-k", 100)[1] for _ in range(2)]
    assert runs[0]["sets"] == runs[1]["sets"] and runs[0]["bytes_in"] == runs[1]["bytes_in"]


def memcaslap_rate(image, folder):
    (folder / "load").write_text("key\n16 16 1\nvalue\n100 100 1\ncmd\n0 0.1\n1 0.9\n")
    said = image.tool("memcaslap", "-s", f"{image.host}:{image.port}", "-T", "1", "-c", "50", "-w", "1k", "-t", "3s", "-F",
                      str(folder / "load"))
    return int(re.search(r"TPS: (\d+)", said)[1])


def test_loadgen_and_memcaslap_agree_on_a_server(wire, tmp_path):
    """Both are far faster than the guest, so both must find the guest's own rate."""
    ratios = []
    with Image("memcached", net="tap", namespace=wire) as image:
        for _ in range(3):
            ours = instruments.loadgen(image, "-c", 50, "-w", 10, "-t", 2)["ops"]
            ratios.append(ours / memcaslap_rate(image, tmp_path))
            if 0.6 < ratios[-1] < 1.7:
                return
    pytest.fail(f"loadgen's rate is {ratios} times memcaslap's")


def test_ten_thousand_connections_are_served_and_compared(wire):
    with Image("memcached", net="tap", namespace=wire, args=["-c", "10050"]) as image:
        got = instruments.loadgen(image, "-c", 10000, "-L", 50, "-n", 10000, "-k", 1000)
    assert got["requests"] == 10000 and got["hits"] == got["gets"]


def test_the_counter_sees_the_empty_payload_do_the_same_each_time():
    counts = []
    for _ in range(2):
        with instruments.Counted("empty", kernel=build_empty_payload(), wait=False, net="none") as image:
            image.expect("empty payload\n")
            assert kiln.eventually(lambda: image.since_entry() > 0)
            threading.Event().wait(0.3)
            counts.append(image.since_entry())
    assert 100 < counts[0] < 100_000
    assert abs(counts[0] - counts[1]) < 50


def test_a_profile_finds_the_image_wherever_it_was_placed_and_adds_up(wire):
    elf = kiln.build_image("memcached")
    with instr.on_tap(wire) as image:
        value, functions = instr.take_profile(instr.GETS[0], image, elf, image.folder, requests=200)
    assert functions["memcpy"] > 10 and len(functions) > 20 # what else has a name of its own is the compiler's choice
    assert sum(functions.values()) == pytest.approx(value, rel=0.02)


def test_a_missed_aim_is_called_missed():
    figure = Figure("x", 3.0, "ms", "none", aim=2.0).as_dict()
    assert report.verdict(figure) == "missed"
    beside = Figure("x", 3.0, "ms", "none", peer=Peer(2.0, "y"), aim=2.0, aim_is="ratio").as_dict()
    assert beside["ratio"] == 1.5 and report.verdict(beside) == "met"
    rate = Figure("x", 30.0, "requests/s", "none", peer=Peer(4.0, "y"), aim=8, aim_is="ratio", better="higher").as_dict()
    assert rate["ratio"] == 7.5 and report.verdict(rate) == "missed"
    alone = Figure("x", 30.0, "requests/s", "none", aim=8, aim_is="ratio", better="higher").as_dict()
    assert report.verdict(alone) == ""


def test_a_missed_aim_is_told_and_is_no_failure(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "RESULTS", tmp_path)
    monkeypatch.setattr(bench.instruments, "ROOT", tmp_path.parent)
    monkeypatch.setattr(bench.instruments.kiln, "build_image", lambda image: None)
    monkeypatch.setattr(bench, "PLANS", {"hello": [("size", lambda tell: Figure("slow", 3, "s", "by eye", aim=2))]})
    monkeypatch.setattr(bench, "PEER_PLANS", {"hello": [("beside", lambda tell: Figure("beside", 1, "s", "by eye"))]})
    assert bench.main(["--all"]) == 0
    assert "short of the aim: slow" in capsys.readouterr().err
    assert [f["name"] for f in json.loads((tmp_path / "hello.json").read_text())] == ["slow", "beside"]


def test_a_step_that_fails_is_named_and_the_next_plan_is_measured(tmp_path, monkeypatch, capsys):
    def fails(tell):
        raise RuntimeError("no compiler")
    monkeypatch.setattr(bench, "RESULTS", tmp_path)
    monkeypatch.setattr(bench.instruments, "ROOT", tmp_path.parent)
    monkeypatch.setattr(bench.instruments.kiln, "build_image", lambda image: None)
    monkeypatch.setattr(bench, "PLANS", {"hello": [("size", fails)]})
    monkeypatch.setattr(bench, "PEER_PLANS", {"hello": [("beside", lambda tell: Figure("beside", 1, "s", "by eye"))]})
    assert bench.main(["--all"]) == 1
    assert "status 1: hello: size (no compiler)" in capsys.readouterr().err
    assert [f["name"] for f in json.loads((tmp_path / "hello.json").read_text())] == ["beside"]
