"""Trees to build in: the sources of this checkout, copied to where a test may change them."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAKE_VARIABLES = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "IMAGE", "QEMU")


# A compiler cache may answer with what it saw in another folder, so it is kept out.
def environment(**more):
    return {k: v for k, v in os.environ.items() if k not in MAKE_VARIABLES} | {"CCACHE_DISABLE": "1"} | more


class Tree:
    def __init__(self, where):
        self.root = Path(where)
        listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).exists():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)

    def run(self, *command, timeout=600, **env):
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, env=environment(**env))

    def make(self, *words, **more):
        return self.run("make", *words, **more)

    def built(self, *words, **more):
        """Makes and returns what was compiled: the sources behind "CC"."""
        done = self.make(*words, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return [line.split()[1] for line in done.stdout.splitlines() if line.split()[:1] == ["CC"]]

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def append(self, name, text):
        with open(self.root / name, "a") as f:
            f.write(text)

    def config(self, image, **options):
        """Changes options of an image as menuconfig would."""
        path = self.root / "build" / image / ".config"
        lines = [line for line in path.read_text().splitlines()
                 if not any(f"CONFIG_{o}=" in line or f"CONFIG_{o} " in line for o in options)]
        path.write_text("\n".join(lines + [f"CONFIG_{o}={v}" for o, v in options.items()]) + "\n")
