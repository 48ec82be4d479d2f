# SPDX-License-Identifier: MIT
"""A shortage in a program or a refusal by the host is an errno or a sentence, and changes nothing
else."""
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness import GNTSIM, eventually

# What the programs here have in common: gntalloc and gntdev by hand.
CLIENT = """
import ctypes, errno, fcntl, mmap, os, resource, signal, struct, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
for name in ("munmap", "mprotect"):
    getattr(libc, name).argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int][:3 if name == "mprotect" else 2]
libc.mremap.restype = ctypes.c_void_p
libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
libc.ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p]
PAGE, FAILED, SHARED, PRIVATE, ANON, NOREPLACE = 4096, 2 ** 64 - 1, 1, 2, 0x20, 0x100000
gntalloc, gntdev = (os.open("/dev/xen/" + name, os.O_RDWR) for name in ("gntalloc", "gntdev"))

def name_of(result):
    return errno.errorcode[ctypes.get_errno()] if result in (FAILED, None, -1) else "ok"

def share(count, to=1):
    "-> the offset, references"
    arg = bytearray(struct.pack("HHIQ", to, 1, count, 0) + bytes(4 * count))
    fcntl.ioctl(gntalloc, 0x00184705, arg)
    return struct.unpack_from("Q", arg, 8)[0], list(struct.unpack_from("%dI" % count, arg, 16))

def grants(refs, granter=1):
    "-> the offset for an mmap of them"
    arg = bytearray(struct.pack("IIQ", len(refs), 0, 0) + b"".join(struct.pack("II", granter, ref) for ref in refs))
    fcntl.ioctl(gntdev, 0x00184700, arg)
    return struct.unpack_from("Q", arg, 8)[0]

def map_(fd, offset, count, prot=3, at=None, flags=SHARED):
    return libc.mmap(at, count * PAGE, prot, flags, fd, offset)

def byte(at):
    return ctypes.c_ubyte.from_address(at)

def limit(what, soft):
    resource.setrlimit(what, (soft, resource.getrlimit(what)[1]))
"""


def run(machine, script, domain=1, before=(), profile=None):
    done = machine.exec(domain, *before, sys.executable, "-c", CLIENT + script, profile=profile)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


# ---- A program's own limits ----------------------------------------------------------------------


def test_a_full_address_space_is_ENOMEM_and_with_room_mappings_can_be_made_again(machine):
    """One run of frames is mapped as it is; for several a place is reserved first. Both fail. (A PV
    kernel has mapped the grants by then, and maps them only once: docs/reference.md.)"""
    said = run(machine, """
offset, refs = share(64)
scattered = grants(refs[::-1])
size = int(open("/proc/self/statm").read().split()[0]) * PAGE
limit(resource.RLIMIT_AS, size + 16 * PAGE)
print(name_of(map_(gntalloc, offset, 64)), name_of(map_(gntdev, scattered, 64)))
limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)
one, other = map_(gntalloc, offset, 64), map_(gntdev, grants(refs[::-1]), 64)
print(name_of(one), name_of(other))
byte(one + 63 * PAGE).value = 7
print(byte(other).value)
""")
    assert said == ["ENOMEM", "ENOMEM", "ok", "ok", "7"]
    machine.quiet()


def window():
    """Where mappings of devices begin."""
    header = (harness.SOURCE / "util" / "window.h").read_text()
    return int(re.search(r"WINDOW_START (0x[0-9a-f]+)", header)[1], 16)


def test_an_mmap_that_fails_half_way_leaves_nothing_of_it_behind(machine):
    """Each run of frames is an mmap of its own. A process has only so many areas: the granted
    frames must not stay in its sight."""
    most = int(Path("/proc/sys/vm/max_map_count").read_text())
    if most > 300000:
        pytest.skip("a process may have %d areas here" % most)
    said = run(machine, """
offset, refs = share(64)
scattered = grants(refs[::-1])
areas = lambda: sum(1 for line in open("/proc/self/maps"))
foreign = lambda: sum(1 for line in open("/proc/self/maps") if %d == int(line.split("-")[0], 16) >> 37)
most = %d
page_each = libc.mmap(None, 2 * most * PAGE, 1, PRIVATE | ANON, -1, 0)
at = page_each
for _ in range((most - 20 - areas()) // 2):       # each makes two more
    libc.mprotect(at, PAGE, 3)
    at += 2 * PAGE
print(name_of(map_(gntdev, scattered, 64)), foreign())
libc.munmap(page_each, 2 * most * PAGE)
other = map_(gntdev, grants(refs[::-1]), 64)
print(name_of(other), foreign() > 0)
""" % (window() >> 37, most))
    assert said == ["ENOMEM", "0", "ok", "True"]
    machine.quiet()


def test_a_process_with_threads_that_may_not_have_another_one_maps_all_the_same(machine):
    """Ordinarily the mappings of such a process are made by one more, which lives for that moment
    only (docs/architecture.md)."""
    drop = ["setpriv", "--reuid=65534", "--regid=65534",
            "--clear-groups"] if os.geteuid() == 0 else []
    machine.exec(1, "sh", "-c", "chmod 666 /dev/xen/*")
    said = run(machine, """
offset, refs = share(2)
done = threading.Event()
threading.Thread(target=done.wait).start()
limit(resource.RLIMIT_NPROC, 0)
print(name_of(map_(gntalloc, offset, 2)))
limit(resource.RLIMIT_NPROC, resource.getrlimit(resource.RLIMIT_NPROC)[1])
print(name_of(map_(gntalloc, offset, 2)))
done.set()
""", before=drop)
    assert said == ["ok", "ok"]
    machine.quiet()


def test_what_a_program_has_where_mappings_are_placed_stays_and_is_gone_around(machine):
    said = run(machine, """
offset, refs = share(8)
first = map_(gntalloc, offset, 1)
own = libc.mmap(first + PAGE, 5000 * PAGE, 3, PRIVATE | ANON | NOREPLACE, -1, 0)
assert own == first + PAGE, (hex(first), own)
ctypes.memset(own, 0x5a, 5000 * PAGE)
places = [map_(gntalloc, offset + PAGE, 1), map_(gntdev, grants(refs[:4]), 4), map_(gntdev, grants(refs[::-1]), 8)]
print(*(name_of(place) for place in places))
print(any(own <= place < own + 5000 * PAGE for place in places), ctypes.string_at(own, 5000 * PAGE) == b"\\x5a" * (5000 * PAGE))
byte(first).value = 9
print(byte(places[1]).value, byte(places[2] + 7 * PAGE).value)
""")
    assert said == ["ok", "ok", "ok", "False", "True", "9", "9"]
    machine.quiet()


@pytest.mark.parametrize("profile", ["pv", "pvh"])
def test_an_argument_may_lie_in_memory_that_can_only_be_written(machine, profile):
    """On x86 what can be written can be read, and so a real kernel reads it; another process may
    not."""
    said = run(machine, """
offset, refs = share(1)
shared = map_(gntalloc, offset, 1)
for write_only in (map_(gntalloc, offset, 1, 2), map_(gntdev, grants(refs), 1, 2)):
    ctypes.memmove(shared, struct.pack("IIQII", 1, 0, 0, 1, refs[0]), 24)
    print(name_of(write_only), name_of(libc.ioctl(gntdev, 0x00184700, write_only)), struct.unpack("Q", ctypes.string_at(shared + 8, 8))[0])
""", profile=profile)
    assert said[0:2] == said[3:5] == ["ok", "ok"]
    assert 0 < int(said[2]) < int(said[5]), "each has an index of its own"
    machine.quiet()


def test_the_directories_of_devices_and_parameters_list_what_is_in_them(machine):
    said = run(machine, """
for path in ("/dev/xen", "/sys/module/xen_gntdev", "/sys/module/xen_gntdev/parameters"):
    print(",".join(sorted(os.listdir(path))))
""")
    assert said == ["evtchn,gntalloc,gntdev,hypercall,privcmd,xenbus", "parameters", "limit"]


def test_module_parameters_cannot_be_mapped(machine):
    said = run(machine, """
fd = os.open("/sys/module/xen_gntdev/parameters/limit", os.O_RDONLY)
print(name_of(map_(fd, 0, 1, 1)), name_of(map_(fd, 0, 1, 1, None, PRIVATE)))
""")
    assert said == ["ENODEV", "ENODEV"]


def test_an_open_device_cannot_be_opened_again_through_its_descriptor_and_goes_on(machine):
    """Not as on a real machine (docs/reference.md)."""
    said = run(machine, """
offset, refs = share(1)
try:
    os.open("/proc/self/fd/%d" % gntalloc, os.O_RDWR)
except OSError as e:
    print(errno.errorcode[e.errno])
print(name_of(map_(gntalloc, offset, 1)), os.open("/dev/xen/gntalloc", os.O_RDWR) > gntalloc)
""")
    assert said == ["ESTALE", "ok", "True"]
    machine.quiet()


@pytest.mark.parametrize("profile", ["pv", "pvh"])
def test_mremap_of_a_mapping_checks_its_arguments_and_can_shrink_it(machine, profile):
    said = run(machine, """
offset, refs = share(4)
shared = map_(gntalloc, offset, 4)
print(name_of(libc.mremap(shared + 1, PAGE, PAGE, 1)), name_of(libc.mremap(shared, PAGE, 0, 1)), name_of(libc.mremap(shared, 4 * PAGE, 5 * PAGE, 1)))
plain = libc.mmap(None, 4 * PAGE, 3, PRIVATE | ANON, -1, 0)
print(name_of(libc.mremap(plain, 4 * PAGE, 400 * PAGE, 1)))
byte(shared + PAGE).value = 3
print(libc.mremap(shared, 4 * PAGE, 2 * PAGE, 0) == shared, byte(shared + PAGE).value, name_of(libc.mprotect(shared + 2 * PAGE, PAGE, 1)))
mapped = map_(gntdev, grants(refs), 4)
print(name_of(mapped), libc.mremap(mapped, 4 * PAGE, 3 * PAGE, 0) == mapped, byte(mapped + PAGE).value)
""", profile=profile)
    assert said == ["EINVAL", "EINVAL", "EFAULT", "ok", "True", "3", "ENOMEM", "ok", "True", "3"]
    machine.quiet()


def test_mprotect_of_a_pv_grant_mapping_to_what_it_is_changes_nothing_and_more_than_its_descriptor_allows_is_EACCES(machine):
    said = run(machine, """
offset, refs = share(1)
shared = map_(gntalloc, offset, 1)
mapped = map_(gntdev, grants(refs), 1)
byte(shared).value = 4
print(name_of(libc.mprotect(mapped, PAGE, 3)), byte(mapped).value)
gntdev = os.open("/dev/xen/gntdev", os.O_RDONLY)
arg = bytearray(struct.pack("IIQII", 1, 0, 0, 1, refs[0]))
fcntl.ioctl(gntdev, 0x00184700, arg)
reader = map_(gntdev, struct.unpack_from("Q", arg, 8)[0], 1, 1)
print(name_of(libc.mprotect(reader, PAGE, 3)), byte(reader).value)
""", profile="pv")
    assert said == ["ok", "4", "EACCES", "4"]
    machine.quiet()


def test_signals_end_a_blocking_read_with_EINTR_and_no_event_is_lost(machine):
    reader = machine.popen(1, sys.executable, "-uc", CLIENT + """
class Hit(Exception): pass
def hit(*_): raise Hit
signal.signal(signal.SIGUSR1, hit)
receiver, sender = (os.open("/dev/xen/evtchn", os.O_RDWR) for _ in range(2))
def call(fd, nr, *words):
    return fcntl.ioctl(fd, nr | ord("E") << 8 | 4 * len(words) << 16, bytearray(struct.pack("I" * len(words), *words)), True)
port = call(receiver, 2, 1)
local = call(sender, 1, 1, port)
hits = 0
while True:
    try:
        print("reading" if hits < 20 else "last", flush=True)
        if hits == 20:
            call(sender, 4, local)
        seen = struct.unpack("I", os.read(receiver, 4))[0]
        if hits < 20:                     # a freshly bound channel has an event
            os.write(receiver, struct.pack("I", seen))
            continue
        print(seen == port, os.close(sender))
        break
    except Hit:
        hits += 1
""", stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    sent = 0
    for line in reader.stdout:
        if line == "reading\n":
            stat = Path("/proc/%d/stat" % reader.pid)
            # Asleep in its read; one that was not yet there is hit all the same.
            eventually(lambda: reader.poll() is not None
                       or stat.read_text().rsplit(")", 1)[1].split()[0] == "S", "the reader waits")
            reader.send_signal(10)
            sent += 1
        elif line != "last\n":
            assert line == "True None\n"
    reader.stdout.close()
    assert reader.wait(harness.PATIENCE) == 0 and sent >= 20
    machine.quiet()


# ---- The server's --------------------------------------------------------------------------------


def test_a_server_without_a_descriptor_left_refuses_and_goes_on_when_it_has_some_again(place,
                                                                                       compiled):
    work = place / "m"
    work.mkdir()
    machine = harness.Machine(work, gntsim=("prlimit", "--nofile=70:70", GNTSIM))
    machine.gntsim = [GNTSIM]                     # the programs' own limit stays
    try:
        agents, refused = [], None
        for _ in range(70):
            agent = machine.agent(1, compiled("agent"), awaited=False)
            try:
                agent.begins()
            except harness.Dead:
                refused = agent
                break
            agents.append(agent)
        assert refused, "it has room for 70 programs?"
        assert refused.process.wait(harness.PATIENCE) != 0
        assert "gntsim: " in machine.stderr()
        for agent in agents[4:]:
            agent.kill()
        shared, refs = agents[0].share(2, 1)
        eventually(lambda: machine.ctl("stats").returncode == 0, "the control socket answers")

        def comes_in():
            try:
                return machine.agent(1, compiled("agent"))
            except harness.Dead:
                return None
        newcomer = eventually(comes_in, "a new program is served")
        agents[0].poke(shared, 5, 55)
        assert newcomer.peek(newcomer.map("rw", 1, *refs), 5) == 55
        machine.audit()
    finally:
        machine.stop()


@pytest.mark.needs_no_machine
@pytest.mark.parametrize("way", ["device", "socket"])
def test_a_machine_with_too_few_descriptors_to_start_says_so_whatever_it_lacks_them_for(way):
    for room in range(6, 60):       # with fewer a sanitizer cannot look for leaks
        done = subprocess.run(["prlimit", f"--nofile={room}:{room}", GNTSIM, "run", "--way", way,
                               "--", "true"], capture_output=True, text=True,
                              timeout=harness.PATIENCE)
        if done.returncode == 0:
            break
        assert done.returncode > 0 and "gntsim: " in done.stderr and \
            "Sanitizer" not in done.stderr, (room, done)
    assert 10 < room < 59, done


# ---- The host ------------------------------------------------------------------------------------


def in_a_namespace(script, *args):
    """argv that runs a shell script in a mount namespace of its own, with the right to mount
    there."""
    around = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *around, "--mount", "--propagation", "private", "sh", "-euc", script, "sh",
            *map(str, args)]


@pytest.fixture
def mounting(place):
    tried = subprocess.run(in_a_namespace('mount -t tmpfs none "$1"', place), capture_output=True,
                           text=True)
    if tried.returncode:
        pytest.skip("nothing can be mounted here: " + tried.stderr)


def test_without_a_sys_the_machine_works_all_the_same(mounting, place, compiled):
    done = subprocess.run(in_a_namespace('mount -t tmpfs none /sys && exec "$@"', GNTSIM, "run",
                                         "--way", "device", "--", sys.executable, "-c", CLIENT + """
offset, refs = share(1)
print(name_of(map_(gntalloc, offset, 1)), os.path.exists("/sys/module"))
"""), capture_output=True, text=True, timeout=harness.PATIENCE)
    assert (done.returncode, done.stdout) == (0, "ok False\n"), done.stderr


@pytest.mark.needs_no_machine
def test_where_fuse_cannot_be_mounted_the_device_way_says_so(mounting, place):
    (place / "no-fuse").write_text("")
    done = subprocess.run(in_a_namespace('mount --bind "$1" /dev/fuse && shift && exec "$@"',
                                         place / "no-fuse", GNTSIM, "run", "--way", "device",
                                         "--", "true"), capture_output=True, text=True,
                          timeout=harness.PATIENCE)
    assert done.returncode not in (0, 127) and "gntsim doctor" in done.stderr, done


@pytest.mark.needs_no_machine
def test_where_no_namespace_can_be_made_the_device_way_says_what_to_change(compiled):
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
            "--bounding-set=-all"] if os.geteuid() == 0 else []
    os.chmod(Path(compiled("caged")).parent, 0o755)
    done = subprocess.run([*drop, compiled("caged"), GNTSIM, "run", "--way", "device", "--",
                           "true"], capture_output=True, text=True,
                          timeout=harness.PATIENCE)
    if "Permission denied" in done.stderr:
        pytest.skip("nobody cannot execute " + GNTSIM)
    assert done.returncode not in (0, 127)
    assert re.search(r"^gntsim: cannot create a user namespace: .*", done.stderr, re.M) and \
        "user.max_user_namespaces" in done.stderr, done


def test_a_working_directory_that_the_domain_does_not_have_is_an_error(machine, mounting, place):
    """A mount that was made after the machine started is not in its namespace."""
    if os.geteuid() != 0:
        pytest.skip("an ordinary user's mounts are in a user namespace of their own, from which no "
                    "other can be entered")
    later = place / "later"
    later.mkdir()
    done = subprocess.run(in_a_namespace('mount -t tmpfs none "$1" && mkdir "$1/in" && cd "$1/in" && shift && exec "$@"', later,
                                         *machine.exec_argv(1, "true")), capture_output=True,
                          text=True, timeout=harness.PATIENCE)
    assert done.returncode not in (0, 127) and \
        re.search(r"cannot return to \S+/later/in in the domain", done.stderr), done
    assert machine.exec(1, "true").returncode == 0


def test_without_the_right_to_enter_a_namespace_exec_says_so(machine):
    if os.geteuid() != 0:
        pytest.skip("an ordinary user owns the machine's namespaces")
    done = subprocess.run(["setpriv", "--bounding-set=-all", "--inh-caps=-all",
                           *machine.exec_argv(1, "true")], capture_output=True, text=True,
                          timeout=harness.PATIENCE)
    assert done.returncode not in (0, 127) and \
        "cannot enter the domain's mount namespace" in done.stderr, done
    assert machine.exec(1, "true").returncode == 0


@pytest.mark.needs_no_machine
def test_our_libraries_say_with_an_errno_that_no_machine_is_behind_the_socket(place):
    if harness.library_kind() != "dynamic":
        pytest.skip("a library with a sanitizer cannot be loaded into Python")
    (place / "empty").mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place / "left"))            # of a machine that was killed
    listener.close()
    libraries = Path(GNTSIM).parent / "libgnttab"
    script = """
import ctypes, errno, sys
gnttab, evtchn = (ctypes.CDLL(path, use_errno=True) for path in sys.argv[1:3])
for library, name in ((gnttab, "xengnttab_open"), (gnttab, "xengntshr_open"), (evtchn, "xenevtchn_open")):
    function = getattr(library, name)
    function.restype = ctypes.c_void_p
    print(function(None, 0), errno.errorcode[ctypes.get_errno()])
"""
    for path, expected in ((place / "empty" / "none", "ENOENT"), (place / "left", "ENXIO"),
                           ("/" + "x" * 200, "ENAMETOOLONG")):
        done = subprocess.run([sys.executable, "-c", script, libraries / "libxengnttab.so.1",
                               libraries / "libxenevtchn.so.1"], capture_output=True,
                              text=True, env=dict(os.environ, GNTSIM_SOCKET=str(path)),
                              timeout=harness.PATIENCE)
        assert done.stdout.split() == ["None", expected] * 3, (path, done)
