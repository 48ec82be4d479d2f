# SPDX-License-Identifier: MIT
"""Reads a trace for a report: its bars, a few numbers of each event, and the events' own lines."""
from __future__ import annotations

import base64
import json
import sys
import zlib
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from ..errors import Error
from .bars import KINDS, Bars

BLOCK = 2048                    # events whose lines are packed together
LONGEST = 4000                  # of a line in the page, in characters
FAILED, FIRED, DETAIL = 1, 2, 4 # bits of an event's flags
NOBODY = -1
# What few readers want to see between the calls: the page shows it if it is asked to.
DETAILS = frozenset((
    "enter", "user_read", "user_write", "find_vma", "vma_at", "timers", "upcall", "steps",
    "frames_hold", "frames_release", "store_request", "store_ring", "store_taken"))


class BadFile(Error):
    """A file is none that a report can be made of."""


def packed(data: bytes) -> str:
    """Bytes as the page has them."""
    return base64.b64encode(zlib.compress(data, 6)).decode()


def column(numbers: array[Any]) -> list[str]:
    """A column of numbers for the page: its type, and its bytes, the lowest first."""
    if sys.byteorder == "big":
        numbers = array(numbers.typecode, numbers)
        numbers.byteswap()
    return [numbers.typecode, packed(numbers.tobytes())]


@dataclass
class Recording:
    """What the page has of one trace."""
    name: str
    bars: Bars = field(default_factory=Bars)
    ops: dict[str, int] = field(default_factory=dict)
    seq: array[int] = field(default_factory=lambda: array("I"))
    time: array[float] = field(default_factory=lambda: array("d"))
    op: array[int] = field(default_factory=lambda: array("H"))
    domain: array[int] = field(default_factory=lambda: array("h"))
    pid: array[int] = field(default_factory=lambda: array("i"))
    flags: array[int] = field(default_factory=lambda: array("B"))
    blocks: list[str] = field(default_factory=list)
    lost: int = 0
    _lines: list[str] = field(default_factory=list)
    _last: int = 0
    _end: int = -1

    def add(self, line: str, event: dict[str, Any]) -> None:
        """The next event, and its line in the file."""
        index = len(self.op)
        seq, time, op = event["seq"], event["time"], event["op"]
        if seq <= self._end:
            raise ValueError("its number %d is not above the one before" % seq)
        result = event.get("result", 0)
        failed = isinstance(result, str) and result not in ("okay", "done") or \
            isinstance(result, int) and result < 0
        self.bars.event(index, event)
        self.seq.append(seq - self._end - 1)
        self.time.append(time - self._last)
        self.op.append(self.ops.setdefault(op, len(self.ops)))
        self.domain.append(NOBODY if event["domain"] is None else event["domain"])
        self.pid.append(event["pid"] or 0)
        self.flags.append((FAILED if failed else 0) | (FIRED if "rule" in event else 0)
                          | (DETAIL if op in DETAILS else 0))
        self._end, self._last = seq, time
        self._lines.append(line if len(line) <= LONGEST else line[:LONGEST] + "…")
        if len(self._lines) == BLOCK:
            self._pack()

    def _pack(self) -> None:
        if self._lines:
            self.blocks.append(packed("\n".join(self._lines).encode()))
        self._lines = []

    def for_page(self) -> dict[str, Any]:
        """As JSON."""
        self._pack()
        bars = self.bars
        lanes = bars.lanes()
        return {
            "name": self.name, "events": len(self.op), "lost": self.lost, "block": BLOCK,
            "machine": bars.machine, "ops": list(self.ops), "kinds": KINDS,
            "devices": bars.devices, "lanes": lanes,
            "names": {str(number): name for number, name in bars.names.items()},
            "domains": [[one.number, one.begin, one.end, one.profile] for one in bars.domains],
            "peaks": [[kind, domain, peak.most, peak.event,
                       max((one.limits.get(kind, 0) for one in bars.domains
                            if one.number == domain), default=0)]
                      for (kind, domain), peak in sorted(bars.peaks.items())],
            "columns": {"seq": column(self.seq), "time": column(self.time), "op": column(self.op),
                        "domain": column(self.domain), "pid": column(self.pid),
                        "flags": column(self.flags),
                        **{name: column(one) for name, one in bars.columns().items()}},
            "blocks": self.blocks,
        }


def read_trace(path: Path, name: Optional[str] = None) -> Recording:
    """The trace in a file; BadFile if it is none. The last line of a server that was killed may be
    a part of one."""
    recording = Recording(name or path.name)
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith("\n"):
                    break
                line = line.rstrip("\n")
                try:
                    event = json.loads(line)
                    if "lost" in event and "op" not in event:
                        recording.lost += event["lost"]
                    else:
                        recording.add(line, event)
                except (ValueError, KeyError, TypeError, AttributeError, OverflowError,
                        RecursionError) as error:
                    raise BadFile("%s:%d: no event of a trace (%s); make one with gntsim serve "
                                  "--trace FILE" % (path, number, " ".join(str(error).split()))) \
                        from None
    except OSError as error:
        raise BadFile("cannot read %s: %s" % (path, error.strerror)) from None
    if not recording.op:
        raise BadFile("%s: there is no event in it" % path)
    return recording
