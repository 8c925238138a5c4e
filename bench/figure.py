"""
A figure: one measured number with all that is needed to read it.

`peer` is the same thing measured beside it in the same run: {"value", "what", and where it matters
"command" and "versions"}. `ratio` is value / peer. An aim is an aim for the ratio where `aim_is` says
so, else for the value; `better` says which way is better.
"""

import dataclasses


@dataclasses.dataclass
class Peer:
    value: float
    what: str
    command: str = ""
    versions: dict = None

    def as_dict(self):
        return {key: value for key, value in dataclasses.asdict(self).items() if value}


@dataclasses.dataclass
class Figure:
    name: str
    value: float
    unit: str
    method: str
    peer: Peer = None
    aim: float = None
    aim_is: str = "value"        # or "ratio"
    better: str = "lower"        # or "higher"
    spread: list = None          # least and greatest of the repeats
    note: str = ""               # what a reader must know beside the number, such as what limits it

    def as_dict(self):
        return {"name": self.name, "value": self.value, "unit": self.unit,
                "peer": self.peer.as_dict() if self.peer else None,
                "ratio": round(self.value / self.peer.value, 3) if self.peer and self.peer.value else None,
                "aim": self.aim, "aim_is": self.aim_is if self.aim is not None else None, "better": self.better,
                "spread": self.spread, "method": self.method, "note": self.note or None}


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def rounded(number):
    """Three to four digits that mean something: whole numbers above 1000, one decimal below."""
    return round(number) if abs(number) >= 1000 else round(number, 1)
