"""The memcached image over time: an hour's worth of everything that comes and goes, and the model of tests/memcached."""

import random
import socket
import struct
import subprocess

import pytest

import archive                   # of tools/run, which kiln.py makes known
from kiln import ROOT, Image, eventually, quiet_make, read_until

PAGES_LOST = 256                 # 1 MiB: what buffers and lists keep in hand
ROUND_SECONDS = 10               # of the image's clock


class Churn:
    """Rounds of a client population's work: stores of all sizes and lives, deletions, connections that come, go and vanish."""

    def __init__(self, image, seed):
        self.image, self.rng, self.number = image, random.Random(seed), 0

    def size(self):
        return int(10 ** self.rng.uniform(0, 4.3)) if self.rng.random() < 0.995 else self.rng.randrange(20_000, 400_000)

    def stores(self, count):
        said = []
        for _ in range(count):
            self.number += 1
            size, life = self.size(), self.rng.choice([0, 0, 1, 20, 300, 4000])
            said.append(b"set key%d 0 %d %d noreply\r\n%s\r\n" % (self.number, life, size, b"v" * size))
        return b"".join(said)

    def others(self, count):
        def key():
            return b"key%d" % self.rng.randrange(max(0, self.number - 5000), self.number + 1)
        kinds = [lambda: b"get %s %s\r\n" % (key(), key()), lambda: b"delete %s noreply\r\n" % key(), lambda: b"mg %s t v\r\n" % key(),
                 lambda: b"append %s 0 0 3 noreply\r\nabc\r\n" % key(), lambda: b"touch %s 50 noreply\r\n" % key(),
                 lambda: b"incr %s 1 noreply\r\n" % key(), lambda: b"gat 30 %s\r\n" % key()]
        return b"".join(self.rng.choice(kinds)() for _ in range(count))

    def say(self, data):
        with self.image.connect() as s:
            s.sendall(data + b"mn\r\n")
            read_until(s, b"MN\r\n")

    def vanish(self):
        """In the middle of a value, of a line, of an answer."""
        for said in (b"set half 0 0 1000\r\nabc", b"get ", b"get key%d\r\n" % self.number):
            s, = self.image.connect_many(1)
            s.sendall(said)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()

    def round(self):
        self.say(self.stores(150))
        self.say(self.others(150))
        if self.rng.random() < 0.1:
            self.vanish()
        if self.rng.random() < 0.02:
            self.say(b"flush_all\r\n")
        self.say(b"debugtime %d\r\n" % ROUND_SECONDS)


def free_pages(image):
    return image.counters()["pages_free"]


def endure(seconds, seed):
    """Memory after `seconds` of the image's clock is what it was when the cache had become full."""
    with Image("memcached_debug", mem="96M", args=["-m", "8", "-I", "512k", "-o", "slab_automove=1,slab_automove_window=3"]) as image:
        churn = Churn(image, seed)
        while b"STAT evictions 0\r\n" in image.ask(b"stats\r\n", until=b"END\r\n"):
            churn.round()
        for _ in range(20):
            churn.round()
        free = free_pages(image)
        for _ in range(seconds // ROUND_SECONDS):
            churn.round()
        assert eventually(lambda: free - free_pages(image) < PAGES_LOST), f"of {free} free pages {free_pages(image)} are left"
        said = image.ask(b"stats\r\n", until=b"END\r\n").decode()
        stats = dict(line.split(" ", 2)[1:] for line in said.splitlines() if line.startswith("STAT "))
        assert int(stats["bytes"]) <= 8 << 20 and int(stats["evictions"]) > 10 and int(stats["uptime"]) > seconds
        assert eventually(lambda: b"STAT curr_connections 1\r\n" in image.ask(b"stats\r\n", until=b"END\r\n"))


def test_memory_is_steady_while_everything_comes_and_goes():
    endure(120, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 5))
def test_memory_is_steady_over_hours_of_everything(seed):
    endure(4 * 3600, seed)


@pytest.mark.soak
def test_a_million_operations_of_the_model():
    program = ROOT / "build/native/memcached_model"
    subprocess.run(["make", "-s", str(program.relative_to(ROOT))], cwd=ROOT, check=True, timeout=600, env=quiet_make())
    with Image("memcached_debug") as image:
        done = subprocess.run([program, image.host, str(image.port), "3", "1000000", "time"], capture_output=True, text=True,
                              errors="replace", timeout=3600)
    assert done.returncode == 0, done.stderr[-3000:]


def test_clients_must_show_who_they_are(tmp_path):
    """-Y in the image, with the file in its initial archive."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files/users").write_bytes(b"ann:secret\nbob:pass:word\n")
    (tmp_path / "archive").write_bytes(archive.folder_archive(tmp_path / "files"))
    with Image("memcached", args=["-Y", "/users"], initrd=str(tmp_path / "archive"), wait=False) as image:
        def refuses():
            try:
                return image.ask(b"version\r\n", timeout=2) == b"CLIENT_ERROR unauthenticated\r\n"
            except (OSError, AssertionError):
                return False
        assert eventually(refuses)
        assert image.ask(b"set x 0 0 9\r\nann wrong\r\n") == b"CLIENT_ERROR authentication failure\r\n"
        for words in (b"ann secret", b"bob pass:word"):
            said = b"set x 0 0 %d\r\n%s\r\n" % (len(words), words) + b"set a 0 0 1\r\nx\r\nget a\r\n"
            assert image.ask(said, until=b"END\r\n") == b"STORED\r\nSTORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n"
        assert image.ask(b"get a\r\n") == b"CLIENT_ERROR unauthenticated\r\n"
    with Image("memcached", args=["-Y", "/nobody"], wait=False) as image:
        image.expect("memcached: /nobody: No such file or directory")
