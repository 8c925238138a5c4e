"""
A strict reader of Prometheus's text exposition format 0.0.4: what the format's page demands is
asserted, beyond what scrapers put up with (HELP and TYPE before the samples, once; no metric in two
places; no two samples with the same labels; `_total` on counters and nowhere else).
"""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|$)')
HELP = re.compile(rf"# HELP ({NAME}) ((?:[^\\\n]|\\\\|\\n)+)$")
TYPE = re.compile(rf"# TYPE ({NAME}) (counter|gauge)$")
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?$")


def labels_of(text):
    found = []
    while text:
        one = LABEL.match(text)
        assert one, f"no label: {text!r}"
        found.append((one[1], one[2]))
        text = text[one.end():]
        assert bool(text) == (one[3] == ","), "a comma at the end"
    assert len({name for name, _ in found}) == len(found), "a label twice"
    return tuple(found)


def parse(text):
    """{metric: (type, {labels: number})}; an AssertionError names what is wrong."""
    assert text.endswith("\n"), "the last line does not end"
    found, current, helped = {}, None, None
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            helped = HELP.match(line)
            assert helped, line
            continue
        if line.startswith("#"):
            kind = TYPE.match(line)
            assert kind and helped and kind[1] == helped[1], line
            assert kind[1] not in found, f"{kind[1]} in two places"
            current, helped = kind[1], None
            found[current] = (kind[2], {})
            continue
        sample = SAMPLE.match(line)
        assert sample and sample[1] == current and not helped, line
        labels = labels_of(sample[2] or "")
        assert labels not in found[current][1], f"twice: {line}"
        assert NUMBER.match(sample[3]), line
        found[current][1][labels] = float(sample[3])
    for name, (kind, samples) in found.items():
        assert samples, f"{name} has no sample"
        assert name.endswith("_total") == (kind == "counter"), name
    return found


def value(metrics, name, **labels):
    return metrics[name][1][tuple(labels.items())]
