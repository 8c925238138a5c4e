"""TLS of the image: certificates from an initial archive, and what tests/memcached/test_tls.py asks of any server."""

import socket
import sys
import time
from pathlib import Path

import kiln
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/memcached"), str(ROOT / "tools/run")]

import archive  # noqa: E402
import servers  # noqa: E402
import test_tls  # noqa: E402
import tls  # noqa: E402
from test_tls import (  # noqa: E402, F401
    test_a_conversation, test_a_handshake_byte_by_byte, test_a_lowest_version,
    test_a_client_that_has_said_all_gets_its_answers, test_a_renegotiation_is_refused,
    test_a_session_is_resumed_where_it_is_asked_for, test_certificates_of_clients, test_clients_that_vanish,
    test_the_answers_of_a_batch_are_one_record, test_the_ciphers_and_groups_of_1_3, test_the_ciphers_of_1_2,
    test_fin_without_close_notify_ends_it_as_well)


class Server(servers.Server):
    """The image with a TLS port. Options name files of the folder that is its archive."""

    host = "127.0.0.1"

    def __init__(self, folder, args, **machine):
        self.initrd = folder / "archive"
        if not self.initrd.exists():
            self.initrd.write_bytes(archive.archive(folder))
        args = [arg.replace(str(folder), "") for arg in args]
        self.image = kiln.Image("memcached_tls", args=args, initrd=str(self.initrd), wait=False, **machine)
        self.image.boot()
        kiln.started.remove(self.image)         # it outlives the test
        self.host, self.port = self.image.host, self.image.port

    def wait(self, pki):
        """User networking accepts before the image listens: until TLS answers. Any alert is an answer, too."""
        deadline = time.monotonic() + kiln.BOOT_SECONDS
        while True:
            try:
                with socket.create_connection((self.host, self.port), timeout=5) as s:
                    s.sendall(test_tls.hello(pki))
                    if s.recv(1):
                        return
            except OSError:
                pass
            assert time.monotonic() < deadline and self.image.is_running(), self.image.console[-3000:]
            time.sleep(0.05)

    def close(self):
        self.image.close()


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return tls.Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def images():
    """One image for each list of options, since most tests leave it as they found it."""
    kept = {}
    yield kept
    for server in kept.values():
        server.close()


@pytest.fixture
def start(images, pki):
    def begin(*args):
        if args not in images:
            for server in images.values():       # few guests at once
                server.close()
            images.clear()
            images[args] = Server(pki.folder, args)
            images[args].wait(pki)
        return images[args]
    return begin


LATE = 5


def settled_errors(server, pki):
    """
    How many connections have failed so far, once those that looked whether it listens are gone. Up to
    LATE more may come: user networking keeps what it could not deliver while the image booted.
    """
    found = -1
    while (now := int(test_tls.stats(server, pki.context())["ssl_handshake_errors"])) != found:
        found = now
        time.sleep(0.5)
    return found


def test_garbage_leaves_nothing_behind(start, pki):
    server = start("-v", *pki.options())
    cases = test_tls.garbage(pki)
    probes = settled_errors(server, pki)
    for data in cases.values():
        test_tls.send_and_drain(server, data)
    with test_tls.talk(server, pki.context()) as t:
        assert t.say(b"version\r\n").startswith(b"VERSION")
    assert int(test_tls.stats(server, pki.context())["ssl_handshake_errors"]) > len(cases) / 2
    assert server.image.console.count("TLS with") <= len(cases) + probes + LATE


def test_handshakes_one_after_the_other_keep_no_memory(start, pki):
    server = start(*pki.options())
    before = settled_errors(server, pki)
    for version in (test_tls.V12, test_tls.V13):
        context = pki.context(version)
        for _ in range(12):
            with test_tls.talk(server, context) as t:
                assert t.say(b"version\r\n").startswith(b"VERSION")
    shown = test_tls.stats(server, pki.context())
    assert int(shown["ssl_handshake_errors"]) <= before + LATE
    assert int(shown["curr_connections"]) <= 2


def test_refresh_certs_reads_the_archive_again(start, pki):
    server = start(*pki.options())
    with test_tls.talk(server, pki.context()) as t:
        assert t.say(b"refresh_certs\r\n") == b"OK\r\n"
    assert test_tls.serial(server, pki)


def test_a_missing_file_is_a_sentence(pki):
    with kiln.Image("memcached_tls", args=["-Z", "-o", "ssl_chain_cert=/none.pem,ssl_key=/none.key"], wait=False) as image:
        image.expect("memcached: TLS (-Z): /none.pem: No such file or directory")


def test_an_image_without_tls_says_so():
    with kiln.Image("memcached", args=["-Z"], wait=False) as image:
        image.expect("memcached: this build has no: TLS (-Z)")
