"""Every command, and every answer that it can give, word for word.

A conversation is a list of pairs: what the client says, and everything that the server answers.
"""

import pytest

ON_THE_IMAGE = True

LONG = b"k" * 250
TOO_LONG = b"k" * 251
FORMAT = b"CLIENT_ERROR bad command line format\r\n"
USAGE = b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"
EXPTIME = b"CLIENT_ERROR invalid exptime argument\r\n"
DELTA = b"CLIENT_ERROR invalid numeric delta argument\r\n"
NON_NUMERIC = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
CHUNK = b"CLIENT_ERROR bad data chunk\r\n"
TOO_LARGE = b"SERVER_ERROR object too large for cache\r\n"
ERROR, END, OK = b"ERROR\r\n", b"END\r\n", b"OK\r\n"
STORED, NOT_STORED, EXISTS = b"STORED\r\n", b"NOT_STORED\r\n", b"EXISTS\r\n"
NOT_FOUND, DELETED, TOUCHED = b"NOT_FOUND\r\n", b"DELETED\r\n", b"TOUCHED\r\n"


def value(key, data, flags=0):
    return b"VALUE %s %d %d\r\n%s\r\n" % (key, flags, len(data), data)


def put(key, data, flags=0, exptime=0):
    return b"set %s %d %d %d\r\n%s\r\n" % (key, flags, exptime, len(data), data)


CONVERSATIONS = {
    "a value that was set is found": [
        (b"set a 5 0 3\r\nabc\r\n", STORED),
        (b"get a\r\n", value(b"a", b"abc", 5) + END),
    ],
    "a key that nobody set is not found": [(b"get nothing\r\n", END), (b"gets nothing\r\n", END)],
    "several keys in one get, the missing ones left out": [
        (put(b"a", b"1"), STORED), (put(b"b", b"22"), STORED),
        (b"get a none b a\r\n", value(b"a", b"1") + value(b"b", b"22") + value(b"a", b"1") + END),
    ],
    "fifty keys in one get": [
        (b"".join(put(b"k%d" % i, b"v%d" % i) for i in range(50)), STORED * 50),
        (b"get " + b" ".join(b"k%d" % i for i in range(50)) + b"\r\n",
         b"".join(value(b"k%d" % i, b"v%d" % i) for i in range(50)) + END),
    ],
    "values of all lengths": [turn for n in (1, 9, 10, 99, 100, 102, 999, 1000, 12345) for turn in (
        (b"set a 0 0 %d\r\n%s\r\n" % (n, b"v" * n), STORED), (b"get a\r\n", value(b"a", b"v" * n) + END))],
    "lengths with zeros before them": [
        (b"set a 0 0 003\r\nabc\r\n", STORED), (b"set a 0 0 0004\r\nabcd\r\n", STORED), (b"get a\r\n", value(b"a", b"abcd") + END)],
    "an empty value": [(b"set a 0 0 0\r\n\r\n", STORED), (b"get a\r\n", value(b"a", b"") + END)],
    "a value may hold any bytes": [
        (put(b"a", b"\r\n\0END\r\n\xff"), STORED), (b"get a\r\n", value(b"a", b"\r\n\0END\r\n\xff") + END),
    ],
    "flags have 32 bits": [
        (b"set a 4294967295 0 1\r\nx\r\n", STORED), (b"get a\r\n", value(b"a", b"x", 4294967295) + END),
        (b"set a -1 0 1\r\n", FORMAT), (b"set a x 0 1\r\n", FORMAT),
    ],
    "lines may end with LF alone": [
        (b"set a 0 0 1\nx\r\n", STORED), (b"get a\n", value(b"a", b"x") + END), (b"delete a\n", DELETED),
    ],
    "blanks between words do not matter": [
        (b"  set  a  0 0   1  \r\nx\r\n", STORED), (b" get   a \r\n", value(b"a", b"x") + END),
    ],
    "a key of 250 bytes is the longest": [
        (put(LONG, b"x"), STORED), (b"get " + LONG + b"\r\n", value(LONG, b"x") + END),
        (b"get " + TOO_LONG + b"\r\n", FORMAT), (b"gets a " + TOO_LONG + b"\r\n", FORMAT),
        (b"set " + TOO_LONG + b" 0 0 1\r\n", FORMAT),
        (b"delete " + TOO_LONG + b"\r\n", FORMAT), (b"touch " + TOO_LONG + b" 0\r\n", FORMAT),
        (b"incr " + TOO_LONG + b" 1\r\n", FORMAT), (b"decr " + TOO_LONG + b" 1\r\n", FORMAT),
    ],
    "nonsense is an error": [
        (b"nonsense\r\n", ERROR), (b"\r\n", ERROR), (b"\n", ERROR), (b" \r\n", ERROR), (b"g\r\n", ERROR),
        (b"GET a\r\n", ERROR), (b"getx a\r\n", ERROR), (b"sets a\r\n", ERROR), (b"deletes a\r\n", ERROR),
        (b"\0\r\n", ERROR), (b"mq\r\n", ERROR), (b"xget a\r\n", ERROR), (b"tou a 1\r\n", ERROR),
    ],
    "commands without their words are errors": [
        (b"get\r\n", ERROR), (b"gets\r\n", ERROR), (b"set\r\n", ERROR), (b"set a 0 0\r\n", ERROR),
        (b"set a 0 0 1 noreply more\r\n", ERROR), (b"cas a 0 0 1\r\n", ERROR), (b"delete\r\n", ERROR),
        (b"incr a\r\n", ERROR), (b"incr\r\n", ERROR), (b"decr a\r\n", ERROR), (b"touch a\r\n", ERROR),
        (b"touch\r\n", ERROR), (b"verbosity\r\n", ERROR), (b"add a\r\n", ERROR), (b"append\r\n", ERROR),
        (b"replace a 0 0\r\n", ERROR), (b"prepend a 0 0\r\n", ERROR), (b"incr a 1 2 3\r\n", ERROR),
        (b"touch a 1 2 3\r\n", ERROR), (b"flush_all 1 2 3\r\n", ERROR), (b"verbosity 1 2 3\r\n", ERROR),
    ],
    "set refuses what is no number": [
        (b"set a 0 0 x\r\n", FORMAT), (b"set a 0 x 1\r\n", FORMAT), (b"set a 0 0 -1\r\n", FORMAT),
        (b"set a 0 0 1x\r\n", FORMAT), (b"set a 0 0 99999999999999999999\r\n", FORMAT),
        (b"cas a 0 0 1 x\r\n", FORMAT), (b"cas a 0 0 1 -5\r\n", FORMAT), (b"get a\r\n", END),
    ],
    "add stores only what is not there": [
        (b"add a 0 0 1\r\n1\r\n", STORED), (b"add a 0 0 1\r\n2\r\n", NOT_STORED),
        (b"get a\r\n", value(b"a", b"1") + END),
    ],
    "replace stores only what is there": [
        (b"replace a 0 0 1\r\n1\r\n", NOT_STORED), (b"get a\r\n", END), (put(b"a", b"1"), STORED),
        (b"replace a 3 0 1\r\n2\r\n", STORED), (b"get a\r\n", value(b"a", b"2", 3) + END),
    ],
    "append and prepend keep the flags": [
        (b"append a 0 0 1\r\nx\r\n", NOT_STORED), (b"prepend a 0 0 1\r\nx\r\n", NOT_STORED),
        (put(b"a", b"mid", 7), STORED), (b"append a 1 0 4\r\n-end\r\n", STORED),
        (b"prepend a 2 0 6\r\nbegin-\r\n", STORED), (b"get a\r\n", value(b"a", b"begin-mid-end", 7) + END),
        (b"append a 0 0 0\r\n\r\n", STORED), (b"get a\r\n", value(b"a", b"begin-mid-end", 7) + END),
    ],
    "cas stores what nobody changed meanwhile": [
        (b"cas a 0 0 1 1\r\nx\r\n", NOT_FOUND), (put(b"a", b"1"), STORED),
        (b"cas a 0 0 1 18446744073709551615\r\nx\r\n", EXISTS), (b"cas a 0 0 1 0\r\nx\r\n", EXISTS),
        (b"get a\r\n", value(b"a", b"1") + END),
    ],
    "delete": [
        (put(b"a", b"1"), STORED), (b"delete a\r\n", DELETED), (b"get a\r\n", END), (b"delete a\r\n", NOT_FOUND),
        (put(b"a", b"1"), STORED), (b"delete a 0\r\n", DELETED), (b"delete a 0\r\n", NOT_FOUND),
        (b"delete a 1\r\n", USAGE), (b"delete a 0 1\r\n", USAGE), (b"delete a x noreply\r\n", b""),
        (b"delete a 0 noreply x\r\n", ERROR),
    ],
    "incr and decr": [
        (b"incr n 1\r\n", NOT_FOUND), (b"decr n 1\r\n", NOT_FOUND), (put(b"n", b"5"), STORED),
        (b"incr n 7\r\n", b"12\r\n"), (b"decr n 2\r\n", b"10\r\n"), (b"get n\r\n", value(b"n", b"10") + END),
        (b"incr n 0\r\n", b"10\r\n"), (b"incr n +5\r\n", b"15\r\n"),
    ],
    "a number that gets shorter keeps its length with blanks": [
        (put(b"n", b"100"), STORED), (b"decr n 1\r\n", b"99\r\n"), (b"get n\r\n", value(b"n", b"99 ") + END),
        (b"incr n 1\r\n", b"100\r\n"), (b"get n\r\n", value(b"n", b"100") + END),
        (b"incr n 900\r\n", b"1000\r\n"), (b"get n\r\n", value(b"n", b"1000") + END),
    ],
    "incr wraps, decr stops at 0": [
        (put(b"n", b"18446744073709551615"), STORED), (b"incr n 1\r\n", b"0\r\n"),
        (b"get n\r\n", value(b"n", b"0".ljust(20)) + END), (b"decr n 1\r\n", b"0\r\n"),
        (b"incr n 18446744073709551615\r\n", b"18446744073709551615\r\n"), (b"incr n 6\r\n", b"5\r\n"),
        (b"decr n 6\r\n", b"0\r\n"),
    ],
    "incr keeps the flags": [
        (put(b"n", b"9", 33), STORED), (b"incr n 1\r\n", b"10\r\n"), (b"get n\r\n", value(b"n", b"10", 33) + END),
    ],
    "only numbers count": [
        (put(b"n", b"text"), STORED), (b"incr n 1\r\n", NON_NUMERIC), (b"decr n 1\r\n", NON_NUMERIC),
        (put(b"n", b""), STORED), (b"incr n 1\r\n", NON_NUMERIC), (put(b"n", b"12x"), STORED),
        (b"incr n 1\r\n", NON_NUMERIC), (put(b"n", b"-5"), STORED), (b"incr n 1\r\n", NON_NUMERIC),
        (put(b"n", b"18446744073709551616"), STORED), (b"incr n 1\r\n", NON_NUMERIC),
        (put(b"n", b"7 apples"), STORED), (b"incr n 1\r\n", b"8\r\n"),
    ],
    "only numbers are added": [
        (put(b"n", b"1"), STORED), (b"incr n x\r\n", DELTA), (b"incr n -1\r\n", DELTA), (b"decr n 1x\r\n", DELTA),
        (b"incr n 18446744073709551616\r\n", DELTA), (b"incr missing x\r\n", DELTA),
    ],
    "touch and gat": [
        (b"touch a 0\r\n", NOT_FOUND), (put(b"a", b"1"), STORED), (b"touch a 100\r\n", TOUCHED),
        (b"touch a x\r\n", EXPTIME), (b"gat 100 a\r\n", value(b"a", b"1") + END), (b"gat 0 a none\r\n", value(b"a", b"1") + END),
        (b"gat x a\r\n", EXPTIME), (b"gat 10\r\n", END), (b"gat\r\n", ERROR), (b"gats\r\n", ERROR),
        (b"touch a -1\r\n", TOUCHED), (b"get a\r\n", END),
        (put(b"a", b"1"), STORED), (b"gat -1 a\r\n", value(b"a", b"1") + END), (b"get a\r\n", END),
    ],
    "expiry in the past is at once": [
        (b"set a 0 -1 1\r\nx\r\n", STORED), (b"get a\r\n", END), (b"add a 0 0 1\r\ny\r\n", STORED),
        (b"set a 0 2592001 1\r\nx\r\n", STORED), (b"get a\r\n", END),
        (b"set a 0 2592000 1\r\nx\r\n", STORED), (b"get a\r\n", value(b"a", b"x") + END),
        (b"set a 0 2147483000 1\r\nz\r\n", STORED), (b"get a\r\n", value(b"a", b"z") + END),
        (b"set n 0 -1 1\r\n1\r\n", STORED), (b"incr n 1\r\n", NOT_FOUND), (b"append n 0 0 1\r\n1\r\n", NOT_STORED),
        (b"set n 0 -1 1\r\n1\r\n", STORED), (b"delete n\r\n", NOT_FOUND), (b"touch n 0\r\n", NOT_FOUND),
    ],
    "flush_all": [
        (put(b"a", b"1"), STORED), (b"flush_all\r\n", OK), (b"get a\r\n", END), (b"flush_all x\r\n", EXPTIME),
        (put(b"a", b"1"), STORED), (b"flush_all 0\r\n", OK), (b"get a\r\n", END), (b"flush_all noreply\r\n", b""),
        (put(b"a", b"1"), STORED), (b"flush_all 1000\r\n", OK), (b"get a\r\n", value(b"a", b"1") + END),
        (b"flush_all 1000 noreply\r\n", b""), (b"flush_all x noreply\r\n", b""), (b"flush_all 0\r\n", OK),
    ],
    "noreply is silent about everything": [
        (b"set a 0 0 1 noreply\r\n1\r\n", b""), (b"get a\r\n", value(b"a", b"1") + END),
        (b"add a 0 0 1 noreply\r\n2\r\n", b""), (b"replace none 0 0 1 noreply\r\n2\r\n", b""),
        (b"append a 0 0 1 noreply\r\n2\r\n", b""), (b"prepend a 0 0 1 noreply\r\n0\r\n", b""),
        (b"get a\r\n", value(b"a", b"012") + END), (b"cas a 0 0 1 1 noreply\r\n2\r\n", b""),
        (b"incr a 1 noreply\r\n", b""), (b"decr a 1 noreply\r\n", b""), (b"incr none 1 noreply\r\n", b""),
        (b"touch a 0 noreply\r\n", b""), (b"delete a noreply\r\n", b""), (b"delete a 0 noreply\r\n", b""),
        (b"get a\r\n", END), (b"verbosity 0 noreply\r\n", b""), (b"set a 0 0 x noreply\r\n", b""),
        (b"incr a x noreply\r\n", b""), (b"set a 0 0 1 noreply\r\nxyz\r\n", ERROR),
        (b"get a\r\n", END),
    ],
    "verbosity": [
        (b"verbosity 1\r\n", OK), (b"verbosity 0\r\n", OK), (b"verbosity x\r\n", FORMAT), (b"verbosity -1\r\n", FORMAT),
        (b"verbosity 0 0\r\n", OK),
    ],
    "a value longer than announced is a bad chunk, its rest is a command": [
        (b"set a 0 0 1\r\n12345\r\n", CHUNK + ERROR), (b"get a\r\n", END),
        (put(b"a", b"old"), STORED), (b"set a 0 0 1\r\n12\r\n\r\n", CHUNK + ERROR + ERROR),
        (b"get a\r\n", value(b"a", b"old") + END),
    ],
    "a value shorter than announced takes what follows": [
        (b"set a 0 0 5\r\nabc\r\nversion\r\n", CHUNK + ERROR),
    ],
    "stats of what is not there": [(b"stats nothing\r\n", ERROR), (b"stats reset\r\n", b"RESET\r\n")],
    "shutdown is not enabled": [(b"shutdown\r\n", b"ERROR: shutdown not enabled\r\n")],
    "a command ends at a NUL": [(b"get\0 a\r\n", ERROR), (put(b"a", b"x"), STORED), (b"get a\0 b\r\n", value(b"a", b"x") + END)],
    "control characters are part of a key": [
        (put(b"a\x01\tb", b"x"), STORED), (b"get a\x01\tb\r\n", value(b"a\x01\tb", b"x") + END),
    ],
    "a CR inside a line is part of a word": [
        (b"get a\rb\r\n", END), (b"get a\r\r\n", END),
    ],
    "numbers may have signs and zeros before them": [
        (b"set a +1 +0 +1\r\nx\r\n", STORED), (b"get a\r\n", value(b"a", b"x", 1) + END),
        (b"set a 0001 000 0001\r\ny\r\n", STORED), (b"get a\r\n", value(b"a", b"y", 1) + END),
    ],
    "too many words": [
        (b"set a 0 0 1" + b" w" * 30 + b"\r\n", ERROR), (b"incr a 1" + b" w" * 30 + b"\r\n", ERROR),
        (b"get" + b" w" * 300 + b"\r\n", END),
    ],
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversation(server, name):
    with server.connect() as talk:
        assert talk.say(b"flush_all\r\n") == OK
        for said, answer in CONVERSATIONS[name]:
            assert talk.say(said) == answer, said


def test_gets_numbers_change_with_every_store(server):
    def number(talk, key):
        head = talk.say(b"gets %s\r\n" % key).split(b"\r\n")[0].split()
        return int(head[4])

    with server.connect() as talk:
        talk.say(b"flush_all\r\n")
        assert talk.say(put(b"a", b"1")) == STORED
        first = number(talk, b"a")
        assert number(talk, b"a") == first
        assert talk.say(b"cas a 2 0 1 %d\r\n2\r\n" % first) == STORED
        assert talk.say(b"cas a 2 0 1 %d\r\n3\r\n" % first) == EXISTS
        second = number(talk, b"a")
        assert second != first
        assert talk.say(b"gets a\r\n") == b"VALUE a 2 1 %d\r\n2\r\nEND\r\n" % second
        assert talk.say(b"gats 0 a\r\n") == b"VALUE a 2 1 %d\r\n2\r\nEND\r\n" % second
        for change in (b"append a 0 0 1\r\n2\r\n", b"incr a 1\r\n", b"prepend a 0 0 1\r\n1\r\n"):
            before = number(talk, b"a")
            talk.say(change)
            assert number(talk, b"a") != before
        before = number(talk, b"a")
        talk.say(b"touch a 0\r\n")
        assert number(talk, b"a") == before


def test_version_names_a_memcached(server):
    answer = server.ask(b"version\r\n")
    assert answer.startswith(b"VERSION 1.6.") and answer.endswith(b"\r\n")


def test_quit_closes_after_the_answers(server):
    with server.connect() as talk:
        talk.send(put(b"q", b"1") + b"get q\r\nquit\r\nget q\r\n")
        assert talk.read_to_close() == STORED + value(b"q", b"1") + END


def test_a_browser_is_shown_the_door(server):
    with server.connect() as talk:
        talk.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert talk.read_to_close() == b""


def test_values_too_large_are_swallowed(server):
    size = 1 << 20
    with server.connect() as talk:
        talk.say(b"flush_all\r\n")
        assert talk.say(b"set big 0 0 %d\r\n" % size + b"get x\r\n".ljust(size) + b"\r\n") == TOO_LARGE
        assert talk.say(b"set big 0 0 %d noreply\r\n" % size + b"x" * size + b"\r\n") == b""
        assert talk.say(b"add big 0 0 %d\r\n" % size + b"x" * size + b"\r\n") == TOO_LARGE
        assert talk.say(put(b"big", b"old")) == STORED
        assert talk.say(b"set big 0 0 %d\r\n" % size + b"x" * size + b"\r\n") == TOO_LARGE
        assert talk.say(b"get big\r\n") == END, "the value that was to be replaced is gone"


def test_the_largest_value_and_one_byte_more(server):
    key = b"edge"
    most = (1 << 20) - 48 - 8 - len(key) - 1 - 2
    with server.connect() as talk:
        data = bytes(i * 31 % 251 for i in range(most))
        assert talk.say(put(key, data)) == STORED
        assert talk.say(b"get edge\r\n") == value(key, data) + END
        assert talk.say(put(key, data + b"x")) == TOO_LARGE
        assert talk.say(b"append edge 0 0 1\r\nx\r\n") == NOT_STORED
        data = data[:-1]
        assert talk.say(put(key, data)) == STORED
        assert talk.say(b"append edge 0 0 1\r\nx\r\n") == STORED
        assert talk.say(b"get edge\r\n") == value(key, data + b"x") + END
        assert talk.say(b"delete edge\r\n") == DELETED


@pytest.mark.parametrize("size", [1, 100, 1020, 1021, 1022, 1023, 1024, 1025, 2048, 16000, 32700, 32768, 40000,
                                  65535, 65536, 65537, 131072, 300001, 1000000])
def test_values_of_many_sizes_come_back_whole(server, size):
    data = bytes((i * 7 + i // 251) % 256 for i in range(size))
    with server.connect() as talk:
        assert talk.say(put(b"sized", data, 9)) == STORED
        for _ in range(2):
            assert talk.say(b"get sized sized\r\n") == value(b"sized", data, 9) * 2 + END
        if size < 500000:
            assert talk.say(b"append sized 0 0 %d\r\n%s\r\n" % (size, data)) == STORED
            assert talk.say(b"prepend sized 0 0 3\r\nabc\r\n") == STORED
            assert talk.say(b"get sized\r\n") == value(b"sized", b"abc" + data + data, 9) + END


def test_every_small_length_is_written_right(server):
    with server.connect() as talk:
        for size in range(0, 1030):
            data = b"x" * size
            talk.send(put(b"l%d" % (size % 100), data, size * 997))
            assert talk.read(len(STORED)) == STORED
            if size % 100 == 99:
                keys = range(size - 99, size + 1)
                for count in (1, 7, 8, 9, 31, 32, 33, 100):
                    assert talk.say(b"get " + b" ".join(b"l%d" % (k % 100) for k in keys[:count]) + b"\r\n") == \
                        b"".join(value(b"l%d" % (k % 100), b"x" * k, k * 997) for k in keys[:count]) + END


def test_bytes_may_arrive_one_at_a_time(server):
    said = b"set slow 3 0 5\r\nab\r\nc\r\nget slow none\r\nincr slow 1\r\nnonsense\r\n"
    with server.connect() as talk:
        for i in range(len(said)):
            talk.send(said[i:i + 1])
        assert talk.say(b"") == STORED + value(b"slow", b"ab\r\nc", 3) + END + NON_NUMERIC + ERROR


def test_requests_cut_anywhere_get_the_same_answers(server):
    said = (put(b"cut", b"v" * 50) + b"get cut\r\n" + b"gets none cut\r\n" + put(b"num", b"1") + b"incr num 5\r\n" +
            b"delete cut\r\n" + b"get cut\r\n" + b"delete num\r\n")
    with server.connect() as talk:
        whole = talk.say(said.replace(b"gets", b"get"))
        for at in range(1, len(said), 3):
            talk.send(said.replace(b"gets", b"get")[:at])
            assert talk.say(said.replace(b"gets", b"get")[at:]) == whole, at


def test_stats_have_memcacheds_names(server):
    numbers = server.stats()
    for name in ("pid uptime time version pointer_size curr_connections total_connections cmd_get cmd_set get_hits "
                 "get_misses bytes limit_maxbytes curr_items total_items evictions threads").split():
        assert name in numbers
    assert numbers["pointer_size"] == "64"
    assert numbers["limit_maxbytes"] == str(64 << 20)


def test_stats_count(server):
    with server.connect() as talk:
        talk.say(b"flush_all\r\n")
        before = server.stats()
        talk.say(put(b"s1", b"1") + b"get s1 none\r\n" + b"incr s1 1\r\ndecr s1 1\r\nincr none 1\r\ndecr none 1\r\n" +
                 b"cas s1 0 0 1 0\r\n1\r\ncas none 0 0 1 1\r\n1\r\n" +
                 b"touch s1 0\r\ntouch none 0\r\ndelete s1\r\ndelete s1\r\n")
        after = server.stats()
    grown = {name: int(after[name]) - int(before[name])
             for name in after if name in before and after[name].isdigit() and before[name].isdigit()}
    expected = dict(cmd_get=2, cmd_set=3, get_hits=1, get_misses=1, incr_hits=1, incr_misses=1, decr_hits=1,
                    decr_misses=1, cas_badval=1, cas_misses=1, touch_hits=1, touch_misses=1, cmd_touch=2,
                    delete_hits=1, delete_misses=1)
    assert {name: grown[name] for name in expected} == expected
