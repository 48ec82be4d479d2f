# SPDX-License-Identifier: MIT
"""Follows a trace and finds the bars of a report: how long each grant, mapping and port lived."""
from __future__ import annotations

import heapq
from array import array
from dataclasses import dataclass, field
from typing import Any, Optional

KINDS = ("grant", "mapping", "port", "file")
GRANT, MAPPING, PORT, FILE = range(len(KINDS))
OPEN = 0xffffffff               # the end of a bar that lives when the trace ends
SELF = 0x7ff0                   # DOMID_SELF of Xen's headers
READONLY = 4                    # GTF_readonly
ENTRIES_A_FRAME = {1: 512, 2: 256}      # of a grant table, by version
MAPPINGS_A_FRAME = 256
MOST_ROWS = 24                  # of a lane; more bars at a time share the last one
# Before the first event that says who did it.
SEEN_LATE = 1 << 16             # in a grant's flags: it is known since somebody mapped it


@dataclass
class Bar:
    """One thing from its making to its end. What numbers means depends on kind: of a grant the
    reference, to whom, flags and frame; of a mapping the handle, the granter, the reference and
    flags; of a port itself, the other domain and its port; of a file its number and the index of
    its device's name."""
    begin: int
    kind: int
    domain: int
    pid: int
    numbers: list[int]
    end: int = OPEN
    end_pid: int = 0
    lane: int = 0
    row: int = 0


@dataclass
class Peak:
    most: int = 0
    event: int = 0
    now: int = 0


@dataclass
class DomainInfo:
    number: int
    begin: int
    end: int = OPEN
    profile: str = ""
    version: int = 1                                        # of its grant table
    limits: dict[int, int] = field(default_factory=dict)    # by kind


class Bars:
    """What is known after the events so far, which the caller counts from 0."""

    def __init__(self) -> None:
        self.bars: list[Bar] = []
        self.open: dict[tuple[int, int, int], Bar] = {}     # by kind, domain and own number
        self.domains: list[DomainInfo] = []
        self.alive: dict[int, DomainInfo] = {}
        self.names: dict[int, str] = {}                     # of processes
        self.devices: list[str] = []
        self.peaks: dict[tuple[int, int], Peak] = {}        # by kind and domain
        self.machine: dict[str, Any] = {}
        self.arrows: list[tuple[int, int]] = []             # from event to event
        self._sent: dict[tuple[int, int], list[int]] = {}   # events on their way, by port

    def event(self, index: int, event: dict[str, Any]) -> None:
        """The next event."""
        handler = getattr(self, "on_" + event["op"], None)
        if handler:
            handler(index, event, event.get("args") or {})

    # ---- Beginning and ending

    def begin(self, index: int, kind: int, domain: int, event: dict[str, Any],
              numbers: list[int]) -> Bar:
        array("d", (domain, *numbers))      # fails now, if one of them is no number
        self.finish(index, kind, domain, numbers[0], event)
        bar = Bar(index, kind, domain, event.get("pid") or 0, numbers)
        self.bars.append(bar)
        self.open[kind, domain, numbers[0]] = bar
        peak = self.peaks.setdefault((kind, domain), Peak())
        peak.now += 1
        if peak.now > peak.most:
            peak.most, peak.event = peak.now, index
        return bar

    def finish(self, index: int, kind: int, domain: int, number: int,
               event: Optional[dict[str, Any]] = None) -> None:
        bar = self.open.pop((kind, domain, number), None)
        if bar:
            bar.end = index
            bar.end_pid = (event or {}).get("pid") or 0
            self.peaks[kind, domain].now -= 1

    def finish_all(self, index: int, domain: int, kinds: tuple[int, ...]) -> None:
        for kind, owner, number in [key for key in self.open
                                    if key[1] == domain and key[0] in kinds]:
            self.finish(index, kind, owner, number)

    # ---- What the operations do

    def on_machine(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        self.machine = args

    def on_process(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        self.names[event["pid"]] = str(args.get("name", ""))

    def on_domain_create(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        info = DomainInfo(event["domain"], index, profile=str(args.get("profile", "")),
                          version=args.get("grant_version") or 1)
        if args.get("maptrack_frames", -1) >= 0:
            info.limits[MAPPING] = args["maptrack_frames"] * MAPPINGS_A_FRAME
        self.domains.append(info)
        self.alive[info.number] = info

    def on_query_size(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        info = self.alive.get(event["domain"])
        if info and "max_frames" in args:
            info.limits[GRANT] = args["max_frames"] * ENTRIES_A_FRAME.get(info.version, 256)

    def on_domain_destroy(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        self.finish_all(index, event["domain"], (GRANT, MAPPING, PORT, FILE))
        info = self.alive.pop(event["domain"], None)
        if info:
            info.end = index

    def on_domain_suspend(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        """The domain goes on under another number, with a new grant table and no ports."""
        old, new = event["domain"], args["as"]
        self.finish_all(index, old, (GRANT, MAPPING, PORT))
        for kind, domain, number in [key for key in self.open if key[1] == old]:
            self.open[kind, new, number] = self.open.pop((kind, domain, number))
            self.peaks.setdefault((kind, new), Peak()).now += 1
        info = self.alive.pop(old, None)
        if info:
            info.end = index
            self.domains.append(DomainInfo(new, index, profile=info.profile,
                                           version=info.version, limits=info.limits))
            self.alive[new] = self.domains[-1]

    def on_grant(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        self.begin(index, GRANT, event["domain"], event,
                   [args["ref"], args["to"], args["flags"], args["frame"]])

    def on_grant_end(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        self.finish(index, GRANT, event["domain"], args["ref"], event)

    def on_map_grant_ref(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        if event.get("result") != "okay" or "handle" not in args:
            return
        granter = args.get("peer", -1)
        grant = self.open.get((GRANT, granter, args["ref"]))
        if not grant:               # its maker told nobody: an older trace, or a kernel elsewhere
            grant = self.begin(index, GRANT, granter, {},
                               [args["ref"], event["domain"], SEEN_LATE, -1])
        self.begin(index, MAPPING, event["domain"], event,
                   [args["handle"], granter, args["ref"], args["flags"]])
        if grant.begin != index:
            self.arrows.append((grant.begin, index))

    def on_unmap_grant_ref(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        if event.get("result") == "okay":
            self.finish(index, MAPPING, event["domain"], args["handle"], event)

    on_unmap_and_replace = on_unmap_grant_ref

    def on_evtchn_alloc_unbound(self, index: int, event: dict[str, Any],
                                args: dict[str, Any]) -> None:
        if event.get("result") != 0:
            return
        owner = event["domain"] if args["dom"] == SELF else args["dom"]
        peer = event["domain"] if args["remote_dom"] == SELF else args["remote_dom"]
        self.begin(index, PORT, owner, event, [args["port"], peer, -1, 0])

    def on_evtchn_bind_interdomain(self, index: int, event: dict[str, Any],
                                   args: dict[str, Any]) -> None:
        if event.get("result") != 0:
            return
        peer = event["domain"] if args["remote_dom"] == SELF else args["remote_dom"]
        self.begin(index, PORT, event["domain"], event,
                   [args["local_port"], peer, args["remote_port"], 0])
        other = self.open.get((PORT, peer, args["remote_port"]))
        if other:
            other.numbers[2] = args["local_port"]
            self.arrows.append((other.begin, index))

    def on_evtchn_bind_virq(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        if event.get("result") == 0:
            self.begin(index, PORT, event["domain"], event, [args["port"], -1, -1, 0])

    def on_evtchn_close(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        if event.get("result") == 0:
            self.finish(index, PORT, event["domain"], args["port"], event)

    def on_evtchn_reset(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        if event.get("result") == 0:
            self.finish_all(index, event["domain"], (PORT,))

    def on_evtchn_send(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        port = self.open.get((PORT, event["domain"], args.get("port", -1)))
        if port and event.get("result") == 0 and port.numbers[2] >= 0:
            self._sent.setdefault((port.numbers[1], port.numbers[2]), []).append(index)

    def on_event(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        sent = self._sent.pop((event["domain"], args.get("port", -1)), None)
        if sent:                    # several that wait are one event
            self.arrows.append((sent[0], index))

    def on_open(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        if event.get("result") == 0 and "file" in args:
            device = args.get("device", "?")
            if device not in self.devices:
                self.devices.append(device)
            self.begin(index, FILE, event["domain"], event,
                       [args["file"], self.devices.index(device), 0, 0])

    def on_release(self, index: int, event: dict[str, Any], args: dict[str, Any]) -> None:
        self.finish(index, FILE, event["domain"], args.get("file", -1), event)

    # ---- The picture

    def lanes(self) -> list[tuple[int, int]]:
        """Gives each bar its lane and row; the lanes as pairs of a domain and a process (0: its
        kernel), in the order in which the page shows them."""
        lanes = sorted({(bar.domain, bar.pid) for bar in self.bars})
        numbers = {lane: number for number, lane in enumerate(lanes)}
        busy: list[list[tuple[int, int]]] = [[] for _ in lanes]
        free: list[list[int]] = [[] for _ in lanes]
        used = [0] * len(lanes)
        for bar in self.bars:
            lane = bar.lane = numbers[bar.domain, bar.pid]
            while busy[lane] and busy[lane][0][0] <= bar.begin:
                heapq.heappush(free[lane], heapq.heappop(busy[lane])[1])
            if free[lane]:
                bar.row = heapq.heappop(free[lane])
            elif used[lane] < MOST_ROWS:
                bar.row = used[lane]
                used[lane] += 1
            else:
                bar.row = MOST_ROWS - 1
                continue            # it shares the row, which its first bar will free
            heapq.heappush(busy[lane], (bar.end, bar.row))
        return lanes

    def columns(self) -> dict[str, array[Any]]:
        """The bars as columns of numbers, by name."""
        made: dict[str, array[Any]] = {
            "begin": array("I", (bar.begin for bar in self.bars)),
            "end": array("I", (bar.end for bar in self.bars)),
            "kind": array("B", (bar.kind for bar in self.bars)),
            "lane": array("I", (bar.lane for bar in self.bars)),
            "row": array("B", (bar.row for bar in self.bars)),
            "endPid": array("i", (bar.end_pid for bar in self.bars)),
        }
        for i, name in enumerate("abcd"):
            made[name] = array("d", (bar.numbers[i] for bar in self.bars))
        made["from"] = array("I", (arrow[0] for arrow in self.arrows))
        made["to"] = array("I", (arrow[1] for arrow in self.arrows))
        return made

