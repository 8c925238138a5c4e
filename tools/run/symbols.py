"""
Places for addresses in a guest's console output.

A panic prints a backtrace whose lines hold the address that the ELF file knows (the image moves
itself at boot; the offset is taken off already) and the function's name from a table in the image:

      #1  0xffffffff80012345 page_free+0x1c

Symbolizer asks addr2line for file and line, and appends them to the line as it passes. All
frames but a trapped one are return addresses, which lie behind the call they belong to, so one byte
less is asked for. A trap's registers are printed before its backtrace; that tells the two apart.
"""

import re
import subprocess

FRAME = re.compile(r"^\s*#(\d+)\s+(?:0x)?([0-9a-f]{16})\b")
PANIC = re.compile(r"\bpanic: ")
TRAP_REGISTERS = re.compile(r"^\s*pc\s+[0-9a-f]{16}\b")


class Symbolizer:
    def __init__(self, elf, prefix="riscv64-linux-gnu-"):
        self.elf, self.prefix = str(elf), prefix
        self.trapped = False

    def place(self, address):
        """'function at file:line' of a link address, inlined callers included, or ''."""
        out = subprocess.run([self.prefix + "addr2line", "-i", "-e", self.elf, hex(address)],
                             capture_output=True, text=True, timeout=60).stdout
        places = [self._shorten(line) for line in out.splitlines() if not line.startswith("??")]
        return ", inlined at ".join(places)

    @staticmethod
    def _shorten(place):
        """The path from the project's own directory on, without a discriminator."""
        place = place.split(" (")[0]
        found = re.search(r"(?:^|/)((?:core|libos|apps|bench|third_party)/.*)", place)
        return found[1] if found else place

    def annotate(self, line):
        """The line, with file:line behind it when it is a frame of a backtrace."""
        if PANIC.search(line):
            self.trapped = False
        elif TRAP_REGISTERS.search(line):
            self.trapped = True
        found = FRAME.match(line)
        if not found:
            return line
        exact = found[1] == "0" and self.trapped
        try:
            place = self.place(int(found[2], 16) - (0 if exact else 1))
        except (OSError, subprocess.TimeoutExpired):
            place = ""
        return f"{line}  {place}" if place else line
