"""What comes out of the build: the same twice, with tables that are right, and described."""

import json
import random
import struct
import sys

import pytest
from tree import ROOT, Tree

sys.path.insert(0, str(ROOT / "tools/build"))
import elf  # noqa: E402


def load_tables():
    import importlib.machinery
    import importlib.util
    loader = importlib.machinery.SourceFileLoader("tables", str(ROOT / "tools/build/tables"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tables", loader))
    argv, sys.argv = sys.argv, ["tables", "--none"]
    try:
        loader.exec_module(module)
    except (SystemExit, IndexError, OSError):
        pass
    finally:
        sys.argv = argv
    return module


tables = load_tables()


def decode(words):
    found, base = [], 0
    for word in words:
        if not word & 1:
            found.append(word)
            base = word + 8
        else:
            found += [base + 8 * i for i in range(63) if word >> (i + 1) & 1]
            base += 63 * 8
    return found


def test_the_relocation_table_says_what_went_in():
    chosen = random.Random(7)
    for density in (0.001, 0.02, 0.5, 1):
        sites = [0x1000 + 8 * i for i in range(4000) if chosen.random() < density]
        words = tables.relr(sites)
        assert decode(words) == sites
        assert all(word < 1 << 64 for word in words)


def test_every_word_of_the_relocation_table_points_into_the_image(minimal):
    image = elf.Elf(minimal.root / "images/minimal.elf")
    table = image.by_name[".reloc_table"]
    words = struct.unpack_from(f"<{table.size // 8}Q", image.data, table.offset)
    start, end = image.symbol("image_start").value, image.symbol("image_end").value
    sites = decode(words)
    assert len(sites) > 50
    for site in sites:
        section = next(s for s in image.sections
                       if s.flags & elf.SHF_ALLOC and s.address <= site < s.address + s.size)
        assert start <= image.word(section, site) <= end


def test_the_symbol_table_names_functions_in_order(minimal):
    image = elf.Elf(minimal.root / "images/minimal.elf")
    table = image.by_name[".symbol_table"]
    data = image.data[table.offset:table.offset + table.size]
    count = struct.unpack_from("<I", data)[0]
    addresses = struct.unpack_from(f"<{count}I", data, 4)
    names = struct.unpack_from(f"<{count}I", data, 4 + 4 * count)
    pool = data[4 + 8 * count:]
    assert list(addresses) == sorted(set(addresses))
    found = {pool[n:pool.index(b"\0", n)].decode(): a for a, n in zip(addresses, names)}
    start = image.symbol("image_start").value
    for name in ("kernel_main", "page_alloc", "panic"):
        assert found[name] == image.symbol(name).value - start


def test_the_flat_image_has_the_linux_header(minimal):
    data = (minimal.root / "images/minimal.img").read_bytes()
    offset, size, flags = struct.unpack_from("<QQQ", data, 8)
    assert data[0x30:0x38] == b"RISCV\0\0\0" and data[0x38:0x3c] == b"RSC\x05"
    assert offset == 0x200000 and flags == 0 and size >= len(data)


@pytest.mark.parametrize("image, more", [("memcached", ""), ("hello", "CONFIG_LTO=y\n")])
def test_two_builds_of_one_commit_agree_bit_by_bit(image, more, tmp_path):
    outputs = []
    for name in ("one", "another/place"):
        tree = Tree(tmp_path / name)
        tree.append(f"configs/{image}_defconfig", more)
        done = tree.make("-s", f"IMAGE={image}")
        assert done.returncode == 0, done.stderr
        outputs.append([(tree.root / "images" / f"{image}.{end}").read_bytes() for end in ("img", "elf")])
    assert outputs[0][0] == outputs[1][0], "the flat images differ"
    assert outputs[0][1] == outputs[1][1], "the ELF files differ (debug information?)"


def test_the_bill_of_materials_lists_what_was_linked(tree):
    assert tree.make("-s", "IMAGE=hello").returncode == 0
    bill = json.loads((tree.root / "images/hello.spdx.json").read_text())
    assert bill["spdxVersion"] == "SPDX-2.3" and bill["dataLicense"] == "CC0-1.0"
    packages = {p["name"]: p for p in bill["packages"]}
    assert {"image-hello", "kiln", "musl"} <= packages.keys() and "lwip" not in packages
    assert packages["musl"]["versionInfo"].startswith("1.2.5")
    for package in packages.values():
        assert package["licenseDeclared"] and package["downloadLocation"] and package["SPDXID"].startswith("SPDXRef-")
    ids = {p["SPDXID"] for p in packages.values()} | {"SPDXRef-DOCUMENT"}
    assert all(r["relatedSpdxElement"] in ids and r["spdxElementId"] in ids for r in bill["relationships"])


def test_the_size_report_adds_up(minimal):
    done = minimal.make("-s", "IMAGE=minimal", "size")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line and line[0] != "i"}
    total = int(rows["total"][-1])
    file_bytes = (minimal.root / "images/minimal.img").stat().st_size
    assert abs(total - file_bytes) < 12288, "more than the rounding to pages is unaccounted for"
    assert "core/mm" in rows


def test_help_lists_the_commands(minimal):
    text = minimal.make("help").stdout
    for word in ("run", "test", "menuconfig", "doctor", "size", "compdb", "clean", "stop", "fuzz-ext4",
                 "<image>_defconfig"):
        assert f"make {word} " in text, word


def test_compdb_names_each_source(minimal):
    assert minimal.make("IMAGE=minimal", "compdb").returncode == 0
    entries = json.loads((minimal.root / "compile_commands.json").read_text())
    assert "core/mm/page.c" in {e["file"] for e in entries}
