"""Setting up and fetching: what they say, what they refuse, and that they leave a finished machine alone."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tree import ROOT, environment


def run(*command, **env):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, env=environment(**env),
                          stdin=subprocess.DEVNULL)


def path_of(folder, *commands, **scripts):
    """A PATH with these commands of the machine, and these scripts, and nothing else."""
    folder.mkdir()
    for command in commands:
        (folder / command).symlink_to(shutil.which(command))
    for name, text in scripts.items():
        script = folder / name.replace("_", "-")
        script.write_text("#!/bin/sh\n" + text)
        script.chmod(0o755)
    return str(folder)


SHELL = ("sh", "sed", "tr", "grep", "id", "env", "cat", "dirname", "awk")


def test_a_machine_that_has_everything_is_left_alone(tmp_path):
    path = path_of(tmp_path / "bin", *SHELL, "riscv64-linux-gnu-gcc", "kconfig-conf", "dpkg-source", "xz",
                   "bzip2", apt_get="echo CALLED; exit 1\n")
    done = run("tools/setup", "build", PATH=path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_missing_is_named_before_it_is_installed(tmp_path):
    path = path_of(tmp_path / "bin", *[c for c in SHELL if c != "id"], id="echo 0\n",
                   apt_get='echo "apt-get $*"\n', apt_cache='echo "Package: $2"\n')
    done = run("tools/setup", "build", PATH=path)
    assert done.returncode == 0, done.stderr
    told, installed = done.stdout.index("  kconfig-frontends-nox"), done.stdout.index("apt-get install")
    assert told < installed


def test_without_rights_one_sentence_says_what_to_install(tmp_path):
    path = path_of(tmp_path / "bin", *[c for c in SHELL if c != "id"], id="echo 1000\n", apt_get="exit 1\n")
    done = run("tools/setup", "build", PATH=path)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "as root, run: apt-get install" in done.stderr and "gcc-riscv64-linux-gnu" in done.stderr


def test_an_installation_that_fails_ends_with_one_clear_sentence(tmp_path):
    path = path_of(tmp_path / "bin", *[c for c in SHELL if c != "id"], id="echo 0\n", apt_get="exit 100\n",
                   apt_cache="exit 0\n")
    done = run("tools/setup", "build", PATH=path)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("The set-up could not install what is missing")


@pytest.mark.parametrize("name, text, uri, key", [
    ("sources.list.d/debian.sources", "Types: deb deb-src\nURIs: http://one.example/debian\nSuites: {suite} {suite}-updates\n"
     "Components: main\nSigned-By: /k.gpg\n\nTypes: deb\nURIs: http://sec.example/s\nSuites: {suite}-security\nComponents: main\n",
     "http://one.example/debian", "/k.gpg"),
    ("sources.list", "# nothing\ndeb http://two.example/debian {suite} main contrib\n", "http://two.example/debian", None),
    ("sources.list.d/mine.list", "deb [arch=amd64 signed-by=/key.asc] https://three.example/d {suite} main\n",
     "https://three.example/d", "/key.asc"),
])
def test_the_debian_entry_is_read_in_either_form(tmp_path, name, text, uri, key):
    suite = subprocess.run(["sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME"], capture_output=True,
                           text=True).stdout.strip()
    path = tmp_path / "etc/apt" / name
    path.parent.mkdir(parents=True)
    (path.parent / "other.list" if path.parent.name == "sources.list.d" else path.parent / "x").write_text(
        f"deb http://other.example/x other-{suite} main\n")
    path.write_text(text.format(suite=suite))
    lines = run("tools/fetch", "--entry", KILN_APT_ROOT=str(tmp_path)).stdout.splitlines()
    assert lines[0] == f"URIs: {uri}"
    assert [line.split()[-1] for line in lines[1:]] == ([key] if key else [])


def pinned(name):
    return [line.split() for line in (ROOT / "third_party/sources.lock").read_text().splitlines()
            if line.startswith(name + " ")]


def apt_that_serves(folder, served):
    """An apt-get that has these files to give."""
    dsc = next(f for f in served if f.name.endswith(".dsc"))
    return (f'case "$*" in *--print-uris*) echo "\'http://x/{dsc.name}\' {dsc.name} 1 SHA256:0" ;;\n'
            f'*--download-only*) cp {folder}/* . ;; esac\n')


def fetch_from(tmp_path, change):
    cache = Path(os.environ.get("KILN_CACHE") or Path.home() / ".cache/kiln") / "archives"
    served = tmp_path / "served"
    served.mkdir()
    for _, _, name, _ in pinned("lwip"):
        if not (cache / name).exists():
            pytest.skip("the pinned sources are not in the cache")
        shutil.copy(cache / name, served)
    change(served)
    path = path_of(tmp_path / "bin", apt_get=apt_that_serves(served, list(served.iterdir())))
    mine = tmp_path / "cache"
    return mine, run("tools/fetch", "lwip", KILN_CACHE=str(mine), PATH=path + ":" + os.environ["PATH"])


def test_pinned_sources_are_unpacked_and_then_need_no_network(tmp_path):
    cache, done = fetch_from(tmp_path, lambda served: None)
    assert done.returncode == 0, done.stderr
    assert (cache / "src/lwip-2.2.1/src/core/tcp.c").exists()
    shutil.rmtree(tmp_path / "served")
    again = run("tools/fetch", "lwip", KILN_CACHE=str(cache), PATH=path_of(tmp_path / "off", apt_get="exit 1\n") + ":"
                + os.environ["PATH"])
    assert (again.returncode, again.stdout) == (0, "")


def test_sources_that_were_tampered_with_are_refused(tmp_path):
    def tamper(served):
        orig = next(f for f in served.iterdir() if ".orig.tar" in f.name)
        data = bytearray(orig.read_bytes())
        data[-1] ^= 1
        orig.write_bytes(data)
    cache, done = fetch_from(tmp_path, tamper)
    assert done.returncode == 1
    assert "is not what third_party/sources.lock says" in done.stderr
    assert not (cache / "src/lwip-2.2.1").exists()


def test_a_machine_off_line_is_told_in_one_sentence(tmp_path):
    path = path_of(tmp_path / "bin", apt_get="echo 'E: no network' ; exit 100\n")
    done = run("tools/fetch", "musl", KILN_CACHE=str(tmp_path / "cache"), PATH=path + ":" + os.environ["PATH"])
    assert done.returncode == 1 and "is this machine off-line?" in done.stderr


def test_doctor_tells_what_is_there():
    done = run("tools/doctor")
    assert done.returncode == 0
    assert "gcc-riscv64-linux-gnu" in done.stdout and "musl" in done.stdout and "QEMU" in done.stdout
