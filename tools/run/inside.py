"""
What the tools that look into a running image share: which image is meant, and their variables.
"""

import record
from machine import ROOT, Trouble


def choose(name=None):
    """The record of the image that is meant; Trouble when it is not clear."""
    found = [r for r in [record.read(name)] if r] if name else record.running()
    if not found:
        raise Trouble(f"The image {name} is not running." if name else
                      "No image is running: start one with 'make run' in another terminal.")
    if len(found) > 1:
        raise Trouble(f"Several images are running: say IMAGE={' or IMAGE='.join(r['image'] for r in found)}.")
    return found[0]


def number(knobs, name, default, most):
    text = knobs.get(name) or str(default)
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise Trouble(f"{name}={text} is not a whole number from 1 to {most}.")
    return int(text)


def read_knobs(words, known):
    """(image or None, {knob: value}) of the command line."""
    image, knobs = None, {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            image = word or None
        elif name in known:
            knobs[name] = value.strip()
        else:
            raise Trouble(f"{name} is not known here: it is one of {', '.join(sorted(known))}.")
    return image, knobs


def elf_of(running):
    """The ELF the image was started from, if it is still that one."""
    elf = ROOT / "images" / f"{running['image']}.elf"
    started = (record.folder(running["image"]) / "record.json").stat().st_mtime
    if not elf.is_file() or elf.stat().st_mtime > started:
        raise Trouble(f"{elf.relative_to(ROOT)} was built after the running image was started, so its names do not "
                      "fit: restart the image.")
    return elf
