"""The monitor's HTTP server, natively and under the sanitizers, with clients that mean no good."""

import random
import socket
import subprocess
import time

import pytest

import exposition
from client import Http, get

HOST = b"Host: x\r\n"


def test_it_lists_its_pages(native):
    assert "/metrics " in get(native.monitor, "/")


def test_curl_reads_a_page(native):
    host, port = native.monitor
    done = subprocess.run(["curl", "-sS", "-D", "-", f"http://{host}:{port}/metrics"], capture_output=True, text=True,
                          timeout=60, check=True)
    head, _, body = done.stdout.partition("\n\n") if "\r" not in done.stdout else done.stdout.partition("\r\n\r\n")
    assert "text/plain; version=0.0.4" in head
    exposition.parse(body)


def test_the_program_shows_what_it_registered(native):
    def hits():
        return exposition.value(exposition.parse(get(native.monitor, "/metrics")), "memcached_commands_total",
                                command="get", status="hit")
    before = hits()
    with socket.create_connection(("127.0.0.1", native.port), 60) as s:
        s.sendall(b"set k 0 0 1\r\nv\r\n" + 7 * b"get k\r\n" + b"mn\r\n")
        got = b""
        while not got.endswith(b"MN\r\n"):
            got += s.recv(4096)
    assert hits() == before + 7


def test_requests_may_be_sent_ahead(native):
    with Http(native.monitor) as http:
        http.send(b"".join(b"%s %s HTTP/1.1\r\n%s\r\n" % (method, path, HOST) for method, path in
                           [(b"GET", b"/"), (b"HEAD", b"/metrics"), (b"GET", b"/none"), (b"PUT", b"/"), (b"GET", b"/metrics")]))
        assert http.answer()[0] == 200
        assert http.answer(is_head=True)[0] == 200
        assert http.answer()[0] == 404
        status, fields, _ = http.answer()
        assert status == 405 and fields["allow"] == "GET, HEAD"
        status, _, text = http.answer()
        assert status == 200 and exposition.parse(text)


def test_a_request_may_come_in_pieces(native):
    with Http(native.monitor) as http:
        for byte in b"GET / HTTP/1.1\r\nHost: x\r\n\r\n":
            http.send(bytes([byte]))
        assert http.answer()[0] == 200


def test_http_1_0_ends_with_its_answer(native):
    with Http(native.monitor) as http:
        http.send(b"GET /metrics HTTP/1.0\r\n\r\n")
        status, fields, text = http.answer()
        assert status == 200 and "transfer-encoding" not in fields and fields["connection"] == "close"
        exposition.parse(text)
        assert http.is_closed()


def test_a_client_that_stops_sending_gets_its_answer(native):
    with Http(native.monitor) as http:
        http.send(b"GET /metrics HTTP/1.1\r\n" + HOST + b"\r\n")
        http.socket.shutdown(socket.SHUT_WR)
        assert exposition.parse(http.answer()[2])
        assert http.is_closed()


@pytest.mark.parametrize("request_text, status", [
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\nHost: x\n\n", 400),
    (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc", 413),
    (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
    (b"GET / HTTP/3.0\r\n" + HOST + b"\r\n", 505),
    (b"\x16\x03\x01\x00\x05hello", 400),
    (b"get key\r\n\r\n", 400),
    (b"GET /" + 5000 * b"a" + b" HTTP/1.1\r\n" + HOST + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\n" + 2000 * b"x: y\r\n" + b"\r\n", 431),
], ids="no-host line-feeds content chunked version tls other-protocol long-target long-head".split())
def test_what_is_refused_ends_the_connection(native, request_text, status):
    with Http(native.monitor) as http:
        http.send(request_text)
        got, fields, _ = http.answer()
        assert got == status and fields["connection"] == "close"
        assert http.is_closed()


def test_clients_without_a_request_make_room(native):
    silent = [Http(native.monitor) for _ in range(30)]
    for http in silent[-3:]:
        http.send(b"GET / HT")
    assert "/metrics" in get(native.monitor, "/")
    gone = sum(http.is_closed() for http in silent[:20])
    assert gone == 20
    for http in silent:
        http.socket.close()


def test_a_client_that_reads_nothing_stands_in_nobodys_way(native):
    slow = [Http(native.monitor, receive_buffer=2048) for _ in range(7)]
    for http in slow:
        http.send(40 * (b"GET /metrics HTTP/1.1\r\n" + HOST + b"\r\n"))
    for _ in range(20):
        assert exposition.parse(get(native.monitor, "/metrics"))
    for http in slow:
        http.socket.close()


def test_noise(native):
    chosen = random.Random(9)
    words = [b"GET ", b"/metrics", b" HTTP/1.1", b"\r\n", b"\r\n\r\n", HOST, b"\x00", b"\xff", b":", b"Content-Length: ", b"1", b"?", b"&"]
    for _ in range(300):
        with Http(native.monitor, timeout=60) as http:
            try:
                http.send(b"".join(chosen.choice(words) for _ in range(chosen.randrange(12))))
                http.send(b"\r\n\r\n")
                http.socket.settimeout(0.01)
                http.more()
            except OSError:
                pass
    assert exposition.parse(get(native.monitor, "/metrics"))


def test_a_half_request_is_not_waited_for(native):
    begin = time.monotonic()
    with Http(native.monitor) as http:
        http.send(b"GET / HTTP/1.1\r\n")
        assert http.is_closed()
    assert time.monotonic() - begin > 5
