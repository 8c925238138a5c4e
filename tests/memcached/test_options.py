"""The command line of the program: memcached's own, with a sentence for every mistake."""

import socket
import struct
import subprocess

import pytest
from packets import NOOP, Packets, answer, request
from servers import ROOT, Talk

PROGRAM = ROOT / "build/native/memcached-asan"


@pytest.fixture(scope="module", autouse=True)
def built():
    subprocess.run(["make", "-s", "native"], cwd=ROOT, check=True)


def run(*args):
    done = subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("args,named", [
    (["-Q"], "-Q"), (["--nonsense"], "--nonsense"), (["extra"], "extra"), (["-o", "nonsense=1"], "nonsense"), (["-o", "idle_timeout=x"], "x"),
    (["-p", "x"], '"x"'), (["-p", "70000"], "70000"), (["-m", "many"], '"many"'), (["-m"], "-m"), (["-I", "10"], "10"),
    (["-I", "2g"], "2g"), (["-I", "40m"], "-I"), (["-o", "slab_chunk_max=16", "-I", "1000000"], "multiple"),
    (["-o", "hashpower=5"], "12 to 32"), (["-o", "hashpower"], "hashpower"), (["-o", "hash_algorithm=md5"], "md5"),
    (["-o", "slab_automove=3"], "0 to 2"), (["-o", "hot_lru_pct=50,warm_lru_pct=50"], "80"), (["-o", "ext_path=/x:1g"], "ext_path"),
    (["-o", "temporary_ttl=5,no_lru_maintainer"], "lru_maintainer"), (["-o", "slab_automove_ratio=0"], "slab_automove_ratio"),
    (["-o", "hot_max_factor=-1"], "hot_max_factor"), (["-D", ""], "-D"), (["-U", "x"], '"x"'), (["-f", "1"], "1"), (["-t", "0"], "0"), (["-c", "0"], "0"), (["-n", "0"], "0"),
    (["-B", "morse"], "morse"), (["-Z"], "-Z"), (["-Y", "file", "-U", "5"], "-Y"), (["-Y", "file", "-B", "auto"], "-B"), (["--port"], "--port"),
])
def test_a_mistake_is_named(args, named):
    code, _, said = run(*args)
    assert code == 64
    assert named in said and said.startswith("memcached: ") and said.count("\n") == 1


def test_help_version_and_licence():
    assert run("-V") == (0, "memcached 1.6.38\n", "")
    assert run("--version")[1].startswith("memcached 1.6")
    code, said, _ = run("-h")
    assert code == 0 and "-m, --memory-limit" in said
    assert run("-i")[0] == 0


@pytest.mark.ours
def test_a_port_in_use_is_a_clear_sentence(start):
    server = start()
    code, _, said = run("-p", str(server.port), "-l", "127.0.0.1")
    assert code == 1
    assert f"failed to listen on TCP port {server.port}" in said


@pytest.mark.ours
def test_what_needs_a_unix_process_has_no_effect_and_says_so(start):
    server = start("-d", "-P", "/nowhere/pid", "-r", "-k", "-S", "-v", "-L", "-o", "modern,ext_item_age=5")
    for option in ("-d", "-P", "-r", "-k", "-S", "-L", "modern", "ext_item_age"):
        assert f"option {option} has no effect" in server.log
    assert server.ask(b"version\r\n").startswith(b"VERSION")


@pytest.mark.ours
def test_what_is_not_served_is_said(start):
    assert "-t 8: one thread serves all the same" in start("-t", "8").log


@pytest.mark.ours
def test_options_change_what_they_say(start):
    server = start("-C", "-F", "-A", "-I", "2k", "-m", "8")
    with server.connect() as talk:
        assert talk.say(b"set a 0 0 1\r\nx\r\ngets a\r\n") == b"STORED\r\nVALUE a 0 1 0\r\nx\r\nEND\r\n"
        assert talk.say(b"flush_all\r\n") == b"CLIENT_ERROR flush_all not allowed\r\n"
        assert talk.say(b"set a 0 0 2048\r\n%s\r\n" % (b"x" * 2048)) == b"SERVER_ERROR object too large for cache\r\n"
        assert server.stats()["limit_maxbytes"] == str(8 << 20)
        assert talk.say(b"shutdown never\r\n") == b"CLIENT_ERROR invalid shutdown mode\r\n"
        talk.send(b"shutdown\r\n")
        assert talk.read_to_close() == b""
    assert server.process.wait(60) == 0


def test_one_protocol_only(start):
    ascii_only = start("-B", "ascii")
    with ascii_only.connect() as talk:
        assert talk.say(b"\x80\0\0\r\n") == b"ERROR\r\n"
    binary_only = start("-B", "binary")
    with binary_only.connect() as connection:
        assert Packets(connection).say(request(NOOP)) == [answer(NOOP)]
    with binary_only.connect() as connection:
        connection.send(b"version\r\n".ljust(24))
        assert connection.read_to_close() == b""


@pytest.mark.ours
def test_the_udp_port_is_told_and_stands_in_for_the_tcp_port(start):
    server = start("-U", "-1")
    assert server.udp_port > 0 and server.udp_port != server.port


def test_several_addresses_with_and_without_ports(start):
    server = start("-l", "127.0.0.2,127.0.0.1:0", "-l", "127.0.0.3")
    for host in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
        ports = [int(line.split()[-1]) for line in server.ports]
        assert len(ports) == 4
        assert any(answers(host, port) for port in ports)


def answers(host, port):
    try:
        with Talk(host, port) as talk:
            return talk.say(b"version\r\n").startswith(b"VERSION")
    except ConnectionRefusedError:
        return False


def test_after_so_many_requests_others_have_their_turn(start):
    """-R: a long pipeline stops every few requests, and loses none."""
    server = start("-R", "5", "-t", "1")
    with server.connect() as talk:
        talk.say(b"set a 0 0 1\r\nx\r\n")
        before = int(server.stats()["conn_yields"])
        assert talk.say(b"get a\r\n" * 1000) == b"VALUE a 0 1\r\nx\r\nEND\r\n" * 1000
        assert int(server.stats()["conn_yields"]) - before >= 100
        assert talk.say(b"set b 0 0 3 noreply\r\nabc\r\n" * 50 + b"get b\r\n") == b"VALUE b 0 3\r\nabc\r\nEND\r\n"
        assert talk.say(b"stats reset\r\n") == b"RESET\r\n"
        assert server.stats()["conn_yields"] == "0"


def test_clients_that_vanish_while_others_have_their_turn(start):
    server = start("-R", "1", "-t", "1")
    for i in range(50):
        talk = server.connect()
        talk.send(b"get a\r\n" * (100 + i))
        talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        talk.socket.close()
    with server.connect() as talk:
        assert talk.say(b"get a\r\n" * 100) == b"END\r\n" * 100


@pytest.mark.ours
def test_without_maxconns_fast_who_comes_late_waits(start):
    server = start("-c", "2", "-o", "no_maxconns_fast")
    with server.connect() as one, server.connect() as two, server.connect() as late:
        assert one.say(b"version\r\n") and two.say(b"version\r\n")
        late.send(b"mn\r\n")
        late.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.read(1)
        assert b"STAT accepting_conns 0\r\nSTAT listen_disabled_num 1\r\n" in one.say(b"stats\r\n")
        two.socket.close()
        late.socket.settimeout(60)
        assert late.read(4) == b"MN\r\n"
