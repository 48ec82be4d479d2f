# SPDX-License-Identifier: MIT
"""A machine keeps its memory in a file system that others fill."""
import contextlib
import os
import subprocess
import types
from pathlib import Path

import pytest

import harness
from control import Control, Refused

IN_A_SMALL_TMPFS = """
set -e
mount -t tmpfs -o size=48m none "$GNTSIM_TMPDIR"
exec "$@"
"""


@pytest.fixture
def crowded(place):
    """crowded(DIR) is a machine over sockets whose memory is in a tmpfs of 48 MiB, and a file that
    fills what is left of it."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user",
                                                                "--map-root-user", "--mount"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here")
    server = subprocess.Popen([*unshare, "sh", "-c", IN_A_SMALL_TMPFS, "sh", harness.GNTSIM,
                               "serve", "--way", "socket", "--dir", place / "m",
                               "--trace", place / "trace"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    assert "ready" in server.stdout.readline(), server.stderr.read()
    control = Control(types.SimpleNamespace(dir=place / "m"))
    control.server = server
    control.place = Path("/proc/%d/root%s" % (server.pid, os.environ["GNTSIM_TMPDIR"]))
    yield control
    control.close()
    server.terminate()
    errors = server.communicate(timeout=harness.PATIENCE)[1]
    assert server.returncode == 0 and errors.count("no room for the machine's memory") == 1, errors
    done = harness.gntsim("replay", place / "trace")
    assert done.returncode == 0, done.stdout + done.stderr


def fill(path):
    with open(path, "wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(b"x" * (1 << 20))


def test_memory_that_others_have_taken_is_ENOMEM_and_never_SIGBUS(crowded):
    crowded.domain_create(domain=1)
    page = crowded.guest_page(domain=1)["page"]
    crowded.guest_write(domain=1, page=page, offset=0, hex="5a" * 4096)
    fill(crowded.place / "others")
    pages = 0
    for count in (16, 1):
        with pytest.raises(Refused, match="Cannot allocate memory"):
            while True:
                first = crowded.guest_page(domain=1, count=count)["page"]
                for page in range(first, first + count):
                    crowded.guest_write(domain=1, page=page, offset=0, hex="a5" * 4096)
                pages += count
    assert pages < 1000, "what is reserved ahead"
    assert "Cannot allocate memory" in crowded.refused("domain-create", domain=2)
    assert crowded.audit()["violations"] == 0
    os.unlink(crowded.place / "others")
    crowded.domain_create(domain=2)
    more = crowded.guest_page(domain=2, count=500)["page"]
    for page in range(more, more + 500):
        crowded.guest_write(domain=2, page=page, offset=0, hex="33" * 4096)
    assert crowded.audit()["violations"] == 0
    assert crowded.server.poll() is None
