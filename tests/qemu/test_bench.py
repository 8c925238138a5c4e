"""The instruments of the benchmarks notice what they are there to notice."""

import json
import socketserver
import subprocess
import sys
import threading

import pytest

from kiln import ROOT, build_empty_payload

sys.path.insert(0, str(ROOT / "bench"))

import measure  # noqa: E402
import report   # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def tools():
    measure.compile_tools()


class Server(socketserver.ThreadingTCPServer):
    """A memcached of a few lines, which tells the truth unless told otherwise."""
    allow_reuse_address = daemon_threads = True
    request_queue_size = 128

    def __init__(self, lie=lambda value: value):
        self.values, self.lie = {}, lie
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        for line in self.rfile:
            words = line.split()
            if words[0] == b"set":
                self.server.values[words[1]] = self.rfile.read(int(words[4]) + 2)[:-2]
                self.wfile.write(b"STORED\r\n")
            else:
                reply = b""
                for key in words[1:]:
                    value = self.server.lie(self.server.values[key])
                    if value is not None:
                        reply += b"VALUE %s 0 %d\r\n%s\r\n" % (key, len(value), value)
                self.wfile.write(reply + b"END\r\n")


def loadgen(server, *args):
    done = subprocess.run([measure.OUT / "loadgen", "-p", str(server.server_address[1]), "-k", "100", *args],
                          capture_output=True, text=True, timeout=60)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}


@pytest.mark.parametrize("args", [["-L", "-c", "3"], ["-c", "5", "-d", "16"], ["-c", "2", "-m", "16"]])
def test_loadgen_counts_each_request_of_an_honest_server(args):
    with Server() as server:
        status, got = loadgen(server, "-n", "500", *args)
    assert status == 0
    assert got["requests"] == got["gets"] + got["sets"] == 500
    assert got["hits"] == got["gets"] * (16 if "-m" in args else 1)


def test_loadgen_notices_a_wrong_byte():
    with Server(lambda value: value[:-1] + b"!") as server:
        status, got = loadgen(server, "-n", "50", "-w", "0", "-c", "1")
    assert status == 1 and got["mismatches"] == 50


def test_loadgen_notices_a_missing_value():
    with Server(lambda value: None) as server:
        status, got = loadgen(server, "-n", "50", "-w", "0", "-c", "1")
    assert status == 1 and got["misses"] == 50


def test_the_same_seed_asks_the_same_questions():
    with Server() as server:
        runs = [loadgen(server, "-n", "300", "-L", "-S", "7")[1] for _ in range(2)]
    assert runs[0]["sets"] == runs[1]["sets"] and runs[0]["bytes_in"] == runs[1]["bytes_in"]


def test_the_counter_sees_the_empty_payload_do_the_same_each_time():
    counts = []
    for _ in range(2):
        with measure.Counted("empty", kernel=build_empty_payload(), wait=False, net="none") as image:
            image.expect("empty payload\n")
            assert measure.kiln.eventually(lambda: image.since_entry() > 0)
            measure.time.sleep(0.3)
            counts.append(image.since_entry())
    assert 100 < counts[0] < 100_000
    assert abs(counts[0] - counts[1]) < 50


def test_a_missed_aim_is_called_missed():
    figure = measure.Figure("x", 3.0, "ms", "none", aim=2.0).as_dict()
    assert report.verdict(figure) == "missed"
    beside = measure.Figure("x", 3.0, "ms", "none", peer=2.0, aim=2.0).as_dict()
    assert beside["ratio"] == 1.5 and report.verdict(beside) == "met"
