"""
Power cuts of a whole machine: what a guest writes is recorded by QEMU's driver blklogwrites, and the record is played up to
any place, with any of the writes that no flush had made durable there.

The record's format is that of Linux's dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst, and the
structures it names): a sector with magic, version, count of entries and sector size, then each entry as a sector with its
place, length and flags, and its bytes. QEMU writes the count now and then; here the entries are read up to the first
sector that is none, since the guest is killed.
"""

import dataclasses
import struct

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
SECTOR = 512


@dataclasses.dataclass
class Entry:
    offset: int       # on the disk, in bytes
    data: bytes       # None: discarded
    flags: int
    end: int          # where the entry ends in the record


def arguments(disk, log, number=0):
    """QEMU's words for a virtio disk that is recorded."""
    name = f"logged{number}"
    return ["-blockdev", f"driver=raw,node-name={name}-disk,file.driver=file,file.filename={disk}",
            "-blockdev", f"driver=raw,node-name={name}-log,file.driver=file,file.filename={log}",
            "-blockdev", f"driver=blklogwrites,node-name={name},file={name}-disk,log={name}-log,log-sector-size={SECTOR}",
            "-device", f"virtio-blk-device,drive={name},write-cache=on"]


def read_log(path):
    entries = []
    with open(path, "rb") as f:
        magic, version, _, sector = struct.unpack("<QQQI", f.read(28))
        assert (magic, version, sector) == (MAGIC, 1, SECTOR), (hex(magic), version, sector)
        f.seek(SECTOR)
        while True:
            header = f.read(SECTOR)
            if len(header) < SECTOR:
                return entries
            where, sectors, flags, _ = struct.unpack_from("<QQQQ", header)
            if not flags and not sectors:
                return entries
            data = None if flags & DISCARD else f.read(sectors * SECTOR)
            if data is not None and len(data) < sectors * SECTOR:
                return entries
            entries.append(Entry(where * SECTOR, data, flags, f.tell()))


def apply(disk, entry, count=None):
    """The entry reaches the disk (a bytearray), or only so many bytes of it."""
    if entry.data:
        data = entry.data[:count]
        disk[entry.offset:entry.offset + len(data)] = data


def cut_disk(before, entries, at, chance, atom=SECTOR):
    """
    A disk as the power going after `at` entries may leave it: all up to the last flush, and of what came later a random
    part, each write whole, torn between atoms, or lost; writes with FUA are never lost.
    """
    disk = bytearray(before)
    flushed = max((n + 1 for n in range(at) if entries[n].flags & FLUSH), default=0)
    for entry in entries[:flushed]:
        apply(disk, entry)
    likely = chance.random()
    for entry in entries[flushed:at]:
        atoms = len(entry.data or b"") // atom
        if entry.flags & FUA or chance.random() < likely:
            apply(disk, entry)
        elif atoms > 1 and chance.random() < 0.5:
            apply(disk, entry, chance.randrange(1, atoms) * atom)
    return disk
