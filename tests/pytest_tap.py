# SPDX-License-Identifier: MIT
"""Runs pytest on the arguments and reports every test as a TAP line on standard output, so that
meson counts behaviours and not files. What pytest itself prints goes to standard error."""
import os
import re
import sys

import pytest


def reason_of(report):
    """Why a test was skipped, in a line. Newer pytests tell first where."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    said = re.search(r"^(?:E +)?Skipped: (.*)", text, re.M)
    return said.group(1) if said else text.splitlines()[0]


class Tap:
    def __init__(self, out):
        self.out = out
        self.done = 0
        self.seen = {}

    def line(self, text):
        self.out.write(text + "\n")
        self.out.flush()

    def pytest_collection_finish(self, session):
        self.line("1..%d" % len(session.items) if session.items else "1..0 # SKIP nothing to run")

    def pytest_runtest_logreport(self, report):
        """One line per test, after its teardown: the worst of its three phases."""
        worst = self.seen.get(report.nodeid)
        if report.failed or worst is None or (report.skipped and worst.passed):
            if worst is None or not worst.failed:
                self.seen[report.nodeid] = worst = report
        if report.when != "teardown":
            return
        self.done += 1
        name = report.nodeid.split("::", 1)[-1].removeprefix("test_")
        name = name.replace("_", " ").replace("#", "no. ")
        if worst.failed:
            self.line("not ok %d - %s" % (self.done, name))
        elif worst.skipped:
            self.line("ok %d - %s # SKIP %s" % (self.done, name, reason_of(worst)))
        else:
            self.line("ok %d - %s" % (self.done, name))

    def pytest_collectreport(self, report):
        if report.failed:
            self.line("Bail out! %s cannot be read" % report.nodeid)


def main():
    sys.dont_write_bytecode = True
    out = os.fdopen(os.dup(1), "w")
    os.set_inheritable(out.fileno(), False)
    os.dup2(2, 1)
    # Meson adds where the libraries lie that a test depends on. Programs shall find the
    # distribution's, unless a test says otherwise.
    os.environ.pop("LD_LIBRARY_PATH", None)
    # A test that hangs shows where, long before whoever runs the file gives up.
    return pytest.main(["-p", "no:cacheprovider", "-p", "no:xdist", "-q", "-rs", "--tb=short", "-o",
                        "faulthandler_timeout=300", *sys.argv[1:]],
                       plugins=[Tap(out)])


if __name__ == "__main__":
    sys.exit(main())
