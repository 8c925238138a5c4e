"""
Features of ext4 that nobody here knows: the mount is refused, or the disk only read, with a sentence that names them.
"""

import pytest

from programs import KILN_FS, build_kiln_fs, run

# bits of the superblock's s_feature_incompat and s_feature_ro_compat, beside what the disk has
REFUSED = {0x1: "compression", 0x8: "journal of another disk", 0x100: "mmp", 0x1000: "dirdata", 0x10000: "encrypt",
           0x20000: "casefold", 0x80000: "incompat_80000", 0x80000000: "incompat_80000000"}
ONLY_READ = {0x4: "btree_dir", 0x80: "has_snapshot", 0x100: "quota", 0x800: "replica", 0x1000: "read-only", 0x2000: "project",
             0x4000: "shared_blocks", 0x8000: "verity", 0x20000: "ro_compat_20000", 0x40000000: "ro_compat_40000000"}


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    build_kiln_fs()
    path = tmp_path_factory.mktemp("features") / "disk"
    with open(path, "wb") as f:
        f.truncate(4 << 20)
    run("mke2fs", "-q", "-F", "-O", "none,extent,filetype,sparse_super", path)
    return path


def with_bits(disk, field, bits):
    """A copy whose superblock has these features, too."""
    data = bytearray(disk.read_bytes())
    at = 1024 + {"incompat": 0x60, "ro_compat": 0x64}[field]
    value = int.from_bytes(data[at:at + 4], "little") | bits
    data[at:at + 4] = value.to_bytes(4, "little")
    changed = disk.with_name("changed")
    changed.write_bytes(data)
    return changed


def kiln(disk, *arguments):
    """(status, output, complaints)"""
    done = run(KILN_FS, disk, *arguments, ok=None)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_unknown_incompatible_features_are_refused_by_name(disk):
    for bit, name in REFUSED.items():
        status, _, complaint = kiln(with_bits(disk, "incompat", bit), "ls")
        assert status == 1 and name in complaint, (hex(bit), complaint)
    assert "encrypt incompat_200000" in kiln(with_bits(disk, "incompat", 0x210000), "ls")[2]


def test_unknown_features_of_writers_leave_the_disk_read_only(disk):
    for bit, name in ONLY_READ.items():
        changed = with_bits(disk, "ro_compat", bit)
        before = changed.read_bytes()
        status, _, complaint = kiln(changed, "mkdir", "/new")
        assert status == 1 and name in complaint and "Read-only" in complaint, (hex(bit), complaint)
        assert changed.read_bytes() == before
        assert "lost+found" in kiln(changed, "ls")[1]
