"""
Kiln in gdb: finding the image where it placed itself, and looking at its threads.

    kiln-attach [TARGET]   connects to QEMU (localhost:1234), follows the boot to the first line of C
                           at its final address, and moves the symbols there
    kiln-threads           every thread: number, name, state, priority, hart, processor time
    kiln-harts             what each hart runs, and how many wait for it
    kiln-memory            free memory, and who uses the rest

The image is linked at a fixed address, loaded by firmware wherever it likes, and moves itself to a
random place while paging is off. kiln-attach reads that place from boot_layout at its physical
address when early_boot() returns. The commands read the scheduler's and the allocator's own
structures, so they follow core/sched and core/mm; they work whenever the guest stands still.
"""

import re

import gdb

LOAD_ADDRESS = 0x80200000     # where QEMU's virt board puts the payload
TICKS_PER_MS = 10_000         # of QEMU's virt board


def number(expression):
    return int(gdb.parse_and_eval(expression))


def address_of(symbol):
    return number(f"(unsigned long)&{symbol}") & (1 << 64) - 1


def static_symbol(name):
    """A file's own variable: its value."""
    symbol = gdb.lookup_static_symbol(name) or gdb.lookup_global_symbol(name)
    if symbol is None:
        raise gdb.GdbError(f"This image has no {name}: is it the ELF file of the running guest?")
    return symbol.value()


def as_string(array):
    return array.string(errors="replace").split("\0")[0]


def list_entries(head, type_name, member):
    """The objects on an intrusive list (core/list.h)."""
    kind = gdb.lookup_type(type_name)
    offset = next(f.bitpos // 8 for f in kind.fields() if f.name == member)
    node, end, left = head["next"], head.address, 10_000
    while node != end and int(node) and left:
        address = int(node.cast(gdb.lookup_type("unsigned long"))) - offset
        yield gdb.Value(address).cast(kind.pointer()).dereference()
        node, left = node["next"], left - 1


def enum_name(type_name, value, prefix):
    for field in gdb.lookup_type(type_name).fields():
        if field.enumval == int(value):
            return field.name.removeprefix(prefix).lower()
    return str(int(value))


class Command(gdb.Command):
    """A command named like its class: KilnThreads is kiln-threads."""

    def __init__(self):
        words = re.findall("[A-Z][a-z]*", type(self).__name__)
        super().__init__("-".join(words).lower(), gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        self.run(argument)


class KilnAttach(Command):
    """Connect to QEMU and follow the boot to the image's final place: kiln-attach [TARGET]"""

    def run(self, argument):
        elf = gdb.current_progspace().filename
        if not elf:
            raise gdb.GdbError("Name the image's ELF file first: file images/<image>.elf")
        base = address_of("image_start")
        early, layout = address_of("early_boot"), address_of("boot_layout")
        gdb.execute(f"target remote {argument or 'localhost:1234'}", to_string=True)
        self._run_to(early - base + LOAD_ADDRESS)
        self._run_to(number("(unsigned long)$ra"))
        # The structure at its physical address, for paging is still off.
        placement = number(f"((struct boot_layout *){layout - base + LOAD_ADDRESS:#x})->placement")
        placement &= (1 << 64) - 1
        gdb.execute(f"symbol-file {elf} -o {placement:#x}", to_string=True)
        self._run_to(address_of("kernel_main"))
        print(f"The image is at {base + placement:#x}, moved by {placement:#x}; it stands at kernel_main().")

    @staticmethod
    def _run_to(address):
        stop = gdb.Breakpoint(f"*{address:#x}", internal=True, temporary=True)
        stop.silent = True
        gdb.execute("continue", to_string=True)


class KilnThreads(Command):
    """List the threads of the guest."""

    def run(self, argument):
        print(f"{'id':>4} {'name':<16} {'state':<9} {'priority':>8} {'hart':>4} {'ran ms':>9}")
        for t in list_entries(static_symbol("all_threads"), "struct thread", "all_link"):
            state = enum_name("enum thread_state", t["state"], "THREAD_")
            print(f"{int(t['id']):>4} {as_string(t['name']):<16} {state:<9} {int(t['priority']):>8} "
                  f"{int(t['arch']['hart']):>4} {int(t['ran_ticks']) / TICKS_PER_MS:>9.1f}")


class KilnHarts(Command):
    """Show what each hart runs and how many threads wait for it."""

    def run(self, argument):
        queues = static_symbol("runqueues")
        first, last = queues.type.range()
        for i in range(first, last + 1):
            current = queues[i]["current"]
            if not int(current):
                continue
            print(f"hart {i}: runs {as_string(current['name'])} (thread {int(current['id'])}), "
                  f"{int(queues[i]['ready'])} ready")


class KilnMemory(Command):
    """Show free memory and who uses the rest."""

    def run(self, argument):
        page_kib = 4
        total, free = static_symbol("total_frames"), static_symbol("free_frames")
        print(f"{int(total) * page_kib} KiB of memory, {int(free) * page_kib} KiB free")
        owners = static_symbol("frames_by_owner")
        first, last = owners.type.range()
        for i in range(first, last + 1):
            if int(owners[i]):
                print(f"{int(owners[i]) * page_kib:>10} KiB {enum_name('enum page_owner', i, 'PAGE_')}")


for command in (KilnAttach, KilnThreads, KilnHarts, KilnMemory):
    command()
