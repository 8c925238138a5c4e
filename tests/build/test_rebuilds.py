"""What is built again, what is not, and who waits for whom."""

import fcntl
import shutil
import subprocess

from tree import environment


def test_nothing_changed_nothing_is_compiled(minimal):
    assert minimal.built("IMAGE=minimal") == []


def test_a_changed_option_compiles_what_mentions_it(minimal):
    minimal.config("minimal", PANIC_STATUS=77)
    compiled = minimal.built("IMAGE=minimal")
    assert "core/console/panic.o" in compiled
    assert len(compiled) <= 3, compiled


def test_a_changed_header_compiles_who_includes_it(minimal):
    header = minimal.root / "core/include/core/tree.h"
    header.write_text(header.read_text() + "\n")
    compiled = minimal.built("IMAGE=minimal")
    assert "core/lib/tree.o" in compiled and "core/lib/fmt.o" not in compiled


def test_a_source_that_was_elsewhere_is_no_obstacle(minimal):
    known = minimal.root / "build/minimal/obj/core/lib/tree.o.d"
    known.write_text(known.read_text().replace("core/lib/tree.c", "gone/tree.c"))
    assert minimal.built("IMAGE=minimal") == ["core/lib/tree.o"]


def test_changed_flags_of_a_directory_compile_that_directory(minimal):
    minimal.append("core/irq/build.mk", "cflags-y += -DPLANTED\n")
    compiled = minimal.built("IMAGE=minimal")
    assert compiled and all(c.startswith("core/irq/") for c in compiled)


def test_another_configuration_leaves_the_first_alone(minimal):
    minimal.write("configs/other_defconfig", (minimal.root / "configs/minimal_defconfig").read_text())
    assert minimal.built("IMAGE=other")
    assert minimal.built("IMAGE=minimal") == []


def test_a_defconfig_chooses_the_current_image(minimal):
    done = minimal.make("minimal_defconfig")
    assert done.returncode == 0, done.stderr
    minimal.built("IMAGE=minimal")
    assert minimal.built() == []
    assert (minimal.root / "build/current").read_text() == "minimal\n"


def test_a_changed_defconfig_is_followed_until_the_user_chooses(minimal):
    minimal.append("configs/other_defconfig", "CONFIG_PANIC_STATUS=55\n")
    assert "core/console/panic.o" in minimal.built("IMAGE=other")
    minimal.config("other", PANIC_STATUS=66)
    minimal.built("IMAGE=other")
    minimal.append("configs/other_defconfig", "CONFIG_HARTS_MAX=2\n")
    minimal.built("IMAGE=other")
    assert "CONFIG_PANIC_STATUS=66" in (minimal.root / "build/other/.config").read_text()


def test_savedefconfig_writes_a_short_list(minimal):
    done = minimal.make("IMAGE=minimal", "savedefconfig", "DEFCONFIG=short")
    assert done.returncode == 0, done.stderr
    assert (minimal.root / "short").read_text().count("\n") < 20


def test_an_image_that_does_not_exist_is_one_sentence(minimal):
    done = minimal.make("IMAGE=nothing")
    assert done.returncode != 0 and "There is no image 'nothing'" in done.stderr and "minimal" in done.stderr


def test_a_second_make_of_an_image_waits_for_the_first_and_says_so(minimal):
    (minimal.root / "core/lib/tree.c").touch()
    with open(minimal.root / "build/minimal/.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)          # as the first make does
        with subprocess.Popen(["make", "IMAGE=minimal"], cwd=minimal.root, env=environment(), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as second:
            assert second.stderr.readline() == "Another make builds build/minimal: this one waits for it.\n"
            assert second.poll() is None
            other = minimal.make("IMAGE=minimal", "size", "ALONE=minimal")     # in the first's name
            assert other.returncode == 0 and "core/lib/tree.o" in other.stdout, other.stderr
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert second.stdout.read() == "" and second.wait(600) == 0, "it found something to do"


def test_two_makes_at_once_both_succeed(minimal):
    shutil.rmtree(minimal.root / "build/minimal/obj/core/lib")
    both = [subprocess.Popen(["make", "-s", "IMAGE=minimal", goal], cwd=minimal.root, env=environment(), text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            for goal in ("image", "images/minimal.elf")]
    for one in both:
        out, _ = one.communicate(timeout=600)
        assert one.returncode == 0, out
