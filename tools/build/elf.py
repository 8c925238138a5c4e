"""
Reading what the linker wrote: just enough of ELF64 (little-endian) for the build's own tools.
Layouts are those of the System V ABI, chapters 4 and 5.
"""

import struct
from collections import namedtuple

Section = namedtuple("Section", "index name kind flags address offset size link info entry_size")
Symbol = namedtuple("Symbol", "name value size kind bind section")
Relocation = namedtuple("Relocation", "offset kind symbol addend")

SHT_PROGBITS, SHT_SYMTAB, SHT_RELA = 1, 2, 4
SHF_ALLOC, SHF_EXECINSTR = 2, 4
STT_NOTYPE, STT_OBJECT, STT_FUNC = 0, 1, 2
STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
SHN_UNDEF = 0


class Elf:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path} is not a little-endian ELF64 file")
        start = struct.unpack_from("<Q", self.data, 40)[0]
        entry_size, count, names = struct.unpack_from("<HHH", self.data, 58)
        raw = [struct.unpack_from("<IIQQQQIIQQ", self.data, start + i * entry_size)
               for i in range(count)]
        self.sections = []
        for i, (name, kind, flags, address, offset, size, link, info, _, each) in enumerate(raw):
            self.sections.append(Section(i, self.string(raw[names][4] + name), kind, flags, address,
                                         offset, size, link, info, each))
        self.by_name = {s.name: s for s in self.sections}
        self.symbols = self._read_symbols()

    def string(self, offset):
        return self.data[offset:self.data.index(b"\0", offset)].decode()

    def _read_symbols(self):
        table = next((s for s in self.sections if s.kind == SHT_SYMTAB), None)
        if table is None:
            return []
        strings = self.sections[table.link].offset
        bytes_of = self.data[table.offset:table.offset + table.size]
        return [Symbol(self.string(strings + name), value, size, info & 15, info >> 4, section)
                for name, info, _, section, value, size in struct.iter_unpack("<IBBHQQ", bytes_of)]

    def relocations(self, section):
        """Those that apply to `section`, when the link kept them."""
        for table in self.sections:
            if table.kind == SHT_RELA and table.info == section.index:
                bytes_of = self.data[table.offset:table.offset + table.size]
                for offset, info, addend in struct.iter_unpack("<QQq", bytes_of):
                    yield Relocation(offset, info & 0xffffffff, self.symbols[info >> 32], addend)

    def word(self, section, address):
        """The 64-bit word at a linked address of `section`."""
        return struct.unpack_from("<Q", self.data, section.offset + address - section.address)[0]

    def symbol(self, name):
        for s in self.symbols:
            if s.name == name:
                return s
        raise KeyError(name)
