#!/usr/bin/python3
"""
make debug: QEMU waits, gdb is attached with symbols and stands at kernel_main().

    debug.py IMAGE [the knobs of make run] [GDBARGS='-batch -ex ...']

gdb gets tools/gdb/kiln.py, which follows the boot to the first line of C at the image's random
place, moves the symbols there, and adds the commands kiln-threads, kiln-harts and kiln-memory. The
guest's console goes to build/<image>/run/console.log so that it does not run through gdb's prompt;
QEMU ends with gdb.
"""

import shlex
import shutil
import signal
import subprocess
import sys

import machine
import record
from guest import free_port
from machine import ROOT, Trouble
from run import Run, describe, read_knobs


def split_knobs(words):
    gdb_args = [w.partition("=")[2] for w in words if w.startswith("GDBARGS=")]
    return [w for w in words if not w.startswith("GDBARGS=")], shlex.split(gdb_args[0]) if gdb_args else []


def gdb_command(image, port, more):
    gdb = shutil.which("gdb-multiarch")
    if not gdb:
        raise Trouble("gdb-multiarch is missing: 'make setup' installs it.")
    return [gdb, "-nx", "-q", "-ex", "set pagination off", "-ex", "set confirm off",
            "-ex", "set architecture riscv:rv64", "-ex", f"file {machine.image_path(image)}",
            "-ex", f"source {ROOT / 'tools' / 'gdb' / 'kiln.py'}",
            "-ex", f"kiln-attach 127.0.0.1:{port}", *more]


class DebugRun(Run):
    def print_line(self, line):
        with open(record.folder(self.image) / "console.log", "a") as log:
            print(self.symbols.annotate(line), file=log)


def main(argv):
    try:
        if not argv:
            raise Trouble("debug needs the name of an image.")
        words, more = split_knobs(argv[1:])
        knobs = read_knobs(words)
        port = free_port()
        knobs["GDB"] = f"tcp:127.0.0.1:{port}"
        m, facts = describe(argv[0], knobs)
        command = gdb_command(argv[0], port, more)
        run = DebugRun(argv[0], m, facts)
        try:
            run.start()
            print(f"The console of {argv[0]} is in {record.folder(argv[0]) / 'console.log'}.", flush=True)
            signal.signal(signal.SIGINT, signal.SIG_IGN)     # Ctrl-C belongs to gdb
            return subprocess.call(command)
        finally:
            run.close()
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
