# SPDX-License-Identifier: MIT
"""How mappings, grants and processes end, and what the peer sees (Xen's matrix of unmap
notifications)."""
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import harness

PAGE = 4096
ENDS = ["unshare", "exit", "kill", "exec"]


def end(agent, how, verb, region):
    """Ends the use of a region: by the library's call, or by the end of the process in one of three
    ways."""
    if how in ("unshare", "unmap"):
        agent(verb, region)
    elif how == "exit":
        agent.end()
    elif how == "kill":
        assert agent.kill() == -signal.SIGKILL
    elif how == "exec":
        agent.send("exec", "cat")


def notified_pair(machine):
    """A granter with a status byte and a channel, and a mapper that has both. -> granter, mapper,
    shared, mapped, ports"""
    granter, mapper = machine.new(1), machine.new(2)
    port = granter.unbound(2)
    shared, ref = granter.share_notify(2, 5, port)
    granter.poke(shared, 5, 1)
    local = mapper.bind(1, port)
    return granter, mapper, shared, mapper.map("rw", 1, ref), (port, local)


@pytest.mark.parametrize("how", ENDS)
def test_when_a_granter_ends_the_byte_becomes_0_and_the_event_comes(machine, how):
    granter, mapper, shared, mapped, (_, local) = notified_pair(machine)
    mapper.poke(mapped, 4, 44)
    mapper.poke(mapped, 6, 66)
    assert mapper.peek(mapped, 5) == 1
    assert mapper.wait(0) is None
    end(granter, how, "unshare", shared)
    assert mapper.wait() == local
    assert [mapper.peek(mapped, i) for i in (4, 5, 6)] == [44, 0, 66]
    mapper("evtchn-unmask", local)
    mapper.poke(mapped, 5, 3)
    mapper("unmap", mapped)
    assert mapper.wait(0) is None, "exactly one event"
    machine.audit()


@pytest.mark.parametrize("how", ["unmap", "exit", "kill", "exec"])
def test_when_a_mapper_ends_the_byte_becomes_0_and_the_event_comes(machine, how):
    granter, mapper = machine.new(1), machine.new(2)
    port = granter.unbound(2)
    shared, refs = granter.share(1, 2)
    local = mapper.bind(1, port)
    mapped = mapper.map_notify("rw", 1, refs[0], 9, local)
    mapper.poke(mapped, 9, 1)
    assert granter.peek(shared, 9) == 1
    end(mapper, how, "unmap", mapped)
    assert granter.wait() == port
    assert granter.peek(shared, 9) == 0
    granter("unshare", shared)
    machine.audit()


def test_an_event_without_a_byte_and_a_byte_without_an_event(machine):
    granter, mapper = machine.new(1), machine.new(2)
    port = granter.unbound(2)
    local = mapper.bind(1, port)
    event_only, event_ref = granter.share_notify(2, -1, port)
    byte_only, byte_ref = granter.share_notify(2, 0, -1)
    granter.poke(event_only, 0, 1)
    granter.poke(byte_only, 0, 1)
    events, bytes_ = mapper.map("rw", 1, event_ref), mapper.map("rw", 1, byte_ref)
    granter("unshare", byte_only)
    harness.eventually(lambda: mapper.peek(bytes_, 0) == 0, "the byte becomes 0")
    assert mapper.wait(0) is None
    granter("unshare", event_only)
    assert mapper.wait() == local
    assert mapper.peek(events, 0) == 1


def test_without_a_notification_nobody_is_told(machine):
    granter, mapper = machine.new(1), machine.new(2)
    local = mapper.bind(1, granter.unbound(2))
    shared, refs = granter.share(1, 2)
    granter.poke(shared, 0, 1)
    mapped = mapper.map("rw", 1, *refs)
    granter("unshare", shared)
    harness.eventually(lambda: machine.stats()["mappings"] == 1, "the granter's mapping is gone")
    assert mapper.peek(mapped, 0) == 1
    assert mapper.wait(0) is None
    assert local


def test_a_notification_with_a_port_that_is_not_bound_fails_as_a_whole(machine):
    granter = machine.new(1)
    granter("unshare", granter.share(1, 2)[0])
    free = machine.free_frames()
    assert granter.error("share-notify", 2, 0, 999) == "EINVAL"
    assert machine.stats()["mappings"] == 0
    machine.frames_are_back(free)


def test_the_event_is_sent_even_if_the_event_channel_handle_was_closed(machine):
    granter, mapper, shared, mapped, (_, local) = notified_pair(machine)
    granter("close", "evtchn")
    assert mapper.wait(0) is None
    granter("unshare", shared)
    assert mapper.wait() == local
    assert mapper.peek(mapped, 5) == 0


def test_closing_the_granters_handle_does_not_unshare(machine):
    granter, mapper, shared, mapped, (_, local) = notified_pair(machine)
    granter("close", "gntshr")
    assert mapper.wait(0) is None
    assert mapper.peek(mapped, 5) == 1
    granter("munmap", shared, 0)
    assert mapper.wait() == local


def test_a_plain_munmap_ends_a_grant_and_sends_the_notification(machine):
    granter, mapper, shared, mapped, (_, local) = notified_pair(machine)
    granter("munmap", shared, 0)
    assert mapper.wait() == local
    assert mapper.peek(mapped, 5) == 0
    assert machine.stats()["mappings"] == 1
    granter("pid")


def test_munmap_of_a_grant_mapping_on_pv_unmaps_and_clears_but_sends_no_event(machine):
    granter, mapper = machine.new(1), machine.new(2)
    port = granter.unbound(2)
    shared, refs = granter.share(1, 2)
    local = mapper.bind(1, port)
    mapped = mapper.map_notify("rw", 1, refs[0], 9, local)
    mapper.poke(mapped, 9, 1)
    mapper("munmap", mapped, 0)
    assert granter.peek(shared, 9) == 0
    assert granter.wait(0) is None
    mapper("close", "gnttab")
    assert granter.wait() == port


def test_munmap_of_a_grant_mapping_on_pvh_changes_nothing_until_the_handle_goes(machine):
    granter, mapper = machine.new(1), machine.new(2, "pvh")
    port = granter.unbound(2)
    shared, refs = granter.share(1, 2)
    local = mapper.bind(1, port)
    mapped = mapper.map_notify("rw", 1, refs[0], 9, local)
    mapper.poke(mapped, 9, 1)
    mapper("munmap", mapped, 0)
    assert granter.peek(shared, 9) == 1
    mapper("close", "gnttab")
    assert granter.wait() == port
    assert granter.peek(shared, 9) == 0


def test_a_partial_munmap_on_pv_unmaps_those_grants_only(machine):
    granter, mapper = machine.new(1), machine.new(2)
    shared, refs = granter.share(3, 2)
    mapped = mapper.map("rw", 1, *refs)
    mapper("munmap", mapped, 1, 1)
    assert mapper.error("peek", mapped, PAGE) == "SIGSEGV"
    mapper.poke(mapped, 2 * PAGE, 7)
    assert granter.peek(shared, 2 * PAGE) == 7
    machine.audit()
    mapper("munmap", mapped, 0, 1)
    mapper("munmap", mapped, 2, 1)
    machine.audit()
    granter("unshare", shared)


def test_on_pv_a_forked_child_that_touches_its_parents_grant_mapping_gets_sigsegv(machine):
    granter, mapper = machine.new(1), machine.new(2)
    shared, refs = granter.share(1, 2)
    mapped = mapper.map("rw", 1, *refs)
    child, _ = mapper.fork()
    assert mapper.error("child", child, "peek", mapped, 0) == "SIGSEGV"
    mapper.poke(mapped, 0, 3)
    assert granter.peek(shared, 0) == 3
    mapper("child", child, "exit")
    machine.audit()


def test_on_pvh_a_forked_child_inherits_a_grant_mapping_and_holds_it(machine):
    granter, mapper = machine.new(1), machine.new(2, "pvh")
    shared, refs = granter.share(1, 2)
    mapped = mapper.map("rw", 1, *refs)
    child, _ = mapper.fork()
    mapper("unmap", mapped)
    mapper("child", child, "poke", mapped, 0, 4)
    assert granter.peek(shared, 0) == 4
    assert machine.stats()["mappings"] == 2
    assert mapper("child", child, "exit") == "exit 0"
    harness.eventually(lambda: machine.stats()["mappings"] == 1, "the child's mapping is gone")
    machine.audit()


def test_a_forked_child_inherits_shared_pages(machine):
    granter, mapper = machine.new(1), machine.new(2)
    shared, refs = granter.share(1, 2)
    mapped = mapper.map("rw", 1, *refs)
    child, _ = granter.fork()
    granter("child", child, "poke", shared, 0, 5)
    assert mapper.peek(mapped, 0) == 5


@pytest.mark.parametrize("how", ["exit", "kill", "exec"])
def test_a_child_that_still_holds_a_shared_page_delays_the_notification(machine, how):
    granter, mapper, shared, mapped, (_, local) = notified_pair(machine)
    child, pid = granter.fork()
    granter("unshare", shared)
    assert mapper.peek(mapped, 5) == 1
    assert mapper.wait(0) is None
    if how == "exit":
        granter("child", child, "exit")
    elif how == "kill":
        os.kill(pid, signal.SIGKILL)
    else:
        granter.send("child", child, "exec", "true")
    assert mapper.wait() == local
    assert mapper.peek(mapped, 5) == 0


def test_the_parent_is_killed_and_its_child_still_holds_the_page(machine):
    granter, mapper, shared, mapped, (_, local) = notified_pair(machine)
    _, pid = granter.fork()
    os.kill(pid, signal.SIGSTOP)            # or it would end with its parent's pipe
    granter.kill()
    assert mapper.peek(mapped, 5) == 1
    assert mapper.wait(0) is None
    os.kill(pid, signal.SIGKILL)
    assert mapper.wait() == local


def test_a_closed_inherited_handle_does_not_harm_the_parent(machine):
    granter, mapper = machine.new(1), machine.new(2)
    shared, refs = granter.share(1, 2)
    mapped = mapper.map("rw", 1, *refs)
    for agent, handle in ((mapper, "gnttab"), (granter, "gntshr")):
        child, _ = agent.fork()
        agent("child", child, "close", handle)
        agent("child", child, "exit")
    mapper.poke(mapped, 0, 6)
    assert granter.peek(shared, 0) == 6
    mapper("unmap", mapped)
    machine.audit()


@pytest.mark.parametrize("victim", ["granter", "mapper"])
def test_a_destroyed_domain_takes_its_processes_and_mappings_along(machine, victim):
    granter, mapper, shared, mapped, _ = notified_pair(machine)
    domain, dead, alive, region = (1, granter, mapper, mapped) if victim == "granter" else (2, mapper, granter, shared)
    machine.must("domain", "destroy", domain)
    dead.process.wait(harness.PATIENCE)
    alive.poke(region, 0, 9)
    machine.audit()
    if victim == "granter":
        assert alive.peek(region, 5) == 1, "a dead domain has no kernel that could clear the byte"
        alive("unmap", region)
    else:
        alive("unshare", region)
    alive.end()
    machine.quiet()


def test_a_domain_number_can_be_used_again_after_its_domain_was_destroyed(machine):
    first = machine.new(5)
    first.share(3, 1)
    machine.must("domain", "destroy", 5)
    second = machine.new(5)
    _, refs = second.share(1, 5)
    second.map("rw", 5, *refs)
    machine.audit()


def test_a_dead_granters_frames_come_back_when_the_last_mapper_lets_go(machine):
    granter, mapper = machine.new(1), machine.new(2)
    granter("unshare", granter.share(1, 2)[0])
    free = machine.free_frames()
    _, refs = granter.share(8, 2)
    mapped = mapper.map("rw", 1, *refs)
    granter.kill()
    mapper.poke(mapped, 0, 1)
    mapper("unmap", mapped)
    machine.frames_are_back(free)
    machine.audit()


MANY = """
import ctypes, fcntl, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
fd = os.open("/dev/xen/gntalloc", os.O_RDWR)
fcntl.ioctl(fd, 0x00184705, bytearray(struct.pack("HHIQI", 2, 1, 1, 0, 0) + bytes(12)), True)
for _ in range(%d):
    assert libc.mmap(None, 4096, 3, 1, fd, 0) not in (None, 2 ** 64 - 1), os.strerror(ctypes.get_errno())
os.close(fd)    # or the process could not end without the server
print("mapped", flush=True)
sys.stdin.read()
"""


MANY_BY_LIBRARY = """
import ctypes, sys
library = ctypes.CDLL("libxengnttab.so.1")
for name in ("xengntshr_open", "xengntshr_share_pages"):
    getattr(library, name).restype = ctypes.c_void_p
gntshr, refs = ctypes.c_void_p(library.xengntshr_open(None, 0)), (ctypes.c_uint32 * 1)()
for _ in range(%d):
    assert library.xengntshr_share_pages(gntshr, 2, 1, refs, 1)
print("mapped", flush=True)
sys.stdin.read()
"""


def test_more_mappings_that_end_at_once_than_the_kernel_can_tell_of(serve, compiled, machine):
    """inotify's queue overflows: the server looks at all processes, other machines' too."""
    neighbour = serve().agent(1, compiled("agent"))
    for _ in range(30):
        neighbour.share(1, 2)
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 20000:
        pytest.skip("the queue is too long to be filled in reasonable time")
    program = MANY
    if os.environ.get("GNTSIM_WAY") == "socket":
        program = MANY_BY_LIBRARY
        if harness.library_kind() != "dynamic":
            pytest.skip("this python has no sanitizer, the libraries have one")
    keeper = machine.new(1)
    kept, _ = keeper.share(1, 2)
    machine.must("limit", 1, "gntalloc", limit + 1000)
    process = machine.popen(1, sys.executable, "-c", program % (limit + 500), stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "mapped\n"
    assert machine.stats()["mappings"] == limit + 501
    harness.stop(machine.server)
    try:
        process.kill()
        process.wait(harness.PATIENCE)
    finally:
        machine.server.send_signal(signal.SIGCONT)
    harness.eventually(lambda: machine.stats()["mappings"] == 1,
                       "only the other process's mapping is left")
    keeper.poke(kept, 0, 1)
    machine.audit()
