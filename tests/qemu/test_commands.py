"""make run, make stop and make debug as a user types them, and what they say when something is wrong."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from kiln import ROOT, build_image, free_port, netns, quiet_make

RUN = ROOT / "tools" / "run" / "run.py"


@pytest.fixture
def own_runs(tmp_path, monkeypatch):
    """Records of running images go to a folder of the test, beside a user's own."""
    monkeypatch.setenv("KILN_RUN_DIR", str(tmp_path / "run"))


def make(*words, timeout=300):
    return subprocess.run(["make", "-s", *words], cwd=ROOT, capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, env=quiet_make())


class Running:
    """A `make run` in the background, and its output so far."""

    def __init__(self, *words):
        self.process = subprocess.Popen(["make", "-s", "run", *words], cwd=ROOT, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env=quiet_make(), start_new_session=True)
        self.output = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(60)

    def read_until(self, text):
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return line
        raise AssertionError(f"make run ended without printing {text!r}:\n{self.output}")

    def wait(self):
        self.output += self.process.stdout.read()
        return self.process.wait(60)


def test_make_run_says_where_it_listens_and_make_stop_ends_it(own_runs):
    build_image("memcached")
    port = free_port()
    with Running("IMAGE=memcached", f"PORT={port}", "MEM=64M", "ARGS=-m 16 -c 100") as run:
        line = run.read_until("listens on")
        assert f"127.0.0.1 port {port}" in line
        with socket.create_connection(("127.0.0.1", port), 60) as s:
            s.sendall(b"stats\r\n")
            got = b""
            while not got.endswith(b"END\r\n"):
                got += s.recv(65536)
            assert b"STAT limit_maxbytes 16777216" in got
        done = make("stop")
        assert done.returncode == 0 and "memcached has stopped." in done.stdout, done.stdout + done.stderr
        assert run.wait() == 0, run.output


def test_ctrl_c_stops_the_image_cleanly(own_runs):
    build_image("memcached")
    with Running("IMAGE=memcached", f"PORT={free_port()}") as run:
        run.read_until("listens on")
        os.killpg(run.process.pid, signal.SIGINT)     # what a terminal does
        run.wait()
        assert "Stopping memcached." in run.output
        assert "did not stop by itself" not in run.output


def test_make_run_of_hello_ends_with_the_guest(own_runs):
    done = make("run", "IMAGE=hello", "NET=none")
    assert done.returncode == 0 and "hello" in done.stdout.lower(), done.stdout + done.stderr


def test_a_second_run_of_the_same_image_is_refused(own_runs):
    build_image("memcached")
    with Running("IMAGE=memcached", f"PORT={free_port()}") as run:
        run.read_until("listens on")
        done = make("run", "IMAGE=memcached", f"PORT={free_port()}")
        assert done.returncode != 0 and "is already running" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network namespace")
def test_make_run_on_a_tap_makes_and_removes_its_namespace(own_runs):
    build_image("memcached")
    with Running("IMAGE=memcached", "NET=tap") as run:
        line = run.read_until("listens on")
        assert netns.GUEST_IP4 in line
        name = re.search(r"ip netns exec (\S+)", run.read_until("Try:"))[1]
        assert name in subprocess.run(["ip", "netns"], capture_output=True, text=True).stdout
        assert make("stop").returncode == 0
        run.wait()
    assert name not in subprocess.run(["ip", "netns"], capture_output=True, text=True).stdout


@pytest.mark.parametrize("words, sentence", [
    (["NET=moon"], "NET=moon is not a kind of network"),
    (["MEM=4M"], "MEM=4M is too little for hello"),
    (["MEM=lots"], "MEM=lots is not a size"),
    (["HARTS=0"], "HARTS=0 is not a whole number"),
    (["PORT=70000"], "PORT=70000 is not a whole number"),
    (["QEMU=/no/such/qemu"], "QEMU is missing"),
    (["FORM=zip"], "FORM=zip is not a form"),
    (["ARGS='unpaired"], "need their quotation marks in pairs"),
], ids=lambda v: v[0] if isinstance(v, list) else "")
def test_a_wrong_knob_is_one_sentence_and_an_error(own_runs, words, sentence):
    build_image("hello")
    done = make("run", "IMAGE=hello", *words)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_named(own_runs):
    build_image("memcached")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        done = make("run", "IMAGE=memcached", f"PORT={port}")
    assert done.returncode != 0
    assert f"Port {port} of 127.0.0.1 is in use" in done.stderr


def test_a_missing_image_is_named():
    done = subprocess.run([sys.executable, RUN, "nosuch"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "There is no image images/nosuch.elf" in done.stderr


def test_stop_without_a_running_image_says_so(own_runs):
    done = make("stop")
    assert done.returncode != 0
    assert "No image is running." in done.stderr


def test_a_tap_without_root_is_refused_with_a_sentence(own_runs):
    build_image("hello")
    if os.geteuid() == 0:
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "KILN_RUN_DIR=/tmp/kiln-nobody"]
    else:
        words = []
    done = subprocess.run([*words, "/usr/bin/python3", str(RUN), "hello", "NET=tap"], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 1
    assert "NET=tap needs root" in done.stderr, done.stderr


def test_debug_stops_at_main_and_knows_the_kernel(own_runs):
    build_image("hello")
    script = ["-batch", "-ex", "break main", "-ex", "continue", "-ex", "backtrace 1", "-ex", "kiln-threads",
              "-ex", "kiln-harts", "-ex", "kiln-memory", "-ex", "kill"]
    done = make("debug", "IMAGE=hello", "NET=none", "GDBARGS=" + " ".join(f"'{w}'" for w in script))
    out = done.stdout
    assert re.search(r"Breakpoint 1, main", out), out + done.stderr
    assert re.search(r"^#0\s+main .*main\.c:\d+", out, re.M), out
    assert re.search(r"\bmain\b.*running", out, re.I), out
    assert re.search(r"hart\s*0", out, re.I), out
    assert re.search(r"\d+ .*free|free.*\d+", out, re.I), out
    assert "Error" not in out and "Traceback" not in out + done.stderr, out + done.stderr
