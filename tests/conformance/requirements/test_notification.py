# SPDX-License-Identifier: MIT
"""Tests the requirements on the unmap notification: N-1 to N-73 of requirements.txt."""
import os
import signal

import pytest

import harness
from scenes import (ALLOC, CLEAR_BYTE, DEALLOC, GRANTER_ENDS, MAP, MAPPER_ENDS, NOTIFY, PAGE,
                    SEND_EVENT, Pair, becomes, end, no_event, packed, pair, requirement)

# ---- What it is ---------------------------------------------------------------------------------


@requirement("N-1")
def test_each_side_registers_its_own(pair):
    port, local = pair.another_channel()
    shared, ref = pair.granter.share_notify(2, 21, pair.port)
    pair.granter.poke(shared, 21, 1)
    mapped = pair.mapper.map_notify("rw", 1, ref, 20, local)
    witness = pair.mapper.map("rw", 1, ref)
    pair.mapper.poke(mapped, 20, 1)
    pair.mapper("unmap", mapped)
    assert pair.granter.wait() == port
    assert [pair.granter.peek(shared, i) for i in (20, 21)] == [0, 1]
    no_event(pair.mapper)
    pair.granter("unshare", shared)
    assert pair.mapper.wait() == pair.local
    assert pair.mapper.peek(witness, 21) == 0


@requirement("N-2", "N-40")
@pytest.mark.parametrize("byte,event", [(True, False), (False, True), (True, True)],
                         ids=["byte", "event", "both"])
@pytest.mark.parametrize("side", ["granter", "mapper"])
def test_a_byte_an_event_or_both(pair, side, byte, event):
    offset = 7 if byte else -1
    notified = pair.notified if side == "granter" else pair.mapped_notified
    shared, mapped = notified(offset, event)
    watcher, region = (pair.mapper, mapped) if side == "granter" else (pair.granter, shared)
    watcher.poke(region, 7, 3)
    if side == "granter":
        pair.granter("unshare", shared)
    else:
        pair.mapper("unmap", mapped)
    if event:
        assert watcher.wait() == (pair.local if side == "granter" else pair.port)
        assert watcher.peek(region, 7) == (0 if byte else 3)
    else:
        becomes(watcher, region, 7, 0)
        no_event(watcher)


@requirement("N-3", "N-62")
@pytest.mark.parametrize("how", GRANTER_ENDS)
def test_the_mapping_outlives_the_granter(pair, how):
    shared, mapped = pair.notified()
    pair.granter.poke(shared, 100, 7)
    end(pair.granter, how, "unshare", shared)
    assert pair.mapper.wait() == pair.local
    assert pair.mapper.peek(mapped, 100) == 7
    pair.mapper.poke(mapped, 101, 8)
    assert pair.mapper.peek(mapped, 101) == 8


@requirement("N-4")
def test_other_pages_stay(pair):
    ring, mapped = pair.notified()
    data, refs = pair.granter.share(3, 2)
    others = pair.mapper.map("rw", 1, *refs)
    pair.granter.poke(data, 2 * PAGE + 5, 9)
    pair.granter("unshare", ring)
    assert pair.mapper.wait() == pair.local
    assert pair.mapper.peek(others, 2 * PAGE + 5) == 9
    pair.mapper.poke(others, PAGE, 4)
    assert pair.granter.peek(data, PAGE) == 4


@requirement("N-5")
def test_gntdev_keeps_the_latest_of_a_map(pair):
    shared, refs = pair.granter.share(2, 2)
    fd = pair.mapper("handle", "gnttab")
    pair.mapper("ioctl", fd, MAP, packed("IIQIIII", 2, 0, 0, 1, refs[0], 1, refs[1]))
    mapped = int(pair.mapper("mmap", fd, 0, 2, "rw", "shared"))
    for page in range(2):
        pair.mapper("ioctl", fd, NOTIFY, packed("QII", page * PAGE + 3, CLEAR_BYTE, 0))
        pair.granter.poke(shared, page * PAGE + 3, 1)
    pair.mapper("munmap", mapped, 0)
    pair.mapper("close", "gnttab")
    becomes(pair.granter, shared, PAGE + 3, 0)
    assert pair.granter.peek(shared, 3) == 1


@requirement("N-5")
def test_gntalloc_keeps_one_of_each_page(pair):
    fd = pair.granter("handle", "gntshr")
    answer = pair.granter("ioctl", fd, ALLOC, packed("HHIQII", 2, 1, 2, 0, 0, 0)).split()[1]
    refs = [int.from_bytes(bytes.fromhex(answer[32 + 8 * i:40 + 8 * i]), "little")
            for i in range(2)]
    shared = int(pair.granter("mmap", fd, 0, 2, "rw", "shared"))
    for page in range(2):
        pair.granter("ioctl", fd, NOTIFY, packed("QII", page * PAGE + 3, CLEAR_BYTE, 0))
        pair.granter.poke(shared, page * PAGE + 3, 1)
    mapped = pair.mapper.map("rw", 1, *refs)
    pair.granter.kill()
    becomes(pair.mapper, mapped, 3, 0)
    becomes(pair.mapper, mapped, PAGE + 3, 0)


@requirement("N-6", "N-30")
@pytest.mark.parametrize("side", ["granter", "mapper"])
def test_a_killed_process_cannot_have_sent_it(pair, side):
    shared, mapped = pair.notified() if side == "granter" else pair.mapped_notified()
    victim, watcher, region = ((pair.granter, pair.mapper, mapped) if side == "granter"
                               else (pair.mapper, pair.granter, shared))
    assert victim.kill() == -signal.SIGKILL
    assert watcher.wait() == (pair.local if side == "granter" else pair.port)
    assert watcher.peek(region, 5 if side == "granter" else 9) == 0


@requirement("N-7", "N-42")
def test_without_one_the_page_stays_tied_up_and_nobody_is_told(pair):
    pair.granter("unshare", pair.granter.share(1, 2)[0])
    free = pair.world.free_frames()
    shared, refs = pair.granter.share(1, 2)
    pair.granter.poke(shared, 0, 1)
    mapped = pair.mapper.map("rw", 1, *refs)
    pair.granter("unshare", shared)
    harness.eventually(lambda: pair.world.stats()["mappings"] == 1, "the granter's mapping is gone")
    assert pair.mapper.peek(mapped, 0) == 1
    no_event(pair.mapper)
    assert pair.world.stats()["frames_free"] < free
    pair.mapper("unmap", mapped)
    pair.world.frames_are_back(free)


# ---- Registering --------------------------------------------------------------------------------


@requirement("N-10")
@pytest.mark.parametrize("side", ["granter", "mapper"])
def test_both_minus_one_is_none(pair, side):
    notified = pair.notified if side == "granter" else pair.mapped_notified
    shared, mapped = notified(-1, False)
    watcher, region = (pair.mapper, mapped) if side == "granter" else (pair.granter, shared)
    for offset in (0, PAGE - 1):
        watcher.poke(region, offset, 1)
    if side == "granter":
        pair.granter("unshare", shared)
    else:
        pair.mapper("unmap", mapped)
    harness.eventually(lambda: pair.world.stats()["mappings"] == 1, "one mapping is left")
    no_event(watcher)
    assert [watcher.peek(region, offset) for offset in (0, PAGE - 1)] == [1, 1]


@requirement("N-11", "N-12", "N-73")
@pytest.mark.parametrize("side", ["granter", "mapper"])
def test_a_port_that_is_not_bound(pair, side):
    shared, refs = pair.granter.share(1, 2)
    mapped = pair.mapper.map("rw", 1, *refs)
    pair.mapper("unmap", mapped)
    free, mappings = pair.world.free_frames(), pair.world.stats()["mappings"]
    if side == "granter":
        assert pair.granter.error("share-notify", 2, 0, 9999) == "EINVAL"
    else:
        assert pair.mapper.error("map-notify", "rw", 1, refs[0], 0, 9999) == "EINVAL"
    assert pair.world.stats()["mappings"] == mappings
    assert all(pins == 0 for pins in pair.pins().values())
    pair.world.frames_are_back(free)
    pair.world.audit()


@requirement("N-13")
@pytest.mark.parametrize("device", ["gnttab", "gntshr"])
def test_an_offset_outside_of_everything(pair, device):
    agent = pair.mapper if device == "gnttab" else pair.granter
    fd = agent("handle", device)
    assert agent.error("ioctl", fd, NOTIFY, packed("QII", 0, CLEAR_BYTE, 0)) == "ENOENT"
    _, refs = pair.granter.share(1, 2)
    if device == "gnttab":
        agent("ioctl", fd, MAP, packed("IIQII", 1, 0, 0, 1, refs[0]))
    else:
        agent("ioctl", fd, ALLOC, packed("HHIQI", 2, 1, 1, 0, 0))
    assert agent.error("ioctl", fd, NOTIFY, packed("QII", 7 * PAGE, CLEAR_BYTE, 0)) == "ENOENT"


@requirement("N-14")
@pytest.mark.parametrize("offset", [PAGE, PAGE + 5, 1 << 20])
def test_an_offset_beyond_the_mapping(pair, offset):
    shared, ref = pair.granter.share_notify(2, offset, pair.port)
    witness = pair.mapper.map("rw", 1, ref)
    mapped = pair.mapper.map_notify("rw", 1, ref, offset, pair.local)
    for at in range(0, PAGE, 13):
        pair.granter.poke(shared, at, 1)
    pair.mapper("unmap", mapped)
    assert pair.granter.wait() == pair.port
    pair.granter("unshare", shared)
    assert pair.mapper.wait() == pair.local
    assert all(pair.mapper.peek(witness, at) == 1 for at in range(0, PAGE, 13))


@requirement("N-15")
def test_unknown_action_bits(pair):
    _, refs = pair.granter.share(1, 2)
    fd = pair.mapper("handle", "gnttab")
    pair.mapper("ioctl", fd, MAP, packed("IIQII", 1, 0, 0, 1, refs[0]))
    other = pair.granter("handle", "gntshr")
    index = int.from_bytes(bytes.fromhex(pair.granter("ioctl", other, ALLOC,
                                                      packed("HHIQI", 2, 1, 1, 0,
                                                             0)).split()[1][16:32]), "little")
    for action in (4, 5, 8, 0x80000000, 0xffffffff):
        assert pair.mapper.error("ioctl", fd, NOTIFY,
                                 packed("QII", 0, action, pair.local)) == "EINVAL"
        assert pair.granter.error("ioctl", other, NOTIFY,
                                  packed("QII", index, action, pair.port)) == "EINVAL"


@requirement("N-16")
def test_a_byte_on_a_read_only_mapping(pair):
    shared, refs = pair.granter.share(1, 2)
    assert pair.mapper.error("map-notify", "r", 1, refs[0], 0, -1) == "EINVAL"
    assert pair.pins()[refs[0]] == 0
    mapped = pair.mapper.map_notify("r", 1, refs[0], -1, pair.local)
    pair.mapper("unmap", mapped)
    assert pair.granter.wait() == pair.port
    assert shared == 0


@requirement("N-17", "X-8")
@pytest.mark.parametrize("device", ["gnttab", "gntshr"])
def test_action_0_cancels(pair, device):
    agent = pair.mapper if device == "gnttab" else pair.granter
    port = pair.local if device == "gnttab" else pair.port
    fd = agent("handle", device)
    if device == "gnttab":
        shared, refs = pair.granter.share(1, 2)
        agent("ioctl", fd, MAP, packed("IIQII", 1, 0, 0, 1, refs[0]))
        watcher, region = pair.granter, shared
    else:
        ref = int.from_bytes(bytes.fromhex(agent("ioctl", fd, ALLOC,
                                                 packed("HHIQI", 2, 1, 1, 0, 0)).split()[1][32:40]),
                             "little")
        watcher, region = pair.mapper, pair.mapper.map("rw", 1, ref)
    mine = int(agent("mmap", fd, 0, 1, "rw", "shared"))
    agent("ioctl", fd, NOTIFY, packed("QII", 3, CLEAR_BYTE | SEND_EVENT, port))
    agent("ioctl", fd, NOTIFY, packed("QII", 3, 0, 0))
    watcher.poke(region, 3, 1)
    agent("munmap", mine, 0)
    agent("close", device)
    harness.eventually(lambda: pair.world.stats()["mappings"] == 1, "one mapping is left")
    no_event(watcher)
    assert watcher.peek(region, 3) == 1


@requirement("N-18", "X-9")
@pytest.mark.parametrize("side", ["granter", "mapper"])
@pytest.mark.parametrize("how", ["close", "unbind"])
def test_a_registration_holds_its_port(pair, side, how):
    shared, mapped = pair.notified() if side == "granter" else pair.mapped_notified()
    owner, port = (pair.granter, pair.port) if side == "granter" else (pair.mapper, pair.local)
    watcher, theirs = (pair.mapper, pair.local) if side == "granter" else (pair.granter, pair.port)
    if how == "close":
        owner("close", "evtchn")
    else:
        owner("evtchn-unbind", port)
    no_event(watcher)
    if side == "granter":
        owner("unshare", shared)
    else:
        owner("unmap", mapped)
    assert watcher.wait() == theirs
    domain = 1 if side == "granter" else 2
    harness.eventually(lambda: port not in [row["port"]
                                            for row in pair.world.json("dump", "ports", domain)["ports"]], "the port is closed")


@requirement("N-19", "S-8")
def test_after_the_librarys_share_the_file_has_nothing(pair):
    pair.notified()
    fd = pair.granter("handle", "gntshr")
    assert pair.granter.error("ioctl", fd, NOTIFY, packed("QII", 0, 0, 0)) == "ENOENT"
    assert pair.granter.error("ioctl", fd, DEALLOC, packed("QII", 0, 1, 0)) == "EINVAL"
    assert pair.granter.error("mmap", fd, 0, 1, "rw", "shared") == "ENOENT"


@requirement("N-19")
def test_it_can_be_changed_while_the_file_has_the_page(pair):
    fd = pair.granter("handle", "gntshr")
    ref = int.from_bytes(bytes.fromhex(pair.granter("ioctl", fd, ALLOC,
                                                    packed("HHIQI", 2, 1, 1, 0,
                                                           0)).split()[1][32:40]), "little")
    mapped = pair.mapper.map("rw", 1, ref)
    for offset in (3, 4, 5):
        pair.mapper.poke(mapped, offset, 1)
        pair.granter("ioctl", fd, NOTIFY, packed("QII", offset, CLEAR_BYTE, 0))
    pair.granter("close", "gntshr")
    becomes(pair.mapper, mapped, 5, 0)
    assert [pair.mapper.peek(mapped, offset) for offset in (3, 4)] == [1, 1]


@requirement("N-20", "N-54")
def test_the_rings_own_channel_will_do_and_the_byte_tells(pair):
    shared, mapped = pair.notified()
    pair.granter("evtchn-notify", pair.port)
    assert pair.mapper.wait() == pair.local
    assert pair.mapper.peek(mapped, 5) == 1, "progress, not the end"
    pair.mapper("evtchn-unmask", pair.local)
    pair.granter("unshare", shared)
    assert pair.mapper.wait() == pair.local
    assert pair.mapper.peek(mapped, 5) == 0


@requirement("N-21")
@pytest.mark.parametrize("same", [True, False])
def test_both_sides_name_a_byte(pair, same):
    theirs = 5 if same else 6
    shared, ref = pair.granter.share_notify(2, 5, -1)
    mapped = pair.mapper.map_notify("rw", 1, ref, theirs, -1)
    witness = pair.mapper.map("rw", 1, ref)
    for offset in {5, theirs}:
        pair.granter.poke(shared, offset, 1)
    pair.mapper("unmap", mapped)
    becomes(pair.granter, shared, theirs, 0)
    assert pair.granter.peek(shared, 5) == (0 if same else 1)
    pair.granter.poke(shared, 5, 2)
    pair.granter("unshare", shared)
    becomes(pair.mapper, witness, 5, 0)


# ---- Firing -------------------------------------------------------------------------------------


@requirement("N-31", "N-37", "N-39", "X-1", "X-2")
@pytest.mark.parametrize("how", GRANTER_ENDS)
def test_at_the_granters_end_byte_and_event_come(pair, how):
    shared, mapped = pair.notified()
    for offset in (4, 6):
        pair.mapper.poke(mapped, offset, offset)
    end(pair.granter, how, "unshare", shared)
    assert pair.mapper.wait() == pair.local
    assert [pair.mapper.peek(mapped, offset) for offset in (4, 5, 6)] == [4, 0, 6]
    pair.mapper("unmap", mapped)
    pair.world.audit()
    harness.eventually(lambda: not pair.world.own_grants(1), "the grant has ended")


@requirement("N-31", "N-37", "N-39", "X-4", "X-5")
@pytest.mark.parametrize("how,profile", [*((how, profile) for how in MAPPER_ENDS
                                           for profile in ("pv", "pvh")),
                                         # An old kernel does not hold the port: who ends with it
                                         # open may lose the event.
                                         ("unmap", "legacy")])
def test_at_the_mappers_end_byte_and_event_come(world, how, profile):
    pair = Pair(world, mapper_profile=profile)
    shared, mapped = pair.mapped_notified()
    for offset in (8, 10):
        pair.granter.poke(shared, offset, offset)
    end(pair.mapper, how, "unmap", mapped)
    assert pair.granter.wait() == pair.port
    assert [pair.granter.peek(shared, offset) for offset in (8, 9, 10)] == [8, 0, 10]
    pair.granter.poke(shared, 11, 11)
    assert pair.granter.peek(shared, 11) == 11


@requirement("N-32", "X-7")
@pytest.mark.parametrize("how", ["exit", "kill", "exec"])
def test_a_granters_child_delays_it(pair, how):
    shared, mapped = pair.notified()
    child, pid = pair.granter.fork()
    pair.granter("unshare", shared)
    no_event(pair.mapper)
    assert pair.mapper.peek(mapped, 5) == 1
    if how == "kill":
        os.kill(pid, signal.SIGKILL)
    elif how == "exit":
        pair.granter("child", child, "exit")
    else:
        pair.granter.send("child", child, "exec", "true")
    assert pair.mapper.wait() == pair.local
    assert pair.mapper.peek(mapped, 5) == 0


@requirement("N-32")
def test_a_pvh_mappers_child_delays_it(world):
    pair = Pair(world, mapper_profile="pvh")
    shared, mapped = pair.mapped_notified()
    child, _ = pair.mapper.fork()
    pair.mapper("unmap", mapped)
    no_event(pair.granter)
    assert pair.granter.peek(shared, 9) == 1
    pair.mapper("child", child, "exit")
    assert pair.granter.wait() == pair.port
    assert pair.granter.peek(shared, 9) == 0


@requirement("N-33", "X-6")
def test_pvh_munmap_alone_does_not_fire(world):
    pair = Pair(world, mapper_profile="pvh")
    shared, mapped = pair.mapped_notified()
    pair.mapper("munmap", mapped, 0)
    no_event(pair.granter)
    assert pair.granter.peek(shared, 9) == 1
    assert max(pair.pins().values()) > 0
    pair.mapper("close", "gnttab")
    assert pair.granter.wait() == pair.port
    assert pair.granter.peek(shared, 9) == 0


@requirement("N-34", "X-6")
def test_pv_munmap_clears_at_once_and_the_event_comes_with_the_release(pair):
    shared, mapped = pair.mapped_notified()
    pair.mapper("munmap", mapped, 0)
    if pair.world.way == "socket":
        pair.pins()     # the machine sees a plain munmap over the socket at its next operation
    assert pair.granter.peek(shared, 9) == 0
    assert max(pair.pins().values()) == 0
    no_event(pair.granter)
    pair.mapper("close", "gnttab")
    assert pair.granter.wait() == pair.port


@requirement("N-35")
def test_at_the_granter_the_notice_comes_though_the_grant_cannot_end(pair):
    shared, mapped = pair.notified()
    pair.granter("unshare", shared)
    assert pair.mapper.wait() == pair.local
    assert pair.mapper.peek(mapped, 5) == 0
    assert max(pair.pins().values()) > 0, "the grant is in use, the notice did not wait for it"


@requirement("N-36")
@pytest.mark.parametrize("profile", ["pv", "pvh"])
def test_at_the_mapper_the_event_is_last(world, profile):
    pair = Pair(world, mapper_profile=profile)
    shared, mapped = pair.mapped_notified()
    pair.mapper("unmap", mapped)
    assert pair.granter.wait() == pair.port
    assert pair.granter.peek(shared, 9) == 0
    assert max(pair.pins().values()) == 0


@requirement("N-38")
@pytest.mark.parametrize("side", ["granter", "mapper"])
def test_once_and_never_again(pair, side):
    if side == "granter":
        shared, mapped = pair.notified()
        pair.granter("unshare", shared)
        assert pair.mapper.wait() == pair.local
        pair.mapper("evtchn-unmask", pair.local)
        pair.mapper.poke(mapped, 5, 3)
        pair.granter.kill()
        harness.eventually(lambda: pair.world.json("domain", "list")[0]["open_files"] == 0,
                           "the granter's files are closed")
        assert pair.mapper.peek(mapped, 5) == 3
        no_event(pair.mapper)
    else:
        shared, mapped = pair.mapped_notified()
        pair.mapper("unmap", mapped)
        assert pair.granter.wait() == pair.port
        pair.granter("evtchn-unmask", pair.port)
        pair.granter.poke(shared, 9, 3)
        pair.mapper.kill()
        harness.eventually(lambda: pair.world.json("domain", "list")[1]["open_files"] == 0,
                           "the mapper's files are closed")
        assert pair.granter.peek(shared, 9) == 3
        no_event(pair.granter)


@requirement("N-41")
def test_it_merges_with_other_events(pair):
    shared, mapped = pair.notified()
    pair.granter("evtchn-notify", pair.port)
    pair.granter("unshare", shared)
    becomes(pair.mapper, mapped, 5, 0)
    assert pair.mapper.wait() == pair.local
    no_event(pair.mapper)


@requirement("N-41", "N-44")
@pytest.mark.parametrize("how", GRANTER_ENDS)
def test_a_closed_peer_loses_it_and_holds_nobody_up(pair, how):
    shared, mapped = pair.notified()
    pair.mapper("close", "evtchn")
    end(pair.granter, how, "unshare", shared)
    becomes(pair.mapper, mapped, 5, 0)
    pair.world.audit()


@requirement("N-44")
def test_a_stopped_peer_holds_nobody_up(pair):
    pair.notified()
    os.kill(pair.mapper.pid, signal.SIGSTOP)
    try:
        pair.granter.end()
    finally:
        os.kill(pair.mapper.pid, signal.SIGCONT)
    assert pair.mapper.wait() == pair.local


@requirement("N-43")
def test_a_map_that_was_never_mmapped_fires_its_event_only(pair):
    shared, refs = pair.granter.share(1, 2)
    pair.granter.poke(shared, 3, 1)
    fd = pair.mapper("handle", "gnttab")
    pair.mapper("ioctl", fd, MAP, packed("IIQII", 1, 0, 0, 1, refs[0]))
    pair.mapper("ioctl", fd, NOTIFY, packed("QII", 3, CLEAR_BYTE | SEND_EVENT, pair.local))
    pair.mapper("close", "gnttab")
    assert pair.granter.wait() == pair.port
    assert pair.granter.peek(shared, 3) == 1


# ---- The byte and the peer ----------------------------------------------------------------------


@requirement("N-50")
def test_every_live_value_stays_until_the_end(pair):
    shared, mapped = pair.notified()
    for live in (1, 2, 127, 128, 255):
        pair.granter.poke(shared, 5, live)
        assert pair.mapper.peek(mapped, 5) == live
    pair.granter("unshare", shared)
    assert pair.mapper.wait() == pair.local
    assert pair.mapper.peek(mapped, 5) == 0


@requirement("N-51")
def test_both_ends_write_and_signal_themselves(pair):
    shared, mapped = pair.notified()
    pair.mapper.poke(mapped, 5, 0)
    pair.mapper("evtchn-notify", pair.local)
    assert pair.granter.wait() == pair.port
    assert pair.granter.peek(shared, 5) == 0
    pair.granter.poke(shared, 5, 2)
    pair.granter("evtchn-notify", pair.port)
    assert pair.mapper.wait() == pair.local
    assert pair.mapper.peek(mapped, 5) == 2


@requirement("N-52", "N-53")
@pytest.mark.parametrize("how", ["event", "byte"])
def test_the_end_is_seen_by_a_channel_of_its_own_or_by_looking(pair, how):
    port, local = pair.another_channel()
    shared, ref = pair.granter.share_notify(2, 5 if how == "byte" else -1,
                                            port if how == "event" else -1)
    pair.granter.poke(shared, 5, 1)
    mapped = pair.mapper.map("rw", 1, ref)
    pair.granter("evtchn-notify", pair.port)
    assert pair.mapper.wait() == pair.local, "progress"
    pair.mapper("evtchn-unmask", pair.local)
    pair.granter.kill()
    if how == "event":
        assert pair.mapper.wait() == local
    else:
        becomes(pair.mapper, mapped, 5, 0)


@requirement("N-55", "N-61", "X-1")
def test_the_page_is_free_when_the_peer_has_unmapped(pair):
    pair.granter("unshare", pair.granter.share(1, 2)[0])
    free = pair.world.free_frames()
    shared, mapped = pair.notified()
    pair.granter("unshare", shared)
    assert pair.mapper.wait() == pair.local
    assert pair.world.stats()["frames_free"] < free
    pair.mapper("unmap", mapped)
    pair.world.frames_are_back(free)


@requirement("N-56", "N-57")
def test_nobody_unmaps_for_a_peer_that_does_not_care(pair):
    pair.granter("unshare", pair.granter.share(1, 2)[0])
    free = pair.world.free_frames()
    shared, mapped = pair.notified()
    end(pair.granter, "exit", "unshare", shared)
    assert pair.mapper.wait() == pair.local
    pair.mapper("evtchn-unmask", pair.local)
    # Another process of the granter's domain comes, works and goes: time for its kernel to do
    # whatever it does.
    other = pair.world.new(1)
    other("unshare", other.share(1, 2)[0])
    other.end()
    assert pair.world.stats()["mappings"] == 1
    pair.mapper.poke(mapped, 0, 5)
    assert max(pair.pins().values()) > 0
    assert pair.world.stats()["frames_free"] < free


# ---- What remains -------------------------------------------------------------------------------


@requirement("N-60")
@pytest.mark.parametrize("profile", ["pv", "legacy"])
def test_unshare_succeeds_though_mapped(world, profile):
    pair = Pair(world, granter_profile=profile)
    shared, refs = pair.granter.share(1, 2)
    mapped = pair.mapper.map("rw", 1, *refs)
    assert pair.granter("unshare", shared) == "0"
    pair.mapper.poke(mapped, 0, 1)


@requirement("N-63")
@pytest.mark.parametrize("profile", ["pv", "pvh", "legacy"])
def test_the_kernel_takes_the_page_back(world, profile):
    pair = Pair(world, granter_profile=profile)
    pair.granter("unshare", pair.granter.share(1, 2)[0])
    free = world.free_frames()
    _, refs = pair.granter.share(4, 2)
    mapped = pair.mapper.map("rw", 1, *refs)
    pair.granter.kill()
    pair.mapper("unmap", mapped)
    if profile == "legacy":
        # An old kernel looks when somebody allocates or gives back.
        other = world.new(1)
        other("unshare", other.share(1, 2)[0])
    world.frames_are_back(free)


@requirement("N-64")
@pytest.mark.parametrize("profile,error", [("pv", None), ("pvh", None), ("legacy", "ENOSPC")])
def test_pages_that_the_peer_has_count_in_old_kernels_only(world, profile, error):
    pair = Pair(world, granter_profile=profile)
    shared, refs = pair.granter.share(1024, 2)
    mapped = pair.mapper.map("rw", 1, *refs)
    pair.granter("unshare", shared)
    if error:
        assert pair.granter.error("share", 1, 2, "rw") == error
        pair.mapper("unmap", mapped)
    pair.granter.share(1, 2)


@requirement("N-65")
def test_after_the_mappers_end_the_page_is_the_granters_at_once(pair):
    pair.granter("unshare", pair.granter.share(1, 2)[0])
    free = pair.world.free_frames()
    shared, _ = pair.mapped_notified()
    pair.mapper.kill()
    assert pair.granter.wait() == pair.port
    pair.granter("unshare", shared)
    pair.world.frames_are_back(free)


# ---- Failures around it -------------------------------------------------------------------------


@requirement("N-70", "N-71", "S-4")
def test_sharing_beyond_the_limit(pair):
    free = pair.world.free_frames()
    assert pair.granter.error("share", 1025, 2, "rw") == "ENOSPC"
    assert pair.world.stats()["frames_free"] == free
    shared, _ = pair.granter.share(1024, 2)
    assert pair.granter.error("share", 1, 2, "rw") == "ENOSPC"
    pair.granter("unshare", shared)
    pair.granter.share(1, 2)


@requirement("N-72", "G-4")
def test_one_bad_grant_undoes_the_whole_map(pair):
    _, refs = pair.granter.share(5, 2)
    words = ["1:%d" % ref for ref in refs]
    words[3] = "1:300"
    assert pair.mapper.error("map", "rw", *words) == "EINVAL"
    assert max(pair.pins().values()) == 0
    assert pair.world.stats()["mappings"] == 1
    pair.mapper.map("rw", 1, *refs)
