# SPDX-License-Identifier: MIT
"""Domains that a toolstack in domain 0 makes with unmodified libxenctrl, and programs in them."""
import pytest

import harness

PAGE = 4096


@pytest.fixture
def stack(serve, compiled):
    """stack(WORDS...) is what the toolstack prints; stack.machine, stack.new()."""
    machine, program = serve("--way", "device"), compiled("toolstack")

    def call(*words):
        done = machine.exec(0, program, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    call.machine = machine
    call.new = lambda domain, profile=None: machine.agent(domain, compiled("agent"), profile)
    return call


@pytest.mark.parametrize("kind", ["hvm", "pv"])
def test_programs_run_in_a_made_domain_as_in_any_other(stack, kind):
    domain = int(stack("make", kind, 32))
    assert stack.machine.domain(domain)["profile"] == "-"
    stack("unpause", domain)
    granter, mapper = stack.new(domain), stack.new(7)
    shared, refs = granter.share(2, 7)
    granter.poke(shared, 5, 55)
    mapped = mapper.map("rw", domain, *refs)
    assert mapper.peek(mapped, 5) == 55
    own, own_refs = mapper.share(1, domain)
    mapper.poke(own, 0, 9)
    assert granter.peek(granter.map("rw", 7, *own_refs), 0) == 9
    assert stack.machine.domain(domain)["profile"] == {"hvm": "pvh", "pv": "pv"}[kind]
    assert stack.machine.must("store", "read", "/local/domain/%d/name" % domain) == \
        "domain-%d\n" % domain
    stack.machine.audit()


def test_nobody_runs_in_a_domain_that_is_paused(stack):
    domain = int(stack("make", "hvm", 4))
    done = stack.machine.exec(domain, "true")
    assert done.returncode == 1 and "has to unpause it" in done.stderr
    stack("unpause", domain)
    assert stack.machine.exec(domain, "true").returncode == 0
    stack.machine.audit()


def test_a_profile_of_another_kind_is_refused(stack):
    domain = int(stack("make", "hvm", 4))
    stack("unpause", domain)
    done = stack.machine.exec(domain, "true", profile="pv")
    assert done.returncode == 1 and "Invalid argument" in done.stderr
    assert stack.machine.exec(domain, "true", profile="pvh").returncode == 0


def test_a_program_reads_what_a_toolstack_put_into_its_domain_and_the_reverse(stack):
    domain = int(stack("make", "hvm", 8))
    stack("fill", domain, 3, 77)
    stack("unpause", domain)
    agent = stack.new(domain)
    shared, refs = agent.share(1, 0)
    agent.poke(shared, 0, 42)
    entry = next(e for e in stack.machine.own_grants(domain) if e["ref"] == refs[0])
    assert stack("read", domain, entry["frame"]) == "42"
    assert stack("read", domain, 3) == "77"
    stack.machine.audit()


@pytest.mark.parametrize("how", ["toolstack", "ctl"])
def test_its_programs_are_killed_when_it_is_destroyed(stack, how):
    domain = int(stack("make", "hvm", 8))
    stack("unpause", domain)
    granter, mapper = stack.new(domain), stack.new(7)
    _, refs = granter.share(1, 7)
    mapped = mapper.map("rw", domain, *refs)
    if how == "toolstack":
        stack("destroy", domain)
    else:
        stack.machine.must("domain", "destroy", domain)
    granter.process.wait(harness.PATIENCE)
    mapper.poke(mapped, 0, 1)
    assert stack.machine.domain(domain)["state"] == "dying", "a page of it is still mapped"
    mapper("unmap", mapped)
    harness.eventually(lambda: not stack.machine.domain(domain), "it is gone")
    stack.machine.audit()


def test_one_that_never_ran_is_listed_and_destroyed(stack):
    domain = int(stack("make", "hvm", 8))
    assert stack.machine.domain(domain)["pages"] == 8
    done = stack.machine.ctl("domain", "create", domain)
    assert done.returncode == 1 and "exists already" in done.stderr
    stack.machine.must("domain", "destroy", domain)
    assert not stack.machine.domain(domain)
    stack.machine.audit()


@pytest.mark.parametrize("kind, profile, hvm", [("pv", "pv", False), ("pvh", "pvh", True),
                                                ("hvm", "pvh", True)])
def test_a_domains_type_is_what_toolstacks_call_it(serve, kind, profile, hvm):
    machine = serve()
    machine.must("domain", "create", "1", "--type", kind)
    assert machine.must("store", "read", "/libxl/1/type") == kind + "\n"
    assert (machine.domain(1)["profile"], machine.domain(1)["auto_translated"]) == (profile, hvm)
    for words, text in ((("--type", "vax"), "unknown type 'vax'"),
                        (("--type", "hvm", "--profile", "pv"), "cannot have the kernel profile")):
        done = machine.ctl("domain", "create", "2", *words)
        assert done.returncode == 1 and text in done.stderr
