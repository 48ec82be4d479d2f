# SPDX-License-Identifier: MIT
"""The tables of what a scenario file may contain, and the check of a file against them."""
from __future__ import annotations

import errno
import re
import signal
from typing import Any, Callable, Iterator

from ..units import nanoseconds
from . import words
from .places import Path

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
VARIABLE = re.compile(r"\$\{[A-Za-z0-9_.-]+\}")


class Wrong(Exception):
    """A mistake in a file: where, and what would be right."""

    def __init__(self, path: Path, message: str):
        super().__init__(message)
        self.path = path


def late(value: Any) -> bool:
    """Whether a value is a variable, known only when the step is executed."""
    return isinstance(value, str) and VARIABLE.fullmatch(value) is not None


Check = Callable[[Path, Any], None]


def kind(path: Path, value: Any, wanted: str, ok: bool) -> None:
    if not ok:
        shown = {True: "true", False: "false"}.get(value, repr(value)) if isinstance(value, bool) else repr(value)
        raise Wrong(path, "must be %s, not %s" % (wanted, shown))


def text(path: Path, value: Any) -> None:
    kind(path, value, "a text", isinstance(value, str))


def argument(path: Path, value: Any) -> None:
    """A text that a program can be given."""
    text(path, value)
    kind(path, value, "a text without NUL characters", "\0" not in value)


def name(path: Path, value: Any) -> None:
    kind(path, value, "a name (letters, digits, - and _)", isinstance(value, str)
         and NAME.fullmatch(value) is not None)


def boolean(path: Path, value: Any) -> None:
    kind(path, value, "true or false", isinstance(value, bool))


def number(path: Path, value: Any) -> None:
    kind(path, value, "a number", late(value)
         or (isinstance(value, int) and not isinstance(value, bool)))


def integer(path: Path, value: Any) -> None:
    kind(path, value, "a number", isinstance(value, int) and not isinstance(value, bool))


def natural(path: Path, value: Any) -> None:
    kind(path, value, "a number, 0 or more", late(value)
         or (isinstance(value, int) and not isinstance(value, bool) and value >= 0))


def real(path: Path, value: Any) -> None:
    kind(path, value, "a number of seconds", late(value)
         or (isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e9))


def fraction(path: Path, value: Any) -> None:
    kind(path, value, "a number from 0 to 1", isinstance(value, (int, float))
         and not isinstance(value, bool) and 0 <= value <= 1)


def domid(path: Path, value: Any) -> None:
    kind(path, value, "a domain's number, 0 to 32751", isinstance(value, int)
         and not isinstance(value, bool) and 0 <= value <= 32751)


def domain(path: Path, value: Any) -> None:
    if isinstance(value, int):
        domid(path, value)
    else:
        kind(path, value, "a domain: a name from [domains] or a number", isinstance(value, str))


def regex(path: Path, value: Any) -> None:
    text(path, value)
    try:
        re.compile(VARIABLE.sub("x", value), re.M)
    except re.error as error:
        raise Wrong(path, "is no regular expression: %s" % error) from None


def time(path: Path, value: Any) -> None:
    if late(value):
        return
    try:
        nanoseconds(value)
    except (TypeError, ValueError) as error:
        raise Wrong(path, str(error)) from None


def clock_step(path: Path, value: Any) -> None:
    if value not in ("next", "auto", "manual"):
        time(path, value)


def amount(path: Path, value: Any) -> None:
    if isinstance(value, dict):
        table(path, value, {"min": number, "max": number})
        kind(path, value, "a number or { min = …, max = … }", bool(value))
    else:
        kind(path, value, "a number or { min = …, max = … }",
             late(value) or (isinstance(value, (int, float)) and not isinstance(value, bool)))


def signal_name(path: Path, value: Any) -> None:
    kind(path, value, "a signal's name such as \"SIGKILL\"",
         late(value) or (isinstance(value, str) and value in signal.Signals.__members__))


def anything(path: Path, value: Any) -> None:
    pass


def true(path: Path, value: Any) -> None:
    kind(path, value, "true", value is True)


def one_of(*words: str) -> Check:
    def check(path: Path, value: Any) -> None:
        kind(path, value, "one of " + ", ".join('"%s"' % word for word in words),
             late(value) or value in words)
    return check


def either(*checks: Check) -> Check:
    """The first check whose complaint is none; the last one's complaint otherwise."""
    def check(path: Path, value: Any) -> None:
        for one in checks[:-1]:
            try:
                return one(path, value)
            except Wrong:
                continue
        return checks[-1](path, value)
    return check


def known(*names: str) -> Check:
    """A word of many: a wrong one gets a suggestion."""
    def check(path: Path, value: Any) -> None:
        text(path, value)
        if "${" not in value and value not in names:
            raise Wrong(path, "there is no '%s'; %s" % (value, suggest(value, names)))
    return check


def error_number(path: Path, value: Any) -> None:
    """A number, or a name that the host knows."""
    if isinstance(value, str) and "${" not in value:
        kind(path, value, "an errno such as \"EINVAL\"",
             re.fullmatch("E[A-Z0-9]+", value) is not None and hasattr(errno, value))
    else:
        number(path, value)


def hexadecimal(path: Path, value: Any) -> None:
    kind(path, value, "pairs of hexadecimal digits", isinstance(value, str) and
         ("${" in value or re.fullmatch("([0-9a-fA-F]{2})*", value) is not None))


def exit_status(path: Path, value: Any) -> None:
    kind(path, value, "an exit status, 0 to 255", late(value)
         or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255))


def list_of(item: Check, least: int = 0) -> Check:
    def check(path: Path, value: Any) -> None:
        kind(path, value, "a list", late(value) or isinstance(value, list))
        if isinstance(value, list):
            kind(path, value, "a list with at least one item", len(value) >= least)
            for i, part in enumerate(value):
                item(path + (i,), part)
    return check


def table_of(item: Check) -> Check:
    """A table whose keys are names."""
    def check(path: Path, value: Any) -> None:
        kind(path, value, "a table", isinstance(value, dict))
        for key, part in value.items():
            name(path + (key,), key)
            item(path + (key,), part)
    return check


def table(path: Path, value: Any, keys: dict[str, Check], required: tuple[str, ...] = ()) -> None:
    kind(path, value, "a table", isinstance(value, dict))
    for key, part in value.items():
        if key not in keys:
            raise Wrong(path + (key,), "unknown key; %s" % suggest(key, keys))
        keys[key](path + (key,), part)
    for key in required:
        if key not in value:
            raise Wrong(path, "\"%s\" is missing" % key)


def suggest(word: str, known: Any) -> str:
    import difflib
    near = difflib.get_close_matches(word, list(known), 1)
    return "did you mean \"%s\"?" % near[0] if near else "known are: " + ", ".join(sorted(known))


MAX_SPAN = 1_000_000


def span(path: Path, value: Any) -> None:
    """A list of values, or from … to: of a matrix, known when the file is read."""
    if isinstance(value, dict):
        table(path, value, {"from": integer, "to": integer, "step": integer}, ("from", "to"))
        kind(path, value, "a step of 1 or more and at most %d values" % MAX_SPAN,
             value.get("step", 1) >= 1 and (value["to"] - value["from"]) // value.get("step",
                                                                                      1) < MAX_SPAN)
    else:
        kind(path, value, "a list, or { from = …, to = … }",
             isinstance(value, list) and bool(value))


def late_span(path: Path, value: Any) -> None:
    """The same in a step, where any of it may be a variable."""
    if late(value) or (isinstance(value, dict) and any(map(late, value.values()))):
        return
    span(path, value)


def free_table(path: Path, value: Any) -> None:
    kind(path, value, "a table", isinstance(value, dict))


def pattern(path: Path, value: Any) -> None:
    table(path, value, {"op": text, "domain": domain, "program": text, "result": anything,
                        "rule": text, "args": free_table,
                        "time": amount})


# ---- Faults

STATUS = either(number, known(*words.STATUSES))
ACTIONS: dict[str, Check] = {
    "status": STATUS, "hypercall": error_number, "errno": error_number, "page_out": true,
    "delay": time, "kill": true, "destroy": domain,
    "suspend": domain, "drop": true, "double": true, "late": time, "pause": true,
}


def action(path: Path, value: Any) -> None:
    table(path, value, ACTIONS)
    kind(path, value, "a table with one key, such as { status = \"bad_gntref\" }", len(value) == 1)


RULE: dict[str, Check] = {
    "name": name, "at": known(*words.POINTS), "domain": domain, "peer": domain, "ref": natural,
    "index": natural, "count": natural, "pid": natural, "process": natural,
    "device": known(*words.DEVICES), "ioctl": known(*words.IOCTLS), "writable": boolean,
    "skip": natural, "times": natural, "every": natural,
    "probability": fraction, "do": action, "optional": boolean,
}


def rule(path: Path, value: Any) -> None:
    table(path, value, RULE, ("at", "do"))
    for what in ("status", "page_out"):
        if what in value["do"] and value["at"] not in ("*",
                                                       *words.ELEMENT_POINTS) and \
                                                           "${" not in value["at"]:
            raise Wrong(path + ("do", what), "only an operation with a status for each element can "
                        "do this (%s), not %s"
                        % (", ".join(words.ELEMENT_POINTS), value["at"]))


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

def exit_statuses(path: Path, value: Any) -> None:
    (list_of(exit_status, 1) if isinstance(value, list) else exit_status)(path, value)


def where(path: Path, value: Any, what: str) -> None:
    """The columns of a table that is dumped."""
    for key in value:
        if key not in words.COLUMNS[what]:
            raise Wrong(path + (key,), "%s have no column of this name; %s"
                        % (what, suggest(key, words.COLUMNS[what])))


def counters(path: Path, value: Any) -> None:
    table(path, value, {key: amount for key in words.COUNTERS})


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
    "limit": (domain, {"what": one_of(*words.LIMITS), "value": natural, **ANSWER},
              ("what", "value")),
    "crash": (true, {}, ()),
    "stats": (counters, EVENTUALLY, ()),
    "dump": (one_of("entries", "maptrack", "frames", "ports"),
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


def step(path: Path, value: Any) -> None:
    what = step_kind(path, value)
    check, more, required = STEPS[what]
    keys: dict[str, Check] = {what: check, **more, **COMMON}
    check(path + (what,), value[what])
    if what == "guest":
        act, needed = ACTS[value["guest"]] if not late(value["guest"]) else ({}, ())
        keys = {**keys, "domain": domain, **act, **ANSWER}
        required += needed
    elif what == "adversary":
        keys = {**keys, **{key: anything for key in words.ADVERSARY_KEYS}, "domain": domain,
                "kind": one_of(*words.ADVERSARIES), **ANSWER}
        required += {"start": ("domain", "kind")}.get(value["adversary"], ("id",))
    elif what == "for":
        keys = {**keys, "steps": steps}
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
            raise Wrong(path + tuple(given[1:2]),
                        "a step \"%s\" %s %s" % (what,
                                                 "needs one of" if least
                                                 else "may have one of only:",
                                                                          ", ".join('"%s"' % key for key in keys)))


def steps(path: Path, value: Any) -> None:
    list_of(step)(path, value)


# ---- The file

PROFILE = one_of("pv", "pvh", "legacy")


def profiles(path: Path, value: Any) -> None:
    (list_of(PROFILE, 1) if isinstance(value, list) else PROFILE)(path, value)


SCENARIO: dict[str, Check] = {
    "description": text, "profile": profiles,
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
LIMIT: dict[str, Check] = {"domain": domain, "what": one_of(*words.LIMITS), "from": natural,
                           "to": natural}
SWEEP: dict[str, Check] = {"errors": regex, "timeout": real, "exit": list_of(exit_status, 1),
                           "at": list_of(known(*words.POINTS), 1), "do": action,
                           "programs": list_of(text, 1),
                           "ends": list_of(text), "limit": lambda path, value: table(path, value, LIMIT, ("domain", "what"))}


def rows(keys: dict[str, Check], required: tuple[str, ...] = ()) -> Check:
    return table_of(lambda path, value: table(path, value, keys, required))


FILE: dict[str, Check] = {
    "scenario": lambda path, value: table(path, value, SCENARIO),
    "vars": table_of(anything),
    "matrix": table_of(span),
    "variants": rows(VARIANT),
    "domains": rows(DOMAIN, ("id",)),
    "programs": rows(PROGRAM, ("command",)),
    "faults": list_of(rule),
    "steps": steps,
    "finally": steps,
    "sweep": lambda path, value: table(path, value, SWEEP),
}


def check_file(data: Any) -> None:
    """Raises Wrong at the first mistake."""
    table((), data, FILE, ("steps",))
    check_names(data)
    check_variables(data)


def check_names(data: Any) -> None:
    """Names that are used must exist."""
    programs = data.get("programs", {})
    domains = data.get("domains", {})
    started = set(programs)
    rules = {value["name"] for value in data.get("faults", []) if "name" in value}

    def known(path: Path, value: Any, names: Any, what: str) -> None:
        if isinstance(value, str) and "${" not in value and value not in names:
            raise Wrong(path, "there is no %s \"%s\"; %s"
                        % (what, value, suggest(value, names) if names
                           else "there are none at all"))

    def each(path: Path, value: list[Any], visit: Callable[[Path, Any], None]) -> None:
        for i, one in enumerate(value):
            visit(path + (i,), one)
            if "for" in one and "steps" in one:
                each(path + (i, "steps"), one["steps"], visit)

    def collect(path: Path, one: Any) -> None:
        if "spawn" in one and "as" in one:
            started.add(one["as"])
        if "fault" in one and "name" in one["fault"]:
            rules.add(one["fault"]["name"])

    def visit(path: Path, one: Any) -> None:
        what = step_kind(path, one)
        if what == "spawn":
            known(path + (what,), one[what], programs, "program")
        if what in ("expect", "send", "close", "wait", "kill", "running"):
            known(path + (what,), one[what], started, "program")
        if what in ("unfault", "fired", "paused", "resume"):
            known(path + (what,), one[what], rules, "rule")
        if what in ("create", "destroy", "suspend", "page-out", "page-in", "limit", "info"):
            known(path + (what,), one[what], domains, "domain")
        for key in ("domain", "to", "granter", "remote"):
            if key in one:
                known(path + (key,), one[key], domains, "domain")
        for key in ("domain", "peer"):
            if what == "fault" and key in one["fault"]:
                known(path + ("fault", key), one["fault"][key], domains, "domain")

    for part in ("steps", "finally"):
        each((part,), data.get(part, []), collect)
    for part in ("steps", "finally"):
        each((part,), data.get(part, []), visit)
    for key, program in programs.items():
        known(("programs", key, "domain"), program.get("domain", 0), domains, "domain")
    for i, value in enumerate(data.get("faults", [])):
        for key in ("domain", "peer"):
            known(("faults", i, key), value.get(key, 0), domains, "domain")
    numbers: dict[int, str] = {}
    for key, value in domains.items():
        other = numbers.setdefault(value["id"], key)
        if other != key:
            raise Wrong(("domains", key, "id"),
                        "domains \"%s\" and \"%s\" have the same number %d"
                        % (other, key, value["id"]))
    sweep = data.get("sweep", {})
    for key in ("programs", "ends"):
        for i, one in enumerate(sweep.get(key, [])):
            known(("sweep", key, i), one, started, "program")
    if "limit" in sweep:
        known(("sweep", "limit", "domain"), sweep["limit"]["domain"], domains, "domain")


REFERENCE = re.compile(r"(?<!\$)\$\{([A-Za-z0-9_-]+)[A-Za-z0-9_.-]*\}")
GROUP = re.compile(r"\(\?P<(\w+)>")
ALWAYS = ("seed", "profile", "dir", "here")


def texts(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    """All texts in a value."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, (dict, list)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from texts(path + (key,), part)


def check_variables(data: Any) -> None:
    """A variable that is used must be set somewhere. Whether it is by then, only the run can
    tell."""
    names = {*ALWAYS, *data.get("vars", {}), *data.get("matrix", {})}
    for variant in data.get("variants", {}).values():
        names.update(variant.get("vars", {}))
    used = [one for part in ("domains", "programs", "faults", "steps", "finally")
            for one in texts((part,), data.get(part, {}))]
    for path, value in used:
        if path[0] in ("steps", "finally"):
            names.update([value] if path[-1] in ("as", "for") else GROUP.findall(value)
                         if path[-1] in ("output", "errors") else [])
    for path, value in used:
        for word in REFERENCE.findall(value):
            if word not in names:
                raise Wrong(path, "there is no variable ${%s}; %s" % (word, suggest(word, names)))
