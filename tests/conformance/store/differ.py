#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plays random sequences of requests on our store and on Debian's real xenstored 4.17.

    tests/conformance/store/differ.py [SEED [REQUESTS]]

The first sequence on which they differ is cut down and shown; its seed shows it again.
"""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("GNTSIM_BUILD", TOP / "build")) / "tests" / "conformance" / "store"
# The only version that is compared: later ones answer otherwise here and there.
XENSTORED = Path(os.environ.get("XENSTORED", "/usr/lib/xen-4.17/bin/xenstored"))


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
