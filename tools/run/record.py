"""
Which image is running: a small file that make run leaves and make stop reads.

build/<image>/run/ holds the door's socket and record.json (QEMU's pid and start time, where it
listens). A record whose process is gone, or whose pid now belongs to another program, is stale
and counts as nothing. KILN_RUN_DIR puts the folder elsewhere, so that tests do not meet a user's
own guest.
"""

import json
import os
import shutil
from pathlib import Path

from machine import ROOT


def folder(image):
    base = os.environ.get("KILN_RUN_DIR")
    return Path(base) / image if base else ROOT / "build" / image / "run"


def process_start(pid):
    """The kernel's start time of a process (proc(5), field 22), or None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rsplit(")", 1)[1].split()
    return None if fields[0] in "ZX" else int(fields[19])


def write(image, pid, **more):
    path = folder(image) / "record.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"image": image, "pid": pid, "start": process_start(pid), **more}))
    fresh.rename(path)


def read(image):
    """The record of a running image, or None."""
    try:
        record = json.loads((folder(image) / "record.json").read_text())
    except (OSError, ValueError):
        return None
    if record.get("start") is None or process_start(record.get("pid", 0)) != record["start"]:
        return None
    return record


def remove(image):
    shutil.rmtree(folder(image), ignore_errors=True)


def running():
    """Records of every running image of this tree."""
    base = os.environ.get("KILN_RUN_DIR")
    names = [p.name for p in Path(base).glob("*")] if base else [p.parent.name for p in (ROOT / "build").glob("*/run")]
    return [r for r in map(read, sorted(names)) if r]
