# SPDX-License-Identifier: MIT
"""Every ioctl with every pointer invalid, and with arguments that change while the driver reads
them. pointers.c says how."""
import re

import pytest

CASES = [(domain, profile) for domain in (0, 1) for profile in ("pv", "pvh", "legacy")]


@pytest.mark.parametrize("domain,profile", CASES)
def test_every_pointer_of_every_ioctl_is_checked(machine, compiled, domain, profile):
    machine.must("domain", "create", domain, "--profile", profile)
    done = machine.exec(domain, compiled("pointers"), domain, profile, "sweep")
    assert done.returncode == 0, done.stderr
    *wrong, last = done.stdout.splitlines()
    assert not wrong, "\n".join(wrong)
    assert int(re.fullmatch(r"calls (\d+)", last).group(1)) > 1500
    machine.quiet()


@pytest.mark.parametrize("domain,profile", CASES)
def test_arguments_that_change_while_they_are_read_do_no_harm(machine, compiled, domain, profile):
    machine.must("domain", "create", domain, "--profile", profile)
    done = machine.exec(domain, compiled("pointers"), domain, profile, "flip", 2000)
    assert done.returncode == 0, done.stderr
    machine.quiet()
    other = machine.new(5)
    shared, refs = other.share(1, 5)
    mapped = other.map("rw", 5, *refs)
    other.poke(mapped, 0, 3)
    assert other.peek(shared, 0) == 3
