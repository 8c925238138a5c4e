"""apps/echo: POSIX sockets, threads and epoll, seen from outside."""

import os
import socket
import threading

import pytest

from kiln import Image, eventually, read_exactly


@pytest.fixture(scope="module", params=[1, 4], ids=["1 hart", "4 harts"])
def echo(request):
    with Image("echo", args=["-t", str(request.param)], harts=request.param) as image:
        yield image


def test_says_what_it_hears(echo):
    assert echo.ask(b"hello\r\n") == b"hello\r\n"


def test_a_megabyte_comes_back_unchanged(echo):
    data = os.urandom(1 << 20)
    with echo.connect() as s:
        sender = threading.Thread(target=s.sendall, args=(data,))
        sender.start()
        assert read_exactly(s, len(data)) == data
        sender.join()


def test_a_peer_that_does_not_read_stops_being_read_and_loses_nothing(echo):
    data = os.urandom(3 << 20)
    with echo.connect(receive_buffer=8192) as s:
        s.settimeout(2)
        sent = 0
        with pytest.raises(socket.timeout):
            while sent < 64 << 20:
                sent += s.send(data[sent % len(data):][:65536])
        assert echo.ask(b"others go on\r\n") == b"others go on\r\n"
        s.settimeout(60)
        expected = (data * (sent // len(data) + 1))[:sent]
        assert read_exactly(s, sent) == expected


def test_half_closed_connections_get_their_echo(echo):
    with echo.connect() as s:
        s.sendall(b"last words")
        s.shutdown(socket.SHUT_WR)
        assert read_exactly(s, 10) == b"last words"
        assert s.recv(1) == b""


def test_fifty_connections_take_turns(echo):
    connections = []
    for i in range(50):
        s = echo.connect()
        s.sendall(b"%03d" % i)
        assert read_exactly(s, 3) == b"%03d" % i
        connections.append(s)
    for turn in range(5):
        for i, s in enumerate(connections):
            s.sendall(b"%d from %03d" % (turn, i))
        for i, s in enumerate(connections):
            assert read_exactly(s, 10) == b"%d from %03d" % (turn, i)
    for s in connections:
        s.close()
    assert eventually(lambda: echo.ask(b"still here\r\n") == b"still here\r\n")


def test_the_operators_stop_ends_it_in_order():
    with Image("echo", args=["-t", "2"], harts=2) as image:
        with image.connect() as s:
            s.sendall(b"x")
            assert read_exactly(s, 1) == b"x"
            assert image.stop() == 0


def test_a_wrong_option_ends_it_with_a_status():
    with Image("echo", args=["-t", "0"], wait=False) as image:
        assert image.wait_exit() == 2
        assert "usage: echo" in image.console
