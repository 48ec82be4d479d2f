# SPDX-License-Identifier: MIT
"""The package's exceptions; each one's text says what to do."""
from __future__ import annotations


class Error(Exception):
    """Every error of this package."""


class NotFound(Error):
    """A program or a machine is not where it should be."""


class Refused(Error):
    """The machine answered a request with an error."""

    def __init__(self, verb: str, message: str):
        super().__init__("%s: %s" % (verb, message))
        self.verb = verb
        self.message = message


class Gone(Error):
    """The machine ended, or never answered."""


class Timeout(Error):
    """Something that was waited for did not happen in time."""


class Ended(Error):
    """A program ended, or ended otherwise than expected."""


class AuditFailed(Error):
    """The machine's counts contradict each other."""

    def __init__(self, lines: list[str]):
        super().__init__("the audit found %d violation%s:\n  %s\nEach line names what is left or "
                         "counted wrongly; `gntsim ctl dump` "
                         "shows the tables" % (len(lines), "" if len(lines) == 1 else "s",
                                               "\n  ".join(lines)))
        self.lines = lines


class GrantFailed(Error):
    """The hypervisor answered with a status other than okay."""

    def __init__(self, what: str, status: str):
        super().__init__("%s: status %s" % (what, status))
        self.status = status
