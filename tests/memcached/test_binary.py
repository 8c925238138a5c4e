"""The binary protocol, packet for packet."""

import struct

import pytest
from packets import (ADD, ADDQ, APPEND, APPENDQ, AUTH_ERROR, DECR, DECRQ, DELETE, DELETEQ, EXISTS, FLUSH, FLUSHQ, GAT, GATK,
                     GATKQ, GATQ, GET, GETK, GETKQ, GETQ, INCR, INCRQ, INVALID, NON_NUMERIC, NOOP, NOT_FOUND, NOT_STORED,
                     PREPEND, PREPENDQ, QUIT, QUITQ, REPLACE, REPLACEQ, SASL_AUTH, SASL_LIST, SASL_STEP, SET, SETQ, STAT,
                     TOO_LARGE, TOUCH, UNKNOWN, VERSION, Packets, answer, count, expiry, hit, request, store)

ON_THE_IMAGE = True


def number(opcode, n):
    return answer(opcode, value=struct.pack(">Q", n))


def misses(*opcodes):
    return [answer(opcode, NOT_FOUND) for opcode in opcodes]


CONVERSATIONS = {
    "a value that was set is found": [
        (store(SET, b"a", b"abc", 5), [answer(SET)]), (request(GET, b"a"), [hit(GET, b"abc", 5)]),
        (request(GETK, b"a"), [hit(GETK, b"abc", 5, b"a")]), (request(GETQ, b"a"), [hit(GETQ, b"abc", 5)]),
        (request(GETKQ, b"a"), [hit(GETKQ, b"abc", 5, b"a")]),
    ],
    "misses: the quiet say nothing, those with a key say the key": [
        (request(GET, b"a"), misses(GET)), (request(GETQ, b"a"), []), (request(GETKQ, b"a"), []),
        (request(GETK, b"a"), [answer(GETK, NOT_FOUND, key=b"a", value=b"")]),
        (expiry(GAT, b"a", 5), misses(GAT)), (expiry(GATQ, b"a", 5), []), (expiry(GATKQ, b"a", 5), []),
        (expiry(GATK, b"a", 5), [answer(GATK, NOT_FOUND, key=b"a", value=b"")]),
        (expiry(TOUCH, b"a", 5), misses(TOUCH)),
    ],
    "the opaque comes back": [
        (request(GET, b"a", opaque=b"\0\1\2\3"), [answer(GET, NOT_FOUND, opaque=b"\0\1\2\3")]),
        (request(NOOP, opaque=b"\xff\xfe\xfd\xfc"), [answer(NOOP, opaque=b"\xff\xfe\xfd\xfc")]),
    ],
    "an empty value, and one of any bytes": [
        (store(SET, b"a", b""), [answer(SET)]), (request(GET, b"a"), [hit(GET, b"")]),
        (store(SET, b"a", bytes(range(256))), [answer(SET)]), (request(GET, b"a"), [hit(GET, bytes(range(256)))]),
    ],
    "keys may hold any bytes, up to 250": [
        (store(SET, b"a b\0\r\n", b"x"), [answer(SET)]), (request(GETK, b"a b\0\r\n"), [hit(GETK, b"x", 0, b"a b\0\r\n")]),
        (store(SET, b"k" * 250, b"y"), [answer(SET)]), (request(GET, b"k" * 250), [hit(GET, b"y")]),
    ],
    "quiet stores say only what went wrong": [
        (store(SETQ, b"a", b"1"), []), (store(ADDQ, b"a", b"2"), [answer(ADDQ, EXISTS)]), (store(REPLACEQ, b"a", b"3"), []),
        (store(REPLACEQ, b"none", b"3"), [answer(REPLACEQ, NOT_FOUND)]), (store(ADDQ, b"b", b"4"), []),
        (request(APPENDQ, b"a", value=b"z"), []), (request(PREPENDQ, b"a", value=b"y"), []),
        (request(APPENDQ, b"none", value=b"z"), [answer(APPENDQ, NOT_STORED)]),
        (request(PREPENDQ, b"none", value=b"z"), [answer(PREPENDQ, NOT_STORED)]),
        (request(GET, b"a"), [hit(GET, b"y3z")]), (request(DELETEQ, b"a"), []),
        (request(DELETEQ, b"a"), [answer(DELETEQ, NOT_FOUND)]), (store(SETQ, b"a", b"1", cas=99), [answer(SETQ, NOT_FOUND)]),
    ],
    "add and replace": [
        (store(REPLACE, b"a", b"1"), misses(REPLACE)), (store(ADD, b"a", b"1"), [answer(ADD)]),
        (store(ADD, b"a", b"2"), [answer(ADD, EXISTS)]), (store(REPLACE, b"a", b"3", 9), [answer(REPLACE)]),
        (request(GET, b"a"), [hit(GET, b"3", 9)]),
    ],
    "append and prepend keep the flags": [
        (request(APPEND, b"a", value=b"x"), [answer(APPEND, NOT_STORED)]),
        (request(PREPEND, b"a", value=b"x"), [answer(PREPEND, NOT_STORED)]),
        (store(SET, b"a", b"mid", 7), [answer(SET)]), (request(APPEND, b"a", value=b"-end"), [answer(APPEND)]),
        (request(PREPEND, b"a", value=b"begin-"), [answer(PREPEND)]), (request(GET, b"a"), [hit(GET, b"begin-mid-end", 7)]),
        (request(APPEND, b"a", value=b"x", cas=1 << 60), [answer(APPEND, EXISTS)]),
    ],
    "delete": [
        (request(DELETE, b"a"), misses(DELETE)), (store(SET, b"a", b"1"), [answer(SET)]),
        (request(DELETE, b"a", cas=1 << 60), [answer(DELETE, EXISTS)]), (request(DELETE, b"a"), [answer(DELETE)]),
        (request(GET, b"a"), misses(GET)),
    ],
    "a CAS number in a store is a condition": [
        (store(SET, b"a", b"1", cas=1 << 60), misses(SET)), (store(SET, b"a", b"1"), [answer(SET)]),
        (store(SET, b"a", b"2", cas=1 << 60), [answer(SET, EXISTS)]), (store(ADD, b"a", b"2", cas=1 << 60), [answer(ADD, EXISTS)]),
        (store(REPLACE, b"a", b"2", cas=1 << 60), [answer(REPLACE, EXISTS)]), (request(GET, b"a"), [hit(GET, b"1")]),
    ],
    "incr and decr": [
        (count(INCR, b"n", 5, 10), misses(INCR)), (count(DECR, b"n", 5, 10), misses(DECR)),
        (count(INCRQ, b"n", 5, 10), misses(INCRQ)),
        (count(INCR, b"n", 5, 10, 0), [number(INCR, 10)]), (count(INCR, b"n", 5, 10, 0), [number(INCR, 15)]),
        (count(DECR, b"n", 6), [number(DECR, 9)]), (count(DECR, b"n", 60), [number(DECR, 0)]),
        (count(INCRQ, b"n", 7), []), (count(DECRQ, b"n", 1), []), (request(GET, b"n"), [hit(GET, b"6 ")]),
        (count(INCR, b"n", 1, cas=1 << 60), [answer(INCR, EXISTS)]),
        (count(INCR, b"n", (1 << 64) - 1), [number(INCR, 5)]), (count(INCRQ, b"m", 1, 77, 100), []),
        (request(GET, b"m"), [hit(GET, b"77")]), (store(SET, b"t", b"text"), [answer(SET)]),
        (count(INCR, b"t"), [answer(INCR, NON_NUMERIC)]), (count(DECRQ, b"t"), [answer(DECRQ, NON_NUMERIC)]),
    ],
    "touch and get-and-touch": [
        (store(SET, b"a", b"abc", 3), [answer(SET)]), (expiry(TOUCH, b"a", 100), [hit(TOUCH, b"", 3)]),
        (expiry(GAT, b"a", 100), [hit(GAT, b"abc", 3)]), (expiry(GATQ, b"a", 100), [hit(GATQ, b"abc", 3)]),
        (expiry(GATK, b"a", 100), [hit(GATK, b"abc", 3, b"a")]), (expiry(GATKQ, b"a", 0), [hit(GATKQ, b"abc", 3, b"a")]),
        (expiry(TOUCH, b"a", 0xffffffff), [hit(TOUCH, b"", 3)]), (request(GET, b"a"), [hit(GET, b"abc", 3)]),
        (expiry(TOUCH, b"a", 2592001), [hit(TOUCH, b"", 3)]), (request(GET, b"a"), misses(GET)),
    ],
    "expiry times are unsigned": [
        (store(SET, b"a", b"1", 0, 0xffffffff), [answer(SET)]), (request(GET, b"a"), [hit(GET, b"1")]),
        (store(SET, b"a", b"1", 0, 2592001), [answer(SET)]), (request(GET, b"a"), misses(GET)),
    ],
    "flush": [
        (store(SET, b"a", b"1"), [answer(SET)]), (request(FLUSH), [answer(FLUSH)]), (request(GET, b"a"), misses(GET)),
        (store(SET, b"a", b"1"), [answer(SET)]), (request(FLUSHQ), []), (request(GET, b"a"), misses(GET)),
        (store(SET, b"a", b"1"), [answer(SET)]), (request(FLUSH, extras=struct.pack(">I", 1000)), [answer(FLUSH)]),
        (request(GET, b"a"), [hit(GET, b"1")]), (request(FLUSH, extras=bytes(4)), [answer(FLUSH)]),
        (request(GET, b"a"), misses(GET)),
    ],
    "there is no SASL": [
        (request(SASL_LIST), [answer(SASL_LIST, UNKNOWN)]),
        (request(SASL_AUTH, b"PLAIN", value=b"\0me\0secret"), [answer(SASL_AUTH, UNKNOWN)]),
        (request(SASL_STEP, b"PLAIN", value=b"more"), [answer(SASL_STEP, UNKNOWN)]),
    ],
    "opcodes that mean nothing": [
        (request(op), [answer(op, UNKNOWN)]) for op in (0x1b, 0x1f, 0x25, 0x30, 0x3c, 0x40, 0x80, 0xff)
    ],
    "several requests in one piece": [
        (store(SETQ, b"a", b"1") + store(SETQ, b"b", b"2") + request(GETKQ, b"a") + request(GETKQ, b"none") +
         request(GETKQ, b"b") + request(NOOP), [hit(GETKQ, b"1", 0, b"a"), hit(GETKQ, b"2", 0, b"b"), answer(NOOP)]),
    ],
}


@pytest.fixture
def talk(server):
    with server.connect() as connection:
        talk = Packets(connection)
        talk.say(request(FLUSH))
        yield talk


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversation(talk, name):
    for said, expected in CONVERSATIONS[name]:
        assert talk.say(said) == expected, said


HANGS_UP = {
    "a key too long": request(GET, b"k" * 251), "a get with a value": request(GET, b"a", value=b"x"),
    "a get without a key": request(GET), "a get with extras": request(GET, b"a", b"1234"),
    "a set without extras": request(SET, b"a", value=b"x"), "a set without a key": store(SET, b"", b"x"),
    "an append with extras": store(APPEND, b"a", b"x"), "a delete with a value": request(DELETE, b"a", value=b"x"),
    "an incr with short extras": request(INCR, b"a", b"12345678"), "a noop with a key": request(NOOP, b"a"),
    "a version with a value": request(VERSION, value=b"x"), "a quit with a key": request(QUIT, b"a"),
    "a flush with three bytes": request(FLUSH, extras=b"123"), "a touch without a time": request(TOUCH, b"a"),
    "a stat with extras": request(STAT, b"", b"1"), "SASL without a mechanism": request(SASL_AUTH),
    "SASL list with a key": request(SASL_LIST, b"a"), "a quiet get with extras": request(GETQ, b"a", b"1"),
}


@pytest.mark.parametrize("name", HANGS_UP)
def test_a_request_of_the_wrong_shape_ends_the_connection(talk, name):
    talk.talk.send(HANGS_UP[name])
    assert talk.read_to_close() == [answer(HANGS_UP[name][1], INVALID)]


def test_lengths_that_contradict_each_other_end_the_connection(talk):
    talk.talk.send(request(GET, b"abc", body=2))
    assert talk.read_to_close() == [answer(GET, UNKNOWN)]


def test_another_magic_ends_the_connection(talk):
    talk.talk.send(b"get a\r\n" + bytes(30))
    assert talk.read_to_close() == []


def test_quit_and_quiet_quit(server):
    for opcode, expected in ((QUIT, [answer(QUIT)]), (QUITQ, [])):
        with server.connect() as connection:
            connection.send(request(opcode) + request(NOOP))
            assert Packets(connection).read_to_close() == expected


def test_an_unknown_opcode_skips_as_many_bytes_as_its_body_had(talk):
    said = request(0x60, b"key", b"extr", b"value")
    assert talk.say(said + bytes(7)) == [answer(0x60, UNKNOWN)]


def test_version_is_the_text_protocols(server, talk):
    version = server.ask(b"version\r\n").split()[1]
    assert talk.say(request(VERSION)) == [answer(VERSION, value=version)]


def test_numbers_change_with_every_store(talk):
    talk.say(store(SET, b"a", b"1"))
    first, = talk.numbers
    assert first > 0
    talk.say(request(GET, b"a"))
    assert talk.numbers == [first]
    assert talk.say(store(SET, b"a", b"2", cas=first)) == [answer(SET)]
    second, = talk.numbers
    assert second != first
    assert talk.say(store(REPLACE, b"a", b"3", cas=first)) == [answer(REPLACE, EXISTS)]
    assert talk.say(request(APPEND, b"a", value=b"x", cas=second)) == [answer(APPEND)]
    third, = talk.numbers
    assert talk.say(request(DELETE, b"a", cas=second)) == [answer(DELETE, EXISTS)]
    assert talk.say(request(DELETE, b"a", cas=third)) == [answer(DELETE)]
    assert talk.numbers == [0]


def test_both_protocols_see_the_same_items(server, talk):
    talk.say(store(SET, b"both", b"abc", 5))
    assert server.ask(b"get both\r\n") == b"VALUE both 5 3\r\nabc\r\nEND\r\n"
    server.ask(b"set both 6 0 2\r\nxy\r\n")
    assert talk.say(request(GET, b"both")) == [hit(GET, b"xy", 6)]
    assert talk.say(count(INCR, b"num", 1, 41, 0)) == [number(INCR, 41)]
    assert server.ask(b"incr num 1\r\n") == b"42\r\n"


@pytest.mark.parametrize("size", [1, 1000, 1022, 1023, 1024, 2000, 20000, 65535, 70000, 300001, 1000000])
def test_values_of_many_sizes_come_back_whole(talk, size):
    data = bytes((i * 7 + i // 251) % 256 for i in range(size))
    assert talk.say(store(SET, b"sized", data, 9)) == [answer(SET)]
    assert talk.say(request(GET, b"sized") + request(GETK, b"sized")) == [hit(GET, data, 9), hit(GETK, data, 9, b"sized")]
    if size < 400000:
        assert talk.say(request(APPEND, b"sized", value=data)) == [answer(APPEND)]
        assert talk.say(request(GET, b"sized")) == [hit(GET, data + data, 9)]


def test_values_too_large_are_swallowed(talk):
    size = 1 << 20
    talk.say(store(SET, b"big", b"old"))
    assert talk.say(store(ADD, b"big", bytes(size))) == [answer(ADD, TOO_LARGE)]
    assert talk.say(request(GET, b"big")) == [hit(GET, b"old")]
    assert talk.say(store(SETQ, b"big", bytes(size))) == [answer(SETQ, TOO_LARGE)]
    assert talk.say(request(GETQ, b"big")) == []


def test_requests_cut_anywhere_get_the_same_answers(talk):
    said = (store(SET, b"cut", b"v" * 50) + request(GETK, b"cut") + request(GETKQ, b"none") + store(SETQ, b"num", b"1") +
            count(INCR, b"num", 5) + request(DELETE, b"cut") + request(GET, b"cut") + request(DELETE, b"num"))
    whole = talk.say(said)
    assert len(whole) == 6
    for at in range(1, len(said), 7):
        talk.talk.send(said[:at])
        assert talk.say(said[at:]) == whole, at


def names_of(answers):
    return [key.decode() for _, _, key, _, _, _ in answers]


@pytest.mark.parametrize("section", [b"", b"settings", b"slabs", b"items", b"sizes"])
def test_stat_names_what_the_text_protocol_names(server, talk, section):
    talk.say(store(SET, b"a", b"1"))
    answers = talk.say(request(STAT, section))
    assert answers[-1] == answer(STAT, value=b"")
    lines = server.ask(b"stats" + (b" " + section if section else b"") + b"\r\n").decode().splitlines()
    assert names_of(answers[:-1]) == [line.split()[1] for line in lines if line.startswith("STAT ")]
    assert all(status == 0 and extras == b"" for _, status, _, extras, _, _ in answers)


def test_stat_reset_and_what_is_no_section(talk):
    talk.say(request(GET, b"none"))
    assert talk.say(request(STAT, b"reset")) == [answer(STAT, value=b"")]
    assert talk.say(request(STAT, b"nonsense")) == [answer(STAT, NOT_FOUND)]
    numbers = {key: value for _, _, key, _, value, _ in talk.say(request(STAT))}
    assert numbers[b"cmd_get"] == b"0" and numbers[b"version"].startswith(b"1.6")


def test_flush_may_be_forbidden(start):
    with start("-F").connect() as connection:
        assert Packets(connection).say(request(FLUSH)) == [answer(FLUSH, AUTH_ERROR)]


def test_without_numbers_conditions_are_ignored(start):
    with start("-C").connect() as connection:
        talk = Packets(connection)
        assert talk.say(store(SET, b"a", b"1")) == [answer(SET)] and talk.numbers == [0]
        assert talk.say(store(SET, b"a", b"2", cas=77)) == [answer(SET)]
        assert talk.say(request(DELETE, b"a", cas=77)) == [answer(DELETE, EXISTS)]
