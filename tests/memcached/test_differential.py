"""Random conversations with this memcached and with Debian's: every answer must be the same.

The conversations are made from a seed, so a difference can be had again. Both servers hear the same
commands in lockstep. CAS numbers are compared by what they stand for: both servers must show the
same number again exactly when the other one does.
"""

import random
import re
import struct

import packets
import pytest
from servers import Debian, Native

KEYS = [b"a", b"b", b"n", b"num", b"key-of-some-length", b"k" * 250]
NUMBERS = [b"0", b"1", b"9", b"10", b"99", b"18446744073709551615", b"18446744073709551616", b"-1", b"+3", b"x", b"1x",
           b"4294967296", b"007", b"\t5", b"", b"noreply", b"2147483648", b"-18446744073709551615"]
EXPTIMES = [b"0"] * 12 + [b"100", b"-1", b"2592000", b"2592001", b"x", b"2147483647", b"4294967396"]
STORES = [b"set", b"set", b"add", b"replace", b"append", b"prepend", b"cas"]


def data(rng):
    kind = rng.randrange(8)
    if kind < 3:
        return str(rng.randrange(10 ** rng.randrange(1, 21))).encode()
    if kind == 3:
        return rng.choice([b"", b" 12", b"12 ", b"5\r\n6", b"-4", b"99999999999999999999", b"1 2", b"0x10"])
    return rng.randbytes(rng.choice([1, 5, 100, 1000, 1030, 5000, 40_000]))


def store(rng):
    verb, key, value = rng.choice(STORES), rng.choice(KEYS), data(rng)
    length = len(value) if rng.random() < 0.97 else len(value) + rng.choice([-2, -1, 1, 2])
    line = b"%s %s %s %s %d" % (verb, key, rng.choice([b"0", b"7", b"4294967295", rng.choice(NUMBERS)]),
                               rng.choice(EXPTIMES), length)
    if verb == b"cas":
        line += b" " + rng.choice([b"<CAS>", b"<CAS>", rng.choice(NUMBERS)])
    if rng.random() < 0.1:
        line += b" noreply"
    return line + b"\r\n" + value + b"\r\n" + b"\r\n"[2 - max(0, length - len(value)):]


def meta(rng):
    """A meta command with some of its flags, now and then with one that is not its own, or twice."""
    key = rng.choice(KEYS[:5])
    verb = rng.choice([b"mg", b"mg", b"ms", b"ms", b"md", b"ma", b"me"])
    own = {b"mg": [b"v", b"v", b"f", b"t", b"c", b"s", b"h", b"k", b"q", b"u", b"O77", b"T0", b"T100", b"N100", b"R200",
                   b"R10", b"P1", b"L2", b"E9"],
           b"ms": [b"c", b"k", b"q", b"s", b"O1", b"F7", b"T0", b"T100", b"T-1", b"C<CAS>", b"C1", b"I", b"MA", b"MP",
                   b"ME", b"MR", b"MS", b"MX", b"N0", b"P", b"S5"],
           b"md": [b"q", b"k", b"O5", b"I", b"T100", b"x", b"C<CAS>", b"C2", b"F3"],
           b"ma": [b"v", b"t", b"c", b"k", b"q", b"O6", b"N0", b"N100", b"J50", b"D7", b"T100", b"MD", b"M-", b"M+",
                   b"MI", b"Mincr", b"C<CAS>"],
           b"me": []}[verb]
    flags = rng.sample(own, rng.randrange(0, min(6, len(own)) + 1))
    if rng.random() < 0.05:
        flags.append(rng.choice([b"^", b"v", b"v", b"O" * 33, b"O" * 32, b"Tx", b"Dx", b"Jx", b"\x7f", b"Fx"]))
    if rng.random() < 0.15:
        flags.append(b"b")
        key = rng.choice([b"Zm9v", b"AAECAw==", b"/+8=", b"notbase64!", b"Zm9"])
    if verb == b"ms":
        value = data(rng)
        return b" ".join([verb, key, b"%d" % len(value), *flags]) + b"\r\n" + value + b"\r\n"
    return b" ".join([verb, key, *flags]) + b"\r\n"


def command(rng):
    key = rng.choice(KEYS)
    tail = rng.choice([b""] * 8 + [b" noreply", b" 0", b" 0 noreply", b" more"])
    return rng.choice([
        lambda: store(rng), lambda: store(rng), lambda: store(rng),
        lambda: b"get " + b" ".join(rng.choices(KEYS, k=rng.randrange(1, 5))) + b"\r\n",
        lambda: b"gets " + b" ".join(rng.choices(KEYS, k=rng.randrange(1, 4))) + b"\r\n",
        lambda: b"gat %s %s\r\n" % (rng.choice(EXPTIMES), key),
        lambda: b"gats %s %s\r\n" % (rng.choice(EXPTIMES), key),
        lambda: b"%s %s %s%s\r\n" % (rng.choice([b"incr", b"decr"]), key, rng.choice(NUMBERS), tail),
        lambda: b"%s %s %s\r\n" % (rng.choice([b"incr", b"decr"]), key, rng.choice([b"1", b"9", b"12345"])),
        lambda: b"touch %s %s%s\r\n" % (key, rng.choice(EXPTIMES), tail),
        lambda: b"delete %s%s\r\n" % (key, tail),
        lambda: b"flush_all%s\r\n" % tail if rng.random() < 0.1 else b"verbosity 0%s\r\n" % tail,
        lambda: b" ".join(rng.choices([b"get", b"set", b"delete", b"incr", b"0", b"a", b"touch"],
                                      k=rng.randrange(1, 5))) + rng.choice([b"\r\n", b"\n"]),
    ])()


class Side:
    """One of the two servers, with the CAS numbers it has shown so far."""

    def __init__(self, server):
        self.server = server
        self.talk = server.connect()
        self.numbers = []

    def say(self, said):
        last = b"%d" % self.numbers[-1] if self.numbers else b"1"
        try:
            answer = self.talk.say(said.replace(b"<CAS>", last))
        except (AssertionError, ConnectionError):
            self.talk.socket.close()
            self.talk = self.server.connect()
            return b"(closed)"
        if said.startswith(b"m"):
            # The line before a value; sizes are each server's own.
            line, rest = answer.split(b"\r\n", 1) if b"\r\n" in answer else (answer, b"")
            line = re.sub(rb"( c| cas=)(\d+)", lambda m: m[1] + b"#%d" % self.index(int(m[2])), line)
            line = re.sub(rb"( t| exp=)(\d+)", lambda m: m[1] + self.about(int(m[2])), line)
            line = re.sub(rb"la=\d+|cls=\d+|size=\d+", b"", line)
            return line + b"\r\n" + rest
        if not said.startswith(b"gets ") and not said.startswith(b"gats "):
            return answer
        return re.sub(rb"(VALUE \S+ \d+ \d+) (\d+)\r\n", self.rename, answer)

    @staticmethod
    def about(seconds):
        """Which of the times to live that were asked for: 100 seconds, of which some have passed, or far more."""
        return b"far" if seconds > 1000 else b"near" if seconds else b"0"

    def rename(self, match):
        return match[1] + b" #%d\r\n" % self.index(int(match[2]))

    def index(self, number):
        if number not in self.numbers:
            self.numbers.append(number)
        return self.numbers.index(number)


@pytest.fixture(scope="module")
def both():
    # Debian's helper thread holds items for moments, and then incr makes a new item, whose length differs.
    pair = Native(), Debian(["-o", "no_lru_maintainer"])
    yield pair
    for server in pair:
        server.close()


@pytest.mark.parametrize("seed", range(30))
def test_random_conversations_are_answered_alike(both, seed):
    converse(both, random.Random(seed), command)


@pytest.mark.parametrize("seed", range(30))
def test_random_meta_conversations_are_answered_alike(both, seed):
    converse(both, random.Random(1000 + seed), lambda rng: meta(rng) if rng.random() < 0.8 else command(rng))


def converse(both, rng, command):
    sides = [Side(server) for server in both]
    history = []
    for side in sides:
        side.say(b"flush_all\r\n")
    for _ in range(250):
        said = command(rng)
        history.append(said[:90])
        mine, reference = [side.say(said) for side in sides]
        assert mine == reference, [h for h in history if h.split()[1:2] == said.split()[1:2]][-6:]
    for side in sides:
        side.talk.socket.close()


def packet(rng):
    """A binary request; now and then one whose extras, key or CAS number do not fit it."""
    opcode = rng.choice([op for op in range(0x25) if op not in (packets.QUIT, packets.QUITQ, packets.STAT, packets.VERSION)])
    if opcode in (packets.FLUSH, packets.FLUSHQ) and rng.random() < 0.8:
        opcode = packets.GET
    key, opaque = rng.choice(KEYS), rng.randbytes(4)
    cas = rng.choice([0] * 6 + [1, "last"])
    exptime = rng.choice([0] * 8 + [100, 2592001, 0x7fffffff, 0xffffffff])
    with_number = struct.pack(">QQI", rng.choice([1, 9, 12345, (1 << 64) - 1]), rng.choice([0, 77, (1 << 64) - 1]), exptime)
    extras = {8: struct.pack(">II", rng.choice([0, 7, 0xffffffff]), exptime), 20: with_number, 4: struct.pack(">I", exptime)}
    if opcode in (packets.SET, packets.ADD, packets.REPLACE, packets.SETQ, packets.ADDQ, packets.REPLACEQ):
        return dict(opcode=opcode, key=key, extras=extras[8], value=data(rng), cas=cas, opaque=opaque)
    if opcode in (packets.APPEND, packets.PREPEND, packets.APPENDQ, packets.PREPENDQ, packets.SASL_AUTH, packets.SASL_STEP):
        return dict(opcode=opcode, key=key, value=data(rng), cas=cas, opaque=opaque)
    if opcode in (packets.INCR, packets.DECR, packets.INCRQ, packets.DECRQ):
        return dict(opcode=opcode, key=key, extras=extras[20], cas=cas, opaque=opaque)
    if opcode in (packets.TOUCH, packets.GAT, packets.GATQ, packets.GATK, packets.GATKQ):
        return dict(opcode=opcode, key=key, extras=extras[4], opaque=opaque)
    if opcode in (packets.NOOP, packets.FLUSH, packets.FLUSHQ, packets.SASL_LIST, 0x1b, 0x1f):
        return dict(opcode=opcode, opaque=opaque)
    return dict(opcode=opcode, key=key, cas=cas, opaque=opaque, extras=b"wrong" if rng.random() < 0.02 else b"")


class BinarySide:
    def __init__(self, server):
        self.server, self.seen = server, []
        self.open()

    def open(self):
        self.talk = packets.Packets(self.server.connect())

    def say(self, request):
        if request.get("cas") == "last":
            request = dict(request, cas=self.seen[-1] if self.seen else 1)
        try:
            answers = self.talk.say(packets.request(**request))
        except (AssertionError, ConnectionError):
            self.talk.talk.socket.close()
            self.open()
            return "closed"
        for number in self.talk.numbers:
            if number and number not in self.seen:
                self.seen.append(number)
        return answers, [number and 1 + self.seen.index(number) for number in self.talk.numbers]


@pytest.mark.parametrize("seed", range(30))
def test_random_binary_conversations_are_answered_alike(both, seed):
    rng = random.Random(2000 + seed)
    sides, history = [BinarySide(server) for server in both], []
    for side in sides:
        side.say(dict(opcode=packets.FLUSH))
    for _ in range(250):
        said = packet(rng)
        history.append(said)
        mine, reference = [side.say(said) for side in sides]
        assert mine == reference, [h for h in history if h.get("key") == said.get("key")][-6:]
    for side in sides:
        side.talk.talk.socket.close()
