"""The network from the outside: addresses, protocols, and a wire with a hostile neighbour."""

import ipaddress
import re
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

import frames
from kiln import ROOT, Image, build_image, eventually, netns, quiet_make, read_until

ETH_P_ALL = 3
FRAMES = 200_000
BURST = 400
LOST_PAGES = 128        # 512 KiB: a byte or two per frame and less


def link_local(mac="525400123456"):
    """The address that a guest with this MAC gives itself (RFC 4291, appendix A)."""
    b = bytearray.fromhex(mac)
    b[0] ^= 2
    return str(ipaddress.IPv6Address(bytes.fromhex("fe80000000000000") + bytes(b[:3]) + b"\xff\xfe" + bytes(b[3:])))


def ask6(image, wire, address, request=b"version\r\n", scope=0, timeout=60):
    with wire.socket(socket.AF_INET6) as s:
        s.settimeout(timeout)
        s.connect((address, image.port, 0, scope))
        s.sendall(request)
        return read_until(s, b"\r\n")


def packet_socket(wire):
    s = wire.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.bind((wire.tap, ETH_P_ALL))
    return s


def test_an_address_comes_by_dhcp(memcached):
    """QEMU's user network hands out 10.0.2.15; the forward reaches nothing else."""
    assert memcached.ask(b"version\r\n").startswith(b"VERSION ")
    assert "10.0.2.15" in memcached.console


def test_a_static_address_answers_on_a_tap(wire):
    with Image("memcached", net="tap", namespace=wire) as image:
        assert image.ask(b"version\r\n").startswith(b"VERSION ")
        with packet_socket(wire) as s:
            for sequence in range(20):
                assert wait_barrier(s, host_mac(wire), sequence), "no answer to an ICMP echo"


@pytest.mark.measures
def test_frames_of_no_interest_do_not_delay_what_follows(wire):
    """What arrives behind a frame that concerns nobody is noticed at once, not at the next tick."""
    with Image("memcached", net="tap", namespace=wire) as image, packet_socket(wire) as s, image.connect() as c:
        def delays():
            times = []
            for _ in range(50):
                s.send(frames.GUEST_MAC + frames.HOST_MAC + b"\x08\x00" + bytes(60))
                time.sleep(0.002)
                begin = time.monotonic()
                c.sendall(b"version\r\n")
                read_until(c, b"\r\n")
                times.append(time.monotonic() - begin)
            return times
        # A tick is 50 ms away; a machine that does much else may take long now and then, but not always.
        assert eventually(lambda: sorted(delays())[25] < 0.01)


def test_ipv6_answers_on_its_link_local_address(wire):
    with Image("memcached", net="tap", namespace=wire) as image:
        reply = ask6(image, wire, link_local(), scope=wire.interface_index())
        assert reply.startswith(b"VERSION ")


def test_ipv6_answers_on_a_static_address(wire):
    with Image("memcached", net="tap", namespace=wire, options=[f"ip6={netns.GUEST_IP6}/64"]) as image:
        assert ask6(image, wire, netns.GUEST_IP6).startswith(b"VERSION ")


def router_advertisement(prefix):
    """A router's word: make your own address under this prefix (RFC 4861, 4.2; RFC 4862)."""
    information = struct.pack(">BBBBIII16s", 3, 4, 64, 0xc0, 3600, 3600, 0, prefix)
    return struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, 0, 0, 0) + information


def test_ipv6_makes_an_address_from_a_routers_prefix(wire):
    """SLAAC: the test plays the router."""
    with Image("memcached", net="tap", namespace=wire) as image:
        prefix = ipaddress.IPv6Address("fd77::").packed
        with wire.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as s:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, wire.interface_index())
            s.sendto(router_advertisement(prefix), ("ff02::1", 0, 0, wire.interface_index()))
        address = "fd77::" + link_local().removeprefix("fe80::")

        def answers():
            try:
                return ask6(image, wire, address, timeout=10).startswith(b"VERSION ")
            except OSError:
                return False
        assert eventually(answers)


def test_without_ipv4_only_ipv6_answers(wire):
    with Image("memcached", net="tap", namespace=wire, options=["ip=none", f"ip6={netns.GUEST_IP6}/64"],
               wait=False) as image:
        def answers():
            try:
                return ask6(image, wire, netns.GUEST_IP6, timeout=10).startswith(b"VERSION ")
            except OSError:
                return False
        assert eventually(answers)
        with pytest.raises(OSError):
            image.connect(timeout=3)


def host_mac(wire):
    shown = wire.run("ip", "link", "show", wire.tap).stdout
    return bytes.fromhex(re.search(r"link/ether ([0-9a-f:]+)", shown)[1].replace(":", ""))


def echo_request(sequence):
    """A correct ICMP echo from the wire's host to the guest, as a frame."""
    icmp = struct.pack(">BBHHH", 8, 0, 0, 0x4b4c, sequence & 0xffff) + b"barrier "
    icmp = icmp[:2] + struct.pack(">H", frames.checksum(icmp)) + icmp[4:]
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(icmp), 0, 0, 64, 1, 0,
                       socket.inet_aton(netns.HOST_IP4), socket.inet_aton(netns.GUEST_IP4))
    return head[:10] + struct.pack(">H", frames.checksum(head)) + head[12:] + icmp


def wait_barrier(s, host_mac, sequence, timeout=60):
    """Every frame sent before has been taken in when the guest answers an echo sent after them."""
    want = struct.pack(">HH", 0x4b4c, sequence & 0xffff)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        s.send(frames.GUEST_MAC + host_mac + b"\x08\x00" + echo_request(sequence))
        resend = time.monotonic() + 2
        while time.monotonic() < resend:
            s.settimeout(max(0.01, resend - time.monotonic()))
            try:
                got = s.recv(2048)
            except socket.timeout:
                break
            if got[6:12] == frames.GUEST_MAC and got[12:14] == b"\x08\x00" and got[23] == 1 and got[34] == 0 \
                    and got[38:42] == want:
                return True
    return False


def throw_frames(image, wire, count, seed, patience=60):
    maker = frames.Frames(seed, netns.GUEST_IP4, ipaddress.IPv6Address(link_local()).packed,
                          [image.port, image.port, 7, 80, 65535])
    mac = host_mac(wire)
    with packet_socket(wire) as s:
        for sent in range(0, count, BURST):
            for _ in range(BURST):
                try:
                    s.send(maker.make())
                except OSError:
                    pass                  # shorter than the wire takes
            assert wait_barrier(s, mac, sent // BURST, patience), \
                f"no echo after {sent + BURST} frames of seed {seed}; {'running' if image.is_running() else 'ended'}"


def endure_frames(image, wire, count, patience):
    """The image answers while frames come, and after them it has its memory and serves as before."""
    with image.connect() as before:
        throw_frames(image, wire, count // 2, seed=1, patience=patience)
        free = image.counters()["pages_free"]
        throw_frames(image, wire, count // 2, seed=2, patience=patience)
        before.sendall(b"version\r\n")
        assert read_until(before, b"\r\n").startswith(b"VERSION ")
    assert eventually(lambda: free - image.counters()["pages_free"] < LOST_PAGES, timeout=patience), "memory is lost"
    assert image.ask(b"set k 0 0 1\r\nx\r\nget k\r\n", until=b"END\r\n").endswith(b"x\r\nEND\r\n")


def test_malformed_frames_do_not_stop_the_image(wire):
    with Image("memcached", net="tap", namespace=wire) as image:
        endure_frames(image, wire, FRAMES, patience=60)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 8))
def test_millions_of_malformed_frames(wire, seed):
    with Image("memcached", net="tap", namespace=wire) as image:
        throw_frames(image, wire, 500_000, seed)
        assert image.ask(b"version\r\n").startswith(b"VERSION ")


def build_planted(bug):
    """A memcached image with one check left out; see PLANT= in tools/build/image.mk."""
    name = f"planted-{bug.lower().replace('_', '-')}"
    build_image("memcached")
    folder = ROOT / "build" / name
    folder.mkdir(parents=True, exist_ok=True)
    config = ROOT / "build" / "memcached" / ".config"
    if not (folder / ".config").exists():
        shutil.copy(config, folder / ".config")
    done = subprocess.run(["make", "-s", f"IMAGE={name}", f"PLANT={bug}", "image"], cwd=ROOT, capture_output=True,
                          text=True, timeout=900, env=quiet_make())
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "images" / f"{name}.elf"


def test_malformed_frames_find_a_planted_leak(wire):
    """The same frames find an image that forgets to give refused segments back."""
    kernel = build_planted("NET_DROP_LEAK")
    with Image("memcached", kernel=kernel, net="tap", namespace=wire, mem="16M", args=["-m", "2"]) as image:
        with pytest.raises(AssertionError, match="no echo after|memory is lost"):
            endure_frames(image, wire, FRAMES, patience=10)


class NameServer(threading.Thread):
    """A DNS server (RFC 1035, 4.1) on our end of the wire that knows the guest's own name."""

    def __init__(self, wire):
        super().__init__(daemon=True)
        self.asked = []
        self.socket = wire.socket(kind=socket.SOCK_DGRAM)
        self.socket.bind((netns.HOST_IP4, 53))

    def run(self):
        while True:
            try:
                query, address = self.socket.recvfrom(512)
            except OSError:
                return
            end = query.index(b"\0", 12) + 1
            name, at = [], 12
            while query[at]:
                name.append(query[at + 1:at + 1 + query[at]].decode())
                at += 1 + query[at]
            kind, = struct.unpack_from(">H", query, end)
            self.asked.append((".".join(name), kind))
            found = kind == 1 and name == ["guest", "kiln", "test"]
            answer = struct.pack(">HHHLH", 0xc00c, 1, 1, 60, 4) + socket.inet_aton(netns.GUEST_IP4) if found else b""
            head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, int(found), 0, 0)
            self.socket.sendto(head + query[12:end + 4] + answer, address)

    def close(self):
        self.socket.close()


def test_names_are_looked_up_by_dns(wire):
    """memcached is told to listen on a name; only the name server of bootargs can say what that is."""
    server = NameServer(wire)
    server.start()
    with Image("memcached", net="tap", namespace=wire, options=[f"dns={netns.HOST_IP4}"],
               args=["-l", "guest.kiln.test"]) as image:
        assert image.ask(b"version\r\n").startswith(b"VERSION ")
        assert ("guest.kiln.test", 1) in server.asked
    server.close()


def test_a_name_that_nobody_knows_is_named(wire):
    server = NameServer(wire)
    server.start()
    with Image("memcached", net="tap", namespace=wire, options=[f"dns={netns.HOST_IP4}"],
               args=["-l", "nobody.kiln.test"], wait=False) as image:
        assert image.wait_exit() != 0
        assert "nobody.kiln.test" in image.console
        assert server.asked
    server.close()
