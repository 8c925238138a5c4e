"""Each check of the build passes on the tree as it is, and bites when a fault is planted."""

from tree import ROOT, Tree  # noqa: F401


def defconfig(tree, *lines):
    tree.write("configs/planted_defconfig", "\n".join(lines) + "\n")
    return tree.make("planted_defconfig")


def test_the_includes_of_the_tree_follow_the_arrows(tree):
    done = tree.run("tools/check/layers")
    assert done.returncode == 0, done.stderr


def test_an_include_that_points_up_is_named(tree):
    tree.append("core/sched/sched.c", "#include <libos/file.h>\n")
    done = tree.run("tools/check/layers")
    assert done.returncode == 1
    assert "core/sched/sched.c:" in done.stderr and "libos/file.h of libos/vfs" in done.stderr


def test_an_include_that_points_sideways_is_named(tree):
    tree.append("libos/vfs/pipe.c", "#include <libos/socket.h>\n")
    done = tree.run("tools/check/layers")
    assert done.returncode == 1 and "libos/vfs includes libos/socket.h of libos/net" in done.stderr


def test_the_c_library_is_not_for_core(tree):
    tree.append("core/mm/page.c", "#include <stdlib.h>\n")
    done = tree.run("tools/check/layers")
    assert done.returncode == 1 and "<stdlib.h> comes from outside" in done.stderr


def test_an_application_that_looks_inside_is_named(tree):
    tree.append("apps/hello/main.c", "#include <core/thread.h>\n")
    done = tree.run("tools/check/layers")
    assert done.returncode == 1 and "apps/hello/main.c" in done.stderr


def test_no_line_goes_past_the_last_column(tree):
    done = tree.run("tools/check/columns")
    assert done.returncode == 0, done.stderr


def test_a_line_that_goes_past_the_last_column_is_named(tree):
    tree.append("core/mm/page.c", "/* " + "a" * 95 + " */\n" + 'static const char text[] = "' + "b" * 100 + '";\n')
    done = tree.run("tools/check/columns")
    lines = (ROOT / "core/mm/page.c").read_text().count("\n")
    assert done.returncode == 1 and done.stderr == f"core/mm/page.c:{lines + 1}: goes past column 100\n"


def test_an_unknown_option_in_a_defconfig_is_an_error(tree):
    done = defconfig(tree, "CONFIG_APP_NONE=y", "CONFIG_NO_SUCH_THING=y")
    assert done.returncode != 0
    assert "configs/planted_defconfig:2: CONFIG_NO_SUCH_THING=y: no effect; there is no such option." in done.stderr


def test_an_unmet_condition_in_a_defconfig_is_named(tree):
    done = defconfig(tree, "CONFIG_APP_NONE=y", "# CONFIG_TRACE is not set", "CONFIG_TRACE_RECORDS=512")
    assert done.returncode != 0
    assert "planted_defconfig:3: CONFIG_TRACE_RECORDS=512: no effect; it needs TRACE." in done.stderr


def test_a_value_out_of_range_names_the_range(tree):
    done = defconfig(tree, "CONFIG_APP_NONE=y", "CONFIG_HARTS_MAX=1000")
    assert done.returncode != 0
    assert "it may be from 1 to 64" in done.stderr


def test_a_line_that_is_no_setting_is_an_error(tree):
    done = defconfig(tree, "CONFIG_APP_NONE=y", "CONFIG APP_HELLO=y")
    assert done.returncode != 0 and "this is no setting" in done.stderr


def test_a_failed_configuration_leaves_nothing_to_build(tree):
    defconfig(tree, "CONFIG_NO_SUCH_THING=y")
    assert tree.make("IMAGE=planted").returncode != 0


def test_floating_point_in_core_fails_the_build(minimal):
    source = minimal.root / "core/lib/fmt.c"
    text = source.read_text()
    minimal.append("core/lib/fmt.c", "int half_more(int n);\n"
                   "__attribute__((used, retain)) int half_more(int n) { volatile double d = n; return d * 1.5; }\n")
    done = minimal.make("IMAGE=minimal")
    source.write_text(text)
    assert done.returncode != 0
    assert "core/lib/fmt.c" in done.stderr and "a floating-point instruction" in done.stderr


def test_a_name_defined_by_two_parts_fails_the_build(tree):
    tree.append("core/lib/string.c", "int puts(const char *s);\nint puts(const char *s) { return s[0]; }\n")
    done = tree.make("IMAGE=hello")
    assert done.returncode != 0
    assert "puts: defined by core" in done.stderr and "and by musl" in done.stderr


def test_every_public_header_compiles_alone(minimal):
    done = minimal.run("tools/check/headers", "build/minimal/include/generated/autoconf.h")
    assert done.returncode == 0, done.stderr


def test_a_header_that_leans_on_others_is_named(minimal):
    minimal.write("planted.h", "struct planted { size_t n; };\n")
    done = minimal.run("tools/check/headers", "build/minimal/include/generated/autoconf.h", "planted.h")
    assert done.returncode == 1 and "planted.h does not compile alone" in done.stderr


def test_a_warning_fails_the_build(minimal):
    source = minimal.root / "core/lib/tree.c"
    text = source.read_text()
    minimal.append("core/lib/tree.c", "static int unused_fault;\n")
    done = minimal.make("IMAGE=minimal")
    source.write_text(text)
    assert done.returncode != 0 and "unused_fault" in done.stderr
