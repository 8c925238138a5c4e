"""TLS: what a client sees with -Z, in both versions, with good and bad certificates, and what it may do wrong."""

import concurrent.futures
import random
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest
import tls
from servers import ROOT, SECONDS

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [V12, V13])


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return tls.Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def plain_port(start, pki):
    """Starts a server with a TLS port and a plain one; its port_of(n) gives them in the order of -l."""
    def begin(*args, name="server", more=""):
        return start(*args, *pki.options(name, more), "-l", "notls:127.0.0.2")
    return begin


def ports(server):
    return [int(line.split()[-1]) for line in (Path(server.folder) / "ports").read_text().splitlines()]


def talk(server, context, **more):
    return tls.Talk(server.host, server.port, context, **more)


def stats(server, context):
    with talk(server, context) as t:
        text = t.say(b"stats\r\n").decode()
    return dict(line.split(" ", 2)[1:] for line in text.splitlines() if line.startswith("STAT "))


def put(key, value):
    return b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value)


# ---- conversations ----

@VERSIONS
@pytest.mark.parametrize("name", ["server", "rsa", "chained"])
def test_a_conversation(start, pki, version, name):
    server = start(*pki.options(name))
    with talk(server, pki.context(version)) as t:
        assert t.socket.version() == {V12: "TLSv1.2", V13: "TLSv1.3"}[version]
        assert t.say(put(b"a", b"hello") + b"get a\r\n") == b"STORED\r\nVALUE a 0 5\r\nhello\r\nEND\r\n"
        large = random.Random(1).randbytes((1 << 20) - 1000)
        assert t.say(put(b"large", large)) == b"STORED\r\n"
        assert t.say(b"get a large\r\n" * 3) == (
            b"VALUE a 0 5\r\nhello\r\nVALUE large 0 %d\r\n%s\r\nEND\r\n" % (len(large), large)) * 3
        assert t.say(b"get a\r\n" * 2000) == b"VALUE a 0 5\r\nhello\r\nEND\r\n" * 2000
        t.send(b"quit\r\n")
        assert t.read_to_close() == b""


@pytest.mark.parametrize("name,cipher", [
    (name, f"ECDHE-{kind}-{cipher}") for name, kind in (("server", "ECDSA"), ("rsa", "RSA"))
    for cipher in ("CHACHA20-POLY1305", "AES128-GCM-SHA256", "AES256-GCM-SHA384")])
def test_the_ciphers_of_1_2(start, pki, name, cipher):
    server = start(*pki.options(name))
    with talk(server, pki.context(V12, ciphers=cipher)) as t:
        assert t.socket.cipher()[0] == cipher
        assert t.say(put(b"a", b"x" * 40000) + b"get a\r\n").endswith(b"x" * 40000 + b"\r\nEND\r\n")


@pytest.mark.parametrize("cipher", ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"])
@pytest.mark.parametrize("group", ["X25519", "P-256", "P-384"])
def test_the_ciphers_and_groups_of_1_3(start, pki, cipher, group):
    server = start(*pki.options())
    done = subprocess.run(
        ["openssl", "s_client", "-tls1_3", "-ciphersuites", cipher, "-groups", group, "-CAfile", pki.path("ca.pem"),
         "-verify_return_error", "-connect", f"{server.host}:{server.port}"],
        input=b"version\nquit\n", capture_output=True, timeout=SECONDS)
    assert f"Cipher is {cipher}".encode() in done.stdout


@pytest.mark.ours
def test_the_cipher_that_the_server_likes_best_is_taken(start, pki):
    server = start(*pki.options())
    for version in (V12, V13):
        with talk(server, pki.context(version)) as t:
            assert "CHACHA20" in t.socket.cipher()[0]
    server = start(*pki.options(more="ssl_ciphers=TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"))
    for version in (V12, V13):
        with talk(server, pki.context(version)) as t:
            assert "AES" in t.socket.cipher()[0] and "128" in t.socket.cipher()[0]


def test_a_list_of_ciphers_is_kept_to(start, pki):
    server = start(*pki.options(more="ssl_ciphers=ECDHE-ECDSA-AES256-GCM-SHA384"))
    with talk(server, pki.context(V12)) as t:
        assert t.socket.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    with pytest.raises(ssl.SSLError):
        talk(server, pki.context(V12, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"))


def test_without_forward_secrecy_there_is_nothing(start, pki):
    server = start(*pki.options("rsa", more="ssl_ciphers=ECDHE-RSA-AES128-GCM-SHA256"))
    for cipher in ("AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA"):
        with pytest.raises(ssl.SSLError):
            talk(server, pki.context(V12, ciphers=cipher))


def test_a_lowest_version(start, pki):
    server = start(*pki.options(more="ssl_min_version=3"))
    with pytest.raises(ssl.SSLError):
        talk(server, pki.context(V12))
    with talk(server, pki.context(V13)) as t:
        assert t.say(b"version\r\n").startswith(b"VERSION")


@pytest.mark.ours
@VERSIONS
def test_the_answers_of_a_batch_are_one_record(start, pki, version):
    server = start(*pki.options())
    with tls.Wire(server, pki.context(version)) as wire:
        wire.handshake()
        wire.socket.sendall(wire.seal(put(b"a", b"v" * 100) + b"mn\r\n"))
        wire.read_until(b"MN\r\n")
        wire.raw.clear()
        wire.socket.sendall(wire.seal(b"get a\r\n" * 16 + b"mn\r\n"))
        wire.read_until(b"MN\r\n")
        assert len(tls.records(wire.raw)) == 1


# ---- certificates ----

@pytest.mark.ours
@VERSIONS
@pytest.mark.parametrize("name,ca,said", [("expired", "ca", "expired"), ("server", "other_ca", "unable to get local issuer")])
def test_a_client_that_does_not_trust_us_goes_away(plain_port, pki, version, name, ca, said):
    server = plain_port("-v", name=name)
    with pytest.raises(ssl.SSLCertVerificationError, match=said):
        talk(tls_end(server), pki.context(version, ca=ca))
    wait_for(lambda: server_stats(server)["ssl_handshake_errors"] == "1")
    assert server.log.count("TLS with") <= 1


def tls_end(server):
    class End:
        host, port = "127.0.0.1", ports(server)[0]
    return End


def server_stats(server):
    with socket.create_connection(("127.0.0.2", ports(server)[1]), timeout=SECONDS) as s:
        s.sendall(b"stats\r\n")
        text = b""
        while not text.endswith(b"END\r\n"):
            text += s.recv(1 << 16)
    return dict(line.split(" ", 2)[1:] for line in text.decode().splitlines() if line.startswith("STAT "))


def wait_for(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_let_in(server, context):
    """In TLS 1.3 a client learns that its certificate was refused when it reads."""
    try:
        with talk(server, context) as t:
            return t.say(b"version\r\n").startswith(b"VERSION")
    except (OSError, AssertionError):
        return False


@VERSIONS
@pytest.mark.parametrize("mode,nobody,stranger", [(0, True, True), (1, True, False), (2, False, False), (3, False, False)])
def test_certificates_of_clients(start, pki, version, mode, nobody, stranger):
    server = start(*pki.options(more=f"ssl_verify_mode={mode},ssl_ca_cert={pki.path('ca.pem')}"))
    assert is_let_in(server, pki.context(version)) == nobody
    assert is_let_in(server, pki.context(version, cert="client"))
    assert is_let_in(server, pki.context(version, cert="stranger")) == stranger
    assert is_let_in(server, pki.context(version, cert="expired")) == (mode == 0)


def test_a_required_certificate_without_a_ca_lets_nobody_in(start, pki):
    server = start(*pki.options(more="ssl_verify_mode=2"))
    assert not is_let_in(server, pki.context(V12))
    assert not is_let_in(server, pki.context(V12, cert="client"))


def test_addresses_with_rules_of_their_own(start, pki):
    server = start(*pki.options(more=f"ssl_verify_mode=2,ssl_ca_cert={pki.path('ca.pem')}"),
                   "-l", "notls:127.0.0.2,btls:127.0.0.3,mtls:127.0.0.4")
    addresses = [f"127.0.0.{i + 1}" for i in range(4)]
    let_in = {}
    for host, port in zip(addresses, ports(server)):
        class End:
            pass
        End.host, End.port = host, port
        let_in[host] = (is_let_in(End, pki.context()), is_let_in(End, pki.context(cert="client")))
    assert let_in == {"127.0.0.1": (False, True), "127.0.0.2": (False, False), "127.0.0.3": (True, True),
                      "127.0.0.4": (False, True)}
    assert server_stats(server)["pid"]


@pytest.mark.parametrize("context_of", [{}, {"cert": "client"}])
def test_a_session_is_resumed_where_it_is_asked_for(start, pki, context_of):
    more = f"ssl_session_cache,ssl_verify_mode=1,ssl_ca_cert={pki.path('ca.pem')}"
    server = start(*pki.options(more=more))
    for version in (V12, V13):
        context = pki.context(version, **context_of)
        with talk(server, context) as t:
            t.say(b"version\r\n")
            session = t.socket.session
        with talk(server, context, session=session) as t:
            assert t.say(b"version\r\n").startswith(b"VERSION")
            assert t.socket.session_reused
    assert int(stats(server, pki.context())["ssl_new_sessions"]) >= 2


@pytest.mark.ours
def test_a_session_is_not_resumed_where_more_is_asked_or_after_a_refresh(start, pki):
    server = start(*pki.options(more=f"ssl_session_cache,ssl_ca_cert={pki.path('ca.pem')}"), "-l", "mtls:127.0.0.1")
    one, two = ports(server)
    context = pki.context(V12)
    with tls.Talk("127.0.0.1", one, context) as t:
        session = t.socket.session
        assert t.say(b"refresh_certs\r\n") == b"OK\r\n"
    with pytest.raises(ssl.SSLError):
        tls.Talk("127.0.0.1", two, context, session=session)
    with tls.Talk("127.0.0.1", one, context, session=session) as t:
        assert not t.socket.session_reused


# ---- refresh_certs ----

def serial(server, pki):
    with talk(server, pki.context()) as t:
        return t.socket.getpeercert()["serialNumber"]


@pytest.fixture
def own_pki(pki, tmp_path):
    """The same certificates in a folder where they may be changed."""
    for file in pki.folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    copy = object.__new__(tls.Pki)
    copy.folder = tmp_path
    return copy


def test_certificates_are_refreshed(start, own_pki):
    server = start(*own_pki.options())
    before = serial(server, own_pki)
    with talk(server, own_pki.context()) as old:
        own_pki.sign("server", "ca")
        assert serial(server, own_pki) == before
        assert old.say(b"refresh_certs\r\n") == b"OK\r\n"
        assert serial(server, own_pki) != before
        assert old.say(put(b"a", b"old")) == b"STORED\r\n"
    assert int(stats(server, own_pki.context())["time_since_server_cert_refresh"]) < 20


@pytest.mark.parametrize("file,content", [("server.pem", "nonsense\n"), ("server.key", "nonsense\n"), ("server.key", None)])
def test_a_refresh_that_fails_changes_nothing(start, own_pki, file, content):
    server = start(*own_pki.options())
    before = serial(server, own_pki)
    if content is None:
        own_pki.sign("server2", "ca")
        content = (own_pki.folder / "server2.key").read_text()
    (own_pki.folder / file).write_text(content)
    with talk(server, own_pki.context()) as t:
        answer = t.say(b"refresh_certs\r\n")
        assert answer.startswith(b"Error ") and answer.count(b"\r\n") == 1
    assert serial(server, own_pki) == before


@pytest.mark.ours
def test_a_refresh_without_tls(start):
    assert start().ask(b"refresh_certs\r\n") == b"Error TLS not enabled\r\n"


def test_refreshing_under_load(start, own_pki):
    server = start(*own_pki.options())
    context, done = own_pki.context(), threading.Event()

    def client(number):
        rounds = 0
        while not done.is_set() or rounds < 3:
            with talk(server, context) as t:
                key = b"k%d" % number
                for _ in range(20):
                    assert t.say(put(key, b"v" * 3000) + b"get " + key + b"\r\n").endswith(b"v\r\nEND\r\n")
            rounds += 1
        return rounds

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(client, n) for n in range(4)]
        with talk(server, context) as t:
            for _ in range(25):
                assert t.say(b"refresh_certs\r\n") == b"OK\r\n"
        done.set()
        assert sum(c.result(60) for c in clients) >= 12


# ---- what clients may do wrong ----

def hello(pki, version=None):
    """The ClientHello of a real client."""
    out = ssl.MemoryBIO()
    try:
        pki.context(version).wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def garbage(pki):
    first = hello(pki)
    dice = random.Random(7)
    return {
        "plain text": b"get a\r\nstats\r\n",
        "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "zeros": bytes(2000),
        "noise": dice.randbytes(5000),
        "a record too long": struct.pack(">BHH", 22, 0x0303, 0xffff) + bytes(70000),
        "empty records": struct.pack(">BHH", 22, 0x0301, 0) * 500,
        "an alert": struct.pack(">BHHBB", 21, 0x0303, 2, 2, 40),
        "alerts that are no error": struct.pack(">BHHBB", 21, 0x0303, 2, 1, 90) * 1000,
        "application data": struct.pack(">BHH", 23, 0x0303, 30) + bytes(30),
        "the hello twice": first + first,
        "a hello and noise": first + dice.randbytes(3000),
        "a hello with a wrong length": first[:6] + b"\xff\xff\xff" + first[9:] + bytes(100),
        "SSL 2": b"\x80\x2e\x01\x00\x02" + bytes(41),
        **{f"a hello damaged at {i}": first[:i] + bytes([first[i] ^ 0xff]) + first[i + 1:]
           for i in sorted(dice.sample(range(1, len(first)), 25))},
    }


def send_and_drain(server, data):
    """Sends, ends, and reads until the server has closed."""
    with socket.create_connection((server.host, server.port), timeout=SECONDS) as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while s.recv(1 << 16):
                pass
        except OSError:
            pass


@pytest.mark.ours
def test_garbage_is_answered_with_the_end(plain_port, pki):
    server = plain_port("-v")
    end = tls_end(server)
    cases = garbage(pki)
    for data in cases.values():
        send_and_drain(end, data)
    wait_for(lambda: server_stats(server)["curr_connections"] in ("1", "3"))
    assert server.log.count("TLS with") <= len(cases)
    assert int(server_stats(server)["ssl_handshake_errors"]) > len(cases) / 2
    with talk(end, pki.context()) as t:
        assert t.say(b"version\r\n").startswith(b"VERSION")


def test_a_hello_cut_short_at_any_byte(plain_port, pki):
    server = plain_port()
    first = hello(pki, V12)
    for i in range(0, len(first), 7):
        send_and_drain(tls_end(server), first[:i])
    with talk(tls_end(server), pki.context()) as t:
        assert t.say(b"version\r\n").startswith(b"VERSION")


@VERSIONS
def test_a_handshake_byte_by_byte(start, pki, version):
    server = start(*pki.options())
    with tls.Wire(server, pki.context(version)) as wire:
        def push():
            for byte in wire.outgoing.read():
                wire.socket.sendall(bytes([byte]))
        wire.push = push
        wire.handshake()
        wire.tls.write(b"mn\r\n")
        assert wire.read_until(b"\r\n") == b"MN\r\n"


@VERSIONS
@pytest.mark.parametrize("what", ["damaged", "noise", "plain", "too long", "tiny"])
def test_records_that_are_wrong_after_the_handshake(plain_port, pki, version, what):
    server = plain_port("-v")
    with tls.Wire(tls_end(server), pki.context(version)) as wire:
        wire.handshake()
        wire.tls.write(b"mn\r\n")
        assert wire.read_until(b"\r\n") == b"MN\r\n"
        good = wire.seal(b"get a\r\n")
        wire.socket.sendall({
            "damaged": good[:-1] + bytes([good[-1] ^ 1]),
            "noise": random.Random(3).randbytes(4000),
            "plain": b"get a\r\n" * 100,
            "too long": struct.pack(">BHH", 23, 0x0303, 0x4900) + bytes(0x4900),
            "tiny": struct.pack(">BHH", 23, 0x0303, 1) * 2000,
        }[what])
        wire.socket.settimeout(SECONDS)
        try:
            while wire.socket.recv(1 << 16):
                pass
        except ConnectionError:
            pass
    wait_for(lambda: server_stats(server)["ssl_proto_errors"] == "1")
    assert server.log.count("TLS with") <= 1


def openssl_client(end, version, then):
    """What openssl s_client shows when it types `then` (R: renegotiate, K: update keys) after a first answer."""
    with subprocess.Popen(["openssl", "s_client", version, "-connect", f"{end.host}:{end.port}"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        client.stdin.write(b"version\n")
        client.stdin.flush()
        seen = b""
        while b"VERSION" not in seen:
            seen += client.stdout.read1(4096)
        client.stdin.write(then)
        client.stdin.flush()
        return seen + client.stdout.read()


def test_a_renegotiation_is_refused(start, pki):
    server = start(*pki.options())
    seen = openssl_client(server, "-tls1_2", b"R\n")
    assert b"no renegotiation" in seen
    with talk(server, pki.context()) as t:
        assert t.say(b"version\r\n").startswith(b"VERSION")


@pytest.mark.ours         # OpenSSL answers it; Mbed TLS does not know it
def test_a_key_update_ends_the_connection(plain_port, pki):
    server = plain_port("-v")
    end = tls_end(server)
    seen = openssl_client(end, "-tls1_3", b"K\nversion\n")
    assert b"KEYUPDATE" in seen
    wait_for(lambda: server_stats(server)["ssl_proto_errors"] == "1")
    with talk(end, pki.context()) as t:
        assert t.say(b"version\r\n").startswith(b"VERSION")


def test_tls_to_the_plain_port(plain_port, pki):
    server = plain_port()

    class End:
        host, port = "127.0.0.2", ports(server)[1]
    with pytest.raises((ssl.SSLError, OSError)):
        tls.Talk(End.host, End.port, pki.context(), timeout=1)
    assert server_stats(server)["pid"]


@pytest.mark.ours
def test_a_handshake_has_ten_seconds(plain_port, pki):
    server = plain_port("-v")
    first = hello(pki)
    began = time.monotonic()
    sockets = [socket.create_connection(("127.0.0.1", ports(server)[0]), timeout=SECONDS) for _ in range(20)]
    for i, s in enumerate(sockets):
        s.sendall(first[:i * 7])
    with talk(tls_end(server), pki.context()) as t:         # the slow ones hold nobody up
        assert t.say(b"version\r\n").startswith(b"VERSION")
    for s in sockets:
        try:
            assert s.recv(1) == b""
        except ConnectionError:
            pass
        s.close()
    assert time.monotonic() - began > 9
    wait_for(lambda: server.log.count("it took too long") == 20)


# ---- ends ----

@VERSIONS
def test_a_client_that_has_said_all_gets_its_answers(start, pki, version):
    server = start(*pki.options())
    with tls.Wire(server, pki.context(version)) as wire:
        wire.handshake()
        sent = wire.seal(put(b"a", b"x" * 100000) + b"get a\r\n")
        with pytest.raises(ssl.SSLWantReadError):
            wire.tls.unwrap()                                # close_notify behind the request
        wire.socket.sendall(sent + wire.outgoing.read())
        got = bytearray()
        with pytest.raises(EOFError):
            while True:
                wire.pull()
        try:
            while piece := wire.tls.read(1 << 16):
                got += piece
        except ssl.SSLZeroReturnError:
            pass                                             # close_notify of the server
        assert bytes(got) == b"STORED\r\nVALUE a 0 100000\r\n" + b"x" * 100000 + b"\r\nEND\r\n"


@pytest.mark.ours
def test_fin_without_close_notify_ends_it_as_well(start, pki):
    server = start(*pki.options())
    with tls.Wire(server, pki.context()) as wire:
        wire.handshake()
        wire.socket.sendall(wire.seal(b"mn\r\n"))
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.read_until(b"\r\n") == b"MN\r\n"
        with pytest.raises(EOFError):
            while True:
                wire.pull()


def test_clients_that_vanish(start, pki):
    server = start(*pki.options())
    for linger in range(30):
        with tls.Wire(server, pki.context()) as wire:
            wire.handshake()
            wire.socket.sendall(wire.seal(put(b"a", b"x" * 300000) + b"get a\r\n" * linger))
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_for(lambda: int(stats(server, pki.context())["curr_connections"]) <= 3)


# ---- many, and slow ones ----

def test_many_connections(start, pki):
    server = start(*pki.options())
    context = pki.context()
    talks = []
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        talks = list(pool.map(lambda _: talk(server, context), range(150)))
    for i, t in enumerate(talks):
        t.send(put(b"key%d" % i, b"value%d" % i) + b"get key%d\r\n" % i)
    for i, t in enumerate(talks):
        assert t.read_until(b"END\r\n").endswith(b"\r\nvalue%d\r\nEND\r\n" % i)
    for t in talks:
        t.socket.close()
    wait_for(lambda: int(stats(server, context)["curr_connections"]) <= 3)


@pytest.mark.ours
def test_a_slow_reader_stops_only_itself(start, pki):
    server = start(*pki.options(), "-m", "64")
    context = pki.context()
    value = random.Random(5).randbytes(1000000)
    with talk(server, context, receive_buffer=4096) as slow, talk(server, context) as other:
        assert slow.say(put(b"large", value)) == b"STORED\r\n"
        resident = server.resident_kib()
        slow.send(b"get large\r\n" * 60)
        for _ in range(50):
            assert other.say(b"get none\r\n") == b"END\r\n"
        assert server.resident_kib() - resident < 20000
        for _ in range(60):
            assert slow.read(len(value) + 30) == b"VALUE large 0 1000000\r\n" + value + b"\r\nEND\r\n"
        assert slow.say(b"get none\r\n") == b"END\r\n"


# ---- options and statistics ----

def test_the_statistics_of_tls(start, pki):
    server = start(*pki.options(more="ssl_session_cache,ssl_verify_mode=2,ssl_wbuf_size=8,"
                                     f"ssl_min_version=3,ssl_ca_cert={pki.path('ca.pem')}"))
    with talk(server, pki.context(cert="client")) as t:
        shown = t.say(b"stats settings\r\n").decode()
        general = re.findall(r"STAT (\S+)", t.say(b"stats\r\n").decode())
    settings = dict(re.findall(r"STAT (ssl_\S+) (.*)\r", shown))
    assert settings == {
        "ssl_enabled": "yes", "ssl_chain_cert": pki.path("server.pem"), "ssl_key": pki.path("server.key"),
        "ssl_verify_mode": "3", "ssl_keyformat": "1", "ssl_ciphers": "NULL", "ssl_ca_cert": pki.path("ca.pem"),
        "ssl_wbuf_size": "8192", "ssl_session_cache": "yes", "ssl_kernel_tls": "no", "ssl_min_version": "tlsv1.3"}
    at = general.index("ssl_new_sessions")
    assert general[at:at + 5] == ["ssl_new_sessions", "ssl_handshake_errors", "ssl_proto_errors",
                                  "time_since_server_cert_refresh", "unexpected_napi_ids"]


@pytest.mark.parametrize("options,said", [
    ("ssl_key=/nowhere", "-Z needs"),
    ("ssl_chain_cert=/nowhere,ssl_key={key}", "/nowhere: No such file"),
    ("ssl_chain_cert={key},ssl_key={key}", "no certificate in it"),
    ("ssl_chain_cert={cert},ssl_key={cert}", "no private key in it"),
    ("ssl_chain_cert={cert},ssl_key={other}", "does not belong"),
    ("ssl_chain_cert={cert},ssl_key={key},ssl_ca_cert={key}", "the CA certificate"),
    ("ssl_chain_cert={cert},ssl_key={key},ssl_ciphers=RC4-MD5", 'none of "RC4-MD5" is known'),
    ("ssl_chain_cert={cert},ssl_key={key},ssl_verify_mode=4", "0 to 3"),
    ("ssl_chain_cert={cert},ssl_key={key},ssl_keyformat=2", "only PEM"),
    ("ssl_chain_cert", "missing value"),
])
def test_a_wrong_option_is_named(pki, options, said):
    subprocess.run(["make", "-s", "native"], cwd=ROOT, check=True)
    names = {"cert": pki.path("server.pem"), "key": pki.path("server.key"), "other": pki.path("client.key")}
    done = subprocess.run([ROOT / "build/native/memcached-asan", "-Z", "-o", options.format(**names)],
                          capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 64
    assert said in done.stderr and done.stderr.count("\n") == 1
