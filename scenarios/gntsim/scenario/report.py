# SPDX-License-Identifier: MIT
"""Reports results as TAP, as JUnit, and as a line on a terminal."""
from __future__ import annotations

import json
import re
import shlex
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path as FilePath
from typing import Optional, TextIO

from .cases import Options
from .play import Result

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def replay(result: Result, options: Options) -> str:
    """The command that plays just this again."""
    case = result.case
    words = ["gntsim", "scenario", "run", str(case.scenario.path), "--only", case.plain_name,
             "--seed", str(case.seed)]
    if options.profile:
        words += ["--profile", options.profile]
    if options.way:
        words += ["--way", options.way]
    if options.check is not None:
        words.append("--check=" + options.check if options.check else "--no-check")
    for directory in options.programs:
        words += ["--programs", directory]
    if case.point:
        words += ["--sweep-point", json.dumps(case.point)]
    return shlex.join(words)


def detail(result: Result, options: Options) -> list[str]:
    """Lines about a result that is not simply good."""
    lines = list(result.said)
    if result.ok:
        return lines
    lines += result.message.splitlines()
    if result.deviated:
        lines += ["because of the fault, the steps had ended at " + result.deviated.splitlines()[0]]
    lines += result.rules
    if result.events:
        lines += ["last events:", *("  " + str(event) for event in result.events)]
    if result.cause:
        lines.append("the latest refusal: " + result.cause)
    return lines + ["seed: %d" % result.case.seed, "replay: " + replay(result, options)]


class Tap:
    def __init__(self, out: TextIO, options: Options):
        self.out = out
        self.options = options
        self.count = 0
        self.planned: Optional[int] = None

    def plan(self, count: int) -> None:
        self.planned = count
        self._line("1..%d%s" % (count, "" if count else " # SKIP no cases"))

    def _line(self, text: str) -> None:
        self.out.write(text + "\n")
        self.out.flush()

    def result(self, result: Result) -> None:
        self.count += 1
        skip = " # SKIP " + result.skipped if result.skipped else ""
        self._line("%sok %d - %s%s" % ("" if result.ok else "not ", self.count,
                                       result.case.name.replace("#", "no. "), skip))
        for line in detail(result, self.options):
            self.say(line)

    def say(self, text: str) -> None:
        for line in text.splitlines():
            self._line("# " + line)

    def bail_out(self, why: str) -> None:
        self._line("Bail out! " + " ".join(why.split()))

    def end(self) -> None:
        if self.planned is None:
            self.plan(self.count)


class Progress:
    """A line on standard error, if that is a terminal."""

    def __init__(self) -> None:
        self.on = sys.stderr.isatty()
        self.done = self.failed = self.total = 0

    def show(self, name: str) -> None:
        if self.on:
            failed = ", %d failed" % self.failed if self.failed else ""
            sys.stderr.write("\r\x1b[K[%d/%d%s] %s" % (self.done, self.total, failed, name))
            sys.stderr.flush()

    def result(self, result: Result) -> None:
        self.done += 1
        self.failed += not result.ok
        self.clear()

    def clear(self) -> None:
        if self.on:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def summary(results: list[Result], options: Options) -> str:
    """What `gntsim report` shows of each case, beside its trace."""
    return json.dumps({"title": ", ".join(dict.fromkeys(
        one.case.scenario.stem for one in results)), "cases": [{
            "name": one.case.name, "trace": one.trace_file, "seconds": round(one.seconds, 3),
            "outcome": "skipped" if one.skipped else "passed" if one.ok else "failed",
            "message": one.skipped or "\n".join(detail(one, options)),
            "replay": replay(one, options), "point": one.case.point, "findings": one.findings,
        } for one in results]}, indent=1) + "\n"


def junit(results: list[Result], options: Options) -> str:
    """A JUnit document: a suite for each file, a test case for each case."""
    root = ElementTree.Element("testsuites")
    suites: dict[FilePath, list[Result]] = {}
    for result in results:
        suites.setdefault(result.case.scenario.path, []).append(result)
    for path, members in suites.items():
        suite = ElementTree.SubElement(root, "testsuite", name=path.stem, tests=str(len(members)),
                                       failures=str(sum(not result.ok for result in members)),
                                       skipped=str(sum(bool(result.skipped) for result in members)),
                                       errors="0",
                                       time="%.3f" % sum(result.seconds for result in members))
        for result in members:
            case = ElementTree.SubElement(suite, "testcase", classname=path.stem,
                                          name=CONTROL.sub("?", result.case.name), file=str(path),
                                          time="%.3f" % result.seconds)
            properties = ElementTree.SubElement(case, "properties")
            faults = result.case.scenario.data.get("faults", []) + \
                ([result.case.point] if result.case.point else [])
            for name, value in (("seed", result.case.seed), ("profile", result.case.profile),
                                ("way", options.way or "auto"),
                                ("replay", replay(result, options)),
                                *(("fault", json.dumps(fault)) for fault in faults)):
                ElementTree.SubElement(properties, "property", name=name,
                                       value=CONTROL.sub("?", str(value)))
            if result.skipped:
                ElementTree.SubElement(case, "skipped", message=result.skipped)
            elif not result.ok:
                lines = CONTROL.sub("?", "\n".join(detail(result, options)))
                ElementTree.SubElement(case, "failure",
                                       message=CONTROL.sub("?", (result.message.splitlines()
                                                                 or [""])[0])).text = lines
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
