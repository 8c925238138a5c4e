"""
A guest that works on its disk (apps/fstest, load=) until it is killed at some moment: the record of what it wrote, and what it
had promised on its console by then.
"""

import shutil
import time

import blklog
from guest import Guest
from kiln import BOOT_SECONDS

SIZES = 40000              # of versions, as in apps/fstest/load.c


def version_bytes(thread, version):
    line = b"%d %d\n" % (thread, version)
    size = (version * 7919 + thread * 104729) % SIZES
    return (line * (size // len(line) + 1))[:size]


class Promises:
    """What the guest has printed, and how long the record was then: cuts behind that must keep it."""

    def __init__(self, log):
        self.log, self.lines, self.others = log, [], []

    def hear(self, line):
        words = line.split()
        if words[:1] == ["promise"] and len(words) >= 4:
            gone = words[4:] == ["gone"]
            self.lines.append((self.log.stat().st_size, int(words[1]), int(words[2]), int(words[3]), gone))
        else:
            self.others.append(line)

    def before(self, place):
        """By (thread, name): the last version promised before a place of the record."""
        return {(thread, name): (version, gone) for end, thread, name, version, gone in self.lines if end <= place}

    def broken_by(self, tree, place):
        """What is wrong with a copy of the disk's tree that the record up to a place has led to, or None."""
        for (thread, name), last in self.before(place).items():
            newest = 1 + max(line[3] for line in self.lines if line[1] == thread)
            wrong = _what_is_wrong(tree / str(thread) / str(name), thread, last, newest)
            if wrong:
                return f"thread {thread}, name {name}, promised {last}: {wrong}"
        return None


def _what_is_wrong(path, thread, promised, newest):
    """A name on the disk against its last promise: whole, and not older. Every sixth version is its, every eleventh gone."""
    version, gone = promised
    versions = range(version, newest + 1, 6)
    if not path.exists():
        return None if gone or any(v % 11 == 0 for v in versions) else "it is lost"
    data = path.read_bytes()
    if any(v % 11 and version_bytes(thread, v) == data for v in versions):
        return None
    return f"its {len(data)} bytes are none of its versions from {version} to {newest}"


def record(machine, disk, chance, seconds=BOOT_SECONDS):
    """
    Boots a machine on a disk, lets it work for a while, kills it. The disk before (a file), the record's entries, the
    promises. The disk itself has what the guest had written.
    """
    before, log = disk.with_name(disk.name + ".before"), disk.with_name(disk.name + ".log")
    shutil.copy(disk, before)
    log.unlink(missing_ok=True)
    log.touch()
    promises = Promises(log)
    machine.extra = [*machine.extra, *blklog.arguments(disk, log)]
    guest = Guest(machine, on_line=promises.hear, cwd=disk.parent)
    try:
        wanted = chance.randrange(5, 150)
        assert guest.wait_console(lambda seen: seen.count("\npromise ") >= wanted, seconds), guest.console
        time.sleep(chance.random() * 0.05)        # not always between two promises
        assert guest.is_running(), guest.console
    finally:
        guest.kill()
    return before, blklog.read_log(log), promises
