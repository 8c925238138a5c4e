"""watch, dumps and statistics by prefix: what an operator looks at."""

import re
import socket
import time

import packets
import pytest

ON_THE_IMAGE = True


def watcher(server, *kinds):
    talk = server.connect()
    talk.send(b" ".join([b"watch", *kinds]) + b"\r\n")
    assert talk.read(4) == b"OK\r\n"
    return talk


def raw_lines(talk, enough):
    """What is heard until `enough` says so of it."""
    heard = b""
    while not heard.endswith(b"\n") or not enough(heard):
        heard += talk.socket.recv(65536)
    return heard.decode().splitlines()


def lines_until(talk, mark):
    return [plain(line) for line in raw_lines(talk, lambda heard: mark in heard)]


def plain(line):
    """Without what is different each time, or is each server's own: time, number, descriptor, slab class."""
    line = re.sub(r"^ts=\d+\.\d+ gid=\d+ ", "", line)
    return re.sub(r" (cfd|clsid|rport)=\d+", "", line)


def test_fetchers(server):
    with watcher(server, b"fetchers") as eyes:
        server.ask(b"set w1 0 0 3\r\nabc\r\nget w1 none\r\ntouch w1 0\r\nincr w1 1\r\nget end%01\r\n")
        assert lines_until(eyes, b"key=end") == [
            "type=item_get key=w1 status=not_found size=0", "type=item_get key=w1 status=found size=3",
            "type=item_get key=none status=not_found size=0", "type=item_get key=w1 status=found size=3",
            "type=item_get key=w1 status=found size=3", "type=item_get key=end%2501 status=not_found size=0"]
        server.ask(b"delete w1\r\n")


def test_mutations(server):
    with watcher(server, b"mutations") as eyes:
        with server.connect() as talk:
            talk.say(b"set m1 0 100 3\r\nabc\r\nadd m1 0 0 1\r\nx\r\nreplace m1 0 0 2\r\nxy\r\nappend m1 0 0 1\r\nz\r\n"
                     b"prepend m0 0 0 1\r\nz\r\ncas m1 0 0 1 1\r\nx\r\ncas none 0 0 1 1\r\nx\r\nms m1 2\r\nab\r\nset mend 0 0 2\r\n12\r\n")
        assert lines_until(eyes, b"mend") == [
            "type=item_store key=m1 status=stored cmd=set ttl=100 size=3", "type=item_store key=m1 status=not_stored cmd=add ttl=0 size=1",
            "type=item_store key=m1 status=stored cmd=replace ttl=0 size=2", "type=item_store key=m1 status=stored cmd=append ttl=0 size=3",
            "type=item_store key=m0 status=not_stored cmd=prepend ttl=0 size=1", "type=item_store key=m1 status=exists cmd=cas ttl=0 size=1",
            "type=item_store key=none status=not_found cmd=cas ttl=0 size=1", "type=item_store key=m1 status=stored cmd=set ttl=0 size=2",
            "type=item_store key=mend status=stored cmd=set ttl=0 size=2"]


def test_the_binary_protocol_is_watched_too(server):
    with watcher(server, b"mutations", b"fetchers") as eyes, server.connect() as connection:
        packets.Packets(connection).say(packets.store(packets.SETQ, b"bin", b"12") + packets.request(packets.DELETE, b"bin") +
                                        packets.request(packets.GET, b"bend"))
        assert lines_until(eyes, b"key=bend") == [
            "type=item_get key=bin status=not_found size=0", "type=item_store key=bin status=stored cmd=set ttl=0 size=2",
            "type=item_get key=bin status=found size=2", "type=item_get key=bend status=not_found size=0"]


def test_deletions(server):
    server.ask(b"set d1 0 0 3\r\nabc\r\nset d2 0 0 1\r\nx\r\n")
    with watcher(server, b"deletions") as eyes:
        server.ask(b"delete none\r\ndelete d1\r\nmd d2\r\n")
        assert lines_until(eyes, b"key=d2") == ["type=deleted key=d1 cmd=delete size=3", "type=deleted key=d2 cmd=md size=1"]


def of_the_first_new(lines):
    """The lines of the first connection that is new: memcached may tell late that earlier ones were closed."""
    ports = [re.search(r"type=conn_new .*(rport=\d+)", line) for line in lines]
    port = next((found[1] for found in ports if found), "none is new yet")
    return [line for line in lines if f"{port} " in line]


def came_and_went(heard):
    return any("conn_close" in line for line in of_the_first_new(heard.decode().splitlines()))


def test_connection_events(server):
    with watcher(server, b"connevents") as eyes:
        with server.connect() as talk:
            talk.send(b"quit\r\n")
            talk.read_to_close()
        heard = of_the_first_new(raw_lines(eyes, came_and_went))
    assert [re.sub(r"rip=\S+", "rip", plain(line)) for line in heard] == \
        ["type=conn_new rip transport=tcp", "type=conn_close rip transport=tcp reason=normal"]


def test_evictions(start):
    server = start("-m", "2", "-I", "128k", "-o", "slab_chunk_max=64") if start.kind != "debian" else start("-m", "2")
    with watcher(server, b"evictions") as eyes, server.connect() as talk:
        for i in range(300):
            talk.say(b"set e%d 0 0 20000\r\n%s\r\n" % (i, b"x" * 20000))
        first = lines_until(eyes, b"type=eviction")[0]
    assert re.match(r"type=eviction key=e\d+ fetch=no ttl=-1 la=\d+ size=20000$", first)


ASIDE = "type=item_get key=a status=not_found size=0"


def comes_to(server, counts):
    """Whether as many watchers are left: memcached notices that one has gone when it has something to tell it (ASIDE)."""
    deadline = time.monotonic() + 60
    while server.stats()["log_watchers"] not in counts:
        if time.monotonic() > deadline:
            return False
        server.ask(b"get a\r\n")
    return True


def test_several_kinds_several_watchers_and_their_number(server):
    with watcher(server, b"fetchers", b"deletions") as one, watcher(server) as two, watcher(server, b"sysevents", b"proxyreqs"):
        assert comes_to(server, ("3",))
        server.ask(b"get seen\r\n")
        for eyes in (one, two):
            heard = [line for line in lines_until(eyes, b"seen") if line != ASIDE]  # of another thread, so late perhaps
            assert heard == ["type=item_get key=seen status=not_found size=0"]
    assert comes_to(server, ("0", "1", "2"))


@pytest.mark.parametrize("kind", [b"rawcmds", b"proxyreqs", b"proxyevents", b"proxyuser"])
def test_kinds_that_nothing_happens_of(server, kind):
    with watcher(server, kind) as eyes, watcher(server) as all_is_said:
        server.ask(b"set quiet 0 0 1\r\nx\r\nget quiet\r\n")
        lines_until(all_is_said, b"key=quiet status=found")
        eyes.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            eyes.read(1)


def test_what_the_crawler_found_is_an_event_of_the_system(start):
    server = start("-o", "lru_crawler")
    with watcher(server, b"sysevents") as eyes, server.connect() as talk:
        talk.say(b"".join(b"set c%d 0 %d 1\r\nx\r\n" % (i, 0 if i % 2 else 1000) for i in range(100)))
        dump_begins(talk, b"lru_crawler crawl all\r\n")
        told = re.compile(r"type=lru_crawler crawler=\d+ lru=(hot|warm|cold|temp) low_mark=(\d+) next_reclaims=(\d+) since_run=\d+ "
                          r"next_run=(\d+) elapsed=\d+ examined=(\d+) reclaimed=(\d+)")
        facts = told.fullmatch(lines_until(eyes, b"type=lru_crawler")[0])
    assert facts and int(facts[5]) <= 100 and facts[6] == "0"


def test_a_page_that_automove_moves_is_an_event_of_the_system(start):
    server = start("-m", "16", "-o", "slab_automove=1,slab_automove_window=3")
    with watcher(server, b"sysevents") as eyes, server.connect() as talk:
        for begin in range(0, 60_000, 1000):
            talk.say(b"".join(b"set small%d 0 0 100 noreply\r\n%s\r\n" % (i, b"v" * 100) for i in range(begin, begin + 1000)))
        talk.say(b"flush_all\r\n")
        for begin in range(0, 60_000, 1000):
            talk.say(b"".join(b"delete small%d noreply\r\n" % i for i in range(begin, begin + 1000)))
        moved = [line for line in lines_until(eyes, b"type=slab_move") if "slab_move" in line]
    assert re.fullmatch(r"type=slab_move src=\d+ dst=\d+ state=(ok|fail)", moved[0])


def test_what_cannot_be_watched(server):
    assert server.ask(b"watch everything\r\n") == b"ERROR\r\n"


def test_watching_may_be_forbidden(start):
    assert start("-W").ask(b"watch\r\n") == b"CLIENT_ERROR watch commands not allowed\r\n"


@pytest.mark.ours
def test_a_watcher_who_does_not_read_misses_lines_and_is_told(start):
    server = start("-o", "watcher_logbuf_size=16")
    eyes = server.connect(receive_buffer=4096)
    eyes.send(b"watch fetchers\r\n")
    assert eyes.read(4) == b"OK\r\n"
    with server.connect() as talk:
        for _ in range(300):
            talk.say(b"get " + b" ".join([b"k" * 200] * 100) + b"\r\n")
            if int(server.stats()["log_watcher_skipped"]) > 0:
                break
    assert int(server.stats()["log_watcher_skipped"]) > 0
    eyes.socket.settimeout(2)
    heard = b""
    with server.connect() as talk:
        while b"skipped=" not in heard:
            talk.say(b"get after\r\n")
            try:
                heard = (heard + eyes.socket.recv(1 << 20))[-2000:] if b"skipped=" not in heard else heard
            except socket.timeout:
                pass
    assert re.search(rb"\nskipped=\d+\nts=", heard)
    eyes.socket.close()


# ---- dumps ----

@pytest.fixture
def filled(start):
    server = start()
    server.ask(b"".join(b"set key%d %d 0 3\r\nabc\r\n" % (i, i) for i in range(100)) + b"set with%20 0 1000 1\r\nx\r\nms AAEC S1 b\r\nx\r\n")
    return server


def dump_begins(talk, command):
    """Asks until no other crawl is on its way; returns how the answer begins."""
    for _ in range(500):
        talk.send(command)
        heard = talk.read(4)
        if heard != b"BUSY":
            return heard
        talk.read_until(b"\r\n")
        time.sleep(0.02)
    raise AssertionError("always busy")


def dumped(server, command, end):
    with server.connect() as talk:
        return (dump_begins(talk, command + b"\r\n") + talk.read_until(end))[:-len(end)]


@pytest.mark.parametrize("classes", [b"all", b"hash"])
def test_metadump(filled, classes):
    lines = dumped(filled, b"lru_crawler metadump " + classes, b"END\r\n").decode().splitlines()
    facts = {line.split()[0][4:]: dict(word.split("=") for word in line.split()) for line in lines}
    assert len(facts) >= 101 and {f"key{i}" for i in range(100)} <= set(facts)
    assert list(facts["key7"]) == "key exp la cas fetch cls size flags".split()
    assert facts["key7"]["exp"] == "-1" and facts["key7"]["fetch"] == "no" and facts["key7"]["flags"] == "7"
    assert int(facts["with%2520"]["exp"]) - int(facts["with%2520"]["la"]) in (999, 1000, 1001)


def test_mgdump(filled):
    lines = dumped(filled, b"lru_crawler mgdump all", b"EN\r\n").split(b"\r\n")
    assert {b"mg key%d" % i for i in range(100)} <= set(lines)


def test_commands_go_on_behind_a_dump(filled):
    with filled.connect() as talk:
        dump_begins(talk, b"lru_crawler metadump all\r\n")
        talk.read_until(b"END\r\n")
        assert talk.say(b"get key1\r\n") == b"VALUE key1 1 3\r\nabc\r\nEND\r\n"


def test_dumps_may_be_forbidden_or_name_no_class(start):
    server = start("-X")
    assert server.ask(b"lru_crawler metadump all\r\n") == b"ERROR metadump not allowed\r\n"
    assert server.ask(b"lru_crawler mgdump all\r\n") == b"ERROR key dump not allowed\r\n"
    assert server.ask(b"stats cachedump 1 0\r\n") == b"CLIENT_ERROR stats cachedump not allowed\r\n"
    assert server.ask(b"stats detail on\r\n") == b"CLIENT_ERROR stats detail not allowed\r\n"
    assert start().ask(b"lru_crawler metadump 9999\r\n") == b"BADCLASS invalid class id\r\n"


@pytest.mark.ours
def test_a_large_dump_waits_for_its_reader_and_others_do_not(start):
    server = start()
    with server.connect() as talk:
        for at in range(0, 20000, 500):
            talk.say(b"".join(b"set %s%d 0 0 1 noreply\r\nx\r\n" % (b"k" * 100, i) for i in range(at, at + 500)))
    with server.connect(receive_buffer=4096) as slow:
        dump_begins(slow, b"lru_crawler metadump all\r\n")
        slow.send(b"get none\r\n")
        assert server.ask(b"get none\r\n") == b"END\r\n"
        assert server.ask(b"lru_crawler metadump all\r\n").startswith(b"BUSY")
        heard = slow.read_until(b"END\r\nEND\r\n")
    assert heard.count(b"\n") >= 20000
    with server.connect(receive_buffer=4096) as gone:
        dump_begins(gone, b"lru_crawler metadump all\r\n")
    assert dumped(server, b"lru_crawler metadump hash", b"END\r\n").count(b"\n") == 20000


# ---- stats detail, stats cachedump, stats kiln ----

def test_stats_detail(start):
    server = start("-D", "/")
    server.ask(b"set user/1 0 0 1\r\nx\r\nget user/1 user/2 none\r\ndelete user/1\r\nset page/1 0 0 1\r\nx\r\ngets user/1\r\ngat 0 user/1\r\n")
    said = server.ask(b"stats detail dump\r\n").decode().splitlines()
    assert sorted(said[:-1]) == ["PREFIX page get 0 hit 0 set 1 del 0", "PREFIX user get 4 hit 1 set 1 del 1"] and said[-1] == "END"
    assert server.ask(b"stats detail off\r\n") == b"OK\r\n"
    server.ask(b"get user/1\r\n")
    assert b"PREFIX user get 4 " in server.ask(b"stats detail dump\r\n")
    server.ask(b"stats reset\r\n")
    assert server.ask(b"stats detail dump\r\n") == b"END\r\n"
    usage = b"CLIENT_ERROR usage: stats detail on|off|dump\r\n"
    assert server.ask(b"stats detail\r\n") == usage and server.ask(b"stats detail what\r\n") == usage
    assert server.ask(b"stats detail on\r\nget a/b\r\nstats detail dump\r\n").endswith(b"PREFIX a get 1 hit 0 set 0 del 0\r\nEND\r\n")


def test_stats_cachedump_refuses(start):
    server = start()
    assert server.ask(b"stats cachedump\r\n") == b"CLIENT_ERROR bad command line\r\n"
    assert server.ask(b"stats cachedump x 1\r\n") == b"CLIENT_ERROR bad command line format\r\n"
    assert server.ask(b"stats cachedump 64 1\r\n") == b"CLIENT_ERROR Illegal slab id\r\n"
    assert server.ask(b"stats cachedump 1 1\r\n") == b"END\r\n"


@pytest.mark.ours          # memcached shows the items of its cold list alone
def test_stats_cachedump(start):
    server = start()
    server.ask(b"set short 0 0 5\r\n12345\r\nset second 0 0 5\r\n12345\r\n")
    slab = next(name.split(":")[0] for name in server.stats(b"slabs") if ":" in name)
    assert server.ask(b"stats cachedump %s 0\r\n" % slab.encode()) == b"ITEM short [5 b; 0 s]\r\nITEM second [5 b; 0 s]\r\nEND\r\n"
    assert server.ask(b"stats cachedump %s 1\r\n" % slab.encode()) == b"ITEM short [5 b; 0 s]\r\nEND\r\n"


@pytest.mark.ours
def test_stats_kiln_counts_copies_of_values(start):
    server = start()
    with server.connect() as talk:
        talk.say(b"set small 0 0 100\r\n%s\r\nset large 0 0 100000\r\n%s\r\n" % (b"x" * 100, b"x" * 100000))
        before = server.stats(b"kiln")
        talk.say(b"get small\r\n")
        small = server.stats(b"kiln")
        talk.say(b"get large\r\n")
        large = server.stats(b"kiln")
    copied = [int(numbers["value_bytes_copied"]) for numbers in (before, small, large)]
    assert [copied[1] - copied[0], copied[2] - copied[1]] == [102, 0]
    assert int(large["wakeups"]) > int(before["wakeups"]) and int(large["memory_free"]) > 0
    assert list(large) == ("wakeups batches packets_in packets_out datagrams_in datagrams_out notifications interrupts input_bytes_copied "
                           "output_bytes_copied value_bytes_copied memory_total memory_free").split()
