"""Commands that memcached has not."""

import pytest

pytestmark = pytest.mark.ours
ON_THE_IMAGE = True

DELTA = b"CLIENT_ERROR invalid numeric delta argument\r\n"
NON_NUMERIC = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
FORMAT = b"CLIENT_ERROR bad command line format\r\n"
ERROR, NOT_FOUND = b"ERROR\r\n", b"NOT_FOUND\r\n"


def put(key, data):
    return b"set %s 0 0 %d\r\n%s\r\n" % (key, len(data), data)


@pytest.mark.parametrize("said,answer", [
    (put(b"n", b"10") + b"mult n 2\r\n", b"20\r\n"), (put(b"n", b"11") + b"div n 2\r\n", b"5\r\n"),
    (put(b"n", b"11") + b"div n 12\r\nget n\r\n", b"0\r\nVALUE n 0 2\r\n0 \r\nEND\r\n"),
    (put(b"n", b"9") + b"mult n 111\r\nget n\r\n", b"999\r\nVALUE n 0 3\r\n999\r\nEND\r\n"),
    (put(b"n", b"18446744073709551615") + b"mult n 2\r\n", b"18446744073709551614\r\n"),
    (put(b"n", b"7") + b"mult n 0\r\n", b"0\r\n"), (put(b"n", b"7") + b"div n 0\r\nget n\r\n", DELTA + b"VALUE n 0 1\r\n7\r\nEND\r\n"),
    (put(b"n", b"7") + b"div n x\r\nmult n -1\r\n", DELTA * 2), (put(b"n", b"x") + b"mult n 2\r\ndiv n 2\r\n", NON_NUMERIC * 2),
    (b"delete n\r\nmult n 2\r\ndiv n 2\r\n", NOT_FOUND * 2), (b"mult n\r\ndiv\r\nmult n 1 2 3\r\n", ERROR * 3),
    (put(b"n", b"8") + b"mult n 2 noreply\r\ndiv n 4 noreply\r\nget n\r\n", b"VALUE n 0 2\r\n4 \r\nEND\r\n"),
    (b"mult " + b"k" * 251 + b" 1\r\n", FORMAT),
])
def test_mult_and_div(server, said, answer):
    heard = server.ask(b"set n 0 0 1\r\n0\r\n" + said)
    assert heard.removeprefix(b"STORED\r\n").removeprefix(b"DELETED\r\n").removeprefix(b"STORED\r\n") == answer
