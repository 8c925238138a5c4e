#!/usr/bin/python3
"""
make stop: asks the running image, through its door, to flush, unmount and power off.

    stop.py [IMAGE]      without a name: every running image of this tree

A guest that has not gone after half a minute is ended by the pid that make run wrote down.
"""

import os
import signal
import sys
import time

import door
import record
from machine import Trouble

PATIENCE_SECONDS = 30      # a cache that is written to a disk takes some


def wait_gone(running):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if record.process_start(running["pid"]) != running["start"]:
            return True
        time.sleep(0.05)
    return False


def stop(running):
    image, reason = running["image"], ""
    try:
        door.ask(running["door"], "stop", timeout=PATIENCE_SECONDS, reply_wanted=False)
        if wait_gone(running):
            print(f"{image} has stopped.")
            return 0
        reason = f"did not stop within {PATIENCE_SECONDS} seconds"
    except (OSError, Trouble) as trouble:
        reason = f"could not be asked ({trouble})"
    os.kill(running["pid"], signal.SIGKILL)
    print(f"{image} {reason}; its QEMU was ended.", file=sys.stderr)
    return 1


def main(argv):
    found = [r for r in [record.read(argv[0])] if r] if argv else record.running()
    if not found:
        print("No image is running." if not argv else f"The image {argv[0]} is not running.", file=sys.stderr)
        return 1
    return max([stop(r) for r in found])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
