# SPDX-License-Identifier: MIT
"""The tables of what a scenario file may contain."""
from __future__ import annotations

from typing import Any, Callable

from . import words
from .places import Path
from .values import (
    Check, Wrong, amount, anything, argument, boolean, clock_step, domain, domid, either,
    error_number, exit_status, fraction, free_table, hexadecimal, kind, known, late, late_span,
    list_of, name, natural, number, one_of, one_of_these, real, record, regex, signal_name, span,
    suggest, table, table_of, text, time, true
)


def of_machine(group: str) -> Callable[[], list[str]]:
    return lambda: words.names(group)


def point() -> list[str]:
    return ["*", *words.names("points")]


PATTERN: dict[str, Check] = {"op": text, "domain": domain, "program": text, "result": anything,
                             "rule": text, "args": free_table, "time": amount}
pattern = record(PATTERN)


# ---- Faults

STATUS = either(number, known(of_machine("statuses")))
ACTIONS: dict[str, Check] = {
    "status": STATUS, "hypercall": error_number, "errno": error_number, "page_out": true,
    "delay": time, "kill": true, "destroy": domain,
    "suspend": domain, "drop": true, "double": true, "late": time, "pause": true,
    "restart": true, "after": natural, "rewrite": text, "remove": true,
}


def action(path: Path, value: Any) -> None:
    table(path, value, ACTIONS)
    kind(path, value, "a table with one key, such as { status = \"bad_gntref\" }", len(value) == 1)


RULE: dict[str, Check] = {
    "name": name, "at": known(point), "domain": domain, "peer": domain, "ref": natural,
    "index": natural, "count": natural, "pid": natural, "process": natural,
    "device": known(of_machine("devices")), "ioctl": known(words.ioctls), "path": text,
    "writable": boolean,
    "skip": natural, "times": natural, "every": natural,
    "probability": fraction, "do": action, "optional": boolean,
}


def rule(path: Path, value: Any) -> None:
    table(path, value, RULE, ("at", "do"))
    for what in ("status", "page_out"):
        if what in value["do"] and value["at"] not in ("*", *words.elements()) and \
                "${" not in value["at"]:
            raise Wrong(path + ("do", what), "only an operation with a status for each element can "
                        "do this (%s), not %s" % (", ".join(words.elements()), value["at"]))


# ---- Steps: the key that says what a step does, what its value must be, and which keys belong to
# it.

EVENTUALLY: dict[str, Check] = {"eventually": boolean}
ANSWER: dict[str, Check] = {"result": free_table, "error": regex, "as": name, **EVENTUALLY}

ACTS: dict[str, tuple[dict[str, Check], tuple[str, ...]]] = {
    "page": ({"count": natural}, ()),
    "page-free": ({"page": natural, "force": boolean}, ("page",)),
    "grant": ({"page": natural, "to": domain, "readonly": boolean, "count": natural},
              ("page", "to")),
    "end": ({"ref": natural}, ("ref",)),
    "end-deferred": ({"ref": natural}, ("ref",)),
    "write": ({"page": natural, "mapping": natural, "ref": natural, "offset": natural,
               "hex": hexadecimal, "text": text}, ()),
    "read": ({"page": natural, "mapping": natural, "ref": natural, "offset": natural,
              "size": natural}, ("size",)),
    "map": ({"granter": domain, "ref": natural, "refs": list_of(natural, 1), "readonly": boolean},
            ("granter",)),
    "mapping": ({"mapping": natural}, ("mapping",)),
    "unmap": ({"mapping": natural}, ("mapping",)),
    "copy": ({"source": free_table, "dest": free_table, "size": natural},
             ("source", "dest", "size")),
    "event-alloc": ({"remote": domain}, ("remote",)),
    "event-bind": ({"remote": domain, "port": natural}, ("remote", "port")),
    "event-send": ({"port": natural}, ("port",)),
    "event-pending": ({"port": natural}, ("port",)),
    "event-close": ({"port": natural}, ("port",)),
    "entry": ({"ref": natural, "flags": natural, "to": domain, "frame": natural, "page": natural},
              ("ref",)),
    "version": ({"version": natural}, ("version",)),
}

STORE_ACTS: dict[str, tuple[dict[str, Check], tuple[str, ...]]] = {
    "read": ({"path": text}, ("path",)),
    "write": ({"path": text, "value": either(number, text)}, ("path", "value")),
    "ls": ({"path": text}, ("path",)),
    "mkdir": ({"path": text}, ("path",)),
    "rm": ({"path": text}, ("path",)),
    "perms": ({"path": text, "set": list_of(text, 1)}, ("path",)),
    "watch": ({"path": text, "token": text}, ("path",)),
    "unwatch": ({"path": text, "token": text}, ("path",)),
    "event": ({}, ()),
    "wait": ({"path": text, "value": either(number, text)}, ("path",)),
    "restart": ({}, ()),
}


DEVICE: dict[str, Check] = {"kind": one_of_these(of_machine("device_kinds")), "backend": domain,
                            "id": natural, "type": text,
                            "keys": table_of(either(number, argument))}
DEVICE_ACTS: dict[str, tuple[dict[str, Check], tuple[str, ...]]] = {
    "attach": (DEVICE, ("kind",)),
    "detach": ({"kind": DEVICE["kind"], "id": natural, "force": boolean}, ("kind",)),
    "wait": ({"kind": DEVICE["kind"], "id": natural, "state": text}, ("kind",)),
}


def exit_statuses(path: Path, value: Any) -> None:
    (list_of(exit_status, 1) if isinstance(value, list) else exit_status)(path, value)


def where(path: Path, value: Any, what: str) -> None:
    """The columns of a table that is dumped."""
    for key in value:
        if key not in words.columns(what):
            raise Wrong(path + (key,), "%s have no column of this name; %s"
                        % (what, suggest(key, words.columns(what))))


def counters(path: Path, value: Any) -> None:
    table(path, value, {key: amount for key in words.names("counters")})


STEPS: dict[str, tuple[Check, dict[str, Check], tuple[str, ...]]] = {
    "spawn": (text, {"as": name, "args": list_of(either(number, argument))}, ()),
    "expect": (text, {"output": regex, "errors": regex}, ()),
    "send": (text, {"line": text}, ("line",)),
    "close": (text, {}, ()),
    "wait": (text, {"exit": exit_statuses, "signal": signal_name, "any": true, "output": regex,
                    "errors": regex}, ()),
    "kill": (text, {"signal": signal_name}, ()),
    "running": (text, {}, ()),
    "guest": (one_of(*ACTS), {}, ("domain",)),      # its keys: ACTS
    "adversary": (one_of("start", "step", "stop"), {}, ()),     # its keys: words.ADVERSARY_KEYS
    "store": (one_of(*STORE_ACTS), {}, ()),         # its keys: STORE_ACTS
    "device": (one_of(*DEVICE_ACTS), {}, ("domain",)),         # its keys: DEVICE_ACTS
    "call": (text, {"args": free_table, **ANSWER}, ()),
    "fault": (rule, {}, ()),
    "unfault": (name, {}, ()),
    "fired": (name, {"times": amount, **EVENTUALLY}, ()),
    "paused": (name, {}, ()),
    "resume": (name, {}, ()),
    "clock": (clock_step, {}, ()),
    "create": (domain, ANSWER, ()),
    "destroy": (domain, ANSWER, ()),
    "suspend": (domain, {"as_id": natural, "grant_version": natural, **ANSWER}, ()),
    "page-out": (domain, {"ref": natural, **ANSWER}, ("ref",)),
    "page-in": (domain, {"ref": natural, **ANSWER}, ("ref",)),
    "limit": (domain, {"what": one_of_these(of_machine("limits")), "value": natural, **ANSWER},
              ("what", "value")),
    "crash": (true, {}, ()),
    "stats": (counters, EVENTUALLY, ()),
    "dump": (one_of_these(of_machine("columns")),
             {"domain": domain, "where": free_table, "count": amount, "as": name, **EVENTUALLY},
             ()),
    "info": (domain, {"result": free_table, "as": name, **EVENTUALLY}, ()),
    "audit": (either(true, regex), {}, ()),
    "trace": (list_of(pattern, 1), EVENTUALLY, ()),
    "never": (list_of(pattern, 1), {}, ()),
    "events": (pattern, {"count": amount, **EVENTUALLY}, ("count",)),
    "mark": (true, {}, ()),
    "equal": (list_of(anything, 2), {}, ()),
    "for": (name, {"in": late_span}, ("in", "steps")),       # and "steps"
}
COMMON: dict[str, Check] = {"timeout": real, "say": text}


def step_kind(path: Path, value: Any) -> str:
    """The key that says what a step does."""
    kind(path, value, "a table", isinstance(value, dict))
    # "domain" or "trace" may belong to another step: what comes first in the table of steps
    # decides.
    found = [key for key in STEPS if key in value]
    if not found:
        unknown = [key for key in value if key not in COMMON]
        if unknown:
            raise Wrong(path + (unknown[0],), "unknown step; %s" % suggest(unknown[0], STEPS))
        raise Wrong(path, "an empty step: it needs one of %s" % ", ".join(STEPS))
    return found[0]


def keys_of(what: str, act: Any) -> tuple[dict[str, Check], tuple[str, ...]]:
    """The keys of a kind of step, and those that it needs. act: what it does to a guest or the
    store; an act that only the run will know needs nothing."""
    check, more, required = STEPS[what]
    keys: dict[str, Check] = {what: check, **more, **COMMON}
    acts = {"guest": ACTS, "store": STORE_ACTS, "device": DEVICE_ACTS}.get(what)
    if acts:
        own, needed = acts[act] if not late(act) else ({}, ())
        keys = {**keys, "domain": domain, **own, **ANSWER}
        required += needed
    elif what == "adversary":
        keys = {**keys, **{key: anything for key in words.ADVERSARY_KEYS}, "domain": domain,
                "kind": one_of_these(of_machine("adversaries")), **ANSWER}
        required += {"start": ("domain", "kind")}.get(act, ("id",))
    elif what == "for":
        keys = {**keys, "steps": steps}
    return keys, required


def step(path: Path, value: Any) -> None:
    what = step_kind(path, value)
    STEPS[what][0](path + (what,), value[what])
    keys, required = keys_of(what, value[what])
    table(path, value, keys)
    if what == "dump" and isinstance(value.get("where"), dict) and not late(value["dump"]):
        where(path + ("where",), value["where"], value["dump"])
    for key in required:
        if key not in value:
            raise Wrong(path, "a step \"%s\" needs \"%s\"" % (what, key))
    exclusive(path, value, what)


def exclusive(path: Path, value: dict[str, Any], what: str) -> None:
    """Keys of which exactly one, or at most one, must be there."""
    for kinds, keys, least in ((("expect",), ("output", "errors"), 1),
                               (("wait",), ("exit", "signal", "any"), 0),
                               (("guest",), ("page", "mapping", "ref"),
                                1 if value.get("guest") in ("read", "write") else None),
                               (("guest",), ("ref", "refs"),
                                1 if value.get("guest") == "map" else None),
                               (("guest",), ("hex", "text"),
                                1 if value.get("guest") == "write" else None)):
        given = [key for key in keys if key in value]
        if what in kinds and least is not None and not least <= len(given) <= 1:
            raise Wrong(path + tuple(given[1:2]), "a step \"%s\" %s %s"
                        % (what, "needs one of" if least else "may have one of only:",
                           ", ".join('"%s"' % key for key in keys)))


def steps(path: Path, value: Any) -> None:
    list_of(step)(path, value)


# ---- The file

PROFILE = one_of("pv", "pvh", "legacy")


def profiles(path: Path, value: Any) -> None:
    (list_of(PROFILE, 1) if isinstance(value, list) else PROFILE)(path, value)


SCENARIO: dict[str, Check] = {
    "description": text, "profile": profiles, "xen": one_of("xen-4.17", "xen-4.20", "xen-4.23"),
    "clock": one_of("auto", "virtual", "real"), "seed": natural, "timeout": real, "audit": boolean,
    "ways": list_of(one_of("device", "socket"), 1), "tags": list_of(text), "fails": regex,
}
VARIANT: dict[str, Check] = {"description": text, "vars": table_of(anything), "fails": regex}
DOMAIN: dict[str, Check] = {"id": domid, "profile": PROFILE, "grant_frames": natural,
                            "maptrack_frames": natural,
                            "grant_version": natural, "privcmd_unrestricted": natural,
                            "create": boolean}
PROGRAM: dict[str, Check] = {"command": list_of(argument, 1), "domain": domain,
                             "env": table_of(argument), "directory": argument}
LIMIT: dict[str, Check] = {"domain": domain, "what": one_of_these(of_machine("limits")),
                           "from": natural, "to": natural}
SWEEP: dict[str, Check] = {"errors": regex, "tolerates": list_of(regex, 1),
                           "timeout": real, "patience": real, "exit": list_of(exit_status, 1),
                           "at": list_of(known(point), 1), "do": action,
                           "programs": list_of(text, 1),
                           "ends": list_of(text), "limit": record(LIMIT, ("domain", "what"))}
CHECK: dict[str, Check] = {"on": boolean, "kinds": text, "suppress": text,
                           "expect": list_of(text, 1)}


def rows(keys: dict[str, Check], required: tuple[str, ...] = ()) -> Check:
    return table_of(record(keys, required))


FILE: dict[str, Check] = {
    "scenario": record(SCENARIO),
    "vars": table_of(anything),
    "matrix": table_of(span),
    "variants": rows(VARIANT),
    "domains": rows(DOMAIN, ("id",)),
    "devices": rows({"domain": domain, **DEVICE}, ("domain", "kind")),
    "programs": rows(PROGRAM, ("command",)),
    "faults": list_of(rule),
    "steps": steps,
    "finally": steps,
    "sweep": record(SWEEP),
    "check": record(CHECK),
}
