"""Certificates made on the spot, and clients that speak TLS, for the tests of -Z.

Pki     a folder of PEM files: ca, other_ca; of the first: server (ECDSA), rsa, chained (through an
        intermediate CA), expired, client; of the other: stranger
Talk    servers.Talk over TLS
Wire    TLS by hand over a socket, so that a test sees and sends single records
"""

import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

import servers


def openssl(*args, folder):
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True, timeout=60)


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA = ("-newkey", "rsa:2048")


class Pki:
    def __init__(self, folder, names=("server", "rsa", "chained", "expired", "client", "stranger")):
        self.folder = folder
        for ca in ("ca", "other_ca"):
            openssl("req", "-x509", *EC, "-nodes", "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-days", "30",
                    "-subj", f"/CN={ca}", folder=folder)
        for name in names:
            self.make(name)

    def make(self, name):
        if name == "chained":
            (self.folder / "ca.ext").write_text("basicConstraints=critical,CA:TRUE\n")
            self.sign("middle", "ca", extensions="ca.ext")
            self.sign("chained", "middle")
            chain = [(self.folder / f"{one}.pem").read_text() for one in ("chained", "middle")]
            (self.folder / "chained.pem").write_text("".join(chain))
        else:
            self.sign(name, "other_ca" if name == "stranger" else "ca", key=RSA if name == "rsa" else EC,
                      days="0" if name == "expired" else "20")
            if name == "expired":
                time.sleep(2)        # OpenSSL 3.5 takes no time that is over, so it is valid for a moment

    def sign(self, name, ca, key=EC, days="20", extensions=None):
        openssl("req", "-new", *key, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                f"/CN={name}", folder=self.folder)
        more = ("-extfile", extensions) if extensions else ()
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial",
                "-days", days, "-out", f"{name}.pem", *more, folder=self.folder)

    def path(self, name):
        return str(self.folder / name)

    def options(self, name="server", more=""):
        """Options of memcached for TLS with this certificate."""
        return ["-Z", "-o", f"ssl_chain_cert={self.path(name + '.pem')},ssl_key={self.path(name + '.key')}"
                + ("," + more if more else "")]

    def context(self, version=None, ca="ca", cert=None, ciphers=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.path(ca + ".pem"))
        if version:
            context.minimum_version = context.maximum_version = version
        if cert:
            context.load_cert_chain(self.path(cert + ".pem"), self.path(cert + ".key"))
        if ciphers:
            context.set_ciphers(ciphers)
        return context


class Talk(servers.Talk):
    def __init__(self, host, port, context, session=None, **more):
        super().__init__(host, port, **more)
        plain = self.socket
        try:
            self.socket = context.wrap_socket(plain, session=session)
        except BaseException:
            plain.close()
            raise


class Wire:
    """The records go through `incoming` and `outgoing`; nothing is sent unless pumped."""

    def __init__(self, server, context):
        self.socket = socket.create_connection((server.host, server.port), timeout=servers.SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing)
        self.raw = bytearray()                 # everything that has arrived

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def pump(self, step):
        """Takes a step of the protocol, with the network around it. Returns what it returned."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.push()
                self.pull()
            finally:
                self.push()

    def push(self):
        if data := self.outgoing.read():
            self.socket.sendall(data)

    def pull(self):
        data = self.socket.recv(1 << 16)
        if not data:
            self.incoming.write_eof()
            raise EOFError
        self.raw += data
        self.incoming.write(data)

    def handshake(self):
        self.pump(self.tls.do_handshake)

    def seal(self, data):
        """The records that carry `data`, not sent."""
        self.tls.write(data)
        return self.outgoing.read()

    def read_until(self, end):
        data = bytearray()
        while not data.endswith(end):
            data += self.pump(lambda: self.tls.read(1 << 16))
        return bytes(data)


def records(raw):
    """[(type, length)] of the records in a piece of wire."""
    found, at = [], 0
    while at + 5 <= len(raw):
        length = int.from_bytes(raw[at + 3:at + 5], "big")
        found.append((raw[at], length))
        at += 5 + length
    return found


class OverTls(servers.Native):
    """A kind of server like those of servers.py: ours, which is only spoken to over TLS."""

    name = "tls"

    def __init__(self, args=()):
        self.keys = tempfile.TemporaryDirectory(prefix="memcached-test-pki-")
        self.pki = Pki(Path(self.keys.name), names=("server",))
        super().__init__([*args, *self.pki.options()])
        self.context = self.pki.context()

    def connect(self, **more):
        return Talk(self.host, self.port, self.context, **more)

    def close(self):
        super().close()
        self.keys.cleanup()


servers.KINDS["tls"] = OverTls
