"""The echo image: ordinary sockets, threads and epoll under load."""

import os
import random
import socket
import threading

import pytest

from kiln import Image, eventually, read_exactly


@pytest.fixture(scope="module", params=[(1, 1), (1, 4), (4, 4)], ids=lambda p: f"{p[0]}-harts-{p[1]}-threads")
def echo(request):
    harts, threads = request.param
    with Image("echo", harts=harts, args=["-t", str(threads)]) as image:
        yield image


def test_echoes_what_it_gets(echo):
    assert echo.ask(b"hello\r\n") == b"hello\r\n"


def test_a_megabyte_comes_back_unchanged(echo):
    data = random.Random(1).randbytes(1 << 20)
    with echo.connect() as s:
        sender = threading.Thread(target=s.sendall, args=(data,))
        sender.start()
        assert read_exactly(s, len(data)) == data
        sender.join()


def test_a_hundred_clients_at_once_each_get_their_own_bytes(echo):
    sockets = echo.connect_many(100)
    for s in sockets:                    # the rest of the greeting
        s.sendall(b"!")
        while not s.recv(100).endswith(b"!"):
            pass
    rng = random.Random(2)
    for _ in range(5):
        said = [rng.randbytes(rng.randrange(1, 3000)) for _ in sockets]
        for s, data in zip(sockets, said):
            s.sendall(data)
        for s, data in zip(sockets, said):
            assert read_exactly(s, len(data)) == data
    for s in sockets:
        s.close()


def test_a_client_that_never_reads_delays_nobody(echo):
    with echo.connect(receive_buffer=4096) as greedy:
        greedy.setblocking(False)
        sent = 0
        try:
            while sent < 8 << 20:
                sent += greedy.send(b"x" * 65536)
        except BlockingIOError:
            pass
        assert sent > 0
        for _ in range(10):
            assert echo.ask(b"hello\r\n") == b"hello\r\n"


def test_half_close_is_answered_with_the_rest_and_an_end(echo):
    with echo.connect() as s:
        s.sendall(b"last words")
        s.shutdown(socket.SHUT_WR)
        assert read_exactly(s, 10) == b"last words"
        assert s.recv(1) == b""


def test_connections_come_and_go_without_loss_of_memory(echo):
    def churn(count):
        for _ in range(count):
            assert echo.ask(b"hello\r\n") == b"hello\r\n"

    churn(50)
    # TIME_WAIT and half-used slabs settle; what stays must not grow with the number of connections.
    before = echo.counters()["pages_free"]
    churn(200)
    assert eventually(lambda: before - echo.counters()["pages_free"] < 64, timeout=30)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network namespace")
def test_echoes_over_ipv6(wire):
    from kiln import netns
    with Image("echo", net="tap", namespace=wire, options=[f"ip6={netns.GUEST_IP6}/64"]) as image:
        with image.connect(family=socket.AF_INET6, address=(netns.GUEST_IP6, image.port)) as s:
            s.sendall(b"hello over six\r\n")
            assert read_exactly(s, 16) == b"hello over six\r\n"


def test_stop_ends_it_cleanly():
    with Image("echo", args=["-t", "3"]) as image:
        with image.connect() as s:
            s.sendall(b"hello\r\n")
            assert read_exactly(s, 7) == b"hello\r\n"
            assert image.stop() == 0
