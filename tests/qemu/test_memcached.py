"""The memcached image under the clients that people use, and under unfriendly ones."""

import re
import socket
import struct
import time

import pytest

from kiln import Image, eventually, read_exactly, read_until


def serves(image):
    return image.ask(b"version\r\n").startswith(b"VERSION ")


def store(s, key, value):
    s.sendall(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value))
    return read_until(s, b"\r\n")


def stats(image):
    text = image.ask(b"stats\r\n", until=b"END\r\n").decode()
    return dict(line.split(" ", 2)[1:] for line in text.splitlines() if line.startswith("STAT "))


def test_memccapable_finds_both_protocols_complete(memcached):
    out = memcached.tool("memccapable", "-h", memcached.host, "-p", str(memcached.port), timeout=300)
    assert "All tests passed" in out
    assert "[FAIL]" not in out


def test_memcaslap_verifies_every_value(memcached):
    out = memcached.tool("memcaslap", "-s", f"{memcached.host}:{memcached.port}", "-T", "1", "-c", "50", "-w", "1k",
                         "-X", "200", "-t", "10s", "-v", "1.0", timeout=180)
    assert re.search(r"^Ops: [1-9]|Ops: [1-9]", out)
    for what in ("get_misses", "verify_misses", "verify_failed"):
        found = re.search(rf"{what}: (\d+)", out)
        assert found and found[1] == "0", out


def test_libmemcached_tools_agree_about_a_file(memcached, tmp_path):
    server = f"--servers={memcached.host}:{memcached.port}"
    path = tmp_path / "poem"
    path.write_text("The woods are lovely, dark and deep.\n" * 20)
    memcached.tool("memccp", server, str(path))
    assert path.read_text() in memcached.tool("memccat", server, "poem")
    memcached.tool("memcexist", server, "poem")
    memcached.tool("memctouch", server, "--expire=100", "poem")
    memcached.tool("memcrm", server, "poem")
    with pytest.raises(AssertionError):
        memcached.tool("memcexist", server, "poem")
    assert "curr_items" in memcached.tool("memcstat", server)
    assert "1.6" in memcached.tool("memcping", server) + memcached.tool("memcstat", server, "--server-version")
    memcached.tool("memcflush", server)


def test_memcslap_stores_and_finds_its_keys(memcached):
    server = f"--servers={memcached.host}:{memcached.port}"
    memcached.tool("memcslap", server, "--concurrency=10", "--execute-number=200", "--test=set")
    memcached.tool("memcslap", server, "--concurrency=10", "--execute-number=200", "--test=get")


def serve_many(image, count):
    """Every connection stores a value, then reads its neighbour's, with all of them open."""
    sockets = image.connect_many(count)
    for i, s in enumerate(sockets):
        s.sendall(b"set many%d 0 0 4\r\n%04d\r\n" % (i, i))
    for s in sockets:
        assert read_until(s, b"\r\n") == b"STORED\r\n"
    for i, s in enumerate(sockets):
        s.sendall(b"get many%d\r\n" % ((i + 1) % count))
    for i, s in enumerate(sockets):
        assert read_until(s, b"END\r\n").endswith(b"%04d\r\nEND\r\n" % ((i + 1) % count))
    assert int(stats(image)["curr_connections"]) >= count
    for s in sockets:
        s.close()
    assert eventually(lambda: int(stats(image)["curr_connections"]) < 10)


def test_a_thousand_connections_are_served_at_once(wire):
    with Image("memcached", args=["-c", "2048"], net="tap", namespace=wire) as image:
        serve_many(image, 1000)


def test_hundreds_of_connections_are_served_through_user_networking(memcached):
    serve_many(memcached, 300)


def test_a_slow_reader_gets_every_byte_and_delays_nobody(memcached):
    value = bytes(range(256)) * 2048                    # 512 KiB
    with memcached.connect() as s:
        assert store(s, b"slow", value) == b"STORED\r\n"
    count = 16
    with memcached.connect(receive_buffer=4096) as slow:
        slow.sendall(b"get slow\r\n" * count)
        time.sleep(0.5)                                 # meanwhile our window fills, and shuts
        for _ in range(20):
            assert serves(memcached)
        reply = b"VALUE slow 0 %d\r\n" % len(value) + value + b"\r\nEND\r\n"
        for i in range(count):
            assert read_exactly(slow, len(reply)) == reply, f"reply {i}"
    memcached.ask(b"delete slow\r\n")


def test_clients_that_vanish_leave_nothing_behind(memcached):
    before = int(stats(memcached)["curr_connections"])
    for i in range(100):
        s, = memcached.connect_many(1)
        s.sendall([b"get x\r\n", b"set y 0 0 1000\r\nhalf a val", b"get ", b"\xff\xfe"][i % 4])
        # A reset instead of an orderly close.
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    assert serves(memcached)
    assert eventually(lambda: int(stats(memcached)["curr_connections"]) <= before + 1)


def test_a_client_may_use_its_port_again_at_once(memcached):
    """The image has closed first and remembers the connection; the next one with the same ports is answered all the same."""
    port = 0
    for _ in range(5):
        with memcached.connect_from(port) as s:
            port = s.getsockname()[1]
            s.sendall(b"version\r\nquit\r\n")
            assert read_until(s, b"\r\n").startswith(b"VERSION ")
            assert s.recv(1) == b""


def test_half_open_connections_still_get_their_answers(memcached):
    for _ in range(20):
        with memcached.connect() as s:
            s.sendall(b"set half 0 0 2\r\nok\r\nget half\r\n")
            s.shutdown(socket.SHUT_WR)                  # we have nothing more to say, but we listen
            assert read_until(s, b"END\r\n") == b"STORED\r\nVALUE half 0 2\r\nok\r\nEND\r\n"
            assert s.recv(1) == b""


def test_a_value_just_under_a_mebibyte_comes_back_whole(memcached):
    """The item with its header must fit -I (1 MiB), so the value is a little smaller."""
    value = bytes((i * 7 + (i >> 8)) & 0xff for i in range((1 << 20) - 512))
    with memcached.connect() as s:
        assert store(s, b"big", value) == b"STORED\r\n"
        s.sendall(b"get big\r\n")
        head = b"VALUE big 0 %d\r\n" % len(value)
        assert read_exactly(s, len(head)) == head
        assert read_exactly(s, len(value)) == value
        assert read_exactly(s, 7) == b"\r\nEND\r\n"
        assert store(s, b"huge", b"x" * (1 << 20)) == b"SERVER_ERROR object too large for cache\r\n"
    assert serves(memcached)


def test_a_whole_mebibyte_fits_when_items_may_be_larger():
    value = bytes((i * 11 + (i >> 8)) & 0xff for i in range(1 << 20))
    with Image("memcached", args=["-I", "2m"]) as image, image.connect() as s:
        assert store(s, b"big", value) == b"STORED\r\n"
        s.sendall(b"get big\r\n")
        reply = b"VALUE big 0 %d\r\n" % len(value) + value + b"\r\nEND\r\n"
        assert read_exactly(s, len(reply)) == reply


def test_a_request_in_single_bytes_is_understood(memcached):
    with memcached.connect() as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"set slowly 0 0 3\r\nabc\r\nget slowly\r\n":
            s.sendall(bytes([byte]))
            time.sleep(0.002)
        assert read_until(s, b"END\r\n") == b"STORED\r\nVALUE slowly 0 3\r\nabc\r\nEND\r\n"


def test_many_requests_in_one_segment_are_answered_in_order(memcached):
    with memcached.connect() as s:
        s.sendall(b"".join(b"set seq%d 0 0 3\r\n%03d\r\n" % (i, i) for i in range(200)))
        assert read_exactly(s, 8 * 200) == b"STORED\r\n" * 200
        s.sendall(b"".join(b"get seq%d\r\n" % i for i in range(200)))
        want = b"".join(b"VALUE seq%d 0 3\r\n%03d\r\nEND\r\n" % (i, i) for i in range(200))
        assert read_exactly(s, len(want)) == want


def churn(image, sets, check_every):
    """Stores `sets` values of many sizes under ever new keys; free memory seen on the way."""
    seen = []
    with image.connect(timeout=60) as s:
        for begin in range(0, sets, 500):
            batch = []
            for i in range(begin, begin + 500):
                size = 50 + (i * 7919) % 2000
                batch.append(b"set churn%d 0 0 %d noreply\r\n%s\r\n" % (i, size, b"v" * size))
            s.sendall(b"".join(batch) + b"version\r\n")
            assert read_until(s, b"\r\n").startswith(b"VERSION ")
            if begin % check_every == 0:
                seen.append(stats(image))
    return seen


def test_eviction_keeps_memory_steady_over_200000_sets():
    with Image("memcached", mem="64M", args=["-m", "16"]) as image:
        seen = churn(image, 200_000, 20_000)
        assert int(seen[-1]["evictions"]) > 100_000
        limit = int(seen[-1]["limit_maxbytes"])
        assert limit == 16 << 20
        assert all(int(s["bytes"]) <= limit for s in seen)
        # The newest values are there, the oldest are not.
        assert image.ask(b"get churn199999\r\n", until=b"END\r\n") != b"END\r\n"
        assert image.ask(b"get churn1\r\n", until=b"END\r\n") == b"END\r\n"
        free = free_memory(image)
        churn(image, 20_000, 20_000)
        assert abs(free_memory(image) - free) < 1 << 20, "memory drifts"


def free_memory(image):
    """Bytes free in the whole image, as its operator's door tells."""
    return image.counters()["pages_free"] * 4096


def test_twelve_mebibytes_serve_fifty_connections():
    with Image("memcached", mem="12M") as image:
        sockets = image.connect_many(50)
        for i, s in enumerate(sockets):
            assert store(s, b"k%d" % i, b"%03d." % i * 250) == b"STORED\r\n"
        for i, s in enumerate(sockets):
            s.sendall(b"get k%d\r\n" % i)
            assert b"%03d." % i * 250 in read_until(s, b"END\r\n")
        for s in sockets:
            s.close()


def test_a_cache_larger_than_memory_is_cut_with_a_sentence():
    with Image("memcached", mem="16M", args=["-m", "64"]) as image:
        limit = int(stats(image)["limit_maxbytes"])
        assert 0 < limit < 16 << 20
        assert re.search(r"-m 64.*(memory|fit)|(memory|fit).*-m 64", image.console), image.console[-1500:]
        churn(image, 30_000, 30_000)
        assert serves(image)


@pytest.mark.soak
def test_memory_is_steady_over_two_million_sets():
    with Image("memcached", mem="64M", args=["-m", "16"]) as image:
        churn(image, 200_000, 100_000)
        free = free_memory(image)
        churn(image, 2_000_000, 200_000)
        assert abs(free_memory(image) - free) < 1 << 20
