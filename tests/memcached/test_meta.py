"""The meta commands, word for word as memcached 1.6.38 answers them."""

import pytest
from test_conversations import CHUNK, DELETED, END, ERROR, FORMAT, LONG, NON_NUMERIC, OK, STORED, TOO_LARGE, TOO_LONG, put, value

ON_THE_IMAGE = True

DUPLICATE = b"CLIENT_ERROR duplicate flag\r\n"
INVALID = b"CLIENT_ERROR invalid flag\r\n"
EITHER = b"CLIENT_ERROR invalid or duplicate flag\r\n"
TOKEN = b"CLIENT_ERROR bad token in command line format\r\n"
OPAQUE = b"CLIENT_ERROR opaque token too long\r\n"
KEY = b"CLIENT_ERROR error decoding key\r\n"
HD, NS, EX, NF, EN = b"HD\r\n", b"NS\r\n", b"EX\r\n", b"NF\r\n", b"EN\r\n"

CONVERSATIONS = {
    "mg answers what its flags ask for, in their order": [
        (put(b"a", b"abc", 5), STORED),
        (b"mg a\r\n", HD), (b"mg a v\r\n", b"VA 3\r\nabc\r\n"), (b"mg a s v\r\n", b"VA 3 s3\r\nabc\r\n"),
        (b"mg a t f s k Oxyz\r\n", b"HD t-1 f5 s3 ka Oxyz\r\n"), (b"mg a l\r\n", b"HD l0\r\n"),
        (b"mg a Pproxy Lpath\r\n", HD), (b"mg a q\r\n", HD),
    ],
    "mg of what is not there": [
        (b"mg a\r\n", EN), (b"mg a v\r\n", EN), (b"mg a q\r\n", b""), (b"mg a v k O1\r\n", b"EN ka O1\r\n"),
    ],
    "h tells whether somebody has looked before, and u leaves no trace": [
        (put(b"a", b"1"), STORED), (b"mg a h u\r\n", b"HD h0\r\n"), (b"mg a h\r\n", b"HD h0\r\n"),
        (b"mg a h\r\n", b"HD h1\r\n"),
    ],
    "flags that are none": [
        (b"mg a v v\r\n", DUPLICATE), (b"mg a ^\r\n", INVALID), (b"ms a 1 ^\r\nx\r\n", INVALID),
        (b"md a ^\r\n", EITHER), (b"md a q q\r\n", EITHER), (b"ma a ^\r\n", EITHER), (b"ms a 1 c c\r\nx\r\n", DUPLICATE),
        (b"mg a Tx\r\n", TOKEN), (b"mg a Nx\r\n", TOKEN), (b"mg a Rx\r\n", TOKEN), (b"ms a 1 Cx\r\nx\r\n", TOKEN),
        (b"ms a 1 Ex\r\nx\r\n", TOKEN), (b"ms a 1 Fx\r\nx\r\n", FORMAT),
        (b"ms a 1 MXX\r\nx\r\n", b"CLIENT_ERROR incorrect length for M token\r\n"),
        (b"ms a 1 MX\r\nx\r\n", b"CLIENT_ERROR invalid mode for ms M token\r\n"),
        (b"ma a MX\r\n", b"CLIENT_ERROR invalid mode for ma M token\r\n"), (b"ma a Jx\r\n", EITHER),
        (b"mg a O" + b"1" * 32 + b"\r\n", OPAQUE), (b"ms a 1 O" + b"1" * 32 + b"\r\nx\r\n", OPAQUE),
        (b"md a O" + b"1" * 32 + b"\r\n", OPAQUE), (b"ma a N0 O" + b"1" * 32 + b"\r\n", OPAQUE),
        (b"mg a O" + b"1" * 31 + b"\r\n", b"HD O" + b"1" * 31 + b"\r\n"),
    ],
    "lines that are wrong": [
        (b"mg\r\n", ERROR), (b"ms\r\n", ERROR), (b"md\r\n", ERROR), (b"ma\r\n", ERROR), (b"me\r\n", FORMAT),
        (b"ms a\r\n", FORMAT), (b"ms a x\r\n", FORMAT), (b"ms a -1\r\n", FORMAT), (b"ms a S100\r\n", FORMAT),
        (b"mg " + TOO_LONG + b"\r\n", FORMAT), (b"ms " + TOO_LONG + b" 1\r\n", FORMAT),
        (b"md " + TOO_LONG + b"\r\n", FORMAT), (b"ma " + TOO_LONG + b"\r\n", FORMAT),
        (b"me " + TOO_LONG + b"\r\n", FORMAT), (b"mg " + LONG + b" k\r\n", b"EN k" + LONG + b"\r\n"),
        (b"mg a" + b" v" * 18 + b"\r\n", b"CLIENT_ERROR options flags are too long\r\n"),
        (b"md a" + b" v" * 18 + b"\r\n", b"CLIENT_ERROR options flags too long\r\n"),
    ],
    "ms stores": [
        (b"ms a 3\r\nabc\r\n", HD), (b"get a\r\n", value(b"a", b"abc") + END),
        (b"ms a 2 F7 T100 k s O9\r\nxy\r\n", b"HD ka s2 O9\r\n"), (b"mg a f v\r\n", b"VA 2 f7\r\nxy\r\n"),
        (b"ms a 1 q\r\nz\r\n", b""), (b"get a\r\n", value(b"a", b"z") + END), (b"ms a 1 T-1\r\nz\r\n", HD),
        (b"mg a\r\n", EN), (b"ms a 1\r\nxyz\r\n", CHUNK + ERROR), (b"ms a 1 q\r\nxyz\r\n", CHUNK + ERROR),
    ],
    "ms by its modes": [
        (b"ms a 1 MR\r\nx\r\n", NS), (b"ms a 1 MA\r\nx\r\n", NS), (b"ms a 1 MP\r\nx\r\n", NS),
        (b"ms a 1 MA N100\r\nm\r\n", HD), (b"ms a 1 ME\r\nx\r\n", NS), (b"ms a 1 MA s\r\n>\r\n", b"HD s2\r\n"),
        (b"ms a 1 MP s\r\n<\r\n", b"HD s3\r\n"), (b"mg a v\r\n", b"VA 3\r\n<m>\r\n"), (b"ms a 1 MS\r\ns\r\n", HD),
        (b"ms a 1 MR\r\nr\r\n", HD), (b"ms a 1 ME q\r\nx\r\n", NS), (b"mg a v\r\n", b"VA 1\r\nr\r\n"),
    ],
    "ms on a condition": [
        (b"ms a 1 C5\r\nx\r\n", NF), (b"ms a 1 E100\r\n1\r\n", HD), (b"mg a c\r\n", b"HD c100\r\n"),
        (b"ms a 1 C99\r\nx\r\n", EX), (b"ms a 1 C100 E200 c\r\n2\r\n", b"HD c200\r\n"),
        (b"ms a 1 C150 I E300\r\n3\r\n", HD), (b"mg a v c\r\n", b"VA 1 c300 X W\r\n3\r\n"),
        (b"mg a v c\r\n", b"VA 1 c300 Z X\r\n3\r\n"), (b"ms a 1 C301 I\r\nx\r\n", EX),
        (b"ms a 1 MA C1\r\nx\r\n", EX), (b"ms a 1 MA C300 s\r\nx\r\n", b"HD s2\r\n"),
    ],
    "md deletes, or invalidates": [
        (b"md a\r\n", NF), (b"md a q\r\n", NF), (put(b"a", b"1"), STORED), (b"md a k O1\r\n", b"HD ka O1\r\n"),
        (put(b"a", b"1"), STORED), (b"md a q\r\n", b""), (b"mg a\r\n", EN), (b"ms a 1 E7\r\n1\r\n", HD),
        (b"md a C8\r\n", EX), (b"md a C7\r\n", HD), (put(b"a", b"1"), STORED), (b"md a I T100\r\n", HD),
        (b"mg a v\r\n", b"VA 1 X W\r\n1\r\n"), (b"mg a v\r\n", b"VA 1 Z X\r\n1\r\n"), (b"md a x\r\n", HD),
        (b"mg a v\r\n", b"VA 0\r\n\r\n"),
    ],
    "who misses with N makes the value, the others wait": [
        (b"mg a v N100\r\n", b"VA 0 W\r\n\r\n"), (b"mg a v N100\r\n", b"VA 0 Z\r\n\r\n"),
        (b"ms a 1 T100\r\n1\r\n", HD), (b"mg a v N100\r\n", b"VA 1\r\n1\r\n"),
        (b"mg a R1000\r\n", b"HD W\r\n"), (b"mg a R1000\r\n", b"HD Z\r\n"), (b"mg a T0 t\r\n", b"HD t-1 Z\r\n"),
    ],
    "ma counts": [
        (b"ma n\r\n", NF), (b"ma n q k\r\n", b"NF kn\r\n"), (b"ma n N0 J13 v\r\n", b"VA 2\r\n13\r\n"),
        (b"ma n v\r\n", b"VA 2\r\n14\r\n"), (b"ma n v D6 t O1 k\r\n", b"VA 2 t-1 O1 kn\r\n20\r\n"),
        (b"ma n MD v\r\n", b"VA 2\r\n19\r\n"), (b"ma n M- D100 v\r\n", b"VA 1\r\n0\r\n"), (b"ma n MI\r\n", HD),
        (b"ma n M+ q\r\n", b""), (b"mg n v\r\n", b"VA 2\r\n2 \r\n"), (put(b"n", b"x"), STORED),
        (b"ma n\r\n", NON_NUMERIC), (b"ms n 1 E5\r\n1\r\n", HD), (b"ma n C4\r\n", EX), (b"ma n C5 E9 c\r\n", b"HD c9\r\n"),
    ],
    "keys in base64": [
        (b"ms Zm9v 2 b k\r\nhi\r\n", b"HD kZm9v b\r\n"), (b"mg foo v\r\n", b"VA 2\r\nhi\r\n"),
        (b"mg Zm9v b v k\r\n", b"VA 2 kZm9v b\r\nhi\r\n"), (b"ms AAECAw== 1 b\r\nx\r\n", HD),
        (b"mg AAECAw== b v k\r\n", b"VA 1 kAAECAw== b\r\nx\r\n"), (b"md AAECAw== b k\r\n", b"HD kAAECAw== b\r\n"),
        (b"mg AAECAw== b k\r\n", b"EN kAAECAw== b\r\n"), (b"mg !!!! b\r\n", KEY), (b"mg abc b\r\n", KEY),
        (b"me !!!! b\r\n", FORMAT), (b"ma bg== b N0 k\r\n", b"HD kbg== b\r\n"), (b"get n\r\n", value(b"n", b"0") + END),
        (b"delete n\r\n", DELETED),
    ],
    "values too large": [
        (b"ms a %d\r\n" % (1 << 20) + b"x" * (1 << 20) + b"\r\n", TOO_LARGE), (b"mg a\r\n", EN),
    ],
    "mn marks": [(b"mn\r\n", b"MN\r\n"), (b"mg a q\r\nmg b q\r\nmn\r\n", b"MN\r\n"), (b"mz a\r\n", ERROR)],
}


@pytest.fixture
def talk(server):
    with server.connect() as talk:
        assert talk.say(b"flush_all\r\n") == OK
        yield talk


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_conversation(talk, name):
    for said, answer in CONVERSATIONS[name]:
        # The mark that say() waits for is mn's own answer.
        talk.send(said + b"version\r\n")
        heard = talk.read_until(b"\r\n")
        while b"VERSION " not in heard.split(b"\r\n")[-2]:
            heard += talk.read_until(b"\r\n")
        assert heard[:heard.rindex(b"VERSION ")] == answer, said


def test_me_describes_an_item(talk):
    talk.say(b"ms a 3 T100 E77\r\nabc\r\n")
    words = talk.say(b"me a\r\n").split()
    assert words[:2] == [b"ME", b"a"]
    facts = dict(word.split(b"=") for word in words[2:])
    assert list(facts) == [b"exp", b"la", b"cas", b"fetch", b"cls", b"size"]
    assert facts[b"exp"] in (b"100", b"99") and facts[b"cas"] == b"77" and facts[b"fetch"] == b"no"
    talk.say(b"get a\r\n")
    assert b"fetch=yes" in talk.say(b"me a\r\n")
    assert talk.say(b"me none\r\n") == EN
