"""Packets of the binary protocol."""

import struct

GET, SET, ADD, REPLACE, DELETE, INCR, DECR, QUIT, FLUSH, GETQ, NOOP, VERSION, GETK, GETKQ, APPEND, PREPEND, STAT = range(17)
SETQ, ADDQ, REPLACEQ, DELETEQ, INCRQ, DECRQ, QUITQ, FLUSHQ, APPENDQ, PREPENDQ = range(17, 27)
TOUCH, GAT, GATQ = range(0x1c, 0x1f)
SASL_LIST, SASL_AUTH, SASL_STEP, GATK, GATKQ = range(0x20, 0x25)

OK, NOT_FOUND, EXISTS, TOO_LARGE, INVALID, NOT_STORED, NON_NUMERIC, AUTH_ERROR, UNKNOWN = 0, 1, 2, 3, 4, 5, 6, 0x20, 0x81
TEXT = {NOT_FOUND: b"Not found", EXISTS: b"Data exists for key.", TOO_LARGE: b"Too large.", INVALID: b"Invalid arguments",
        NOT_STORED: b"Not stored.", NON_NUMERIC: b"Non-numeric server-side value for incr or decr",
        AUTH_ERROR: b"Auth failure.", UNKNOWN: b"Unknown command"}
HEADER = struct.Struct(">BBHBBHI4sQ")


def request(opcode, key=b"", extras=b"", value=b"", opaque=b"opaq", cas=0, magic=0x80, body=None):
    if body is None:
        body = len(extras) + len(key) + len(value)
    return HEADER.pack(magic, opcode, len(key), len(extras), 0, 0, body, opaque, cas) + extras + key + value


def store(opcode, key, value, flags=0, exptime=0, **kw):
    return request(opcode, key, struct.pack(">II", flags, exptime), value, **kw)


def count(opcode, key, delta=1, initial=0, exptime=0xffffffff, **kw):
    return request(opcode, key, struct.pack(">QQI", delta, initial, exptime), **kw)


def expiry(opcode, key, exptime, **kw):
    return request(opcode, key, struct.pack(">I", exptime), **kw)


def answer(opcode, status=OK, key=b"", extras=b"", value=None, opaque=b"opaq"):
    """What parse() makes of an answer, without its CAS number."""
    if value is None:
        value = TEXT.get(status, b"")
    return opcode, status, key, extras, value, opaque


def hit(opcode, value, flags=0, key=b"", **kw):
    return answer(opcode, OK, key, struct.pack(">I", flags), value, **kw)


def parse(data):
    """All answers in the bytes, and the CAS number of each."""
    answers, numbers = [], []
    while data:
        magic, opcode, key_len, extras_len, kind, status, body, opaque, cas = HEADER.unpack_from(data)
        assert magic == 0x81 and kind == 0 and len(data) >= 24 + body, data
        extras, key, value = data[24:][:extras_len], data[24 + extras_len:][:key_len], data[24 + extras_len + key_len:24 + body]
        answers.append((opcode, status, key, extras, value, opaque))
        numbers.append(cas)
        data = data[24 + body:]
    return answers, numbers


class Packets:
    """A connection that speaks packets; say() returns the answers to what is sent."""

    def __init__(self, talk):
        self.talk = talk
        self.numbers = []

    def say(self, data):
        mark = request(NOOP, opaque=b"mark")
        self.talk.send(data + mark)
        heard = bytearray()
        while True:
            heard += self.read_one()
            if heard[-24:-22] == bytes([0x81, NOOP]) and heard[-12:-8] == b"mark":
                break
        answers, self.numbers = parse(bytes(heard[:-24]))
        return answers

    def read_one(self):
        head = self.talk.read(24)
        return head + self.talk.read(struct.unpack_from(">I", head, 8)[0])

    def read_to_close(self):
        return parse(self.talk.read_to_close())[0]
