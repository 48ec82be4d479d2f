# SPDX-License-Identifier: MIT
"""The command line of `gntsim report`, whose options gntsim itself has read: OUTPUT FILE..."""
from __future__ import annotations

import errno
import os
import signal
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
        if not sys.stdout:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        sys.stdout.buffer.write(text.encode())
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
    except BaseException:               # Ctrl-C, too, leaves nothing
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
    except OSError as error:
        complain("cannot read %s: %s" % (error.filename, error.strerror))
        return USAGE
    if campaign.reads(target):
        complain("%s is a file to make the report of: name another one for the page" % target)
        return USAGE
    try:
        write(target, text)
    except OSError as error:
        # The reader is gone: what is left at exit is no second complaint.
        if target == "-" and sys.stdout:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        complain("cannot write %s: %s" % (target, error.strerror))
        return FAILED
    return PASSED


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
