# SPDX-License-Identifier: MIT
"""Puts a report's page together: markup, style, programs and data, in one file."""
from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from ..machine import find_program
from ..names import of_program
from .campaign import Campaign

PARTS = Path(__file__).resolve().parent / "page"
STYLE = "page.css"
# In the order in which the browser runs them.
PROGRAMS = ("data.js", "words.js", "search.js", "timeline.js", "panels.js", "main.js")


def part(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


def harmless(data: Any) -> str:
    """JSON that may stand within a script element: what programs called themselves ends none."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def page(campaign: Campaign, title: str) -> str:
    """The whole page."""
    traces = campaign.recordings()
    data = {"title": title, "cases": campaign.cases, "traces": traces,
            "flags": of_program(find_program())["flags"]}
    values = {"TITLE": html.escape(title), "STYLE": part(STYLE),
              "PROGRAMS": "\n".join(part(name) for name in PROGRAMS), "DATA": harmless(data)}
    # At once: what looks like a mark in a title or a name stays as it is.
    text = re.sub("@(%s)@" % "|".join(values), lambda mark: values[mark[1]], part("page.html"))
    # Names of files may have bytes that are no text.
    return text.encode("utf-8", "backslashreplace").decode()
