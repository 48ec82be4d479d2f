# SPDX-License-Identifier: MIT
"""The check of a whole file: by the tables, and that the names it uses are in it."""
from __future__ import annotations

import re
from typing import Any, Callable, Iterator

from .places import Path
from .schema import FILE, step_kind
from .values import Wrong, suggest, table


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
        for key in ("domain", "to", "granter", "remote", "backend"):
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
    for key, value in data.get("devices", {}).items():
        for end in ("domain", "backend"):
            known(("devices", key, end), value.get(end, 0), domains, "domain")
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
