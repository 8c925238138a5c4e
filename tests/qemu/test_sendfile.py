"""Files sent by sendfile(): by reference, to readers that are slow, and while they are cut (apps/abitest/serve.c)."""

import hashlib
import os
import random

import pytest

import archive                   # tools/run, which kiln.py makes known
import machine
from kiln import Image, eventually, read_exactly

PAGE = 4096
DATA = random.Random(4).randbytes(3 * (1 << 20) + 256 * PAGE)
DISK = random.Random(5).randbytes(6 << 20)


@pytest.fixture(scope="module", params=[1, 4], ids=["1 hart", "4 harts"])
def server(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    (folder / "files").mkdir()
    for name in ("whole", "cut"):
        (folder / "files" / name).write_bytes(DATA)
    (folder / "initrd").write_bytes(archive.archive(folder / "files"))
    (folder / "disk").write_bytes(DISK)
    with Image("abitest", args=["serve"], harts=request.param, mem="96M", guest_port=8080, wait=False,
               initrd=folder / "initrd", disks=[machine.Disk(folder / "disk", read_only=True)]) as image:
        image.expect("serving")
        yield image


def ask(server, line, **options):
    s = server.connect(timeout=60, **options)
    s.sendall(line.encode() + b"\n")
    return s


def read_all(s):
    parts = []
    while data := s.recv(1 << 16):
        parts.append(data)
    return b"".join(parts)


@pytest.mark.parametrize("path, expected", [("/whole", DATA), ("/dev/vda", DISK)], ids=["tmpfs", "disk"])
def test_a_file_is_sent_without_a_copy(server, path, expected):
    before = server.counters()
    with ask(server, f"get {path}") as s:
        got = read_all(s)
    after = server.counters()
    assert hashlib.sha256(got).digest() == hashlib.sha256(expected).digest()
    assert after["socket_bytes_lent"] - before["socket_bytes_lent"] == len(expected)
    assert after["socket_bytes_copied"] == before["socket_bytes_copied"]


def test_slow_readers_get_every_byte(server):
    readers = [ask(server, f"get {path}", receive_buffer=8192) for path in ("/whole", "/dev/vda")]
    for s, expected in zip(readers, (DATA, DISK)):
        assert read_exactly(s, 100000) == expected[:100000]
    for s, expected in zip(reversed(readers), (DISK, DATA)):
        assert hashlib.sha256(read_all(s)).digest() == hashlib.sha256(expected[100000:]).digest()
        s.close()


def test_readers_that_go_away_leave_nothing_behind(server):
    for _ in range(20):
        with ask(server, "get /whole", receive_buffer=8192) as s:
            read_exactly(s, 1000)
    with ask(server, "get /whole") as s:
        assert read_all(s) == DATA


def test_a_file_that_is_cut_meanwhile_shows_its_own_bytes_and_no_others(server):
    cut = 64 * PAGE
    with ask(server, "get /cut", receive_buffer=8192) as s:
        got = read_exactly(s, PAGE)
        with ask(server, f"cut /cut {cut}") as other:
            assert read_all(other) == b"done"
        with ask(server, "get /whole") as other:     # takes memory, and would take the pages that were cut
            assert read_all(other) == DATA
        got += read_all(s)
    assert len(got) >= cut and got == DATA[:len(got)]
    assert eventually(lambda: len(read_all(ask(server, "get /cut"))) == cut)


def test_a_file_that_is_not_there_is_an_empty_answer(server):
    with ask(server, f"get /none-{os.getpid()}") as s:
        assert read_all(s) == b""
