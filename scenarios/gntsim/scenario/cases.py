# SPDX-License-Identifier: MIT
"""Reads a scenario file and finds its cases."""
from __future__ import annotations

import itertools
import math
import os
import re
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any, Iterator, Optional, Sequence

from .places import Path, Places
from .uses import check_file
from .values import Wrong


class Mistake(Exception):
    """A file cannot be used. The text is one line that names file, line and key."""


@dataclass
class Scenario:
    path: FilePath
    data: dict[str, Any]
    places: Places

    @property
    def stem(self) -> str:
        return self.path.stem

    @property
    def head(self) -> dict[str, Any]:
        head: dict[str, Any] = self.data.get("scenario", {})
        return head

    def where(self, path: Path) -> str:
        """File and line of a key."""
        return "%s:%d" % (self.path, self.places.line(path))

    def mistake(self, wrong: Wrong) -> Mistake:
        keys = [str(key) for key in wrong.path if isinstance(key, str)]
        return Mistake("%s: %s%s" % (self.where(wrong.path), ".".join(keys) + ": " if keys else "",
                                     wrong))


@dataclass
class Case:
    """One play of a scenario: with a variant, a profile and a value for each variable of the
    matrix."""
    scenario: Scenario
    labels: tuple[str, ...]
    variables: dict[str, Any]
    profile: str
    fails: Optional[str] = None
    seed: int = 1
    point: Optional[dict[str, Any]] = None      # of a sweep
    suffix: str = ""                            # of the name: the point, the repetition

    @property
    def plain_name(self) -> str:
        return self.scenario.stem + ("[%s]" % ",".join(self.labels) if self.labels else "")

    @property
    def name(self) -> str:
        return self.plain_name + self.suffix

    def at(self, point: dict[str, Any], label: str) -> Case:
        return replace(self, point=point, suffix=" at " + label)

    def repetition(self, i: int) -> Case:
        return replace(self, suffix="%s no. %d" % (self.suffix, i))


@dataclass
class Options:
    """What the command line changes."""
    seed: Optional[int] = None
    profile: Optional[str] = None
    way: Optional[str] = None
    programs: list[str] = field(default_factory=list)
    traces: Optional[str] = None
    check: Optional[str] = None     # words of --check, "": nothing is checked
    real_way: str = ""          # what "auto" comes to; known if a file has "ways"


def load(name: str) -> Scenario:
    """Reads and checks a file."""
    try:
        import tomllib
    except ImportError:
        raise Mistake("%s: scenario files need Python 3.11 or newer (its tomllib reads TOML)"
                      % name) from None
    path = FilePath(name)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Mistake("%s: cannot be read: %s" % (name, error.strerror)) from None
    try:
        text = raw.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise Mistake("%s:%d: not UTF-8 text: %s"
                      % (name, raw.count(b"\n", 0, error.start) + 1, error.reason)) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        line = match.group(1) if match else str(text.count("\n") + 1)
        raise Mistake("%s:%s: not TOML: %s" % (name, line,
                                               str(error)[:match.start()] if match
                                               else error)) from None
    except RecursionError:
        raise Mistake("%s: nested too deeply" % name) from None
    scenario = Scenario(path, data, Places(text))
    try:
        check_file(data)
    except Wrong as wrong:
        raise scenario.mistake(wrong) from None
    return scenario


def values(span: Any) -> Sequence[Any]:
    """A list, or what { from, to, step } stands for."""
    if isinstance(span, dict):
        return range(span["from"], span["to"] + 1, span.get("step", 1))
    return list(span)


MAX_CASES = 100_000


def cases(scenario: Scenario, options: Options) -> Iterator[Case]:
    """All cases of a file, in the order of the file."""
    data, head = scenario.data, scenario.head
    profiles = head.get("profile", "pv")
    if options.profile:
        profiles = options.profile
    matrix = data.get("matrix", {})
    variants = data.get("variants", {}) or {"": {}}
    lists = [values(span) for span in matrix.values()]
    if math.prod(map(len, lists)) > MAX_CASES:
        raise scenario.mistake(Wrong(("matrix",), "more than %d cases" % MAX_CASES))
    several = isinstance(profiles, list) and len(profiles) > 1
    for (name, variant), profile in itertools.product(variants.items(),
                                                      profiles if isinstance(profiles, list)
                                                      else [profiles]):
        for chosen in itertools.product(*lists):
            labels = ([name] if name else []) + ([profile] if several else []) + \
                ["%s=%s" % pair for pair in zip(matrix, chosen)]
            yield Case(scenario, tuple(labels),
                       {**data.get("vars", {}), **variant.get("vars", {}),
                        **dict(zip(matrix, chosen))}, profile,
                       variant.get("fails", head.get("fails")),
                       options.seed if options.seed is not None else head.get("seed", 1))


# ---- Variables

REFERENCE = re.compile(r"\$(\$?)\{([A-Za-z0-9_.-]+)\}")


# What a result stands for where a single value is wanted: the first of these that it has, or its
# only value.
MAIN = ("mapping", "ref", "page", "port", "id", "hex", "status")


def lookup(variables: dict[str, Any], name: str) -> Any:
    words = name.split(".")
    value: Any = variables
    for i, word in enumerate(words):
        if isinstance(value, list) and word.isdigit() and int(word) < len(value):
            value = value[int(word)]
        elif isinstance(value, dict) and word in value:
            value = value[word]
        else:
            known = ", ".join(sorted(value)) if isinstance(value, dict) else ""
            raise KeyError("there is no variable ${%s}%s"
                           % (".".join(words[:i + 1]), "; known are: " + known if known else ""))
    while isinstance(value, dict) and value:
        main = [key for key in MAIN if key in value]
        if not main and len(value) > 1:
            break
        value = value[main[0]] if main else next(iter(value.values()))
    return value


def substitute(value: Any, variables: dict[str, Any]) -> Any:
    """The value with its ${names} replaced; KeyError with a sentence if one is unknown."""
    if isinstance(value, list):
        return [substitute(part, variables) for part in value]
    if isinstance(value, dict):
        return {key: substitute(part, variables) for key, part in value.items()}
    if not isinstance(value, str):
        return value
    whole = REFERENCE.fullmatch(value)
    if whole and not whole.group(1):
        return lookup(variables, whole.group(2))
    return REFERENCE.sub(lambda match: match.group()[1:] if match.group(1)
                         else str(lookup(variables, match.group(2))), value)


# ---- Programs

def find_program(case: Case, options: Options, word: str) -> str:
    """The program that a command's first word means; a FileNotFoundError with a sentence if there
    is none."""
    if "/" in word:
        place = os.path.join(case.scenario.path.resolve().parent, word)
        if os.path.isfile(place) and os.access(place, os.X_OK):
            return place
        raise FileNotFoundError("there is no program %s: build it, or correct the path (it is "
                                "relative to the scenario file)" % place)
    directories = options.programs + [part for part in os.environ.get("GNTSIM_PROGRAMS",
                                                                      "").split(":") if part]
    for directory in directories:
        place = os.path.join(os.path.abspath(directory), word)
        if os.path.isfile(place) and os.access(place, os.X_OK):
            return place
    found = shutil.which(word)
    if found:
        return found
    raise FileNotFoundError("there is no program %s%s or in PATH: build it, or say with --programs "
                            "DIR where it is"
                            % (word, " in " + ", ".join(directories) if directories else ""))


def check_programs(case: Case, options: Options) -> None:
    """A Mistake if a program that can be known before a run does not exist."""
    known = {**case.variables, "seed": case.seed, "profile": case.profile,
             "here": str(case.scenario.path.resolve().parent)}
    for name, program in case.scenario.data.get("programs", {}).items():
        try:
            find_program(case, options, str(substitute(program["command"][0], known)))
        except KeyError:
            continue        # set by a step
        except FileNotFoundError as error:
            raise case.scenario.mistake(Wrong(("programs", name, "command"), str(error))) from None
