#!/usr/bin/python3
"""How much stack a system call may use: stack_depth.py IMAGE.elf [LIMIT].

System calls of an appliance run on the caller's stack. From the disassembly of an image this adds up
the frames along every chain of calls that begins at a door (direct_*), and prints the deepest
chains. A call through a pointer is taken to reach any function whose address lies in the image's
data under the names of that kind of pointer (POINTERS). Only functions of core, libos and lwIP
count, which the link map beside the image tells. What ends in a panic or powers the machine off does
not return and is left out, and so is what runs on another stack (threads, traps) or is the
application's own (signal handlers). With LIMIT, a deeper chain is an error.
"""

import re
import struct
import subprocess
import sys

# What the table of a kind of sockets holds.
SOCKETS = (r"socket_(bind|listen|accept|connect|send|receive|shutdown|[sg]et_option|local_name|peer_name|bytes_ready|is_listening|"
           r"receive_timeout_ns|send_timeout_ns|poll|poll_queue|release)$")

# What files do: called by the file layer, never by the network, an interrupt or a driver.
FILES = r"((block|tmpfs|ext4|pipe|console_file|proc|inotify|eventfd|timerfd|epoll|initrd|dir|place|device|null|zero|full|random|bytes|journaled|inline)_\w+|" \
        r"file_(read|write|poll|sync|seek_\w+)|let_go|node_sync|always_ready|fd_(text|place)|next_fd|cwd|root|(vfs_)?end)$"

# Who calls through pointers, and the names of what those may point to.
POINTERS = [
    (r"file_transfer|file_read|file_write", r".*_(read|write)$"),
    (r"file_put|fd_|epoll_release", r".*_release$"),
    (r"poll_notify|poll_queue_destroy", r".*_notify$"),
    (r"poll_call_.*|item_events_now|epoll_.*|sys_p?poll|sys_pselect6", r".*_(poll|queue|poll_queue)$"),
    (r"sys_ioctl|ioctl_file", r".*_ioctl$"),
    (r"sys_lseek", r".*_seek$"),
    (r"sys_fstat", r".*_stat$"),
    (r"sys_fsync|file_sync", r".*_sync$"),
    (r"notify_.*|end_all_locked|end_locked|tell_locked|tell|watches_free|sys_inotify_.*", r"^watch_(tell|ended|free)$|.*_forget$"),
    (r"inode_(put|end)|dentry_.*|dentries_end|remember", r".*_(forget|lookup|aliased)$"),
    (r"mount_put|mount_free|super_end|path_put|vfs_(unmount|detach|remount|mount|bind)|remount_super", r".*_(unmount|sync|remount|mount|forget)$"),
    (r"vfs_walk.*|step|follow|jump|open_last|open_create|open_nameless|make_nameless|vfs_open", r".*_(lookup|read_link|leads|jump|make|link|forget|sync|unmount)$"),
    (r"vfs_(create|link|unlink|rename).*|create_at|rename_.*|kill_dir|unlink_checks",
     r".*_(lookup|make|link|unlink|rename|is_empty|forget|sync|unmount)$"),
    (r"vfs_change|vfs_drop_set_id", r".*_change$"),
    (r"proc_read", r".*_show$"),
    (r"proc_read_link|proc_jump|proc_lookup|proc_iterate|iterate_.*|lookup_number|place_text", r"^(next_fd|fd_text|fd_place|cwd|root|add_dirent)$"),
    (r"sys_(socket.*|bind|listen|accept4?|connect|getsockname|getpeername|shutdown|[gs]etsockopt|sendto|sendmsg|recvfrom|"
     r"recvmsg)|socket_(send_waiting|receive_waiting|file_.*|install)|name_of|install_pair|connect_step",
     r"^(unix|socket)_(?!file_)\w+$"),
    (r"cache_.*|fill.*|write_(range|page).*|flush.*", r"(.*_)?(map|place|settle|written|prepare|finish|read_page|write_page)$"),
    (r"copy_\w+|sys_(mmap|munmap|msync|mremap|sendfile|copy_file_range|fadvise64|readahead|sync_file_range)|pages_of",
     r".*_(pages|read|write|sync)$"),
    (r"pad|emit.*|fmt_.*", r"(.*_)?put$"),
    (r"end_requests|blkdev_submit", r"\w+_done$"),
    (r"dispatch|blkdev_kick", r"\w+_(start|kick)$"),
    (r"irq_take|handle_claimed|\w+_interrupt", r"plic_\w+$|\w+_interrupt$|\w*quiet\w*$"),
    (r"page_alloc.*|alloc_given_back", r".*(reclaim|give_back).*"),
    (r"virtq_.*|virtio_.*", r"^(mmio|pci)_.*"),
    (r"tree_.*|heap_.*", r".*(compare|less|before|earlier|sooner).*"),
    (r"unnamed|lend_some|uio_borrow|net_loans_.*", r"^lent_page_(hold|put)$"),
    (r"destroyed", r"^(forgotten|lent_page_put)$"),
    (r"system_poweroff", r"^$"),
    (r"signal_.*", r"^$"),
]
# Any other pointer. What is left out is called by those above alone, or at boot.
OTHER = r"(?!unix_|lent_page_|" + FILES + r"|" + SOCKETS + r")(?!.*(_task|_thread|_main|_init|_test|_interrupt|_run|_show|_lookup|_iterate|_jump|_read_link|_forget|_aliased|_unmount|_probe|_ioctl)$).*"
NEVER = re.compile(r"^(panic.*|assert_failed|log_write|exception_panic|system_poweroff|process_exit|arch_poweroff|"
                   r"__stack_chk_fail|thread_exit|thread_end|sched_.*|schedule|signal_call_handler|trap_.*)$")


def disassemble(elf):
    text = subprocess.run(["riscv64-linux-gnu-objdump", "-d", "--no-show-raw-insn", elf], check=True,
                          capture_output=True, text=True).stdout
    functions, current = {}, None
    for line in text.splitlines():
        head = re.match(r"^([0-9a-f]+) <([^>]+)>:$", line)
        if head:
            current = functions.setdefault(head[2], {"address": int(head[1], 16), "frame": 0, "calls": set(), "indirect": False})
        elif current is not None and ":\t" in line:
            read_instruction(line.split(":\t", 1)[1].strip(), current)
    return functions


def read_instruction(text, function):
    frame = re.match(r"addi?\s+sp,sp,-(\d+)", text)
    if frame:
        function["frame"] += int(frame[1])
    target = re.match(r"(?:jal|j|jalr|tail|call)\b.*<([^>+]+)>", text)
    if target:
        function["calls"].add(target[1])
    elif re.match(r"(jalr\s+(?!zero)|jr\s+(?!ra))", text):
        function["indirect"] = True


def address_taken(elf, functions):
    """Names of functions whose addresses lie in data."""
    by_address = {f["address"]: name for name, f in functions.items()}
    data = open(elf, "rb").read()
    shoff, = struct.unpack_from("<Q", data, 40)
    shentsize, shnum = struct.unpack_from("<HH", data, 58)
    taken = set()
    for i in range(shnum):
        _n, kind, flags, _a, off, size = struct.unpack_from("<IIQQQQ", data, shoff + i * shentsize)
        if kind == 1 and flags & 2 and not flags & 4:
            for word, in struct.iter_unpack("<Q", data[off:off + size // 8 * 8]):
                if word in by_address:
                    taken.add(by_address[word])
    return taken


def ours(elf):
    """Names of the functions that come from core, libos and lwIP, by the link map."""
    text = open(re.sub(r"\.elf$", ".map", elf), encoding="utf-8").read()
    found = re.findall(r"^ \.text\.(\S+)\s+0x[0-9a-f]+\s+0x[0-9a-f]+ \S*/obj/(\S+)$", text, re.M)
    return {name for name, source in found if not re.match(r"apps/|libos/libc/", source)}


class Depths:
    def __init__(self, functions, taken):
        self.functions, self.taken, self.known = functions, taken, {}

    def callees(self, name):
        function = self.functions[name]
        yield from function["calls"]
        if function["indirect"]:
            pattern = next((targets for callers, targets in POINTERS if re.fullmatch(callers, base(name))), OTHER)
            yield from (t for t in self.taken if re.match(pattern, base(t)))

    def of(self, name, above=()):
        """(bytes, chain) of the deepest chain from `name`; a function is not entered twice."""
        if name in self.known:
            return self.known[name]
        if name not in self.functions or (above and name.startswith("direct_")) or name in above or NEVER.match(base(name)) or len(above) > 60:
            return 0, ()
        best = (0, ())
        for callee in sorted(set(self.callees(name))):
            if callee != name:
                best = max(best, self.of(callee, above + (name,)))
        result = best[0] + self.functions[name]["frame"], (name,) + best[1]
        self.known[name] = result
        return result


def base(name):
    return re.sub(r"\.(part|constprop|isra|cold|lto_priv)\.?\d*", "", name)


def main():
    elf, limit = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None
    allowed = ours(elf)
    functions = {n: f for n, f in disassemble(elf).items() if n in allowed or base(n) in allowed}
    depths = Depths(functions, address_taken(elf, functions))
    doors = sorted((depths.of(n) for n in functions if n.startswith("direct_")), reverse=True)
    for size, chain in doors[:2]:
        print(size, " > ".join(f"{n}({functions[n]['frame']})" for n in chain))
    if limit and doors and doors[0][0] > limit:
        sys.exit(f"stack_depth: a system call may use {doors[0][0]} bytes of its caller's stack, more than {limit}")


main()
