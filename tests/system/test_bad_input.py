# SPDX-License-Identifier: MIT
"""Bad input gets the errno of a real kernel, and nothing of the server's or of another
program's."""
import os
import random
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import harness

PAGE = 4096


def command(nr, size, letter="G"):
    """An ioctl number of direction none, as all of Xen's are."""
    return size << 16 | ord(letter) << 8 | nr


MAP, UNMAP, GET_OFFSET, SET_MAX, NOTIFY, COPY = (command(0, 24), command(1, 16), command(2, 24),
                                                 command(3, 4), command(7, 16), command(8, 16))
ALLOC, DEALLOC = command(5, 24), command(6, 16)
BIND_VIRQ, BIND_INTERDOMAIN, BIND_UNBOUND, UNBIND, EVTCHN_NOTIFY = (command(0, 4, "E"), command(1, 8, "E"), command(2, 4, "E"),
                                                                    command(3, 4, "E"), command(4, 4, "E"))
POINTERS = [0, 1, 0xdead0000, 0x7ffffffff000, 0x800000000000, 0xffffffffffffff00,
            0xffff888000000000]


def packed(layout, *values):
    return struct.pack("<" + layout, *values).hex()


@pytest.mark.parametrize("device", ["gntdev", "gntalloc"])
def test_an_unknown_ioctl_is_ENOTTY(machine, device):
    agent = machine.new(1)
    fd = agent.open(device)
    for cmd in (command(99, 8), command(0, 8), command(0, 0), 0, 0xffffffff, 0x5401,
                command(0, 24) | 0xc0000000):
        assert agent.error("ioctl", fd, cmd, "00" * 32) == "ENOTTY"


def test_an_unknown_ioctl_of_evtchn_is_ENOSYS_as_in_linux(machine):
    agent = machine.new(1)
    fd = agent.open("evtchn")
    for cmd in (command(99, 4, "E"), command(8, 4, "E"), command(255, 0, "E")):
        assert agent.error("ioctl", fd, cmd, "00" * 32) == "ENOSYS"


def test_set_max_grants_is_ENOTTY_as_in_every_kernel_of_today(machine):
    agent = machine.new(1)
    assert agent.error("ioctl", agent.open("gntdev"), SET_MAX, packed("I", 10)) == "ENOTTY"


@pytest.mark.parametrize("device,commands", [
    ("gntdev", [MAP, UNMAP, GET_OFFSET, NOTIFY, COPY]),
    ("gntalloc", [ALLOC, DEALLOC, NOTIFY]),
    ("evtchn", [BIND_VIRQ, BIND_INTERDOMAIN, BIND_UNBOUND, UNBIND, EVTCHN_NOTIFY]),
])
def test_a_wild_pointer_is_EFAULT(machine, device, commands):
    agent = machine.new(1)
    fd = agent.open(device)
    for cmd in commands:
        for pointer in POINTERS:
            assert agent.error("ioctl-at", fd, cmd, hex(pointer)) == "EFAULT", \
                "command %#x at %#x" % (cmd, pointer)
    machine.audit()


def test_an_argument_that_ends_outside_of_memory_is_EFAULT(machine):
    agent = machine.new(1)
    gntdev, gntalloc = agent.open("gntdev"), agent.open("gntalloc")
    region = int(agent("anon", 2))
    agent("munmap", region, 1, 1)
    end = int(agent("addr", region), 0) + PAGE
    agent.poke(region, PAGE - 24, 2)               # count 2: the second reference lies outside
    assert agent.error("ioctl-at", gntdev, MAP, end - 24) == "EFAULT"
    assert agent.error("ioctl-at", gntdev, UNMAP, end - 8) == "EFAULT"
    agent.poke(region, PAGE - 24 + 4, 2)           # gntalloc's count
    assert agent.error("ioctl-at", gntalloc, ALLOC, end - 20) == "EFAULT"


def test_an_answer_that_cannot_be_written_is_EFAULT(machine):
    agent = machine.new(1)
    gntdev = agent.open("gntdev")
    region = int(agent("anon", 1))
    agent.poke(region, 0, 1)
    agent("mprotect", region, "r")
    assert agent.error("ioctl-at", gntdev, MAP, agent("addr", region)) == "EFAULT"
    machine.audit()


def test_map_checks_its_count(machine):
    agent = machine.new(1)
    fd = agent.open("gntdev")
    for count in (0, 65537, 0x7fffffff, 0x80000000, 0xffffffff):
        assert agent.error("ioctl", fd, MAP, packed("IIQII", count, 0, 0, 1, 8)) == "EINVAL", count


def test_mmap_of_gntdev_needs_the_exact_index_and_size(machine):
    agent = machine.new(1)
    _, refs = agent.share(2, 1)
    fd = agent.open("gntdev")
    assert agent.error("mmap", fd, 0, 1, "rw", "shared") == "EINVAL"
    agent("ioctl", fd, MAP, packed("IIQIIII", 2, 0, 0, 1, refs[0], 1, refs[1]))
    for offset, pages, access, kind in ((0, 1, "rw", "shared"), (0, 3, "rw", "shared"),
                                        (PAGE, 1, "rw", "shared"),
                                        (2 * PAGE, 2, "rw", "shared"), (1 << 40, 2, "rw", "shared"),
                                        (0, 2, "rw", "private"), (100, 2, "rw", "shared")):
        assert agent.error("mmap", fd, offset, pages, access, kind) == "EINVAL", \
            (offset, pages, access, kind)
    mapped = int(agent("mmap", fd, 0, 2, "rw", "shared"))
    assert agent.error("mmap", fd, 0, 2, "rw", "shared") == "EINVAL", \
        "an index is mapped once in its life"
    agent("munmap", mapped, 0)
    assert agent.error("mmap", fd, 0, 2, "rw", "shared") == "EINVAL"


def test_mmap_of_gntalloc_needs_pages_that_exist(machine):
    agent = machine.new(1)
    fd = agent.open("gntalloc")
    assert agent.error("mmap", fd, 0, 1, "rw", "shared") == "ENOENT"
    agent("ioctl", fd, ALLOC, packed("HHIQIIII", 2, 1, 4, 0, 0, 0, 0, 0))
    assert agent.error("mmap", fd, 4 * PAGE, 1, "rw", "shared") == "ENOENT"
    assert agent.error("mmap", fd, 0, 5, "rw", "shared") == "ENOENT"
    assert agent.error("mmap", fd, 0, 1, "rw", "private") == "EINVAL"
    agent("mmap", fd, PAGE, 2, "rw", "shared")


def test_the_access_mode_of_the_descriptor_counts(machine):
    agent = machine.new(1)
    _, refs = agent.share(1, 1)
    read_only, write_only = agent.open("gntdev", "r"), agent.open("gntdev", "w")
    for fd in (read_only, write_only):
        agent("ioctl", fd, MAP, packed("IIQII", 1, 0, 0, 1, refs[0]))
        assert agent.error("mmap", fd, 0, 1, "rw", "shared") == "EACCES"
    assert agent.error("mmap", write_only, 0, 1, "r", "shared") == "EACCES"
    mapped = int(agent("mmap", read_only, 0, 1, "r", "shared"))
    assert agent.peek(mapped, 0) == 0


def test_indices_counts_and_ports_that_do_not_exist(machine):
    agent = machine.new(1)
    gntdev, gntalloc, evtchn = agent.open("gntdev"), agent.open("gntalloc"), agent.open("evtchn")
    assert agent.error("ioctl", gntdev, UNMAP, packed("QII", 0, 1, 0)) == "ENOENT"
    assert agent.error("ioctl", gntdev, NOTIFY, packed("QII", 0, 1, 0)) == "ENOENT"
    assert agent.error("ioctl", gntdev, NOTIFY, packed("QII", 0, 4, 0)) == "EINVAL"
    assert agent.error("ioctl", gntdev, NOTIFY, packed("QII", 0, 2, 77)) == "EINVAL"
    assert agent.error("ioctl", gntdev, GET_OFFSET, packed("QQII", 0x10000, 0, 0, 0)) == "EINVAL"
    assert agent.error("ioctl", gntalloc, DEALLOC, packed("QII", 0, 1, 0)) == "EINVAL"
    assert agent.error("ioctl", gntalloc, DEALLOC, packed("QII", 0, 0, 0)) == "EINVAL"
    assert agent.error("ioctl", gntalloc, NOTIFY, packed("QII", 0, 4, 0)) == "ENOENT"
    assert agent.error("ioctl", evtchn, UNBIND, packed("I", 5)) == "ENOTCONN"
    assert agent.error("ioctl", evtchn, UNBIND, packed("I", 0xffffffff)) == "EINVAL"
    assert agent.error("ioctl", evtchn, EVTCHN_NOTIFY, packed("I", 5)) == "ENOTCONN"
    assert agent.error("ioctl", evtchn, BIND_INTERDOMAIN, packed("II", 1, 0xffffffff)) == "EINVAL"
    machine.audit()


def test_gntalloc_has_a_limit(machine):
    agent = machine.new(1)
    assert agent.error("share", 1025, 2, "rw") == "ENOSPC"
    region, _ = agent.share(1024, 2)
    assert agent.error("share", 1, 2, "rw") == "ENOSPC"
    agent("unshare", region)
    agent.share(1, 2)


def test_reading_and_writing_gntdev_is_EINVAL(machine):
    agent = machine.new(1)
    for device in ("gntdev", "gntalloc"):
        fd = agent.open(device)
        assert agent.error("read", fd, 4) == "EINVAL"
        assert agent.error("write", fd, 4) == "EINVAL"


def test_a_short_read_of_evtchn_gets_nothing_and_a_non_blocking_one_EAGAIN(machine):
    agent = machine.new(1)
    fd = agent.open("evtchn", "nb")
    assert agent("read", fd, 3) == "0"
    assert agent.error("read", fd, 4) == "EAGAIN"


def test_evtchn_and_privcmd_cannot_be_mapped_as_plain_files(machine):
    agent = machine.new(1)
    assert agent.error("mmap", agent.open("evtchn"), 0, 1, "rw", "shared") == "ENODEV"


@pytest.mark.parametrize("device", harness.DEVICES)
def test_a_device_is_no_file_that_could_be_changed_or_removed(machine, device):
    for words in (("rm", "-f"), ("truncate", "-s", "100"), ("mv", "-t", "/dev/xen/..")):
        machine.exec(1, *words, "/dev/xen/" + device)
        done = machine.exec(1, "stat", "-c", "%s", "/dev/xen/" + device)
        assert done.stdout == "0\n", "%s: %s" % (words, done.stderr)


def test_two_clients_of_a_domain_cannot_use_each_others_indices(machine):
    first, second = machine.new(1), machine.new(1)
    shared, refs = first.share(1, 1)
    fd, other = first.open("gntdev"), second.open("gntdev")
    first("ioctl", fd, MAP, packed("IIQII", 1, 0, 0, 1, refs[0]))
    first("ioctl", first.open("gntalloc"), ALLOC, packed("HHIQI", 2, 1, 1, 0, 0))
    for offset in range(0, 16 * PAGE, PAGE):
        assert second.error("mmap", other, offset, 1, "rw", "shared") == "EINVAL"
        assert second.error("mmap", second.open("gntalloc"), offset, 1, "rw", "shared") == "ENOENT"
        assert second.error("ioctl", other, UNMAP, packed("QII", offset, 1, 0)) == "ENOENT"
    mapped = int(first("mmap", fd, 0, 1, "rw", "shared"))
    assert second.error("ioctl", other, GET_OFFSET,
                        packed("QQII", int(first("addr", mapped), 0), 0, 0, 0)) == "EINVAL"
    first.poke(mapped, 0, 1)
    assert first.peek(shared, 0) == 1


def test_a_program_finds_no_other_domains_devices_and_no_memory_of_the_machine(machine):
    machine.must("domain", "create", "2")
    done = machine.exec(1, "sh", "-c", "ls /dev/xen; find /dev -xdev -name memory; find /dev/xen/ "
                        "-mindepth 1 -type d")
    assert sorted(done.stdout.split()) == harness.DEVICES, done.stdout
    shown = machine.exec(1, "grep", "-c", "gntsim-memory", "/proc/self/mountinfo")
    assert shown.stdout == "0\n"


def test_mremap_cannot_grow_a_mapping_into_other_frames(machine):
    agent = machine.new(1)
    shared, refs = agent.share(1, 1)
    mapped = agent.map("rw", 1, *refs)
    for region in (shared, mapped):
        agent.send("mremap", region, 8)
        line = agent.answer()
        if not line.startswith("err"):
            assert agent.error("peek", region, PAGE) in ("SIGSEGV", "SIGBUS"), \
                "foreign frames came into sight"
    machine.audit()


def test_moved_and_split_mappings_are_still_known(machine):
    agent = machine.new(1)
    shared, refs = agent.share(4, 1)
    agent("mremap", shared, 4)
    mapped = agent.map("rw", 1, *refs)
    agent.poke(shared, 3 * PAGE, 3)
    assert agent.peek(mapped, 3 * PAGE) == 3
    agent("munmap", shared, 1, 2)
    assert machine.stats()["mappings"] == 2
    agent("munmap", shared, 0, 1)
    agent("munmap", shared, 3, 1)
    harness.eventually(lambda: machine.stats()["mappings"] == 1, "the shared pages are gone")
    agent("unmap", mapped)
    machine.audit()


def test_a_mapping_at_an_address_of_the_programs_choice_is_known_like_any_other(machine):
    agent = machine.new(1)
    shared, refs = agent.share(2, 1)
    fd = agent.open("gntdev")
    agent("ioctl", fd, MAP, packed("IIQIIII", 2, 0, 0, 1, refs[1], 1, refs[0]))
    mapped = int(agent("mmap", fd, 0, 2, "rw", "fixed"))
    agent.poke(mapped, PAGE, 5)
    assert agent.peek(shared, 0) == 5
    agent("munmap", mapped, 0)
    harness.eventually(lambda: machine.stats()["mappings"] == 1, "the mapping is gone")
    agent("ioctl", fd, UNMAP, packed("QII", 0, 2, 0))
    machine.audit()
    assert all(row["host_write"] == 0 for row in machine.json("dump", "entries", 1)["entries"])


def test_a_program_that_nobody_may_look_into_works_all_the_same(machine):
    """prctl(PR_SET_DUMPABLE, 0), as programs with secrets do."""
    agent = machine.new(1)
    agent("undumpable")
    shared, refs = agent.share(1, 1)
    mapped = agent.map("rw", 1, *refs)
    agent.poke(mapped, 0, 5)
    assert agent.peek(shared, 0) == 5
    agent("unmap", mapped)


def test_a_process_that_may_open_nothing_cannot_map_and_is_told_ENOMEM(machine):
    """Not as on a real machine: the mapping is completed through a descriptor that is lent for the
    moment (docs/reference.md)."""
    agent = machine.new(1)
    shared, refs = agent.share(1, 1)
    agent("unmap", agent.map("rw", 1, *refs))
    agent("no-files")
    with pytest.raises(harness.Refused, match="ENOMEM"):
        agent.map("rw", 1, *refs)
    machine.audit()


def test_a_hostile_thread_gets_no_hold_of_the_machines_memory(machine, compiled):
    """While a mapping is completed nothing must show up in the process that leads to frames which
    nobody granted it."""
    done = machine.exec(1, compiled("spy"), 1, 500)
    assert (done.returncode, done.stdout) == (0, "caught 0\n"), done.stderr


def test_random_bytes_as_arguments_do_no_harm(machine):
    """A thousand calls with arguments from a fixed seed: any errno will do, but the server lives
    and its books are right."""
    import random

    rng = random.Random(20261120)
    agent = machine.new(1)
    fds = {device: agent.open(device, "nb") for device in harness.DEVICES}
    commands = {"gntdev": [MAP, UNMAP, GET_OFFSET, NOTIFY, COPY],
                "gntalloc": [ALLOC, DEALLOC, NOTIFY],
                "evtchn": [BIND_VIRQ, BIND_INTERDOMAIN, BIND_UNBOUND, UNBIND, EVTCHN_NOTIFY,
                           command(5, 0, "E"), command(6, 2, "E")],
                "privcmd": [command(0, 48, "P"), command(5, 16, "P"), command(6, 2, "P")],
                "hypercall": [command(0, 48, "P")],
                "xenbus": [command(0, 8, "X")]}
    for _ in range(1000):
        device = rng.choice(harness.DEVICES)
        words = [rng.choice((0, 1, 2, 3, 8, 0x1000, 0x7ff0, 0xffff, 0xffffffff,
                             rng.getrandbits(32))) for _ in range(16)]
        if device in ("privcmd", "hypercall"):
            # grant table, event channels and one it does not have
            words[0:2] = [rng.choice((20, 32, 41)), 0]
        agent.send("ioctl", fds[device], rng.choice(commands[device]), packed("16I", *words))
        agent.answer()
    machine.audit()
    agent.kill()
    machine.quiet()
    other = machine.new(2)
    _, refs = other.share(1, 2)
    other.map("rw", 2, *refs)


@pytest.mark.parametrize("pointer", ["userfaultfd", "fuse"])
def test_a_pointer_that_cannot_be_read_for_ever_stops_nobody_else(serve, compiled, tmp_path,
                                                                  pointer):
    """The argument lies in memory whose page fault nobody answers. Its owner waits until it is
    killed, everybody else works on."""
    if pointer == "userfaultfd" and os.geteuid() != 0:
        pytest.skip("userfaultfd for the kernel's own accesses needs root")
    if pointer == "fuse" and not harness.can_unmount():
        pytest.skip("fusermount3 cannot unmount without /etc/mtab (as root: ln -s "
                    "/proc/self/mounts /etc/mtab)")
    stuck = None
    where = tmp_path / "stuck"
    if pointer == "fuse":
        where.mkdir()
        stuck = subprocess.Popen([os.environ.get("NULL_FUSE",
                                                 str(harness.SOURCE / "build" / "bench" / "null-fuse")), str(where)],
                                 stdout=subprocess.PIPE, text=True)
        assert stuck.stdout.readline() == "ready\n"
    try:
        machine = serve()
        victim = machine.popen(1, compiled("blocked"),
                               str(where / "stuck") if stuck else "userfaultfd",
                               stdout=subprocess.PIPE)
        assert victim.stdout.readline() == b"calling\n"
        victim.send_signal(signal.SIGUSR1)
        other = machine.agent(2, compiled("agent"))
        same_domain = machine.agent(1, compiled("agent"))
        for agent, domain in ((other, 2), (same_domain, 1)):
            for _ in range(20):
                shared, refs = agent.share(2, domain)
                mapped = agent.map("rw", domain, *refs)
                agent("unmap", mapped)
                agent("unshare", shared)
        machine.must("dump", "entries", "1")
        assert victim.poll() is None
        victim.kill()
        if stuck:
            stuck.kill()
            stuck.wait()
        victim.wait()
        victim.stdout.close()
        other.end()
        same_domain.end()
        machine.quiet()
        machine.stop()
    finally:
        if stuck:
            stuck.kill()
            stuck.wait()
            stuck.stdout.close()
            subprocess.run(["fusermount3", "-u", "-z", str(where)], check=True)


@pytest.mark.parametrize("how", ["syscalls", "continued"])
def test_a_client_that_is_traced_works_or_is_told_why_not(machine, compiled, how):
    """As under strace (stopped at every call) and under gdb (running between breakpoints)."""
    agent = machine.new(1, prefix=(compiled("traced"), how))
    shared, refs = None, None
    agent.send("share", 1, 1, "rw")
    line = agent.answer()
    if line.startswith("ok"):
        shared, ref = map(int, line.split()[1:])
        mapped = agent.map("rw", 1, ref)
        agent.poke(mapped, 0, 1)
        assert agent.peek(shared, 0) == 1
    else:
        machine.says("traced")
    other = machine.new(2)
    other.share(1, 1)
    agent.end()
    machine.audit()


@pytest.mark.parametrize("threads", [1, 3])
def test_a_program_that_is_stopped_and_continued_all_the_time_maps_as_ever(machine, compiled,
                                                                           threads):
    """Group stops come at any moment of a mapping's completion; with several threads that is done
    by a thread made for it."""
    process = machine.popen(1, compiled("churn"), 1, 25, threads, stdout=subprocess.PIPE, text=True)
    comm = Path("/proc/%d/comm" % process.pid)
    harness.eventually(lambda: comm.read_text().startswith("churn"), "it is the program by now")
    rng = random.Random(4)
    stops = 0
    while process.poll() is None:
        process.send_signal(signal.SIGSTOP)
        for _ in range(rng.randrange(3)):
            machine.stats()
        process.send_signal(signal.SIGCONT)
        stops += 1
        if rng.randrange(4) == 0:       # one that is stopped all the time gets nowhere
            before = machine.stats()
            harness.eventually(lambda: process.poll() is not None or machine.stats() != before,
                               "it goes on")
    assert process.returncode == 0 and process.stdout.read() == "done\n"
    assert stops
    machine.quiet()


def test_moving_a_mapping_survives_being_stopped_and_continued(machine):
    agent = machine.new(1, "pvh")
    shared, refs = agent.share(2, 1)
    mapped = agent.map("rw", 1, *refs)
    for round_ in range(60):
        agent.send("mremap", shared, 2)
        for _ in range(3):
            os.kill(agent.pid, signal.SIGSTOP)
            os.kill(agent.pid, signal.SIGCONT)
        assert agent.result("mremap") == "0", round_
        agent.poke(shared, PAGE, round_)
        assert agent.peek(mapped, PAGE) == round_
    machine.audit()


def test_remap_file_pages_is_refused_for_device_mappings_and_for_nothing_else(machine, tmp_path):
    done = machine.exec(1, sys.executable, "-c", """
import ctypes, fcntl, os, struct
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.remap_file_pages.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_size_t, ctypes.c_int]
fd = os.open("/dev/xen/gntalloc", os.O_RDWR)
fcntl.ioctl(fd, 0x00184705, bytearray(struct.pack("HHIQI", 2, 1, 2, 0, 0) + bytes(12)), True)
for file in (fd, os.memfd_create("plain")):
    if file != fd:
        os.ftruncate(file, 8192)
    at = libc.mmap(None, 8192, 3, 1, file, 0)
    print(libc.remap_file_pages(at, 4096, 0, 1, 0), ctypes.get_errno())
""")
    assert done.stdout.split() == ["-1", "22", "0", "22"], done.stdout + done.stderr
