# SPDX-License-Identifier: MIT
"""The whole handshake of a device: each end is killed at each request to the store and call of a
device, and the next two ends must meet. In ./test some of these points, others each day."""
import os
import re
import subprocess
import zlib
from pathlib import Path

import pytest

import harness

ALL = bool(os.environ.get("GNTSIM_TEST_ALL"))
QEMU = Path("/usr/libexec/xen-qemu-system-i386")
SOURCES = [harness.SOURCE / "tests" / "clients" / "vbd-back.c",
           harness.SOURCE / "docs" / "examples" / "vbd-front.c"]


@pytest.fixture
def programs(tmp_path):
    for source in SOURCES:
        subprocess.run([os.environ.get("CC", "cc"), "-O1", "-g", "-Wall", "-Wextra", "-Werror",
                        "-o", tmp_path / source.stem, source, "-lxenstore", "-lxengnttab",
                        "-lxenevtchn"], check=True)
    return tmp_path


def sweep(story, programs, shards):
    """How many points were passed: of so many parts of all of them, the day's."""
    seed = os.environ.get("GNTSIM_TEST_SEED", "1")
    shard = zlib.crc32(seed.encode()) % shards + 1
    done = subprocess.run([harness.GNTSIM, "scenario", "run", "--sweep", "kill", "--jobs", "2",
                           "--shard", "%d/%d" % (shard, shards), story],
                          capture_output=True, text=True, timeout=harness.PATIENCE * 20,
                          env={**os.environ, "GNTSIM_PROGRAMS": str(programs)}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return len(re.findall(r"^ok ", done.stdout, re.M))


@pytest.mark.needs_no_machine
def test_the_ends_of_a_disk_meet_again_whenever_one_of_them_was_killed(programs):
    story = harness.SOURCE / "tests" / "clients" / "handshake.toml"
    shards = 1 if ALL else 48
    assert sweep(story, programs, shards) >= 200 // shards


@pytest.mark.needs_no_machine
@pytest.mark.skipif(not (ALL and QEMU.exists()),
                    reason="only in ./test --all, with Debian's qemu-system-xen")
def test_a_front_end_meets_qemus_qdisk_whenever_the_last_one_was_killed(programs):
    story = harness.SOURCE / "scenarios" / "stories" / "qemu" / "qdisk.toml"
    assert sweep(story, programs, 8) >= 20
