# SPDX-License-Identifier: MIT
"""Checks of values, and of tables and lists of them. Each raises Wrong, which says what would be
right."""
from __future__ import annotations

import errno
import json
import re
import signal
from typing import Any, Callable

from ..units import nanoseconds
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


def made_of(check: Check, kind: str, *parts: Any) -> Check:
    """Notes what a check is made of, for who describes it: json_schema.py."""
    setattr(check, "made_of", (kind, *parts))
    return check


def kind(path: Path, value: Any, wanted: str, ok: bool) -> None:
    if not ok:
        shown = repr(value).lower() if isinstance(value, bool) else repr(value)
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
    return one_of_these(lambda: list(words))


def one_of_these(find: Callable[[], list[str]]) -> Check:
    def check(path: Path, value: Any) -> None:
        kind(path, value, "one of " + ", ".join('"%s"' % word for word in find()),
             late(value) or value in find())
    return made_of(check, "words", find)


def either(*checks: Check) -> Check:
    """The first check whose complaint is none; the last one's complaint otherwise."""
    def check(path: Path, value: Any) -> None:
        for one in checks[:-1]:
            try:
                return one(path, value)
            except Wrong:
                continue
        return checks[-1](path, value)
    return made_of(check, "any", *checks)


def known(find: Callable[[], list[str]]) -> Check:
    """A word of many: a wrong one gets a suggestion."""
    def check(path: Path, value: Any) -> None:
        text(path, value)
        names = find()
        if "${" not in value and value not in names:
            raise Wrong(path, "there is no '%s'; %s" % (value, suggest(value, names)))
    return made_of(check, "known", find)


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
    return made_of(check, "list", item, least)


def table_of(item: Check) -> Check:
    """A table whose keys are names."""
    def check(path: Path, value: Any) -> None:
        kind(path, value, "a table", isinstance(value, dict))
        for key, part in value.items():
            name(path + (key,), key)
            item(path + (key,), part)
    return made_of(check, "names", item)


def table(path: Path, value: Any, keys: dict[str, Check], required: tuple[str, ...] = ()) -> None:
    kind(path, value, "a table", isinstance(value, dict))
    for key, part in value.items():
        if key not in keys:
            raise Wrong(path + (key,), "unknown key; %s" % suggest(key, keys))
        keys[key](path + (key,), part)
    for key in required:
        if key not in value:
            raise Wrong(path, "\"%s\" is missing" % key)


def record(keys: dict[str, Check], required: tuple[str, ...] = ()) -> Check:
    """A table with these keys."""
    def check(path: Path, value: Any) -> None:
        table(path, value, keys, required)
    return made_of(check, "record", keys, required)


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


def shown(value: Any) -> str:
    """A value that a step expects, for people."""
    if isinstance(value, dict) and value and set(value) <= {"min", "max"}:
        return " and ".join("%s %s" % (word, value[key])
                            for key, word in (("min", "at least"), ("max", "at most"))
                            if key in value)
    return json.dumps(value)
