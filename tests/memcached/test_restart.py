"""The memory file: what was in the cache at a clean stop is there at the next start, and nothing else ever is."""

import os
import random
import shutil
import struct
import sys
import time

import pytest
from servers import ROOT, Native, Process, Server

HEADER, BLOCK = 4096, 64 * 1024


class Warm(Native):
    """A server on a memory file; close() keeps what it said."""

    def __init__(self, path, *args):
        super().__init__(["-e", str(path), *args])

    @property
    def said(self):
        """What it said about the file so far."""
        return [line for line in self.log.splitlines() if " -e " in line]

    def stop(self):
        """Stops it; returns what it said."""
        code, log = Process.close(self)
        assert code == 0, log
        return [line for line in log.splitlines() if " -e " in line]

    def kill(self):
        self.process.kill()
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


def items(count, seed=1):
    rng = random.Random(seed)
    return {b"key-%d" % i: rng.randbytes(rng.choice([0, 1, 20, 100, 1000, 5000, 70_000])) for i in range(count)}


def fill(server, contents, flags=7):
    with server.connect() as talk:
        for key, value in contents.items():
            assert talk.say(b"set %s %d 0 %d\r\n%s\r\n" % (key, flags, len(value), value)) == b"STORED\r\n"


def holds(server, contents, flags=7):
    with server.connect() as talk:
        for key, value in contents.items():
            answer = b"VALUE %s %d %d\r\n%s\r\nEND\r\n" % (key, flags, len(value), value)
            assert talk.say(b"get %s\r\n" % key) == answer


@pytest.fixture
def path(tmp_path):
    return tmp_path / "memory"


def test_a_clean_stop_keeps_everything(path):
    contents = items(300)
    first = Warm(path)
    fill(first, contents)
    number = int(first.ask(b"gets key-7\r\n").split()[4])
    assert first.stop() == []
    second = Warm(path)
    assert second.said == []
    holds(second, contents)
    assert int(second.stats()["curr_items"]) == 300
    assert int(second.ask(b"gets key-7\r\n").split()[4]) == number
    second.ask(b"set new 0 0 1\r\nx\r\n")
    assert int(second.ask(b"gets new\r\n").split()[4]) > number + 200
    assert second.stop() == []
    third = Warm(path)
    holds(third, contents)
    third.stop()


def test_times_to_live_go_on(path):
    first = Warm(path)
    first.ask(b"set soon 0 3 1\r\nx\r\nset later 0 1000 1\r\nx\r\nset never 0 0 1\r\nx\r\n")
    first.stop()
    second = Warm(path)
    left = int(second.ask(b"mg later t\r\n").split()[1][1:])
    assert 800 < left <= 1000
    second.stop()
    time.sleep(3)
    third = Warm(path)
    assert third.ask(b"get soon never\r\n") == b"VALUE never 0 1\r\nx\r\nEND\r\n"
    assert int(third.stats()["curr_items"]) == 2
    third.stop()


def test_what_the_items_were_is_kept(path):
    first = Warm(path)
    first.ask(b"ms AAEC 2 b F5\r\nhi\r\nms stale 2\r\nhi\r\nmd stale I T100\r\nset read 0 0 1\r\nx\r\nget read\r\n")
    first.stop()
    second = Warm(path)
    assert second.ask(b"mg AAEC k b f v\r\n") == b"VA 2 kAAEC b f5\r\nhi\r\n"
    assert second.ask(b"mg stale\r\n") == b"HD X W\r\n"
    assert second.ask(b"mg read h\r\n") == b"HD h1\r\n"
    second.stop()


def test_a_flush_that_waits_goes_on_waiting(path):
    first = Warm(path)
    begin = time.monotonic()
    first.ask(b"set x 0 0 1\r\nx\r\nflush_all 4\r\n")
    first.stop()
    second = Warm(path)
    answer = second.ask(b"get x\r\n")
    assert answer != b"END\r\n" or time.monotonic() - begin > 2.5
    time.sleep(max(0, begin + 5.5 - time.monotonic()))
    assert second.ask(b"get x\r\n") == b"END\r\n"
    second.stop()


def test_a_cache_is_loaded_once(path):
    first = Warm(path)
    fill(first, items(50))
    first.stop()
    Warm(path).kill()
    after_crash = Warm(path)
    assert after_crash.said == [f"memcached: -e {path} holds no cache of a clean stop: starting with an empty cache"]
    assert after_crash.stats()["curr_items"] == "0"
    after_crash.stop()
    Warm(path).stop()


def test_other_settings_refuse_the_file(path):
    first = Warm(path)
    fill(first, items(50))
    first.stop()
    saved = path.read_bytes()
    for args in (["-I", "2m"], ["-C"]):
        path.write_bytes(saved)
        other = Warm(path, *args)
        assert other.said == [f"memcached: -e {path} was written with another -I or -C: starting with an empty cache"]
        assert other.stats()["curr_items"] == "0"
        other.stop()


def test_a_smaller_cache_takes_what_it_can(path):
    first = Warm(path, "-m", "16")
    fill(first, {b"k%d" % i: b"v" * 1000 for i in range(10_000)})
    first.stop()
    second = Warm(path, "-m", "4")
    assert second.said == []
    assert 2000 < int(second.stats()["curr_items"]) < 5000
    assert int(second.stats()["bytes"]) < 4 << 20
    second.stop()


def test_a_disk_too_small_says_so(path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    server = Warm("/dev/full")
    fill(server, items(10))
    assert "too small for the cache: nothing saved" in server.stop()[-1]


def test_damage_anywhere_is_noticed(path):
    """Every file with something wrong starts an empty cache, with one sentence; never half a cache."""
    first = Warm(path)
    fill(first, items(60, seed=2))
    first.stop()
    saved = path.read_bytes()
    rng = random.Random(3)
    damaged = [b"garbage" * 1000, saved[:HEADER], saved[:HEADER + BLOCK], saved[:-1], saved[:100]]
    for at in [0, 8, 12, 16, 24, 40, 48, 60, 70, HEADER, HEADER + 9, HEADER + 13, *rng.choices(range(HEADER, len(saved)), k=8)]:
        damaged.append(saved[:at] + bytes([saved[at] ^ (1 << rng.randrange(8))]) + saved[at + 1:])
    swapped = saved[:HEADER] + saved[HEADER + BLOCK:HEADER + 2 * BLOCK] + saved[HEADER:HEADER + BLOCK] + saved[HEADER + 2 * BLOCK:]
    for bad in [*damaged, swapped]:
        path.write_bytes(bad)
        server = Warm(path)
        assert len(server.said) == 1 and "starting with an empty cache" in server.said[0]
        assert server.stats()["curr_items"] == "0"
        server.stop()


def checksum(data):
    total = len(data)
    for i in range(0, len(data), 8):
        word = int.from_bytes(data[i:i + 8].ljust(8, b"\0"), "little")
        total = (total ^ word) * 0x9e3779b97f4a7c15 % 2**64
        total ^= total >> 29
    return total


def with_sums(header, payload):
    """A file whose checksums are right, whatever is in it."""
    blocks = b""
    for n in range(0, len(payload), BLOCK - 16):
        part = payload[n:n + BLOCK - 16]
        body = struct.pack("<II", n // (BLOCK - 16), len(part)) + part.ljust(BLOCK - 16, b"\0")
        blocks += struct.pack("<Q", checksum(body)) + body
    header = header[:56] + struct.pack("<Q", len(blocks) // BLOCK)
    return (header + struct.pack("<Q", checksum(header))).ljust(HEADER, b"\0") + blocks


def test_items_that_cannot_be_are_refused(path):
    first = Warm(path)
    fill(first, {b"a": b"1", b"b": b"22"})
    first.stop()
    saved = path.read_bytes()
    payload = saved[HEADER + 16:HEADER + 16 + struct.unpack("<I", saved[HEADER + 12:HEADER + 16])[0]]
    assert with_sums(saved[:64], payload) == saved
    length = 32 + 1 + 3
    bad = [
        payload[:8] + struct.pack("<I", 0xffffffff) + payload[12:],      # a huge value
        payload[:8] + struct.pack("<I", 1) + payload[12:],               # no room for CR LF
        payload[:20] + struct.pack("<I", 0x7fffffff) + payload[24:],     # last used in the future
        payload[:24] + b"\0" + payload[25:],                             # no key
        payload[:24] + b"\xff" + payload[25:],                           # a key too long
        payload[:25] + b"\xff" + payload[26:],                           # flags that say there are pieces
        payload[:26] + b"\x09" + payload[27:],                           # a list that does not exist
        payload[:32] + b" " + payload[33:],                              # a key with a blank
        payload[:length - 1] + b"x" + payload[length:],                  # a value without its end
        payload + payload,                                               # everything twice
        payload[:-1],
    ]
    for number, text in enumerate(bad):
        header = saved[:64]
        if text == payload + payload:
            header = header[:48] + struct.pack("<Q", 4) + header[56:]
        path.write_bytes(with_sums(header, text))
        server = Warm(path)
        assert len(server.said) == 1 and "starting with an empty cache" in server.said[0], number
        assert server.stats()["curr_items"] == "0"
        server.stop()


def test_files_made_up_at_random_harm_nobody(path):
    """The checksums are right, so every byte of every item is looked at; a load is all or nothing."""
    first = Warm(path)
    fill(first, {b"key-%d" % i: b"v" * (i * i * 50) for i in range(40)})
    first.stop()
    saved = path.read_bytes()
    payload = b"".join(saved[at + 16:at + 16 + struct.unpack("<I", saved[at + 12:at + 16])[0]]
                       for at in range(HEADER, len(saved), BLOCK))
    rng = random.Random(9)
    for _ in range(20):
        bad = bytearray(payload)
        for _ in range(rng.choice([1, 1, 2, 10])):
            at = rng.choice([rng.randrange(len(bad)), rng.randrange(400)])
            bad[at:at + rng.choice([1, 1, 4])] = rng.choice([rng.randbytes(1), bytes(4), b"\xff" * 4, b""])
        path.write_bytes(with_sums(saved[:64], bytes(bad)))
        server = Warm(path)
        count = int(server.stats()["curr_items"])
        assert count == 0 if server.said else count <= 40
        assert server.ask(b"set x 0 0 1\r\nx\r\nget x\r\n") == b"STORED\r\nVALUE x 0 1\r\nx\r\nEND\r\n"
        server.stop()


class Disk:
    """The image with a disk, whose first bytes are what restart.h says."""

    def __init__(self, path, *args):
        sys.path.insert(0, str(ROOT / "tests/qemu"))
        import kiln
        import machine
        if not path.exists():
            path.write_bytes(b"")
            os.truncate(path, 32 << 20)
        self.image = kiln.Image("memcached", args=["-e", "/dev/vda", *args], disks=[machine.Disk(path)])
        self.image.boot()
        self.host, self.port = self.image.host, self.image.port

    connect, ask, stats = Server.connect, Server.ask, Server.stats

    def stop(self):
        assert self.image.stop(30) == 0


def test_the_cache_of_an_image_survives_a_clean_stop(path):
    contents = items(200, seed=5)
    first = Disk(path)
    assert "is not a memory file: starting with an empty cache" in first.image.console
    fill(first, contents)
    first.stop()
    second = Disk(path)
    assert "starting with an empty cache" not in second.image.console
    holds(second, contents)
    second.image.close()           # no clean stop: the power goes
    third = Disk(path)
    assert "holds no cache of a clean stop: starting with an empty cache" in third.image.console
    assert third.stats()["curr_items"] == "0"
    third.stop()


def test_a_disk_smaller_than_the_cache_says_so(path):
    path.write_bytes(bytes(64 << 10))
    server = Disk(path)
    fill(server, items(200, seed=6))
    server.stop()
    assert "nothing saved" in server.image.console
