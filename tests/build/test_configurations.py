"""Random configurations build, and those that have something to run boot and do it."""

import os
import re

import pytest
from tree import Tree

QEMU = os.environ.get("QEMU") or "qemu-system-riscv64"
DEVICES = ["-netdev", "user,id=n", "-device", "virtio-net-device,netdev=n", "-device", "virtio-rng-device"]


def randomised(tree, name, seed):
    """A configuration that Kconfig drew; the same for the same seed and options."""
    folder = tree.root / "build" / name
    (folder / "include/config").mkdir(parents=True)
    (folder / "include/generated").mkdir(parents=True)
    done = tree.run("sh", "-c", f"cd build/{name} && kconfig-conf --randconfig Kconfig", srctree=str(tree.root),
                    KCONFIG_SEED=str(seed))
    assert done.returncode == 0, done.stdout + done.stderr
    tree.config(name, PANIC_POWEROFF="y")
    config = folder / ".config"
    config.write_text(re.sub(r"^CONFIG_PANIC_(HALT|REBOOT)=y\n", "", config.read_text(), flags=re.M))
    return config


def boot(tree, name, seconds):
    done = tree.run("timeout", str(seconds), QEMU, "-M", "virt", "-m", "128M", "-smp", "2", "-nodefaults", "-display",
                    "none", "-global", "virtio-mmio.force-legacy=false", "-serial", "stdio", *DEVICES,
                    "-kernel", f"images/{name}.img", timeout=seconds + 60)
    return done.stdout


@pytest.mark.parametrize("seed", [3, 8, 14])
def test_a_random_configuration_builds_and_boots(seed, tmp_path):
    tree = Tree(tmp_path / "kiln")
    name = f"random{seed}"
    config = randomised(tree, name, seed)
    done = tree.make("-s", f"IMAGE={name}")
    assert done.returncode == 0, f"seed {seed}:\n{done.stderr}\n{config.read_text()}"

    selected = config.read_text()
    app = re.search(r"^CONFIG_APP_(NONE|HELLO|ECHO|MEMCACHED|SELFTEST|ABITEST)=y", selected, re.M)
    app = app[1] if app else ""
    console = boot(tree, name, 90 if app == "SELFTEST" else 15)
    assert "panic:" not in console, f"seed {seed}, application {app}:\n{console[-4000:]}"
    if app == "HELLO":
        assert "Hello from hello" in console
    if app == "SELFTEST":
        assert re.search(r"[1-9]\d* passed, 0 failed", console), console[-4000:]
