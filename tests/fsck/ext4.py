"""
As much of ext4 as it takes to damage a disk at a place of one's choice, and to make its checksums right again.
"""

import struct

POLYNOMIAL = 0x82F63B78
TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (POLYNOMIAL if n & 1 else 0)
    TABLE.append(n)


def crc32c(seed, data):
    for byte in data:
        seed = seed >> 8 ^ TABLE[(seed ^ byte) & 255]
    return seed


def crc16(seed, data):
    for byte in data:
        seed ^= byte
        for _ in range(8):
            seed = seed >> 1 ^ (0xA001 if seed & 1 else 0)
    return seed


class Disk:
    """A disk in memory. Places are byte offsets; `fix` computes the checksum of the structure that begins there."""

    def __init__(self, data):
        self.data = bytearray(data)
        s = 1024
        self.block_bytes = 1024 << self.u32(s + 0x18)
        self.per_group, self.inodes_per_group = self.u32(s + 0x20), self.u32(s + 0x28)
        self.first = self.u32(s + 0x14)
        self.inodes, self.blocks = self.u32(s), self.u32(s + 4)
        self.inode_bytes = self.u16(s + 0x58) if self.u32(s + 0x4C) else 128
        self.incompat, self.ro = self.u32(s + 0x60), self.u32(s + 0x64)
        self.has_csum = bool(self.ro & 0x400)
        self.desc_bytes = self.u16(s + 0xFE) if self.incompat & 0x80 else 32
        self.groups = -(-(self.blocks - self.first) // self.per_group)
        self.seed = self.u32(s + 0x270) if self.incompat & 0x2000 else crc32c(0xFFFFFFFF, self.data[s + 0x68:s + 0x78])

    def u16(self, at):
        return struct.unpack_from("<H", self.data, at)[0]

    def u32(self, at):
        return struct.unpack_from("<I", self.data, at)[0]

    def put(self, at, form, value):
        struct.pack_into("<" + form, self.data, at, value)

    def descriptor(self, group):
        return (self.first + 1) * self.block_bytes + group * self.desc_bytes

    def inode(self, ino):
        group, index = divmod(ino - 1, self.inodes_per_group)
        return self.u32(self.descriptor(group) + 8) * self.block_bytes + index * self.inode_bytes

    def inode_seed(self, ino):
        return crc32c(crc32c(self.seed, struct.pack("<I", ino)), self.data[self.inode(ino) + 0x64:self.inode(ino) + 0x68])

    def extents(self, ino):
        """The blocks of the extent tree, and those of the file, in order."""
        nodes, blocks = [], []

        def walk(at):
            count, depth = self.u16(at + 2), self.u16(at + 6)
            for entry in range(at + 12, at + 12 + 12 * count, 12):
                if depth:
                    nodes.append(self.u32(entry + 4))
                    walk(nodes[-1] * self.block_bytes)
                else:
                    blocks.extend(range(self.u32(entry + 8), self.u32(entry + 8) + self.u16(entry + 4) % 32768))

        if self.u32(self.inode(ino) + 0x20) & 0x80000:
            walk(self.inode(ino) + 0x28)
        else:
            blocks.extend(self.u32(self.inode(ino) + 0x28 + 4 * n) for n in range(12))
        return nodes, [block for block in blocks if block]

    # ---- checksums ----

    def fix_super(self):
        if self.has_csum:
            self.put(1024 + 0x3FC, "I", crc32c(0xFFFFFFFF, self.data[1024:1024 + 0x3FC]))

    def fix_descriptor(self, group):
        at = self.descriptor(group)
        if self.has_csum:
            crc = crc32c(crc32c(self.seed, struct.pack("<I", group)), self.data[at:at + 0x1E] + b"\0\0")
            self.put(at + 0x1E, "H", crc32c(crc, self.data[at + 0x20:at + self.desc_bytes]) & 0xFFFF)
        elif self.ro & 0x10:
            crc = crc16(crc16(0xFFFF, self.data[1024 + 0x68:1024 + 0x78]), struct.pack("<I", group))
            self.put(at + 0x1E, "H", crc16(crc, self.data[at:at + 0x1E]))

    def fix_bitmap(self, group, inodes):
        at = self.descriptor(group)
        if not self.has_csum:
            return
        block = self.u32(at + (4 if inodes else 0)) * self.block_bytes
        bits = self.inodes_per_group if inodes else self.per_group
        crc = crc32c(self.seed, self.data[block:block + bits // 8])
        self.put(at + (0x1A if inodes else 0x18), "H", crc & 0xFFFF)
        if self.desc_bytes >= 64:
            self.put(at + (0x3A if inodes else 0x38), "H", crc >> 16)
        self.fix_descriptor(group)

    def fix_inode(self, ino):
        at = self.inode(ino)
        if not self.has_csum:
            return
        wide = self.inode_bytes > 128 and self.u16(at + 0x80) >= 4
        raw = bytearray(self.data[at:at + self.inode_bytes])
        raw[0x7C:0x7E] = b"\0\0"
        if wide:
            raw[0x82:0x84] = b"\0\0"
        crc = crc32c(self.inode_seed(ino), raw)
        self.put(at + 0x7C, "H", crc & 0xFFFF)
        if wide:
            self.put(at + 0x82, "H", crc >> 16)

    def fix_leaf(self, ino, block):
        at, end = block * self.block_bytes, (block + 1) * self.block_bytes
        if self.has_csum:
            self.put(end - 4, "I", crc32c(self.inode_seed(ino), self.data[at:end - 12]))

    def fix_index(self, ino, block, offset):
        at = block * self.block_bytes
        if not self.has_csum:
            return
        limit, count = self.u16(at + offset), self.u16(at + offset + 2)
        tail = at + offset + 8 * ((self.block_bytes - offset - 8) // 8)
        crc = crc32c(self.inode_seed(ino), self.data[at:at + offset + 8 * min(limit, count)])
        self.put(tail + 4, "I", crc32c(crc, self.data[tail:tail + 4] + b"\0\0\0\0"))

    def fix_extent_node(self, ino, block):
        at = block * self.block_bytes
        if self.has_csum:
            tail = at + 12 + 12 * self.u16(at + 4)
            if tail + 4 <= at + self.block_bytes:
                self.put(tail, "I", crc32c(self.inode_seed(ino), self.data[at:tail]))

    def fix_orphans(self, ino, block):
        at, end = block * self.block_bytes, (block + 1) * self.block_bytes
        if self.has_csum:
            self.put(end - 4, "I", crc32c(crc32c(self.inode_seed(ino), struct.pack("<Q", block)), self.data[at:end - 8]))

    def fix_attributes(self, block):
        at = block * self.block_bytes
        if self.has_csum:
            raw = bytearray(self.data[at:at + self.block_bytes])
            raw[0x10:0x14] = b"\0\0\0\0"
            self.put(at + 0x10, "I", crc32c(crc32c(self.seed, struct.pack("<Q", block)), raw))
