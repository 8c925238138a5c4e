"""
Threads that change names in the same directories, and on disks where directories have two names, on two and four harts: make
test runs the other unit tests of file systems on one.
"""

from programs import run


def test_threads_and_names_on_several_harts():
    done = run("make", "-s", "unit", "TEST=ext4_threads")
    assert done.stdout.count(b"2 passed, 0 failed") == 3
