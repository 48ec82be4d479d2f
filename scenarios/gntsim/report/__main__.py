# SPDX-License-Identifier: MIT
"""The command line of `gntsim report`, whose options gntsim itself has read: OUTPUT FILE..."""
from __future__ import annotations

import os
import sys
from pathlib import Path

from .campaign import BadFile, Campaign
from .page import page

PASSED, FAILED, USAGE = 0, 1, 2


def complain(message: str) -> None:
    sys.stderr.write("gntsim: %s\n" % message)


def write(target: str, text: str) -> None:
    """All of it, or nothing: a reader never meets half a page."""
    if target == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    if os.path.exists(target) and not os.path.isfile(target):
        with open(target, "w", encoding="utf-8") as file:       # a pipe, a terminal
            file.write(text)
        return
    beside = "%s.%d" % (target, os.getpid())
    try:
        with open(beside, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(beside, target)
    except OSError:
        if os.path.exists(beside):
            os.unlink(beside)
        raise


def main() -> int:
    target, *names = sys.argv[1:]
    campaign = Campaign()
    try:
        for name in names:
            campaign.add(Path(name))
        title = campaign.title or ", ".join(Path(name).name or name for name in names)
        text = page(campaign, title)
    except BadFile as error:
        complain(str(error))
        return USAGE
    try:
        write(target, text)
    except OSError as error:
        if target == "-":       # its reader is gone: what is left at exit is no second complaint
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        complain("cannot write %s: %s" % (target, error.strerror))
        return FAILED
    return PASSED


if __name__ == "__main__":
    sys.exit(main())
