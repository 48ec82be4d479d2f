# SPDX-License-Identifier: MIT
"""Limits beyond Xen's defaults, and dying domains whose frames others hold."""
import pytest

import harness
from control import Control


@pytest.fixture
def control(machine):
    control = Control(machine)
    yield control
    control.close()


def test_a_domain_can_have_as_many_frames_as_a_host_for_many_grants_allows(machine, control):
    before = machine.stats()["frames_free"]
    control.domain_create(domain=1, grant_frames=2048, maptrack_frames=4096)
    control.domain_create(domain=2)
    assert (machine.domain(1)["max_grant_frames"],
            machine.domain(2)["max_grant_frames"]) == (2048, 64)
    assert before - machine.stats()["frames_free"] < 10, "frames are taken when they are used"
    assert "up to 4096" in control.refused("domain-create", domain=3, maptrack_frames=4097)
    assert "1 to 2048" in control.refused("domain-create", domain=3, grant_frames=2049)
    control.limit(domain=2, what="grant_frames", value=2048)
    machine.audit()


def test_references_up_to_the_last_frame_work(machine, control):
    """More than a table of 64 frames has, by a kernel's own pages; and what is at its end is
    mapped."""
    control.domain_create(domain=1, grant_frames=2048)
    control.limit(domain=1, what="gntalloc", value=100000)
    granter, mapper = machine.new(1), machine.new(2)
    refs = []
    while not refs or max(refs) < 70 * 512:
        refs += granter.share(1000, 2)[1]
    assert machine.domain(1)["grant_frames"] > 64
    mapped = mapper.map("rw", 1, max(refs))
    mapper.poke(mapped, 0, 7)
    assert len(machine.json("dump", "entries")["entries"]) >= len(refs)
    machine.audit()


def test_the_command_line_says_what_a_host_allows(serve, compiled, place):
    path = place / "trace.jsonl"
    machine = serve("--gnttab-max-frames", 8, "--gnttab-max-maptrack-frames", 65536, "--trace",
                    path)
    control = Control(machine)
    agent = machine.agent(1, compiled("agent"))
    agent.share(1, 2)
    assert machine.domain(1)["max_grant_frames"] == 8, "the usual 64 are more than the host allows"
    assert "1 to 8" in control.refused("domain-create", domain=2, grant_frames=9)
    control.domain_create(domain=2, grant_frames=8, maptrack_frames=65536)
    control.close()
    agent.end()
    machine.stop()
    done = harness.gntsim("replay", path)
    assert done.returncode == 0 and "all as recorded" in done.stdout, done


@pytest.mark.parametrize("value", ["0", "-1", "65537", "x", ""])
def test_a_number_of_frames_that_cannot_be_is_refused(value):
    for option in ("--gnttab-max-frames", "--gnttab-max-maptrack-frames"):
        done = harness.gntsim("run", option, value, "--", "true")
        assert done.returncode == 2 and "is not a number of frames (1 to 65536)" in done.stderr


@pytest.mark.parametrize("profile", ["pv", "pvh"])
def test_a_destroyed_domain_is_dying_until_nobody_holds_its_frames(machine, control, profile):
    granter, mapper = machine.new(1, profile), machine.new(2, profile)
    _, refs = granter.share(2, 2)
    mapped = mapper.map("rw", 1, *refs)
    machine.must("domain", "destroy", 1)
    row = machine.domain(1)
    assert (row["state"], row["pages"], row["auto_translated"]) == ("dying", 2, profile == "pvh")
    assert " dying " in machine.must("domain", "list")
    assert "still mapped" in control.refused("domain-create", domain=1)
    assert {e["domain"] for e in machine.json("dump", "entries")["entries"]
            if e["ref"] >= 8} == {1}
    machine.audit()
    mapper("unmap", mapped)
    assert machine.domain(1) is None
    control.domain_create(domain=1)
    assert machine.domain(1)["state"] == "alive"
    machine.audit()


def test_the_old_half_of_a_suspended_domain_is_dying_too(machine, control):
    granter, mapper = machine.new(1), machine.new(2)
    _, refs = granter.share(1, 2)
    mapped = mapper.map("rw", 1, *refs)
    control.domain_suspend(domain=1)
    assert (machine.domain(1)["state"], machine.domain(3)["state"]) == ("dying", "alive")
    mapper("unmap", mapped)
    assert machine.domain(1) is None


def test_the_release_of_the_hypervisor_can_be_chosen(serve, compiled, place):
    """Since 4.20 what the host allows is a default only."""
    path = place / "trace.jsonl"
    machine = serve("--xen", "xen-4.20", "--gnttab-max-frames", 8, "--trace", path)
    control = Control(machine)
    control.domain_create(domain=2, grant_frames=9)
    assert machine.domain(2)["max_grant_frames"] == 9
    control.close()
    machine.stop()
    done = harness.gntsim("replay", path)
    assert done.returncode == 0 and "all as recorded" in done.stdout, done
    done = harness.gntsim("run", "--xen", "4.20", "--", "true")
    assert done.returncode == 2 and "use xen-4.17, xen-4.20 or xen-4.23" in done.stderr


def test_an_ioctl_that_no_device_has_is_a_point_by_its_number(machine, control):
    program = machine.new(1)
    fd = program("open", "privcmd")
    control.points_reset()
    assert program.error("ioctl", fd, "0x50ff") == "ENOTTY"
    assert "0x50ff" in [p.get("ioctl") for p in control.points()["points"]]
    rule = control.fault("ioctl", {"errno": "EIO"}, ioctl="0x50ff")
    assert program.error("ioctl", fd, "0x50fe") == "ENOTTY"
    assert program.error("ioctl", fd, "0x50ff") == "EIO"
    control.fault_remove(id=rule)
