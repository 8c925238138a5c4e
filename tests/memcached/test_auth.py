"""Clients that must show who they are (-Y)."""

import signal
import time

import pytest
from servers import SECONDS

UNAUTHENTICATED = b"CLIENT_ERROR unauthenticated\r\n"
FAILURE = b"CLIENT_ERROR authentication failure\r\n"
STORED = b"STORED\r\n"


def login(words):
    return b"set any 0 0 %d\r\n%s\r\n" % (len(words), words)


@pytest.fixture
def users(tmp_path):
    file = tmp_path / "users"
    file.write_bytes(b"ann:secret\nbob:pass:word\r\nempty:\n")
    file.parent.chmod(0o755)
    return file


def test_nobody_unknown_is_served(start, users):
    server = start("-Y", str(users))
    with server.connect() as talk:
        for said in (b"get a\r\n", b"version\r\n", b"nonsense\r\n", b"\r\n", b"set a 0 0\r\n", b"set a 0 0 x\r\n", b"mn\r\n", b"\x80\0\n"):
            talk.send(said)
            assert talk.read(len(UNAUTHENTICATED)) == UNAUTHENTICATED, said
        for words in (b"ann wrong", b"nobody secret", b"ann secre", b"ann secrets", b"bob pass", b"secret ann"):
            talk.send(login(words))
            assert talk.read(len(FAILURE)) == FAILURE, words
        for words, answer in ((b"ann", b"CLIENT_ERROR bad authentication token format\r\n"),
                              (b"", b"CLIENT_ERROR bad authentication token format\r\n")):
            talk.send(login(words))
            assert talk.read(len(answer)) == answer


@pytest.mark.ours       # memcached says only the second when both are due at once
def test_a_login_longer_than_announced_is_two_errors(start, users):
    with start("-Y", str(users)).connect() as talk:
        talk.send(b"set a 0 0 3\r\nann secret\r\n")
        answer = b"CLIENT_ERROR bad command line termination\r\n" + UNAUTHENTICATED
        assert talk.read(len(answer)) == answer


@pytest.mark.parametrize("words", [b"ann secret", b"bob pass:word", b"  ann   secret  more"])
def test_the_known_are_served(start, users, words):
    server = start("-Y", str(users))
    with server.connect() as talk:
        talk.send(login(words) + b"set a 0 0 1\r\nx\r\nget a\r\n")
        expected = STORED * 2 + b"VALUE a 0 1\r\nx\r\nEND\r\n"
        assert talk.read(len(expected)) == expected
        talk.send(b"stats\r\n")
        stats = talk.read_until(b"END\r\n")
        assert b"STAT auth_cmds 1\r\n" in stats and b"STAT auth_errors 0\r\n" in stats
    with server.connect() as other:
        other.send(b"get a\r\n")
        assert other.read(len(UNAUTHENTICATED)) == UNAUTHENTICATED


def test_a_login_may_arrive_in_pieces(start, users):
    with start("-Y", str(users)).connect() as talk:
        for byte in login(b"ann secret"):
            talk.send(bytes([byte]))
        assert talk.read(len(STORED)) == STORED


def test_the_file_is_read_again_after_sighup(start, users):
    server = start("-Y", str(users))
    users.write_bytes(b"carl:new\n")
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with server.connect() as talk:
            talk.send(login(b"carl new"))
            if talk.read(len(STORED)) == STORED:
                break
        time.sleep(0.1)
    with server.connect() as talk:
        talk.send(login(b"ann secret"))
        assert talk.read(len(FAILURE)) == FAILURE


def test_a_file_that_is_none_is_an_error(tmp_path, start):
    (tmp_path / "broken").write_bytes(b"no colon here\n")
    for file in ("broken", "missing"):
        with pytest.raises(AssertionError):
            start("-Y", str(tmp_path / file))
