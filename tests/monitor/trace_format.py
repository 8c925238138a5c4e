"""
A strict reader of the Trace Event Format (JSON object form) as trace viewers take it: known phases with
their fields, begins and ends paired on each track, times of a track that never go back, names for
every track.
"""

import collections
import json

FIELDS = {"B": {"name", "pid", "tid", "ts"}, "E": {"pid", "tid", "ts"}, "i": {"name", "pid", "tid", "ts", "s"},
          "C": {"name", "pid", "tid", "ts", "args"}, "M": {"name", "pid", "args"}}


class Trace:
    """spans: {(process, track): [(name, begin, end, depth)]}, times in microseconds."""

    def __init__(self, text):
        document = json.loads(text)
        assert set(document) == {"displayTimeUnit", "traceEvents"}
        self.processes, self.tracks = {}, {}
        self.spans, self.counters = collections.defaultdict(list), collections.defaultdict(list)
        self.open, self.last = collections.defaultdict(list), {}
        for event in document["traceEvents"]:
            assert FIELDS[event["ph"]] <= set(event) <= FIELDS[event["ph"]] | {"ph", "args", "tid"}, event
            self._take_name(event) if event["ph"] == "M" else self._take(event)
        assert not any(self.open.values()), f"not ended: {dict(self.open)}"
        for pid, tid in self.spans:
            assert (pid, tid) in self.tracks and pid in self.processes, f"a track without a name: {pid} {tid}"
        self.spans = {(self.processes[pid], self.tracks[pid, tid]): spans for (pid, tid), spans in self.spans.items()}

    def _take_name(self, event):
        names, key = {"process_name": (self.processes, event["pid"]),
                      "thread_name": (self.tracks, (event["pid"], event.get("tid")))}[event["name"]]
        assert key not in names
        names[key] = event["args"]["name"]

    def _take(self, event):
        track, at = (event["pid"], event["tid"]), event["ts"]
        assert at >= self.last.get(track, 0), f"time goes back: {event}"
        self.last[track] = at
        if event["ph"] == "B":
            self.open[track].append((event["name"], at))
        elif event["ph"] == "E":
            assert self.open[track], f"an end without a begin: {event}"
            name, begin = self.open[track].pop()
            self.spans[track].append((name, begin, at, len(self.open[track])))
        elif event["ph"] == "C":
            assert all(isinstance(v, int) for v in event["args"].values())
            self.counters[event["name"]].append((at, event["args"]["value"]))

    def names(self, process):
        """Names of all spans of a process's tracks."""
        return {span[0] for (owner, _), spans in self.spans.items() if owner == process for span in spans}

    def busy(self, name, process="harts"):
        """Microseconds in spans of that name."""
        return sum(end - begin for (owner, _), spans in self.spans.items() if owner == process
                   for span, begin, end, _ in spans if span == name)
