# SPDX-License-Identifier: MIT
"""Finds what a report is made of: traces, what --check found, and the results of scenarios."""
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Iterable

from .recording import BadFile, Recording, read_trace

TRACE, RESULTS, FINDINGS = ".jsonl", "results.json", ".findings.json"
TEXTS = ("name", "trace", "outcome", "message", "replay")     # of a case
# So that the page opens at once and CI keeps it: beyond this, traces of cases that passed are left
# out, and one trace alone is refused.
MOST_BYTES = 56 << 20


def load(path: Path) -> Any:
    """The JSON in a file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadFile("cannot read %s: %s" % (path, error.strerror)) from None
    except (ValueError, RecursionError) as error:
        raise BadFile("%s: no JSON: %s" % (path, error)) from None


def are_findings(found: Any) -> bool:
    """Whether it is a list that the page can show."""
    def are_objects(data: Any) -> bool:
        return isinstance(data, list) and all(isinstance(one, dict) for one in data)
    return are_objects(found) and all(
        "kind" in one and are_objects(one.get("parts", [])) and
        all(are_objects(part.get("stack") or []) for part in one.get("parts", []))
        for one in found)


def findings_of(path: Path) -> list[dict[str, Any]]:
    """What a report of --check has: as --check-format json writes it, or a list."""
    data = load(path)
    found: Any = data.get("findings") if isinstance(data, dict) else data
    if not are_findings(found):
        raise BadFile("%s: no findings: write them with --check-report FILE.json" % path)
    return list(found)


def case_of(name: str, trace: str = "", findings: Iterable[Any] = ()) -> dict[str, Any]:
    """A case that no scenario told of: a trace by itself."""
    return {"name": name, "trace": trace, "outcome": "", "message": "", "replay": "",
            "findings": list(findings)}


class Campaign:
    """The cases of a report in their order, each with its trace's file."""

    def __init__(self) -> None:
        self.cases: list[dict[str, Any]] = []
        self.title = ""
        self._files: dict[str, Path] = {}
        self._read: list[Path] = []

    def add(self, path: Path) -> None:
        """A directory that `gntsim scenario run --trace` filled, a trace, or findings, which
        belong to the trace before them."""
        if path.is_dir():
            self._directory(path)
        elif path.suffix == ".json":
            self._findings(path)
        else:
            beside = path.with_name(path.name.removesuffix(TRACE) + FINDINGS)
            self._trace(path, case_of(path.name.removesuffix(TRACE), path.name,
                                      findings_of(beside) if beside.exists() else ()))

    def _trace(self, path: Path, case: dict[str, Any]) -> None:
        self._files[str(len(self.cases))] = path
        self._read.append(path)
        self.cases.append(case)

    def _findings(self, path: Path) -> None:
        self._read.append(path)
        found = findings_of(path)
        if not self.cases:
            raise BadFile("%s has findings: name the trace that they belong to before them" % path)
        self.cases[-1]["findings"] += found

    def _directory(self, path: Path) -> None:
        told: set[str] = set()
        results = path / RESULTS
        if results.exists():
            data = load(results)
            if not isinstance(data, dict) or not isinstance(data.get("cases"), list):
                raise BadFile("%s: no results of gntsim scenario run" % results)
            self.title = str(data.get("title", ""))
            for row in data["cases"]:
                if not isinstance(row, dict) or not are_findings(row.get("findings", [])):
                    raise BadFile("%s: no results of gntsim scenario run" % results)
                trace = path / str(row.get("trace") or "?")
                case = {**case_of("?"), **row,
                        **{key: str(row[key]) for key in TEXTS if row.get(key) is not None}}
                if os.path.isfile(trace):
                    told.add(trace.name)
                    self._trace(trace, case)
                else:
                    self.cases.append({**case, "trace": ""})
        for trace in sorted(path.glob("*" + TRACE)):
            if trace.name not in told:
                self.add(trace)
        if not self.cases:
            raise BadFile("%s: neither traces (*%s) nor %s are there; make them with gntsim "
                          "scenario run --trace DIR" % (path, TRACE, RESULTS))

    def reads(self, target: str) -> bool:
        """Whether a file is one of those that the report was made of."""
        return any(os.path.exists(target) and os.path.samefile(target, path)
                   for path in self._read)

    def recordings(self) -> dict[str, dict[str, Any]]:
        """The traces as the page has them, by the number of the case: those of failures first, as
        many as fit."""
        made: dict[str, dict[str, Any]] = {}
        order = sorted(self._files, key=lambda key: (self._outcome(key) != "failed", int(key)))
        room = MOST_BYTES
        for key in order:
            page = read_trace(self._files[key]).for_page()
            size = len(json.dumps(page))
            if size > room:
                if len(order) == 1:
                    raise BadFile("%s: the page would have %d MB, and %d are the most; record less "
                                  "(gntsim ctl trace off), or cut the file"
                                  % (self._files[key], size >> 20, MOST_BYTES >> 20))
                self.cases[int(key)]["left_out"] = True
                continue
            room -= size
            made[key] = page
        return made

    def _outcome(self, key: str) -> str:
        return str(self.cases[int(key)].get("outcome", ""))


__all__ = ["BadFile", "Campaign", "Recording"]
