"""Where items lie and how long they stay: LRU segments, crawler, pages that move, the memory limit."""

import random
import time

import pytest
from servers import eventually

ON_THE_IMAGE = True
OK, STORED, END = b"OK\r\n", b"STORED\r\n", b"END\r\n"
ADMIN = [
    (b"slabs reassign 1 1", b"SAME src and dst class are identical"),
    (b"slabs reassign 1 99", b"BADCLASS invalid src or dst class id"),
    (b"slabs reassign -2 1", b"BADCLASS invalid src or dst class id"),
    (b"slabs reassign 1 2", b"NOSPARE source class has no spare pages"),
    (b"slabs reassign 0 2", b"NOSPARE source class has no spare pages"),
    (b"slabs reassign x 2", b"CLIENT_ERROR bad command line format"),
    (b"slabs reassign 1", b"ERROR"),
    (b"slabs automove 0", b"OK"), (b"slabs automove 2", b"OK"), (b"slabs automove 1", b"OK"),
    (b"slabs automove 3", b"ERROR"), (b"slabs automove x", b"CLIENT_ERROR bad command line format"),
    (b"slabs automove ratio 0.7", b"OK"), (b"slabs automove ratio x", b"ERROR"), (b"slabs automove ratio", b"ERROR"),
    (b"slabs automove window 20", b"OK"), (b"slabs automove window", b"CLIENT_ERROR bad command line format"),
    (b"slabs automove freeratio 0.02", b"OK"),
    (b"slabs automove", b"ERROR"), (b"slabs what", b"ERROR"), (b"slabs", b"ERROR"),
    (b"lru tune 10 25 0.1 2.0", b"OK"), (b"lru tune 50 40 0.1 2.0", b"ERROR hot and warm pcts must not exceed 80"),
    (b"lru tune 10 25 0 2.0", b"ERROR hot/warm age factors must be greater than 0"), (b"lru tune x 25 0.1 2", b"ERROR"),
    (b"lru tune 10", b"ERROR"),
    (b"lru mode flat", b"OK"), (b"lru mode segmented", b"OK"), (b"lru mode round", b"ERROR"),
    (b"lru temp_ttl 30", b"OK"), (b"lru temp_ttl -1", b"OK"), (b"lru temp_ttl x", b"ERROR"), (b"lru what", b"ERROR"),
    (b"lru_crawler crawl all", b"OK"), (b"lru_crawler crawl 99", b"BADCLASS invalid class id"),
    (b"lru_crawler crawl x", b"BADCLASS invalid class id"), (b"lru_crawler crawl hash", b"ERROR an unknown error happened"),
    (b"lru_crawler sleep 0", b"OK"), (b"lru_crawler sleep 1000001", b"CLIENT_ERROR sleep must be one second or less"),
    (b"lru_crawler sleep x", b"CLIENT_ERROR bad command line format"),
    (b"lru_crawler tocrawl 10", b"OK"), (b"lru_crawler tocrawl x", b"CLIENT_ERROR bad command line format"),
    (b"lru_crawler tocrawl 0", b"OK"),
    (b"lru_crawler enable", b"ERROR failed to start lru crawler thread"),
    (b"lru_crawler what", b"ERROR"), (b"lru_crawler disable", b"OK"),
    (b"lru_crawler crawl all", b"CLIENT_ERROR lru crawler disabled"),
    (b"cache_memlimit 7", b"MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m"),
    (b"cache_memlimit 1000000001", b"MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes"),
    (b"cache_memlimit x", b"ERROR"), (b"cache_memlimit 16", b"OK"),
]


def put(key, data, exptime=0, more=b""):
    return b"set %s 0 %d %d%s\r\n%s\r\n" % (key, exptime, len(data), more, data)


def fill(talk, prefix, count, size, exptime=0, step=500):
    for begin in range(0, count, step):
        talk.send(b"".join(put(b"%s%d" % (prefix, i), b"v" * size, exptime, b" noreply")
                           for i in range(begin, min(begin + step, count))))
        assert talk.say(b"") == b""


def wait_for_maintenance(server):
    """Until the lists have been looked after some times more."""
    before = int(server.stats()["lru_maintainer_juggles"])
    assert eventually(lambda: int(server.stats()["lru_maintainer_juggles"]) >= before + 3)


def in_class(server, name, class_=None):
    """The sum of items:N:name over all classes, or that of one."""
    return sum(int(v) for k, v in server.stats(b"items").items()
               if k.split(":")[2] == name and (class_ is None or k.split(":")[1] == str(class_)))


def test_admin_commands_are_answered_as_memcached_does(start):
    server = start("-m", "64")
    with server.connect() as talk:
        for command, answer in ADMIN:
            if command == b"lru_crawler disable":
                assert eventually(lambda: server.stats()["lru_crawler_running"] == "0")
            got = talk.say(command + b"\r\n")
            if command.startswith(b"lru_crawler crawl") and got.startswith(b"BUSY"):
                continue             # memcached's own crawls
            if answer == b"CLIENT_ERROR lru crawler disabled":
                # memcached says OK before its crawler's thread has ended: until then this is another error
                assert eventually(lambda: talk.say(command + b"\r\n") == answer + b"\r\n"), command
                continue
            assert got == answer + b"\r\n", command


def test_items_asked_for_twice_stay(start):
    """A scan over many keys that nobody asks for again evicts others, but not those in use."""
    server = start("-m", "8")
    with server.connect(timeout=60) as talk:
        fill(talk, b"used", 200, 1000)
        for _ in range(3):
            for i in range(200):
                assert talk.say(b"get used%d\r\n" % i) != END
        for part in range(8):
            fill(talk, b"scan%d-" % part, 3000, 1000)
            wait_for_maintenance(server)
            for i in range(200):
                talk.send(b"get used%d\r\n" % i)
            talk.say(b"")
        lost = sum(talk.say(b"get used%d\r\n" % i) == END for i in range(200))
    stats = server.stats()
    assert int(stats["evictions"]) > 10_000
    assert lost <= 20
    assert int(stats["moves_to_cold"]) > 0 and int(stats["moves_to_warm"]) >= 200
    assert in_class(server, "hits_to_hot") > 0


def test_hot_and_warm_keep_to_their_shares(start):
    server = start("-m", "8")
    with server.connect(timeout=60) as talk:
        fill(talk, b"x", 4000, 500)
        assert in_class(server, "number") == 4000
        assert eventually(lambda: in_class(server, "number_hot") <= 4000 * 0.21)
        for i in range(4000):
            talk.send(b"get x%d\r\nget x%d\r\n" % (i, i))
        talk.say(b"")
        assert eventually(lambda: 100 < in_class(server, "number_warm") <= 4000 * 0.41)
        assert talk.say(b"lru mode flat\r\n") == OK
        assert eventually(lambda: in_class(server, "number_cold") == 4000)
    assert int(server.stats()["lru_maintainer_juggles"]) > 0


def test_short_lives_are_kept_apart(start):
    server = start("-m", "8", "-o", "temporary_ttl=30")
    with server.connect() as talk:
        begin = time.monotonic()
        fill(talk, b"short", 100, 100, exptime=4)
        fill(talk, b"long", 100, 100, exptime=300)
        in_temp, answer, hits = in_class(server, "number_temp"), talk.say(b"get short1\r\n"), in_class(server, "hits_to_temp")
        if time.monotonic() - begin < 2.5:
            assert in_temp == 100 and answer != END and hits == 1
        time.sleep(4)
        assert eventually(lambda: int(server.stats()["curr_items"]) == 100)


def test_a_flat_lru_is_one_list(start):
    server = start("-m", "8", "-o", "no_lru_maintainer")
    with server.connect(timeout=60) as talk:
        fill(talk, b"x", 20_000, 1000)
        assert talk.say(b"get x19999\r\n") != END
        assert talk.say(b"get x0\r\n") == END
    stats = server.stats()
    assert "moves_to_cold" not in stats and int(stats["evictions"]) > 0
    assert not any("number_hot" in k for k in server.stats(b"items"))


def test_the_crawler_takes_out_what_has_expired(start):
    server = start("-m", "16", "-o", "no_lru_maintainer,lru_crawler")
    with server.connect() as talk:
        fill(talk, b"gone", 3000, 100, exptime=1)
        filled = int(server.stats()["time"])
        fill(talk, b"here", 3000, 100)
        assert eventually(lambda: int(server.stats()["time"]) > filled + 1)      # by the server's clock, which may be late
        assert int(server.stats()["curr_items"]) == 6000
        assert talk.say(b"lru_crawler crawl all\r\n") == OK
        assert eventually(lambda: int(server.stats()["curr_items"]) == 3000)
        assert eventually(lambda: server.stats()["lru_crawler_running"] == "0")
    stats = server.stats()
    assert int(stats["crawler_reclaimed"]) == 3000
    assert int(stats["crawler_items_checked"]) == 6000
    assert int(stats["lru_crawler_starts"]) >= 1


def test_a_page_moves_and_takes_nothing_with_it(start):
    """slabs reassign copies the items of the page elsewhere while there is room for them."""
    server = start("-m", "64", "-o", "slab_automove=0")
    per_page = 0
    with server.connect(timeout=60) as talk:
        fill(talk, b"x", 30_000, 200)
        class_ = next(k.split(":")[0] for k, v in server.stats(b"slabs").items() if k.endswith("used_chunks") and int(v) >= 30_000)
        slabs = server.stats(b"slabs")
        per_page = int(slabs[f"{class_}:chunks_per_page"])
        for i in range(0, 30_000, 2):
            talk.send(b"delete x%d noreply\r\n" % i)
        talk.say(b"")
        for n in range(1, 4):
            assert talk.say(b"slabs reassign %s 0\r\n" % class_.encode()) == OK
            assert eventually(lambda: server.stats()["slab_reassign_running"] == "0" and int(server.stats()["slabs_moved"]) >= n)
        after = server.stats(b"slabs")
        assert int(after[f"{class_}:total_pages"]) == int(slabs[f"{class_}:total_pages"]) - 3
        for i in range(1, 30_000, 2):
            talk.send(b"get x%d\r\n" % i)
        want = b"".join(b"VALUE x%d 0 200\r\n%s\r\nEND\r\n" % (i, b"v" * 200) for i in range(1, 30_000, 2))
        assert talk.read(len(want)) == want
    stats = server.stats()
    assert int(stats["evictions"]) == 0
    assert int(stats["slab_global_page_pool"]) == 3
    assert int(stats["slab_reassign_rescues"]) >= per_page


@pytest.mark.ours
def test_below_the_limit_a_page_that_moves_evicts_nothing(start):
    """All chunks of the class are in use: it takes another page rather than an item."""
    server = start("-m", "64", "-o", "slab_automove=0")
    with server.connect() as talk:
        fill(talk, b"x", 20_000, 200)
        fill(talk, b"y", 200, 2000)
        used = {int(k.split(":")[0]): int(v) for k, v in server.stats(b"slabs").items() if k.endswith("used_chunks")}
        class_, other = (sorted(used, key=used.get)[i] for i in (-1, 0))
        for n in range(1, 6):
            assert talk.say(b"slabs reassign %d %d\r\n" % (class_, other)) == OK
            assert eventually(lambda: int(server.stats()["slabs_moved"]) >= n)
        assert all(talk.say(b"get x%d\r\n" % i) != END for i in range(0, 20_000, 7))
    stats = server.stats()
    assert stats["evictions"] == "0" and stats["curr_items"] == "20200"
    assert int(stats["slab_reassign_rescues"]) > 100


@pytest.mark.ours
def test_pieces_of_large_items_move_too(start):
    server = start("-m", "64", "-o", "slab_automove=0")
    rng = random.Random(8)
    large = {b"big%d" % i: rng.randbytes(rng.randrange(40_000, 300_000)) for i in range(60)}
    with server.connect(timeout=60) as talk:
        for key, data in large.items():
            assert talk.say(put(key, data)) == STORED
        for key in list(large)[::2]:
            assert talk.say(b"delete %s\r\n" % key) == b"DELETED\r\n"
            del large[key]
        class_ = max(int(k.split(":")[0]) for k in server.stats(b"slabs") if k.endswith("total_pages"))
        for n in range(1, 30):
            assert talk.say(b"slabs reassign %d 0\r\n" % class_) == OK
            assert eventually(lambda: int(server.stats()["slabs_moved"]) >= n)
        for key, data in large.items():
            assert talk.say(b"get %s\r\n" % key) == b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(data), data)
    stats = server.stats()
    assert int(stats["slab_reassign_chunk_rescues"]) > 10
    assert int(stats["evictions"]) == 0


@pytest.mark.ours
def test_a_page_with_an_answer_on_its_way_moves_when_the_client_has_read(start):
    server = start("-m", "64", "-o", "slab_automove=0")
    data = bytes(range(256)) * 1200
    with server.connect(timeout=60) as talk, server.connect(receive_buffer=4096, timeout=60) as slow:
        for i in range(10):
            assert talk.say(put(b"big%d" % i, data)) == STORED
        slow.send(b"".join(b"get big%d\r\n" % i for i in range(10)))
        time.sleep(0.3)
        class_ = max(int(k.split(":")[0]) for k in server.stats(b"slabs") if k.endswith("total_pages"))
        for i in range(10):
            if i % 2:
                talk.say(b"delete big%d\r\n" % i)
            talk.say(b"slabs reassign %d 0\r\n" % class_)
            time.sleep(0.05)
        want = b"".join(b"VALUE big%d 0 %d\r\n%s\r\nEND\r\n" % (i, len(data), data) for i in range(10))
        got = slow.read(len(want)) if server.name != "image" else None
        assert got is None or got == want
        for i in range(0, 10, 2):
            assert talk.say(b"get big%d\r\n" % i) in (b"VALUE big%d 0 %d\r\n%s\r\nEND\r\n" % (i, len(data), data), END)


@pytest.mark.ours
def test_automove_gives_idle_pages_back_and_busy_classes_more(start):
    server = start("-m", "16", "-o", "slab_automove=1,slab_automove_window=3")
    with server.connect(timeout=60) as talk:
        fill(talk, b"small", 60_000, 100)
        for i in range(60_000):
            talk.send(b"delete small%d noreply\r\n" % i)
        talk.say(b"")
        assert eventually(lambda: int(server.stats()["slab_global_page_pool"]) > 5)


@pytest.mark.ours
def test_a_lower_limit_is_kept_and_a_higher_one_used(start):
    server = start("-m", "32")
    with server.connect(timeout=60) as talk:
        fill(talk, b"x", 30_000, 1000)
        assert int(server.stats()["bytes"]) > 24 << 20
        assert talk.say(b"cache_memlimit 12\r\n") == OK
        assert eventually(lambda: int(server.stats()["bytes"]) < 12 << 20)
        assert int(server.stats()["limit_maxbytes"]) == 12 << 20
        # The youngest stayed.
        assert talk.say(b"get x29999\r\n") != END
        assert talk.say(b"get x0\r\n") == END
        fill(talk, b"y", 10_000, 1000)
        assert int(server.stats()["bytes"]) < 12 << 20
        if server.name == "image":
            return
        assert talk.say(b"cache_memlimit 40\r\n") == OK
        fill(talk, b"z", 36_000, 1000)
        assert int(server.stats()["bytes"]) > 30 << 20
        assert talk.say(b"get z35999\r\n") != END


@pytest.mark.ours
def test_the_table_gets_memory_when_pages_have_it_all(start):
    """Large values fill the cache first; then small ones, a hundred times as many, need more of the table."""
    server = start("-m", "8", "-o", "slab_automove=2")
    with server.connect(timeout=60) as talk:
        fill(talk, b"large", 30, 500_000, step=5)
        before = int(server.stats()["hash_bytes"])

        def grown():
            fill(talk, b"s", 30_000, 20)
            return int(server.stats()["hash_bytes"]) > before + 100_000
        assert eventually(grown)
        assert int(server.stats()["curr_items"]) > 10_000


@pytest.mark.ours
def test_values_in_pieces_of_a_chosen_size(start):
    server = start("-m", "16", "-o", "slab_chunk_max=16")
    rng = random.Random(4)
    with server.connect() as talk:
        for size in [16_000, 16_300, 16_384, 17_000, 40_000, 500_000, 1_000_000]:
            data = rng.randbytes(size)
            assert talk.say(put(b"k", data)) == STORED
            assert talk.say(b"get k\r\n") == b"VALUE k 0 %d\r\n%s\r\n" % (size, data) + END
    sizes = [int(v) for k, v in server.stats(b"slabs").items() if k.endswith("chunk_size")]
    assert max(sizes) == 16 * 1024


@pytest.mark.ours
def test_slab_sizes_as_listed(start):
    server = start("-m", "16", "-o", "slab_sizes=100-200-5000")
    with server.connect() as talk:
        for size in [10, 100, 1000, 10_000, 100_000]:
            assert talk.say(put(b"k%d" % size, b"v" * size)) == STORED
    sizes = {int(v) for k, v in server.stats(b"slabs").items() if k.endswith("chunk_size")}
    assert {104, 200, 5000} <= sizes


@pytest.mark.parametrize("name", ["murmur3", "jenkins", "xxh3"])
def test_every_hash_function_finds_what_was_stored(start, name):
    server = start("-o", f"hash_algorithm={name}")
    assert server.stats(b"settings")["hash_algorithm"] == name
    keys = [b"k" * n for n in range(1, 251)] + [b"key%d" % i for i in range(500)]
    with server.connect() as talk:
        for key in keys:
            assert talk.say(put(key, key[-4:])) == STORED
        for key in keys:
            assert talk.say(b"get %s\r\n" % key) == b"VALUE %s 0 %d\r\n%s\r\n" % (key, len(key[-4:]), key[-4:]) + END


def test_values_stored_over_others_leave_nothing_of_them(start):
    server, last = start(), 0
    stored = [(0, 0, b"a" * 100), (0, 0, b"b" * 100), (7, 0, b"c" * 100), (7, 1000, b"d" * 92), (70000, 0, b"e" * 101),
              (0, 0, b"f" * 5000), (0, 0, b"g" * 5000), (0, 50, b"h"), (0, 0, b"")]
    with server.connect() as talk:
        for flags, exptime, data in stored:
            assert talk.say(b"set k %d %d %d\r\n%s\r\n" % (flags, exptime, len(data), data)) == STORED
            head, _, rest = talk.say(b"gets k\r\n").partition(b"\r\n")
            name, cas = head.rsplit(b" ", 1)
            assert name == b"VALUE k %d %d" % (flags, len(data)) and rest == data + b"\r\n" + END
            assert int(cas) > last
            last, left = int(cas), talk.say(b"mg k t\r\n")
            assert left == b"HD t-1\r\n" if exptime == 0 else exptime - 60 < int(left.split(b"t")[1]) <= exptime
        assert talk.say(b"set k 0 0 3\r\nabcde\r\n").startswith(b"CLIENT_ERROR bad data chunk\r\n")
        assert talk.say(b"get k\r\n") == b"VALUE k 0 0\r\n\r\n" + END
    stats = server.stats()
    assert stats["curr_items"] == "1" and stats["total_items"] == str(len(stored))
    # memcached may not have closed the connection yet, which holds what it last stored
    assert eventually(lambda: sum(int(v) for k, v in server.stats(b"slabs").items() if k.endswith(":used_chunks")) == 1)
    assert in_class(server, "number") == 1


def test_a_value_that_is_being_read_is_not_stored_over(start):
    server, old, new = start(), b"o" * 8000, b"n" * 8000
    with server.connect() as talk, server.connect(receive_buffer=4096, timeout=60) as slow:
        assert talk.say(put(b"k", old)) == STORED
        slow.send(b"get k\r\n" * 200)
        assert eventually(lambda: int(server.stats()["get_hits"]) > 0)
        seen = int(server.stats()["get_hits"])
        for i in range(50):
            assert talk.say(put(b"k", new)) == STORED
        answers = [b"VALUE k 0 8000\r\n%s\r\n" % data + END for data in (old, new)]
        got = [slow.read(len(answers[0])) for i in range(200)]
        assert set(got[:seen]) == {answers[0]} and set(got) <= set(answers)


def test_sizes_are_tracked_on_request(start):
    server = start("-o", "track_sizes")
    with server.connect() as talk:
        for i in range(10):
            assert talk.say(put(b"k%d" % i, b"v" * 300)) == STORED
        sizes = server.stats(b"sizes")
        assert list(sizes.values()) == ["10"] and 320 <= int(next(iter(sizes))) <= 384
        for i in range(10):
            talk.say(b"delete k%d\r\n" % i)
        assert server.stats(b"sizes") == {}


@pytest.mark.ours
def test_an_idle_cache_sleeps(start):
    """The maintainer's passes become rare when nothing happens, and stop while the cache is empty."""
    server = start()
    with server.connect() as talk:
        talk.say(b"get x\r\n")
        time.sleep(2)
        before = int(server.stats()["lru_maintainer_juggles"])
        time.sleep(2)
        assert int(server.stats()["lru_maintainer_juggles"]) - before <= 1
        fill(talk, b"x", 10, 10)
        assert eventually(lambda: int(server.stats()["lru_maintainer_juggles"]) > before + 1)


@pytest.mark.ours
@pytest.mark.parametrize("command, classes", [(b"metadump", b"all"), (b"mgdump", b"all"), (b"metadump", b"hash"), (b"mgdump", b"hash")])
def test_a_dump_shows_what_is_there_all_the_time(start, command, classes):
    """While a slow client reads it, items come and go, move from list to list and from page to page, and the table grows."""
    server = start("-m", "128", "-o", "no_lru_crawler,slab_automove=0")
    if server.name == "image":
        pytest.skip("too much memory for the image")
    rng = random.Random(11)
    with server.connect(timeout=60) as talk, server.connect(receive_buffer=8192, timeout=60) as reader:
        fill(talk, b"stay", 20_000, 50)
        assert talk.say(b"lru_crawler enable\r\n") == OK
        reader.send(b"lru_crawler %s %s\r\n" % (command, classes))
        got, n = bytearray(), 0
        while not got.endswith((b"\nEND\r\n", b"\nEN\r\n")):
            got += reader.socket.recv(16_384)
            assert not got.startswith(b"BUSY")
            talk.send(b"".join(put(b"come%d" % (n + i), b"w" * rng.randrange(1500), 0, b" noreply") for i in range(60)))
            talk.send(b"".join(b"delete come%d noreply\r\n" % rng.randrange(n + 60) for _ in range(20)))
            n += 60
            talk.say(b"slabs reassign -1 3\r\n")
        there = {b"stay%d" % i for i in range(20_000) if talk.say(b"mg stay%d\r\n" % i) == b"HD\r\n"}
    assert len(there) > 19_000          # a page that moves may cost its class some of the oldest
    words = [line.split() for line in bytes(got).splitlines()[:-1]]
    keys = [w[0][4:] if command == b"metadump" else w[1] for w in words]
    stayed = [key for key in keys if key.startswith(b"stay")]
    assert there <= set(stayed)
    if classes == b"hash":
        assert len(stayed) == len(set(stayed))
