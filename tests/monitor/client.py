"""HTTP by hand: what is sent is what the test says, and the answer is taken apart strictly."""

import re
import socket

SECONDS = 60


class Http:
    def __init__(self, address, timeout=SECONDS, receive_buffer=None, make_socket=socket.socket):
        self.socket = make_socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        self.bytes = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(65536)
        self.bytes += data
        return bool(data)

    def take(self, count):
        while len(self.bytes) < count:
            assert self.more(), f"the connection ended after {self.bytes[-200:]!r}"
        taken, self.bytes = self.bytes[:count], self.bytes[count:]
        return taken

    def take_line(self):
        while b"\r\n" not in self.bytes:
            assert self.more(), f"the connection ended after {self.bytes[-200:]!r}"
        return self.take(self.bytes.index(b"\r\n") + 2)[:-2].decode()

    def is_closed(self):
        """True when the server has ended the connection, with nothing more to say."""
        try:
            return not self.bytes and not self.more()
        except ConnectionResetError:
            return True

    def answer(self, is_head=False):
        """(status, fields, text) of the next answer."""
        found = re.fullmatch(r"HTTP/1\.1 (\d{3}) [A-Z][A-Za-z ]+", self.take_line())
        assert found
        fields = {}
        while line := self.take_line():
            name, _, value = line.partition(": ")
            assert name.lower() not in fields
            fields[name.lower()] = value
        return int(found[1]), fields, "" if is_head else self._body(fields)

    def _body(self, fields):
        if "content-length" in fields:
            return self.take(int(fields["content-length"])).decode()
        if fields.get("transfer-encoding") != "chunked":
            while self.more():
                pass
            return self.take(len(self.bytes)).decode()
        body = b""
        while size := int(self.take_line(), 16):
            body += self.take(size)
            assert self.take(2) == b"\r\n"
        assert self.take(2) == b"\r\n"
        return body.decode()

    def get(self, target, method="GET"):
        self.send(f"{method} {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        return self.answer(is_head=method == "HEAD")


def get(address, target, **options):
    """The text of a page."""
    with Http(address, **options) as http:
        status, _, text = http.get(target)
        assert status == 200, (status, text)
        return text
