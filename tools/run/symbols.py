"""
Names and places for addresses in a guest's console output.

A panic prints a backtrace whose lines name functions from a table in the image ("name+0x12"). The
image moves itself by a random offset at boot, so an address of the running guest says nothing by
itself; the function's name and the offset into it do. Symbolizer looks the name up in the ELF and
asks addr2line for the place, and appends it to the line as it passes.
"""

import re
import subprocess

FRAME = re.compile(r"\b([A-Za-z_][\w.$]*)\+(0x[0-9a-f]+|\d+)(?:/(?:0x[0-9a-f]+|\d+))?")
BACKTRACE_LINE = re.compile(r"^\s*(?:\[[^\]]*\]\s*)?(?:#?\d+[:.]?\s|0x[0-9a-f]{8,}|ra\b|pc\b|at\b|<)")


class Symbolizer:
    def __init__(self, elf, prefix="riscv64-linux-gnu-"):
        self.elf, self.prefix = str(elf), prefix
        self.table = None

    def _addresses(self):
        """name -> link addresses; several when files share a static function's name."""
        if self.table is None:
            self.table = {}
            out = subprocess.run([self.prefix + "nm", self.elf], capture_output=True, text=True, timeout=60).stdout
            for line in out.splitlines():
                parts = line.split()
                if len(parts) == 3 and parts[1] in "tTwW":
                    self.table.setdefault(parts[2], []).append(int(parts[0], 16))
        return self.table

    def place(self, name, offset):
        """'file:line' of name+offset, several joined by ' or ', or ''."""
        sites = self._addresses().get(name, [])
        if not sites:
            return ""
        # A return address is the instruction after the call: one byte back is inside the call.
        asked = [hex(address + max(offset - 1, 0)) for address in sites]
        out = subprocess.run([self.prefix + "addr2line", "-e", self.elf, *asked],
                             capture_output=True, text=True, timeout=60).stdout
        places = [self._shorten(line) for line in out.splitlines() if not line.startswith("??")]
        return " or ".join(dict.fromkeys(places))

    @staticmethod
    def _shorten(place):
        """The path from the project's own directory on, without a discriminator."""
        place = place.split(" (")[0]
        found = re.search(r"(?:^|/)((?:core|libos|apps|bench|third_party)/.*)", place)
        return found[1] if found else place

    def annotate(self, line):
        """The line, with file:line behind it when it is a frame of a backtrace."""
        found = FRAME.search(line)
        if not found or not BACKTRACE_LINE.match(line):
            return line
        try:
            place = self.place(found[1], int(found[2], 0))
        except (OSError, subprocess.TimeoutExpired):
            place = ""
        return f"{line}  {place}" if place else line
