"""
Malformed frames: what a hostile neighbour on the wire could send, made from a seed.

Each frame starts as a correct one of some protocol (Ethernet, ARP, IPv4, IPv6, ICMP, ICMPv6 with
neighbour and router discovery, UDP with DHCP and DNS, TCP with options) and is then damaged: bytes
changed, lengths falsified, cut short, stretched, checksums made right again so that the damage gets
past the first check. One frame in eight is left correct but out of place, one in sixteen is noise.
"""

import random
import struct

GUEST_MAC = bytes.fromhex("525400123456")     # QEMU's first network card
HOST_MAC = bytes.fromhex("020000000099")      # a neighbour that does not exist


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Frames:
    def __init__(self, seed, guest_ip4, guest_ip6, ports):
        self.random = random.Random(seed)
        self.ip4, self.ip6 = bytes(map(int, guest_ip4.split("."))), guest_ip6
        self.ports = ports

    def make(self):
        r = self.random
        if r.random() < 1 / 16:
            return self._address() + r.randbytes(r.randrange(0, 200))
        kind, payload = r.choice((self._arp, self._ip4, self._ip4, self._ip6, self._ip6))()
        frame = bytearray(self._address() + struct.pack(">H", kind) + payload)
        if r.random() < 7 / 8:
            self._damage(frame)
        return bytes(frame)

    def _address(self):
        to = self.random.choice((GUEST_MAC, GUEST_MAC, GUEST_MAC, b"\xff" * 6, bytes.fromhex("333300000001")))
        return to + HOST_MAC

    def _damage(self, frame):
        r = self.random
        for _ in range(r.randrange(1, 5)):
            where = r.randrange(12, max(13, min(len(frame), 90)))
            how = r.randrange(6)
            if where >= len(frame):
                continue
            if how == 0:
                frame[where] = r.randrange(256)
            elif how == 1:
                frame[where] ^= 1 << r.randrange(8)
            elif how == 2:
                frame[where] = r.choice((0, 1, 0x7f, 0x80, 0xff))
            elif how == 3:
                del frame[max(14, where):]
            elif how == 4 and len(frame) < 1400:
                frame += r.randbytes(r.randrange(1, 100))
            elif where + 2 <= len(frame):
                struct.pack_into(">H", frame, where, r.choice((0, 1, 0xffff, 0x8000, len(frame), 4096)))
        if r.random() < 0.7:
            self._repair(frame)

    def _repair(self, frame):
        """Makes checksums right again, so that what lies behind them is read."""
        if frame[12:14] == b"\x08\x00" and len(frame) >= 34:
            at = 14 + (frame[14] & 15) * 4
            if at >= 34 and at <= len(frame):
                frame[24:26] = b"\0\0"
                struct.pack_into(">H", frame, 24, checksum(bytes(frame[14:at])))
                end = min(len(frame), 14 + int.from_bytes(frame[16:18], "big"))
                self._repair_transport(frame, at, end, frame[23], bytes(frame[26:34]), 1)
        elif frame[12:14] == b"\x86\xdd" and len(frame) >= 54:
            end = min(len(frame), 54 + int.from_bytes(frame[18:20], "big"))
            self._repair_transport(frame, 54, end, frame[20], bytes(frame[22:54]), 58)

    @staticmethod
    def _repair_transport(frame, at, end, protocol, addresses, icmp):
        field = {6: 16, 17: 6, icmp: 2}.get(protocol)
        if field is None or at + field + 2 > end:
            return
        frame[at + field:at + field + 2] = b"\0\0"
        pseudo = b"" if protocol == 1 else addresses + struct.pack(">HH", protocol, end - at)
        struct.pack_into(">H", frame, at + field, checksum(pseudo + bytes(frame[at:end])))

    def _arp(self):
        r = self.random
        # Never in the name of the test's own end of the wire: believing that would be no fault.
        sender = bytes((10, 77, 0, r.randrange(3, 255)))
        return 0x0806, struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, r.choice((1, 2)), HOST_MAC, sender,
                                   GUEST_MAC, self.ip4)

    def _ip4(self):
        r = self.random
        source = bytes((10, 77, 0, r.randrange(3, 255)))
        protocol, body = self._transport(source, self.ip4, 1)
        options = r.choice((b"", b"", b"", r.randbytes(4 * r.randrange(1, 11))))
        fragment = r.choice((0, 0, 0x4000, 0x2000, r.randrange(0x4000)))
        header = struct.pack(">BBHHHBBH4s4s", 0x40 | (5 + len(options) // 4), r.randrange(256),
                             20 + len(options) + len(body), r.randrange(16), fragment, r.choice((64, 1, 255)),
                             protocol, 0, source, self.ip4) + options
        return 0x0800, header[:10] + struct.pack(">H", checksum(header)) + header[12:] + body

    def _ip6(self):
        r = self.random
        source = bytes.fromhex("fe80000000000000") + r.randbytes(8)
        target = r.choice((self.ip6, self.ip6, bytes.fromhex("ff020000000000000000000000000001")))
        protocol, body = self._transport(source, target, 58)
        for _ in range(r.choice((0, 0, 0, 1, 2))):
            kind = r.choice((0, 43, 44, 60))
            extension = r.randbytes(6) if kind != 44 else struct.pack(">HI", r.randrange(1 << 16), r.randrange(16))
            body = bytes((protocol, 0 if kind == 44 else r.choice((0, 0, 1, 200)))) + extension + body
            protocol = kind
        return 0x86dd, struct.pack(">IHBB16s16s", 0x60000000, len(body), protocol, 255, source, target) + body

    def _transport(self, source, target, icmp):
        protocol, body, at = self.random.choice((self._tcp, self._tcp, self._udp, lambda: self._icmp(icmp)))()
        pseudo = b"" if protocol == 1 else source + target + struct.pack(">HH", protocol, len(body))
        if self.random.random() < 0.8:
            body = body[:at] + struct.pack(">H", checksum(pseudo + body)) + body[at + 2:]
        return protocol, body

    def _tcp(self):
        r = self.random
        options = r.choice((b"", b"\x02\x04\x05\xb4", b"\x03\x03\x0e\x01", b"\x05\x22" + r.randbytes(10),
                            b"\x08\x0a" + r.randbytes(8) + b"\x01\x01", b"\x02\x00\xff\x01",
                            r.randbytes(4 * r.randrange(1, 11))))
        flags = r.choice((0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x29, r.randrange(256)))
        head = struct.pack(">HHIIBBHHH", r.randrange(1024, 1100), r.choice(self.ports), r.randrange(1 << 32),
                           r.randrange(1 << 32), (5 + len(options) // 4) << 4, flags, r.choice((0, 1, 65535)), 0,
                           r.choice((0, 0, 1, 65535)))
        return 6, head + options + r.randbytes(r.choice((0, 0, 1, 30, 600))), 16

    def _udp(self):
        r = self.random
        body = r.choice((r.randbytes(r.randrange(60)), self._dhcp(), self._dns()))
        ports = r.choice(((67, 68), (53, r.randrange(49152, 65536)), (r.randrange(65536), r.choice(self.ports))))
        return 17, struct.pack(">HHHH", *ports, 8 + len(body), 0) + body, 6

    def _dhcp(self):
        r = self.random
        options = b"\x35\x01" + bytes((r.choice((2, 5, 6)),)) + b"\x36\x04" + r.randbytes(4) + r.randbytes(r.randrange(40))
        return struct.pack(">BBBBIHH", 2, 1, 6, 0, r.randrange(1 << 32), 0, 0) + r.randbytes(16) + GUEST_MAC + \
            bytes(202) + b"\x63\x82\x53\x63" + options + r.choice((b"\xff", b""))

    def _dns(self):
        r = self.random
        name = r.choice((b"\x03foo\x00", b"\xc0\x0c", b"\x3f" + b"a" * 63 + b"\xc0\x00", b"\xff" * 4))
        return struct.pack(">HHHHHH", r.randrange(1 << 16), 0x8180, 1, r.choice((1, 65535)), 0, 0) + name + \
            b"\0\1\0\1" + name + b"\0\1\0\1" + r.randbytes(6)

    def _icmp(self, protocol):
        r = self.random
        if protocol == 1:
            return 1, bytes((r.choice((0, 3, 5, 8, 13, r.randrange(256))), r.randrange(4), 0, 0)) + \
                r.randbytes(r.choice((0, 4, 28, 60))), 2
        option = bytes((r.choice((1, 2, 3, 4, 5, 25)), r.choice((0, 1, 4, 255)))) + r.randbytes(r.choice((6, 30)))
        kind = r.choice((128, 133, 134, 135, 136, 137, 1, 2, 3, 4, 130, 131, r.randrange(256)))
        # A router that offers itself for no time and a short prefix life: adopting it does no harm.
        body = struct.pack(">BBHI", kind, 0, 0, 0) + (bytes(16) if kind == 134 else self.ip6) + option
        return 58, body, 2
