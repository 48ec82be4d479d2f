# SPDX-License-Identifier: MIT
"""Domains that end, or are suspended, while their programs are at work, and servers that are killed."""
import random
import signal
import subprocess

import pytest

import harness
from control import Control


@pytest.fixture
def control(machine):
    connection = Control(machine)
    yield connection
    connection.close()


def end_domain(control, how, domain):
    """-> the number under which its programs go on."""
    return control.domain_suspend(domain=domain)["domain"] if how == "suspend" else control.domain_destroy(domain=domain) or domain


@pytest.mark.parametrize("how", ["destroy", "suspend"])
@pytest.mark.parametrize("at", ["mmap", "map_grant_ref"])
def test_a_mapping_that_is_answered_after_its_domain_has_ended_holds_no_frame_of_it(machine, control, how, at):
    """Held before the driver is asked, and after it has mapped. A suspended domain's kernel goes on: it answers when it is resumed."""
    mapper = machine.new(1)
    _, refs = mapper.share(3, 1)
    control.fault(at, {"pause": True}, domain=1)
    mapper.send("map", "rw", *("1:%d" % ref for ref in refs))
    harness.eventually(control.paused, "the call is held")
    end_domain(control, how, 1)
    if how == "suspend":
        control.resume(id=control.paused()[0]["id"])
        answer = mapper.answer().split()
        assert answer[0] == "ok" if at == "map_grant_ref" else answer == ["err", "EINVAL"], answer
        if answer[0] == "ok":
            mapper("unmap", answer[1])
        machine.audit()
        mapper.end()
    else:
        assert mapper.process.wait(harness.PATIENCE) == -signal.SIGKILL
    machine.quiet()


def mappers(machine, compiled, domain):
    """Three programs that map without end, each of which has begun."""
    programs = [machine.popen(domain, compiled("mapper"), domain, stdout=subprocess.PIPE, text=True, stderr=machine.errors) for _ in range(3)]
    for program in programs:
        assert program.stdout.readline() == "mapped\n", machine.stderr()
    return programs


@pytest.mark.parametrize("how", ["destroy", "suspend"])
def test_domains_end_while_their_programs_map(machine, control, compiled, how):
    """At moments drawn by lot, after so many mappings. The server's books are right in the end."""
    lot, number, programs = random.Random(20261130), 1, []
    for _ in range(25):
        programs = programs or mappers(machine, compiled, number)
        goal = control.stats()["mappings_made"] + lot.randrange(12)
        harness.eventually(lambda: control.stats()["mappings_made"] >= goal or any(p.poll() is not None for p in programs), "they map")
        assert [p.poll() for p in programs] == [None] * 3, machine.stderr()
        number = end_domain(control, how, number)
        if how == "destroy":
            assert [p.wait(harness.PATIENCE) for p in programs] == [-signal.SIGKILL] * 3
            programs = []
    for program in programs:
        program.kill()
        program.wait()
    machine.quiet()
