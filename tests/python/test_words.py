# SPDX-License-Identifier: MIT
"""The package has the machine's words, and what a sweep makes of them, from `gntsim names`."""
import pytest

from gntsim import Gone, Machine, Refused
from gntsim.scenario import sweep, words


def test_the_words_of_a_file_are_those_that_the_machine_takes():
    """The program tells them from its tables, and a machine takes each one that a file may name."""
    with Machine() as machine:
        assert words.names("counters") == list(machine.stats())
        for at in ("*", *words.names("points")):
            machine.call("fault-add", at=at, do={"destroy": 5})
        for at in words.elements():
            machine.call("fault-add", at=at, do={"status": "eagain"})
        for device in words.names("devices"):
            machine.call("fault-add", at="open", device=device, do={"kill": True})
        for ioctl in words.ioctls():
            machine.call("fault-add", at="ioctl", ioctl=ioctl, do={"kill": True})
        for status in words.names("statuses"):
            machine.call("fault-add", at="copy", do={"status": status})
        machine.call("fault-clear")
        machine.domain(1)
        for limit in words.names("limits"):
            machine.call("limit", domain=1, what=limit,
                         value=1 if limit == "privcmd_unrestricted" else 4)
        for kind in words.names("adversaries"):
            with pytest.raises(Refused) as refused:
                machine.call("adversary-start", domain=1, kind=kind, first=9, last=8)
            assert "kind" not in refused.value.message
        assert words.names("columns") == list(machine.dump())
        machine.domain(1).grant(to=0)
        for table in ("entries", "frames"):
            assert set().union(*machine.dump(table)) == set(words.columns(table))


def test_a_sweep_makes_of_each_point_what_its_table_says():
    """A status for a point with one, an errno for a whole hypercall or an ioctl."""
    for point in words.of_machine("points"):
        fault = words.fault(point["name"])
        assert fault is None or (fault in words.names("statuses")) == ("element" in point["kinds"])
    assert sweep.fault_at({"at": "copy", "kind": "element"}) == {"status": words.fault("copy")}
    assert sweep.fault_at({"at": "copy", "kind": "hypercall"}) is None
    assert sweep.fault_at({"at": "evtchn_bind_virq", "kind": "hypercall"}) == \
        {"hypercall": "ENOSPC"}
    assert sweep.fault_at({"at": "ioctl", "kind": "device", "device": "gntdev",
                           "ioctl": "MAP_GRANT_REF"}) == {"errno": "ENOMEM"}
    assert sweep.fault_at({"at": "ioctl", "kind": "device", "device": "gntdev",
                           "ioctl": "UNMAP_GRANT_REF"}) is None
    assert sweep.fault_at({"at": "ioctl", "kind": "device", "device": "gntdev",
                           "ioctl": "0x5f"}) is None
    assert sweep.fault_at({"at": "open", "kind": "device", "device": "gntdev"}) == \
        {"errno": "ENODEV"}
    assert sweep.fault_at({"at": "event", "kind": "kernel"}) is None


def test_a_program_that_does_not_tell_its_words_is_named(place):
    (place / "gntsim").write_text("#!/bin/sh\necho broken >&2\n")
    (place / "gntsim").chmod(0o755)
    with pytest.raises(Gone, match="names --json. does not tell .* broken"):
        words.of_program(str(place / "gntsim"))
