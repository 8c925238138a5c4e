"""Many clients, bad clients, slow clients, and a cache that is always full."""

import contextlib
import random
import resource
import shutil
import socket
import struct
import subprocess
import time

import pytest
from servers import eventually

STORED, END = b"STORED\r\n", b"END\r\n"


def put(key, data, more=b""):
    return b"set %s 0 0 %d%s\r\n%s\r\n" % (key, len(data), more, data)


def value(key, data):
    return b"VALUE %s 0 %d\r\n%s\r\n" % (key, len(data), data)


def test_a_thousand_connections_at_once(start):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    server = start("-c", "1100")
    talks = [server.connect() for _ in range(1000)]
    for i, talk in enumerate(talks):
        talk.send(put(b"k%d" % i, b"%04d" % i))
    for talk in talks:
        assert talk.read(len(STORED)) == STORED
    for i, talk in enumerate(talks):
        talk.send(b"get k%d\r\n" % ((i + 1) % 1000))
    for i, talk in enumerate(talks):
        key = (i + 1) % 1000
        assert talk.read_until(END) == value(b"k%d" % key, b"%04d" % key) + END
    assert int(server.stats()["curr_connections"]) >= 1000
    for talk in talks:
        talk.socket.close()
    assert eventually(lambda: int(server.stats()["curr_connections"]) < 10)


@pytest.mark.ours
def test_ten_thousand_connections_at_once(start):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 10_100:
        pytest.skip("this machine allows a process too few descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 10_100), hard))
    server = start("-c", "10050")
    if server.name == "image":
        pytest.skip("not through QEMU's user networking")
    talks = [server.connect() for _ in range(10_000)]
    for i, talk in enumerate(talks):
        talk.send(put(b"many%d" % i, b"%d" % i) + b"get many%d\r\n" % (i // 2))
    for i, talk in enumerate(talks):
        assert talk.read_until(END) == STORED + value(b"many%d" % (i // 2), b"%d" % (i // 2)) + END
    for talk in talks:
        talk.socket.close()
    assert eventually(lambda: int(server.stats()["curr_connections"]) < 10)


def test_connections_over_the_limit_are_told_so(start):
    server = start("-c", "100", "-o", "maxconns_fast")
    talks, refused = [server.connect() for _ in range(106)], 0
    for talk in talks:
        try:
            talk.send(b"version\r\n")
            if talk.read_until(b"\r\n") == b"ERROR Too many open connections\r\n":
                refused += 1
        except (AssertionError, ConnectionError):
            refused += 1
    assert refused >= 6
    for talk in talks:
        talk.socket.close()

    def is_open_again():
        try:
            return server.ask(b"") == b""
        except (AssertionError, ConnectionError):
            return False
    assert eventually(is_open_again)
    assert int(server.stats()["rejected_connections"]) >= 6


def test_a_slow_reader_gets_every_byte_and_delays_nobody(server):
    data = bytes(range(256)) * 2048
    count = 24
    with server.connect() as talk:
        assert talk.say(put(b"slow", data)) == STORED
    with server.connect(receive_buffer=4096) as slow, server.connect() as other:
        slow.send(b"get slow\r\n" * count)
        for _ in range(50):
            assert other.say(b"get none\r\n") == END
        # While the answers wait, the item may go: they hold it.
        assert other.say(b"delete slow\r\n") == b"DELETED\r\n"
        reply = value(b"slow", data) + END
        for _ in range(count):
            first = slow.read(5)
            if first == END:
                break           # asked for after the item went
            assert first + slow.read(len(reply) - 5) == reply


def test_a_reader_who_never_reads_holds_only_himself_up(start):
    server = start("-m", "64")
    data = b"x" * 900_000
    with server.connect() as talk:
        assert talk.say(put(b"big", data)) == STORED
        greedy = [server.connect(receive_buffer=4096) for _ in range(8)]
        for g in greedy:
            g.socket.setblocking(False)
            try:
                for _ in range(2000):
                    g.socket.send(b"get big\r\n" * 50)
            except BlockingIOError:
                pass
        for i in range(200):
            assert talk.say(put(b"k%d" % i, b"v" * 10_000)) == STORED
        for g in greedy:
            g.socket.close()
        assert talk.say(b"get k199\r\n") == value(b"k199", b"v" * 10_000) + END


def test_clients_that_vanish_leave_nothing_behind(server):
    before = int(server.stats()["curr_connections"])
    for i in range(200):
        talk = server.connect()
        talk.send([b"get x\r\n", b"set y 0 0 100000\r\nhalf a val", b"get ", b"\xff\xfe", b"set y 0 0 2000000\r\nx"][i % 5])
        if i % 2:
            talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        talk.socket.close()
    assert server.ask(b"get none\r\n") == END
    assert eventually(lambda: int(server.stats()["curr_connections"]) <= before)


def test_half_open_connections_get_their_answers(server):
    for _ in range(20):
        with server.connect() as talk:
            talk.send(put(b"half", b"ok") + b"get half\r\n")
            talk.socket.shutdown(socket.SHUT_WR)
            assert talk.read_to_close() == STORED + value(b"half", b"ok") + END


def test_pipelined_requests_are_answered_in_order(server):
    with server.connect() as talk:
        talk.send(b"".join(put(b"p%d" % i, b"%05d" % i) + b"get p%d\r\n" % i for i in range(5000)))
        want = b"".join(STORED + value(b"p%d" % i, b"%05d" % i) + END for i in range(5000))
        assert talk.read(len(want)) == want


def test_a_get_of_ten_thousand_keys(server):
    with server.connect() as talk:
        talk.say(b"".join(put(b"key-number-%d" % i, b"%d" % i) for i in range(0, 10_000, 7)))
        talk.send(b"get " + b" ".join(b"key-number-%d" % i for i in range(10_000)) + b"\r\n")
        want = b"".join(value(b"key-number-%d" % i, b"%d" % i) for i in range(0, 10_000, 7)) + END
        assert talk.read(len(want)) == want
        assert talk.say(b"get none\r\n") == END


def test_a_line_without_end_closes_the_connection(server):
    with server.connect() as talk:
        try:
            talk.send(b"x" * 100_000)
            assert talk.read_to_close() == b""
        except ConnectionError:
            pass
    assert server.ask(b"get none\r\n") == END


def test_pipelined_garbage_harms_nobody(server):
    rng = random.Random(20)
    words = [b"get", b"set", b"gets", b"incr", b"cas", b"noreply", b"0", b"-1", b"99999999999999999999", b"a", b"\0",
             b"\r", b"\xff" * 30, b"k" * 251, b"stats", b"touch", b"delete", b"flush_all", b"append", b"5", b"10"]
    for _ in range(60):
        with server.connect() as talk:
            lines = [b" ".join(rng.choices(words, k=rng.randrange(1, 8))) for _ in range(200)]
            talk.socket.setblocking(True)
            try:
                talk.send(rng.choice([b"\r\n", b"\n", b""]).join(lines) + b"\r\n" * rng.randrange(20))
                talk.socket.shutdown(socket.SHUT_WR)
                talk.read_to_close()
            except OSError:
                pass
    for _ in range(60):
        with server.connect() as talk:
            try:
                talk.send(rng.randbytes(rng.randrange(5000)))
                talk.socket.shutdown(socket.SHUT_WR)
                talk.read_to_close()
            except OSError:
                pass
    assert server.ask(put(b"sane", b"1") + b"get sane\r\n") == STORED + value(b"sane", b"1") + END


def churn(talk, count, size_of, prefix=b"churn"):
    for begin in range(0, count, 1000):
        talk.send(b"".join(put(b"%s%d" % (prefix, i), b"v" * size_of(i), b" noreply")
                           for i in range(begin, min(begin + 1000, count))))
        assert talk.say(b"") == b""


@pytest.mark.ours
def test_memory_is_steady_over_200000_sets(start):
    server = start("-m", "16")
    with server.connect(timeout=120) as talk:
        churn(talk, 40_000, lambda i: 50 + i * 7919 % 2000)
        resident = server.resident_kib() if hasattr(server, "resident_kib") else 0
        seen = []
        for part in range(8):
            churn(talk, 20_000, lambda i: 50 + i * 7919 % 2000, b"part%d-" % part)
            seen.append(server.stats())
        if resident:
            assert server.resident_kib() - resident < 4096
        limit = int(seen[-1]["limit_maxbytes"])
        assert limit == 16 << 20
        assert all(limit // 2 < int(s["bytes"]) <= limit for s in seen)
        assert int(seen[-1]["evictions"]) > 100_000
        assert talk.say(b"get part7-19999\r\n") != END
        assert talk.say(b"get part0-0\r\n") == END


@pytest.mark.ours
def test_a_full_cache_still_takes_values_of_every_size(start):
    """Whatever sizes filled the cache, no other size is ever refused."""
    server = start("-m", "4")
    rng = random.Random(5)
    with server.connect(timeout=60) as talk:
        for size in [100, 20_000, 600, 900_000, 40, 70_000, 3000, 32_700]:
            for i in range(3 * (4 << 20) // (size + 100)):
                key = b"r%d-%d" % (size, i)
                data = b"%d" % size + b"v" * (size - 6)
                assert talk.say(put(key, data)) == STORED
                if i % 50 == 0:
                    assert talk.say(b"get %s\r\n" % key) == value(key, data) + END
        for i in range(3000):
            size = int(10 ** rng.uniform(0, 5.9))
            assert talk.say(put(b"m%d" % (i % 97), b"v" * size)) == STORED
        assert int(server.stats()["bytes"]) <= 4 << 20


@pytest.mark.ours
def test_without_eviction_a_full_cache_says_so(start):
    server = start("-m", "4", "-M")
    with server.connect() as talk:
        answers = [talk.say(put(b"k%d" % i, b"v" * 1000)) for i in range(6000)]
        assert answers[0] == STORED
        assert answers[-1] == b"SERVER_ERROR out of memory storing object\r\n"
        assert talk.say(b"get k0\r\n") != END
        assert talk.say(b"delete k0\r\n") == b"DELETED\r\n"
        assert talk.say(put(b"again", b"v" * 1000)) == STORED
        # The value that a failed set was to replace is gone; nobody reads what is out of date.
        assert talk.say(b"set k1 0 0 20000\r\n" + b"v" * 20000 + b"\r\n").startswith(b"SERVER_ERROR out of memory")
        assert talk.say(b"get k1\r\n") == END


@pytest.mark.ours
def test_small_items_cost_less_than_memcacheds(start):
    """Header, CAS number and line end: 50 bytes beside key and value, memcached has 59."""
    server = start()
    with server.connect() as talk:
        churn(talk, 1000, lambda i: 100, b"overhead-0123456")
    stats = server.stats()
    keys = sum(len(b"overhead-0123456%d" % i) for i in range(1000))
    assert (int(stats["bytes"]) - keys - 100 * 1000) / 1000 <= 50


def says_within(talk, request, seconds, begin):
    """The answer, or None when it came more than so many seconds after `begin`: then it proves nothing."""
    answer = talk.say(request)
    return answer if time.monotonic() - begin < seconds else None


def test_expiry_by_the_second(server):
    with server.connect() as talk:
        begin = time.monotonic()
        assert talk.say(b"set soon 0 3 1\r\nx\r\nset later 0 100 1\r\nx\r\nset stays 0 100 1\r\nx\r\n") == STORED * 3
        assert talk.say(b"touch later 3\r\n") == b"TOUCHED\r\n"
        both = value(b"soon", b"x") + value(b"later", b"x") + END
        assert says_within(talk, b"get soon later\r\n", 1.5, begin) in (both, None)
        time.sleep(3)
        assert eventually(lambda: talk.say(b"get soon later\r\n") == END)
        assert says_within(talk, b"get stays\r\n", 90, begin) in (value(b"stays", b"x") + END, None)


def test_flush_all_with_a_delay(server):
    with server.connect() as talk:
        begin = time.monotonic()
        assert talk.say(put(b"before", b"x")) == STORED
        assert talk.say(b"flush_all 3\r\n") == b"OK\r\n"
        assert says_within(talk, b"get before\r\n", 1.5, begin) in (value(b"before", b"x") + END, None)
        assert eventually(lambda: talk.say(b"get before\r\n") == END)
        # What is stored in the very second of the flush goes with it.
        assert eventually(lambda: talk.say(put(b"after", b"x") + b"get after\r\n") == STORED + value(b"after", b"x") + END)


def is_closed(s):
    try:
        return s.recv(1) == b""
    except BlockingIOError:
        return False


def test_idle_clients_are_sent_away_and_busy_ones_stay(start):
    server = start("-o", "idle_timeout=2")
    with server.connect() as idle, server.connect() as busy, server.connect() as half, contextlib.ExitStack() as extra:
        assert idle.say(b"version\r\n").startswith(b"VERSION")
        half.send(b"set slow 0 0 5\r\nab")
        begin = last = time.monotonic()
        idle.socket.setblocking(False)
        while not is_closed(idle.socket):
            begun = time.monotonic()
            assert begun - begin < 60
            try:
                assert busy.say(b"get none\r\n") == END
            except (AssertionError, ConnectionError):
                assert time.monotonic() - last > 1, "a busy client was sent away"
                busy = extra.enter_context(server.connect())
            last = begun
            time.sleep(0.1)
        assert time.monotonic() - begin > 1
        half.send(b"cde\r\n")
        assert half.read(len(STORED)) == STORED
        assert int(server.stats()["idle_kicks"]) >= 1


def tool(server, name, *args):
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    if name in ("memccapable", "memcaslap"):
        where = ["-h", server.host, "-p", str(server.port)] if name == "memccapable" else \
                ["-s", f"{server.host}:{server.port}"]
    else:
        where = [f"--servers={server.host}:{server.port}"]
    done = subprocess.run([name, *where, *args], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_memccapable_finds_both_protocols_complete(server):
    code, out = tool(server, "memccapable")
    assert code == 0 and "All tests passed" in out, out
    assert out.count("[pass]") > 50 and "ascii" in out and "binary" in out


@pytest.mark.ours
def test_memcaslap_verifies_every_value(server):
    code, out = tool(server, "memcaslap", "-T", "1", "-c", "16", "-x", "20000", "-v", "1.0", "-e", "0.1")
    assert code == 0, out
    for what in ("verify_misses: 0", "verify_failed: 0", "get_misses: 0"):
        assert what in out


def test_libmemcacheds_tools(server, tmp_path):
    poem = tmp_path / "poem"
    poem.write_text("The woods are lovely, dark and deep.\n" * 20)
    assert tool(server, "memccp", str(poem))[0] == 0
    assert poem.read_text() in tool(server, "memccat", "poem")[1]
    assert tool(server, "memcexist", "poem")[0] == 0
    assert tool(server, "memctouch", "--expire=100", "poem")[0] == 0
    assert tool(server, "memcrm", "poem")[0] == 0
    assert tool(server, "memcexist", "poem")[0] != 0
    code, out = tool(server, "memcstat")
    assert code == 0 and "curr_items" in out
    assert tool(server, "memcping")[0] == 0
    assert tool(server, "memcslap", "--concurrency=5", "--execute-number=200", "--test=set")[0] == 0
    assert tool(server, "memcflush")[0] == 0
