"""The sections of stats: memcached's names, and numbers that add up."""

import pytest
import servers

SLABS = """chunk_size chunks_per_page total_pages total_chunks used_chunks free_chunks free_chunks_end get_hits cmd_set
           delete_hits incr_hits decr_hits cas_hits cas_badval touch_hits""".split()
ITEMS = """number number_hot number_warm number_cold age_hot age_warm age mem_requested evicted evicted_nonzero evicted_time
           outofmemory tailrepairs reclaimed expired_unfetched evicted_unfetched evicted_active crawler_reclaimed
           crawler_items_checked lrutail_reflocked moves_to_cold moves_to_warm moves_within_lru direct_reclaims hits_to_hot
           hits_to_warm hits_to_cold hits_to_temp""".split()


def lines(server, section):
    answer = server.ask(b"stats %s\r\n" % section).decode().split("\r\n")
    assert answer[-2:] == ["END", ""]
    return [line.split(" ", 2)[1:] for line in answer[:-2]]


@pytest.fixture
def filled(start):
    server = start()
    with server.connect() as talk:
        for i in range(10):
            talk.say(b"set small%d 0 0 10\r\n0123456789\r\n" % i)
        for i in range(5):
            talk.say(b"set large%d 0 0 5000\r\n%s\r\n" % (i, b"x" * 5000))
        talk.say(b"get small1 small2 large1 none\r\ndelete small9\r\ntouch small1 0\r\n")
        talk.say(b"set n 0 0 1\r\n1\r\nincr n 1\r\ndecr n 1\r\ncas n 0 0 1 0\r\n1\r\n")
    return server


def by_class(pairs):
    classes = {}
    for name, value in pairs:
        parts = name.split(":")
        if len(parts) > 1:
            classes.setdefault(int(parts[-2]), {})[parts[-1]] = int(value)
    return classes


def test_slabs(filled):
    pairs = lines(filled, b"slabs")
    classes = by_class(pairs)
    assert len(classes) == 2
    for numbers in classes.values():
        assert list(numbers) == SLABS
        assert numbers["total_chunks"] == numbers["total_pages"] * numbers["chunks_per_page"]
        assert numbers["used_chunks"] + numbers["free_chunks"] == numbers["total_chunks"]
    small, large = (classes[i] for i in sorted(classes))
    assert (small["used_chunks"], large["used_chunks"]) == (10, 5)
    assert (small["cmd_set"], large["cmd_set"]) == (12, 5)
    assert (small["get_hits"], large["get_hits"]) == (2, 1)
    assert [small[k] for k in ("delete_hits", "incr_hits", "decr_hits", "cas_badval", "touch_hits")] == [1] * 5
    totals = dict(pairs)
    assert totals["active_slabs"] == "2" and int(totals["total_malloced"]) > 0


def test_items(filled):
    classes = by_class(lines(filled, b"items"))
    assert all(list(numbers) == ITEMS for numbers in classes.values())
    small, large = (classes[i] for i in sorted(classes))
    assert (small["number"], large["number"]) == (10, 5)
    assert small["number"] == small["number_hot"] + small["number_warm"] + small["number_cold"]
    stats = filled.stats()
    assert small["mem_requested"] + large["mem_requested"] == int(stats["bytes"])
    assert int(stats["curr_items"]) == 15


def test_sums_of_the_classes_are_in_the_general_section(filled):
    stats, classes = filled.stats(), by_class(lines(filled, b"slabs"))
    for name in ("cmd_set", "get_hits", "delete_hits", "incr_hits", "decr_hits", "cas_badval", "touch_hits"):
        assert int(stats[name]) == sum(numbers[name] for numbers in classes.values()), name


def test_reset(filled):
    assert filled.ask(b"stats reset\r\n") == b"RESET\r\n"
    stats = filled.stats()
    assert all(stats[name] == "0" for name in ("cmd_get", "cmd_set", "get_hits", "get_misses", "delete_hits", "cas_badval"))
    assert stats["curr_items"] == "15" and int(stats["curr_connections"]) >= 1


def test_connections(server):
    with server.connect() as other:
        other.say(b"version\r\n")
        port = other.socket.getsockname()[1]
        pairs = lines(server, b"conns")
    facts = {}
    for name, value in pairs:
        facts.setdefault(name.split(":")[0], {})[name.split(":", 1)[1]] = value
    clients = [f for f in facts.values() if "listen_addr" in f]
    assert len(clients) >= 2
    assert all(set(f) == {"addr", "listen_addr", "state", "secs_since_last_cmd"} for f in clients)
    assert all(f["state"].startswith("conn_") and f["addr"].startswith("tcp") for f in clients)
    if server.name != "image":      # whose clients come through QEMU's network
        assert f"tcp:127.0.0.1:{port}" in [f["addr"] for f in clients]


def test_listeners_are_among_the_connections(start):
    server = start("-U", "-1") if start.kind != "image" else start("-U", "11211")
    facts = {}
    for name, value in lines(server, b"conns"):
        facts.setdefault(name.split(":")[0], {})[name.split(":", 1)[1]] = value
    kinds = [(f["state"], *sorted(f)) for f in facts.values() if "listen_addr" not in f]
    assert ("conn_listening", "addr", "secs_since_last_cmd", "state") in kinds
    assert ("conn_read", "UDP", "addr", "secs_since_last_cmd", "state") in kinds
    addresses = {f["addr"] for f in facts.values() if "listen_addr" not in f}
    if server.name != "image":
        assert addresses == {f"tcp:127.0.0.1:{server.port}", f"udp:127.0.0.1:{server.udp_port}"}


def test_sizes_are_not_tracked_unless_asked(server):
    assert lines(server, b"sizes") == [["sizes_status", "disabled"]]


def test_settings_show_what_the_options_said(start):
    server = start("-c", "77", "-m", "8", "-I", "512k", "-C", "-f", "1.5", "-o", "hot_lru_pct=11,temporary_ttl=9")
    settings = dict(lines(server, b"settings"))
    assert settings["maxconns"] == "77" and settings["maxbytes"] == str(8 << 20)
    assert settings["item_size_max"] == str(512 << 10) and settings["cas_enabled"] == "no"
    assert settings["growth_factor"] == "1.50" and settings["evictions"] == "on"
    assert settings["hot_lru_pct"] == "11" and settings["temporary_ttl"] == "9" and settings["temp_lru"] == "yes"


# Debian compiles the proxy in, whose two settings we show and the judge does not.
@pytest.mark.parametrize("section,count", [(b"", 92), (b"settings", 79)])
def test_names_are_memcacheds_own_in_its_order(section, count):
    ours, judge = servers.Native(), servers.Debian()
    try:
        mine, its = [[name for name, *_ in lines(server, section)] for server in (ours, judge)]
    finally:
        ours.close()
        judge.close()
    assert len(mine) == count
    assert [name for name in mine if not name.startswith("proxy_")] == its


def test_defaults_are_memcacheds():
    ours, judge = servers.Native(), servers.Debian()
    try:
        mine, its = [dict(lines(server, b"settings")) for server in (ours, judge)]
    finally:
        ours.close()
        judge.close()
    assert {name: mine[name] for name in its if mine[name] != its[name]}.keys() <= {"tcpport", "hash_algorithm"}
