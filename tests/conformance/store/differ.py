#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plays random sequences of requests on our store and on Debian's real xenstored 4.17.

    tests/conformance/store/differ.py [SEED [REQUESTS]]

The first sequence on which they differ is cut down and shown; its seed shows it again.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("GNTSIM_BUILD", TOP / "build")) / "tests" / "conformance" / "store"
# Requests in ./test, and in ./test --all.
USUAL, ALL = 15000, 200000
# What differs by nature in a real Xen's listing of the store: what kernels that run there wrote,
# the image that they were started from, the console daemon's terminal, and values that are chance.
FRESH_DOMAIN = Path(__file__).with_name("fresh-domain.txt")
WRITTEN_BY_KERNELS = re.compile("/local/domain/0/control|/local/domain/1/data/|/vm/[^/]+/image")
CHANCE = [(r'(/control/feature-\w+ = )"1"', r'\1""'), ('(/console/tty = )".*?"', r'\1""'),
          ('((?:ring-ref|start_time|static-max|target) = )".*?"', r'\1"*"'),
          ('(name = )"d1"', r'\1"domain-1"'),
          ("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID")]
# The only version that is compared: later ones answer otherwise here and there.
XENSTORED = Path(os.environ.get("XENSTORED", "/usr/lib/xen-4.17/bin/xenstored"))


def comparable(listing):
    """The lines of `xenstore-ls -f -p /` without what differs by nature."""
    lines = [line for line in listing.splitlines() if not WRITTEN_BY_KERNELS.match(line)]
    for pattern, text in CHANCE:
        lines = [re.sub(pattern, text, line) for line in lines]
    return lines


def missing():
    """What this host lacks; None: nothing."""
    if not (BUILD / "store-preload.so").exists():
        return "libxen-dev is not the one of Xen 4.17"
    if not os.access(XENSTORED, os.X_OK):
        return "there is no %s (tools/install-deps conformance)" % XENSTORED
    return None


def play(seed, requests, xenstored=XENSTORED):
    """(exit status, what was said): 0 no difference, 1 one, 2 it could not be tried."""
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run([BUILD / "store-differ", xenstored, BUILD / "store-preload.so",
                               directory, str(seed), str(requests)],
                              capture_output=True, timeout=1200)
    # The daemon complains of each unknown request.
    said = done.stdout + (done.stderr if done.returncode == 2 else b"")
    return done.returncode, said.decode(errors="replace")


def main():
    lack = missing()
    if lack:
        sys.exit("differ.py: " + lack)
    numbers = [int(word) for word in sys.argv[1:]] + [1, 100000][len(sys.argv) - 1:]
    status, said = play(*numbers)
    print(said, end="")
    sys.exit(status)


if __name__ == "__main__":
    main()
