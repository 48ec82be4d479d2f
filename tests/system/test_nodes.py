# SPDX-License-Identifier: MIT
"""The device nodes: what stat(2) says, who owns them, and what calls on them answer."""
import os
import shutil
import subprocess
import sys

import pytest

import harness

root_only = pytest.mark.skipif(os.geteuid() != 0,
                               reason="an ordinary user's machine has one user only")

PRELUDE = """
import errno, fcntl, mmap, os, resource, stat, struct, sys

def answer(call, *args):
    try:
        call(*args)
        return "ok"
    except OSError as e:
        return errno.errorcode[e.errno]

def node(name="gntdev"):
    st = os.stat("/dev/xen/" + name)
    return "%o %d %d" % (st.st_mode, st.st_uid, st.st_gid)
"""


@pytest.fixture
def served(serve):
    return serve("--way", "device")


def run(machine, script, domain=1, before=()):
    """What a Python program of the domain says, line by line."""
    done = machine.exec(domain, *before, sys.executable, "-c", PRELUDE + script)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_by_their_names_the_devices_are_character_devices(served):
    assert run(served, """
print(*(entry.name for entry in sorted(os.scandir("/dev/xen"), key=lambda e: e.name) if stat.S_ISCHR(entry.stat(follow_symlinks=False).st_mode)))
for st in (os.stat("/dev/xen/gntdev"), os.lstat("/dev/xen/gntdev")):
    print(stat.S_ISCHR(st.st_mode), os.major(st.st_rdev), st.st_size, st == os.stat("/dev/xen/gntdev"))
print(len({os.stat("/dev/xen/" + name).st_rdev for name in os.listdir("/dev/xen")}))
""") == [" ".join(harness.DEVICES), "True 10 0 True", "True 10 0 True", "6"]
    said = served.exec(1, "sh", "-c", "find /dev/xen -type c | wc -l; test -c /dev/xen/evtchn; "
                       "echo $?; ls -l /dev/xen | grep -c ^crw-------").stdout
    assert said.split() == ["6", "0", "6"]


def test_nobody_opens_a_node_but_whose_machine_it_is(served):
    assert run(served, 'print(node(), node("evtchn"))') == \
        [" ".join(["20600 %d %d" % (os.geteuid(), os.getegid())] * 2)]


def test_what_is_opened_by_name_cannot_be_the_node(served):
    """The node leads nowhere: no driver of the host's has its number, and its mount has no
    devices."""
    assert run(served, """
fd = os.open("/dev/xen/gntdev", os.O_RDWR)
print(stat.S_ISREG(os.fstat(fd).st_mode))
mounts = [line.split() for line in open("/proc/self/mountinfo") if line.split()[4] == "/dev/xen"]
print(len(mounts), "nodev" in mounts[-1][5].split(","))
""") == ["True", "1 True"]


def test_chmod_is_seen_by_everybody_in_the_domain_and_by_nobody_else(served):
    show = "print(node(), node('evtchn'))"
    assert run(served, "fd = os.open('/dev/xen/gntdev', os.O_RDWR); os.chmod('/dev/xen/gntdev', "
               "0o640); print('%o' % os.fstat(fd).st_mode)"
               ) == ["100640"]
    owner = "%d %d" % (os.geteuid(), os.getegid())
    assert run(served, show) == ["20640 %s 20600 %s" % (owner, owner)]
    assert run(served, show, domain=2) == ["20600 %s 20600 %s" % (owner, owner)]
    assert run(served, "fd = os.open('/dev/xen/gntdev', os.O_RDWR); os.fchmod(fd, 0o604); "
               "print(node())") == ["20604 " + owner]


def test_a_new_domain_has_new_nodes(served):
    assert run(served, "os.chmod('/dev/xen/gntdev', 0o666); print(node())")[0].startswith("20666")
    served.must("domain", "destroy", 1)
    assert run(served, "print(node())")[0].startswith("20600")


def test_a_suspended_domain_keeps_its_nodes(served):
    run(served, "os.chmod('/dev/xen/gntdev', 0o640)")
    now = served.json("domain", "suspend", 1)["domain"]
    assert run(served, "print(node())", domain=now)[0].startswith("20640")
    assert run(served, "print(node())", domain=1)[0].startswith("20600"), \
        "a new domain of the old number"


def test_the_times_of_a_node_can_be_set(served):
    assert run(served, """
os.utime("/dev/xen/evtchn", (1000, 2000))
st = os.stat("/dev/xen/evtchn")
print(int(st.st_atime), int(st.st_mtime), st.st_ctime > 2000, os.stat("/dev/xen/gntdev").st_mtime > 2000)
""") == ["1000 2000 True True"]


@root_only
def test_another_user_opens_a_node_when_its_owner_and_mode_let_it(served):
    other = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    attempt = "print(answer(os.open, '/dev/xen/gntdev', os.O_RDWR), answer(os.chmod, '/dev/xen/gntdev', 0o666), node())"
    assert run(served, attempt, before=other) == ["EACCES EPERM 20600 0 0"]
    assert run(served, "os.chown('/dev/xen/gntdev', 0, 65534); os.chmod('/dev/xen/gntdev', 0o660); "
               "print(node())") == ["20660 0 65534"]
    assert run(served, attempt, before=other) == ["ok EPERM 20660 0 65534"]
    assert run(served, "os.chown('/dev/xen/gntdev', 65534, 0); os.chmod('/dev/xen/gntdev', 0o400); "
               "print(node())") == ["20400 65534 0"]
    assert run(served, "print(answer(os.open, '/dev/xen/gntdev', os.O_RDONLY), %s" % attempt[6:],
               before=other) == ["ok EACCES ok 20666 65534 0"]
    # A descriptor that is open stays so.
    assert run(served, """
fd = os.open("/dev/xen/evtchn", os.O_RDWR)
os.setgroups([]), os.setgid(65534), os.setuid(65534)
print(answer(os.open, "/dev/xen/evtchn", os.O_RDWR), os.write(fd, bytes(4)))
""") == ["EACCES 4"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root has all users")
def test_an_ordinary_users_machine_has_one_user(served):
    assert run(served, "print(answer(os.chown, '/dev/xen/gntdev', 0, 0), answer(os.chown, "
               "'/dev/xen/gntdev', os.getuid(), os.getgid()))"
               ) == ["EINVAL ok"]


def test_calls_that_only_files_know_are_refused(served):
    assert run(served, """
fd = os.open("/dev/xen/gntdev", os.O_RDWR | os.O_TRUNC)
print("ftruncate", answer(os.ftruncate, fd, 0), "truncate", answer(os.truncate, "/dev/xen/gntdev", 0), "fsync", answer(os.fsync, fd),
      "fdatasync", answer(os.fdatasync, fd), "fallocate", answer(os.posix_fallocate, fd, 0, 4096), "lseek", answer(os.lseek, fd, 0, 0))
print("direct", answer(os.open, "/dev/xen/gntdev", os.O_RDWR | os.O_DIRECT), "create", answer(os.open, "/dev/xen/gntdev", os.O_RDWR | os.O_CREAT),
      "set", answer(fcntl.fcntl, fd, fcntl.F_SETFL, os.O_DIRECT), "exclusive", answer(os.open, "/dev/xen/gntdev", os.O_RDWR | os.O_CREAT | os.O_EXCL))
import termios
print(*(answer(fcntl.ioctl, os.open("/dev/xen/" + name, os.O_RDWR), termios.FIONREAD, bytearray(4)) for name in ("evtchn", "gntdev", "gntalloc")))
print("read", answer(os.read, fd, 4), "write", answer(os.write, fd, bytes(4)))
""") == ["ftruncate EINVAL truncate EINVAL fsync EINVAL fdatasync EINVAL fallocate ENODEV lseek ESPIPE", "direct EINVAL create ok set EINVAL exclusive EEXIST",
         "ENOSYS ENOTTY ENOTTY", "read EINVAL write EINVAL"]


def test_an_event_channels_file_has_no_offset_that_a_limit_could_forbid(served):
    assert run(served, """
appending = os.open("/dev/xen/evtchn", os.O_RDWR | os.O_APPEND)
print({os.write(appending, bytes(4)) for _ in range(2000)})
for limit in (4096, 4):
    fd = os.open("/dev/xen/evtchn", os.O_RDWR)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    print({os.write(fd, bytes(4)) for _ in range(2000)}, os.write(fd, bytes(limit)), answer(os.pwrite, fd, bytes(4), 0), answer(os.pread, fd, 4, 0),
          answer(os.lseek, fd, 0, 0))
""") == ["{4}", "{4} 4096 ESPIPE ESPIPE ESPIPE", "{4} 4 ESPIPE ESPIPE ESPIPE"]


def test_pythons_mmap_maps_devices(served):
    assert run(served, """
a, g = (os.open("/dev/xen/" + name, os.O_RDWR) for name in ("gntalloc", "gntdev"))
b = bytearray(struct.pack("HHIQII", 1, 1, 2, 0, 0, 0))
fcntl.ioctl(a, 0x184705, b, True)
_, _, _, index, *refs = struct.unpack("HHIQII", b)
m = bytearray(struct.pack("IIQIIII", 2, 0, 0, 1, refs[0], 1, refs[1]))
fcntl.ioctl(g, 0x184700, m, True)
shared, mapped = mmap.mmap(a, 8192, offset=index), mmap.mmap(g, 8192, offset=struct.unpack("IIQIIII", m)[2])
shared[4100] = 7
print(mapped[4100])
""") == ["7"]


def test_threads_and_processes_that_ask_and_open_at_the_same_time_get_what_they_ask_for(served,
                                                                                        compiled):
    done = served.exec(1, compiled("nodes"), 150)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    served.quiet()


def test_a_program_that_nobody_may_look_into_opens_devices_all_the_same(served, compiled, place):
    """Of an ordinary user's the server cannot see what the program looks a name up for. It can be
    opened in any case."""
    place.chmod(0o755)
    hidden = place / "hidden"
    shutil.copy(compiled("raw"), hidden)
    hidden.chmod(0o111)
    done = served.exec(1, hidden, 1)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_what_looks_at_the_nodes_while_the_server_dies_is_not_held(served, compiled):
    watcher = served.popen(1, compiled("nodes"), 1000000, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    harness.eventually(lambda: served.stats()["fuse_requests"] > 100, "the program opens and asks")
    served.server.kill()
    served.server.wait()
    served.stopped = True
    assert watcher.wait(harness.PATIENCE) != 0


def test_nobody_may_change_the_directory_of_the_nodes(served):
    assert run(served, """
print(answer(os.unlink, "/dev/xen/gntdev"), answer(os.rmdir, "/dev/xen/gntdev"), answer(os.mkdir, "/dev/xen/new"))
print(answer(os.mknod, "/dev/xen/new"), answer(os.open, "/dev/xen/new", os.O_CREAT | os.O_RDWR), answer(os.symlink, "a", "/dev/xen/new"))
print(answer(os.link, "/dev/xen/gntdev", "/dev/xen/new"), answer(os.rename, "/dev/xen/gntdev", "/dev/xen/new"))
print(*sorted(os.listdir("/dev/xen")))
""") == ["EPERM ENOTDIR EPERM", "EPERM EPERM EPERM", "EPERM EPERM", " ".join(harness.DEVICES)]
