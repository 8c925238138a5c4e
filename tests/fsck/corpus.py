"""
A corpus of damaged disks, made by seed: disks of mke2fs with several sets of features, each with one damage, in every
kind of structure, its checksum made right again in half of the cases. A case's name tells what was done, so the same
name is the same damage on every machine.
"""

import os
import random
import subprocess

from ext4 import Disk

COMMON = "has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,large_file,huge_file," \
         "dir_nlink,extra_isize"
BASES = {
    "debian12": ["-b", "4096", "-I", "256", "-O", f"none,{COMMON},metadata_csum,64bit"],
    "debian13": ["-b", "1024", "-I", "256", "-O", f"none,{COMMON},metadata_csum,64bit,orphan_file,metadata_csum_seed"],
    "uninit": ["-b", "2048", "-I", "256", "-O", f"none,{COMMON},uninit_bg"],
    "ext3": ["-b", "1024", "-I", "128", "-O", "none,has_journal,filetype,ext_attr,dir_index,resize_inode,sparse_super,"
             "large_file"],
}
MEBIBYTES = 12
ENVIRONMENT = dict(os.environ, PATH=os.environ["PATH"] + ":/sbin:/usr/sbin", E2FSPROGS_FAKE_TIME="1700000000",
                   MKE2FS_CONFIG="/dev/null", E2FSCK_CONFIG="/dev/null", LC_ALL="C")


def run(*command, stdin=None, check=True):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=ENVIRONMENT, input=stdin, errors="replace")
    assert not check or done.returncode == 0, (command, done.stdout + done.stderr)
    return done


# ---- disks that are right ----

def tree(path):
    path.mkdir()
    (path / "large").mkdir()
    for n in range(300):
        (path / "large" / f"a file whose name is long {n:04}").write_text(str(n))
    (path / "d" / "e" / "f").mkdir(parents=True)
    for n in range(4):
        (path / "d" / f"f{n}").write_bytes(random.Random(n).randbytes(30000 * n + 100))
    (path / "d" / "e" / "second").hardlink_to(path / "d" / "f1")
    (path / "short").symlink_to("d/f1")
    (path / "long").symlink_to("x" * 100)
    os.mkfifo(path / "pipe")
    with open(path / "sparse", "wb") as file:
        for n in range(60):
            file.seek(n * 3 * 4096)
            file.write(b"block")


ATTRIBUTES = "\n".join([
    "ea_set d/f1 user.small value", f"ea_set d/f2 user.large {'v' * 600}", f"ea_set d/f3 user.other {'w' * 300}",
    f"ea_set d user.directory {'z' * 200}"])


def make_base(name, folder):
    """The disk's bytes, clean; made with fixed identifiers, so that names hash alike everywhere."""
    disk, source = folder / name, folder / f"{name}.tree"
    tree(source)
    with open(disk, "wb") as file:
        file.truncate(MEBIBYTES << 20)
    run("mke2fs", "-q", "-F", "-J", "size=4", "-N", "1024", "-U", "6b696c6e-0000-4000-8000-00000000f5cc", "-E",
        "hash_seed=6b696c6e-0000-4000-8000-000000005eed", "-d", str(source), *BASES[name], str(disk))
    run("debugfs", "-w", "-f", "-", str(disk), stdin=ATTRIBUTES)
    run("e2fsck", "-fyD", str(disk), check=False)
    judged = run("e2fsck", "-fn", str(disk), check=False)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    return disk.read_bytes()


# ---- damages ----

def inode_of(folder, disk, path):
    out = run("debugfs", "-R", f"stat {path}", str(disk)).stdout
    return int(out.split("Inode:")[1].split()[0])


class Base:
    def __init__(self, name, folder):
        self.name, self.bytes = name, make_base(name, folder)
        self.clean = Disk(self.bytes) # where things lie
        disk = folder / name
        self.inodes = {path: inode_of(folder, disk, path) for path in
                       ("/", "/large", "/d", "/d/e", "/d/e/f", "/d/f1", "/d/f2", "/d/f3", "/short", "/long", "/pipe",
                        "/sparse", "/lost+found", "<7>", "<8>")}


OLD_VALUES = [0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF]


def damage_bytes(disk, r, at, size, label, align=1):
    """One byte, or a small number of them, becomes something else. The damage's description."""
    offset = r.randrange(0, size, align)
    kind = r.choice(["flip", "value", "zero", "ones"])
    old = disk.data[at + offset]
    if kind == "flip":
        new = old ^ 1 << r.randrange(8)
    elif kind == "value":
        new = r.choice([v for v in OLD_VALUES if v != old])
    else:
        new = 0 if kind == "zero" else 0xFF
    disk.data[at + offset] = new
    return f"{label}+{offset:#x}={new:#04x}"


def in_super(disk, base, r):
    what = damage_bytes(disk, r, 1024, 0x110, "super")
    return what, disk.fix_super


def in_descriptor(disk, base, r):
    group = r.randrange(disk.groups)
    what = damage_bytes(disk, r, disk.descriptor(group), min(disk.desc_bytes, 0x38), f"group{group}")
    return what, lambda: disk.fix_descriptor(group)


def in_bitmap(disk, base, r):
    group, inodes = r.randrange(disk.groups), r.randrange(2)
    at = base.clean.u32(disk.descriptor(group) + 4 * inodes) * disk.block_bytes
    size = (disk.inodes_per_group if inodes else disk.per_group) // 8
    what = damage_bytes(disk, r, at, r.choice([size, disk.block_bytes]), f"{['block', 'inode'][inodes]}-bitmap{group}")
    return what, lambda: disk.fix_bitmap(group, inodes)


def in_inode(disk, base, r):
    path = r.choice(sorted(base.inodes))
    ino = base.inodes[path]
    what = damage_bytes(disk, r, disk.inode(ino), min(disk.inode_bytes, 0xC0), f"inode({path})")
    return what, lambda: disk.fix_inode(ino)


def in_free_inode(disk, base, r):
    ino = r.choice([900, 901, disk.inodes])
    return damage_bytes(disk, r, disk.inode(ino), 128, "free-inode"), lambda: disk.fix_inode(ino)


def in_leaf(disk, base, r):
    path = r.choice(["/", "/d", "/d/e", "/d/e/f", "/large"])
    ino = base.inodes[path]
    blocks = base.clean.extents(ino)[1]
    n = 0 if path != "/large" else r.randrange(1, len(blocks))
    size = r.choice([40, 200, disk.block_bytes]) if n else r.choice([24, 100, disk.block_bytes])
    what = damage_bytes(disk, r, blocks[n] * disk.block_bytes, size, f"entries({path},{n})")
    return what, lambda: disk.fix_leaf(ino, blocks[n])


def in_index(disk, base, r):
    ino = base.inodes["/large"]
    root = base.clean.extents(ino)[1][0]
    what = damage_bytes(disk, r, root * disk.block_bytes, 0x60, "index")
    return what, lambda: disk.fix_index(ino, root, 32)


def in_extents(disk, base, r):
    ino = base.inodes["/sparse"]
    nodes = base.clean.extents(ino)[0]
    if not nodes:
        node = base.clean.u32(disk.inode(ino) + 0x28 + 48)
        return damage_bytes(disk, r, node * disk.block_bytes, 200, "indirect"), lambda: None
    node = r.choice(nodes)
    what = damage_bytes(disk, r, node * disk.block_bytes, r.choice([12, 60, 200]), f"extents{nodes.index(node)}")
    return what, lambda: disk.fix_extent_node(ino, node)


def in_attributes(disk, base, r):
    blocks = [base.clean.u32(disk.inode(base.inodes[path]) + 0x68) for path in ("/d/f2", "/d/f3", "/d")]
    block = r.choice([b for b in blocks if b])
    where, size = r.choice([(0, 0x60), (disk.block_bytes - 0x40, 0x40)])
    what = damage_bytes(disk, r, block * disk.block_bytes + where, size, f"attributes{'-values' if where else ''}")
    return what, lambda: disk.fix_attributes(block)


def in_journal(disk, base, r):
    block = base.clean.extents(8)[1][0]
    return damage_bytes(disk, r, block * disk.block_bytes, r.choice([0x30, 0x58, 0x100]), "journal"), lambda: None


def in_orphan_file(disk, base, r):
    """Where there is one: its inode or one of its blocks."""
    ino = disk.u32(1024 + 0x280)
    if not ino:
        return in_inode(disk, base, r)
    if not r.randrange(3):
        return damage_bytes(disk, r, disk.inode(ino), 0x80, "orphans-inode"), lambda: disk.fix_inode(ino)
    block = r.choice(base.clean.extents(ino)[1])
    where, size = r.choice([(0, 64), (disk.block_bytes - 8, 8)])
    what = damage_bytes(disk, r, block * disk.block_bytes + where, size, f"orphans{'-tail' if where else ''}")
    return what, lambda: disk.fix_orphans(ino, block)


KINDS = [in_super, in_descriptor, in_bitmap, in_inode, in_inode, in_free_inode, in_leaf, in_leaf, in_index, in_extents,
         in_attributes, in_journal, in_orphan_file]

# By debugfs, which keeps the checksums right.
COMMANDS = [
    "sif {f} links_count 7", "sif {f} links_count 0", "sif {f} mode 0", "sif {f} mode 0x41ed", "sif {f} mode 0x21ed",
    "sif {f} size 1", "sif {f} size 100000000", "sif {f} blocks 4", "sif {f} dtime 12345", "sif {f} flags 0",
    "sif {f} flags 0x10080000", "sif {f} block[0] 0", "sif {f} block[5] 3", "sif {f} block[5] 0x7fffffff",
    "sif {f} generation 77", "sif {f} file_acl 99999999", "sif {f} file_acl 5", "sif {f} faddr 3",
    "sif {d} links_count 9", "sif {d} size 0", "sif {d} size 8192", "sif {d} mode 0x81ed", "sif {d} flags 0x81000",
    "clri {f}", "clri {d}", "freei {f}", "freei {d}", "seti <700>", "freeb 1000 5", "setb 2900 3", "setb 1500 1",
    "freeb 50 1", "unlink {f}", "unlink {d}", "ln {f} again", "ln {d} again", "ln <800> nothing", "ln <5> own", "ln / root",
    "kill_file {f}", "ssv free_blocks_count 1", "ssv free_inodes_count 1", "ssv state 0", "ssv state 2", "ssv last_orphan 12",
    "ssv inodes_count 77", "ssv blocks_count 99", "ssv r_blocks_count 9999", "ssv first_ino 3", "ssv inode_size 100",
    "ssv mnt_count 60000", "ssv wtime 0", "ssv mkfs_time 0", "ssv errors 9", "ssv def_hash_version 9", "ssv hash_seed null",
    "ssv journal_inum 12", "ssv journal_inum 0", "ssv reserved_gdt_blocks 3", "ssv feature_incompat 0x20", "ssv volume_name x",
    "ssv min_extra_isize 200", "ssv want_extra_isize 300", "ssv log_groups_per_flex 40", "ssv desc_size 33",
    "set_bg 0 free_blocks_count 3", "set_bg 0 free_inodes_count 9", "set_bg 0 used_dirs_count 77",
    "set_bg 0 itable_unused 500", "set_bg 0 itable_unused 0", "set_bg 0 flags 0", "set_bg 0 flags 3", "set_bg 0 flags 1",
    "set_bg 0 flags 2", "set_bg 0 block_bitmap 3", "set_bg 0 inode_table 1", "set_bg 0 inode_bitmap 99999999",
    "set_bg 1 flags 0", "set_bg 1 flags 7", "sif {f} flags 0x80800", "sif {d} flags 0x80800", "sif <7> size 4096",
]
TARGETS = [("/d/f1", "/d/e"), ("/d/f2", "/large"), ("/sparse", "/d/e/f"), ("/short", "/lost+found"), ("/pipe", "/d")]


def damaged_by_bytes(base, seed):
    """(name, bytes)"""
    r = random.Random(f"{base.name} {seed}")
    disk = Disk(base.bytes)
    kind = KINDS[seed % len(KINDS)]
    what, fix = kind(disk, base, r)
    for _ in range(r.choice([0, 0, 0, 2])):
        what += f", {kind(disk, base, r)[0]}"
    if r.randrange(3):
        fix()
        what += " summed"
    return f"{base.name} {what}", bytes(disk.data)


def damaged_by_command(base, seed, path):
    """The same by debugfs on the file `path`."""
    r = random.Random(f"{base.name} command {seed}")
    f, d = TARGETS[(seed // len(COMMANDS)) % len(TARGETS)] if seed >= len(COMMANDS) else r.choice(TARGETS)
    command = COMMANDS[seed % len(COMMANDS)].format(f=f, d=d)
    path.write_bytes(base.bytes)
    run("debugfs", "-w", "-R", command, str(path), check=False)
    if command.startswith("set_bg"): # which leaves the checksum as it was
        disk = Disk(path.read_bytes())
        disk.fix_descriptor(int(command.split()[1]))
        path.write_bytes(disk.data)
    return f"{base.name} {command}"
