"""The protocols over UDP: frames, answers of several datagrams, and what is dropped."""

import socket
import struct

import packets
import pytest
from conftest import make

ON_THE_IMAGE = True
FRAME = struct.Struct(">HHHH")
DATA = 1392
SO_RCVBUFFORCE = 33          # Linux; past the system's bound


class Datagrams:
    def __init__(self, server, timeout=60):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(timeout)
        try:                # room for the longest answer, whenever it is read
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
        except PermissionError:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.connect((server.host, server.udp_port))
        self.id = 0

    def send(self, data, number=0, count=1):
        self.id = (self.id + 7001) % 0x10000
        self.socket.send(FRAME.pack(self.id, number, count, 0) + data)

    def message(self):
        """One answer, put together from its datagrams."""
        parts, count = {}, 1
        while len(parts) < count:
            data = self.socket.recv(65536)
            request, number, count, zero = FRAME.unpack_from(data)
            assert request == self.id and zero == 0 and number < count and number not in parts and len(data) <= 1400
            parts[number] = data[8:]
        assert all(len(parts[i]) == DATA for i in range(count - 1))
        return b"".join(parts[i] for i in range(count))

    def ask(self, data):
        self.send(data)
        return self.message()


@pytest.fixture(scope="module")
def server(request):
    it = make(request.param, ("-U", "11211" if request.param == "image" else "-1"))
    yield it
    it.close()


@pytest.fixture
def talk(server):
    talk = Datagrams(server)
    yield talk
    talk.socket.close()


def test_commands_have_the_answers_of_tcp(talk):
    assert talk.ask(b"set a 5 0 3\r\nabc\r\n") == b"STORED\r\n"
    assert talk.ask(b"get a\r\n") == b"VALUE a 5 3\r\nabc\r\nEND\r\n"
    assert talk.ask(b"get none\r\n") == b"END\r\n"
    assert talk.ask(b"incr a 1\r\n").startswith(b"CLIENT_ERROR cannot")
    assert talk.ask(b"nonsense\r\n") == b"ERROR\r\n"
    assert talk.ask(b"mg a v\r\n") == b"VA 3\r\nabc\r\n"
    assert talk.ask(b"delete a\r\n") == b"DELETED\r\n"
    assert talk.ask(b"get " + b"k" * 251 + b"\r\n").startswith(b"CLIENT_ERROR")
    assert talk.ask(b"version\r\n").startswith(b"VERSION")


@pytest.mark.parametrize("size", [0, 1, 100, 1000, 1022, 1300, 1350, 1362, 1363, 1364, 1392, 2772, 5000, 50000, 400000])
def test_values_of_many_sizes(server, talk, size):
    data = bytes((i * 7 + i // 251) % 256 for i in range(size))
    assert server.ask(b"set sized 1 0 %d\r\n%s\r\n" % (size, data)) == b"STORED\r\n"
    for _ in range(3):
        assert talk.ask(b"get sized\r\n") == b"VALUE sized 1 %d\r\n%s\r\nEND\r\n" % (size, data)


def test_statistics_take_several_datagrams(talk):
    text = talk.ask(b"stats\r\n")
    assert len(text) > DATA and text.startswith(b"STAT pid ") and text.endswith(b"END\r\n")


def test_requests_of_several_datagrams_and_short_ones_are_dropped(talk):
    talk.send(b"get a\r\n", 0, 2)
    talk.send(b"get a\r\n", 1, 2)
    talk.send(b"get a\r\n", 0, 0)
    talk.send(b"get a\r\n", 0, 0x101)
    talk.send(b"")
    talk.socket.send(b"")
    talk.socket.send(b"\0" * 7)
    assert talk.ask(b"get none\r\n") == b"END\r\n"


def test_the_number_of_a_request_does_not_matter(talk):
    talk.send(b"get none\r\n", number=9)
    assert talk.message() == b"END\r\n"


@pytest.mark.ours     # memcached frames each answer by itself, and keeps what one datagram has begun for the next
class TestOneMessage:
    def test_several_keys_are_one_message(self, talk):
        talk.ask(b"set a 0 0 1\r\n1\r\n")
        talk.ask(b"set b 0 0 1000\r\n%s\r\n" % (b"x" * 1000))
        expected = b"VALUE a 0 1\r\n1\r\nVALUE b 0 1000\r\n%s\r\n" % (b"x" * 1000)
        assert talk.ask(b"get a b none a b\r\n") == expected * 2 + b"END\r\n"

    def test_several_commands_are_one_message(self, talk):
        assert talk.ask(b"set a 0 0 1\r\n1\r\nget a\r\ndelete a noreply\r\nget a\r\n") == \
            b"STORED\r\nVALUE a 0 1\r\n1\r\nEND\r\nEND\r\n"

    def test_what_is_incomplete_is_dropped(self, talk):
        for begun in (b"get a", b"set a 0 0 10\r\nabc", b"ms a 5\r\n", packets.request(packets.GET, b"abc")[:-1], b"\x80",
                      packets.store(packets.SET, b"a", b"12345")[:-2], b"set a 0 0 10 noreply\r\n"):
            talk.send(begun)
        assert talk.ask(b"get a\r\n") == b"END\r\n"

    def test_each_datagram_chooses_its_protocol(self, talk):
        heard, _ = packets.parse(talk.ask(packets.store(packets.SET, b"a", b"xyz", 3)))
        assert heard == [packets.answer(packets.SET)]
        assert talk.ask(b"get a\r\n") == b"VALUE a 3 3\r\nxyz\r\nEND\r\n"
        heard, _ = packets.parse(talk.ask(packets.request(packets.GET, b"a") + packets.request(packets.NOOP)))
        assert heard == [packets.hit(packets.GET, b"xyz", 3), packets.answer(packets.NOOP)]


def test_two_clients_do_not_hear_each_other(server, talk):
    other = Datagrams(server)
    server.ask(b"set mine 0 0 1\r\n1\r\n")
    talk.send(b"get mine\r\n")
    other.send(b"get other\r\n")
    assert other.message() == b"END\r\n"
    assert talk.message() == b"VALUE mine 0 1\r\n1\r\nEND\r\n"
    other.socket.close()
