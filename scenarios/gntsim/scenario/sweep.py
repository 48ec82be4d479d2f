# SPDX-License-Identifier: MIT
"""Sweeps: turns what a passing case passed into points, and plays the case once for each."""
from __future__ import annotations

from typing import Any, Iterator

from . import words
from .cases import Case
from .play import Result
from .values import Wrong

KINDS = ("nth", "index", "limit", "kill")

# What goes wrong in a device's call unless the file says something else: what a correct program may
# meet. It is the machine's tables that say so of hypercalls and ioctls. Other points pass.
CALLS: dict[str, str] = {"open": "ENODEV", "mmap": "ENOMEM", "read": "EIO", "write": "EIO"}
KILLS = ("open", "ioctl", "mmap", "munmap", "read", "write")       # and batches of a hypercall
LIMITS = {"grant_frames": "grant_frames", "maptrack_frames": "maptrack_in_use"}
MAPTRACK_PER_FRAME = 256        # 4096 bytes of 16


def fault_at(row: dict[str, Any]) -> dict[str, Any] | None:
    """What goes wrong at a point, as `points` tells of it; None if nothing should."""
    at, kind = row["at"], row["kind"]
    if at == "store_event":
        return {"double": True}     # a watch says that something may have changed
    if kind == "device":
        error = words.fault(row.get("ioctl", ""), row["device"]) if at == "ioctl" else CALLS.get(at)
        return {"errno": error} if error else None
    what = words.fault(at)
    if what and kind == "store":
        return {"errno": what}
    if not what or kind == "hypercall" and at in words.elements():
        return None             # its elements fail, one by one
    return {"status" if kind == "element" else "hypercall": what}


# The kinds of points at which something can be done.
KINDS_OF: dict[str, tuple[str, ...]] = {
    "status": ("element",), "page_out": ("element",), "hypercall": ("hypercall",),
    "errno": ("device", "store"), "drop": ("kernel", "store"), "double": ("kernel", "store"),
    "late": ("kernel",), "kill": ("device", "hypercall", "store"),
    "delay": ("device", "hypercall"), "pause": ("device", "hypercall"), "restart": ("store",),
    "after": ("store",), "rewrite": ("store",), "remove": ("store",),
}
ONLY_EVENTS = ("drop", "double", "after")
ONLY_REQUESTS = ("errno", "kill", "restart", "rewrite", "remove")


def possible(row: dict[str, Any], do: dict[str, Any]) -> bool:
    what = next(iter(do))
    if row["kind"] == "store" and what in (*ONLY_EVENTS, *ONLY_REQUESTS) and \
            (row["at"] == "store_event") != (what in ONLY_EVENTS):
        return False
    return row["kind"] in KINDS_OF.get(what, ("device", "hypercall", "kernel", "store"))


def label(point: dict[str, Any]) -> str:
    """A name for a point: "ioctl gntdev MAP_GRANT_REF no. 2"."""
    if "limit" in point:
        return "%(what)s=%(value)d of domain %(domain)d" % point["limit"]
    parts = [point["at"], *(str(point[key]) for key in ("device", "ioctl") if point.get(key))]
    if "index" in point:
        parts.append("index %d of domain %d" % (point["index"], point["domain"]))
    else:
        parts.append("no. %d" % (point["skip"] + 1))
    return " ".join(parts)


def nth(case: Case, base: Result) -> Iterator[dict[str, Any]]:
    """Each injection point that was passed fails once."""
    sweep = case.scenario.data.get("sweep", {})
    for row in base.points:
        do = sweep.get("do") or fault_at(row)
        if do and possible(row, do) and row["at"] in sweep.get("at", [row["at"]]):
            yield from each(row, do)


def each(row: dict[str, Any], do: dict[str, Any]) -> Iterator[dict[str, Any]]:
    where = {key: row[key] for key in ("at", "device", "ioctl") if row.get(key) is not None}
    for i in range(row["passed"]):
        yield {**where, "skip": i, "do": do}


def kill(case: Case, base: Result) -> Iterator[dict[str, Any]]:
    """At each injection point that a program passed, it is killed."""
    data = case.scenario.data
    sweep = data.get("sweep", {})
    domains: list[int] = []
    if "programs" in sweep:
        domains = sorted({number(data, data["programs"][name].get("domain", 0))
                          for name in sweep["programs"]})
    wanted = sweep.get("at", (*KILLS, *words.batches(), *words.of_store()))
    for row in base.points:
        if possible(row, {"kill": True}) and row["at"] in wanted:
            for point in each(row, {"kill": True}):
                if not domains:
                    yield point
                for domain in domains:
                    yield {**point, "domain": domain}


def number(data: dict[str, Any], domain: Any) -> int:
    return int(data["domains"][domain]["id"]) if isinstance(domain, str) else int(domain)


def index(case: Case, base: Result) -> Iterator[dict[str, Any]]:
    """Each place of each kind of batch fails once."""
    sweep = case.scenario.data.get("sweep", {})
    largest: dict[tuple[str, int], int] = {}
    for event in base.batches:
        count = (event.get("args") or {}).get("count", 0)
        if event["op"] in sweep.get("at", words.batches()) and count > 1:
            key = (event["op"], event["domain"])
            largest[key] = max(largest.get(key, 0), count)
    for (op, domain), count in largest.items():
        do = sweep.get("do") or {"status": words.fault(op) or words.names("statuses")[1]}
        for i in range(count):
            yield {"at": op, "domain": domain, "count": count, "index": i, "do": do}


def limit(case: Case, base: Result) -> Iterator[dict[str, Any]]:
    """The limit of one domain, from what is enough downwards."""
    wanted = case.scenario.data.get("sweep", {}).get("limit")
    if not wanted:
        raise Wrong(("sweep",), "--sweep limit needs limit = { domain = …, what = … } in [sweep]")
    domain, what = number(case.scenario.data, wanted["domain"]), wanted["what"]
    start = wanted.get("from")
    if start is None and what in LIMITS and domain in base.domains:
        start = base.domains[domain][LIMITS[what]]
        start = start // MAPTRACK_PER_FRAME + 1 if what == "maptrack_frames" else start
    if start is None:
        raise Wrong(("sweep", "limit"),
                    "--sweep limit of %s needs \"from\", a value that is enough" % what)
    for value in range(start, wanted.get("to", 1) - 1, -1):
        yield {"limit": {"domain": domain, "what": what, "value": value}}


POINTS = {"nth": nth, "index": index, "limit": limit, "kill": kill}


def points(kind: str, case: Case, base: Result) -> list[dict[str, Any]]:
    return list(POINTS[kind](case, base))


def smallest(results: list[Result]) -> str:
    """Of a limit sweep: what was enough."""
    enough = [result.case.point["limit"] for result in results
              if result.case.point and "limit" in result.case.point
              and result.ok and not result.deviated]
    if not enough:
        return "no value was enough"
    least = min(enough, key=lambda row: int(row["value"]))
    return "the smallest %(what)s of domain %(domain)d with which it works is %(value)d" % least
