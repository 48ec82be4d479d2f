# SPDX-License-Identifier: MIT
"""What programs find of Xen outside of /dev/xen: the store's socket, /sys/hypervisor, and what a
store's daemon needs of its kernel."""
import os
import subprocess
import sys

import pytest


EVTCHN, SETUP = 0x4200, 0x4201      # ioctls of xenbus_backend
PLACES = ["/run/xenstored", "/var/run/xenstored"]


@pytest.fixture
def machine(serve):
    return serve("--way", "device")


def python(machine, domain, script):
    return machine.out(domain, sys.executable, "-c",
               "import errno, fcntl, mmap, os, struct\n" + script).splitlines()


@pytest.fixture
def forgetful():
    """A program that was told nothing of a store, as a daemon that cleans its environment."""
    return ["env", "-i", "PATH=" + os.environ["PATH"]]


@pytest.mark.parametrize("where", PLACES)
def test_the_store_of_domain_0_has_its_socket_where_libxenstore_looks(machine, forgetful, where):
    assert machine.out(0, "stat", "-c", "%F", where + "/socket") == "socket\n"
    machine.must("store", "write", "/a", "x")
    assert machine.out(0, *forgetful, "xenstore-read", "/a") == "x\n"


def test_two_machines_do_not_meet_there(serve, forgetful):
    one, other = serve("--way", "device"), serve("--way", "device")
    for machine, value in ((one, "1"), (other, "2")):
        machine.out(0, *forgetful, "xenstore-write", "/which", value)
    for machine, value in ((one, "1"), (other, "2")):
        assert machine.out(0, *forgetful, "xenstore-read", "/which") == value + "\n"
    assert not os.path.exists("/run/xenstored/socket"), "nothing is left on the host"


def test_no_other_domain_sees_it(machine, forgetful):
    assert machine.exec(1, "test", "-e", "/run/xenstored/socket").returncode == 1
    assert machine.out(1, *forgetful, "xenstore-read", "domid") == "1\n"


def test_what_else_the_host_has_beside_it_is_there(machine):
    assert set(os.listdir("/run")) <= set(machine.out(0, "ls", "-A", "/run").splitlines())
    assert set(os.listdir("/sys")) <= set(machine.out(0, "ls", "-A", "/sys").splitlines())
    assert machine.out(0, "ls", "/sys/class/net", "/sys/kernel") == \
        subprocess.check_output(["ls", "/sys/class/net", "/sys/kernel"], text=True)


@pytest.mark.parametrize("profile, guest, features", [("pv", "PV", "000008e0"),
                                                      ("pvh", "PVH", "00000805")])
def test_sys_hypervisor_says_what_the_hypercall_answers(serve, profile, guest, features):
    machine = serve("--way", "device", "--profile", profile)
    lines = machine.out(0, "sh", "-c", "cd /sys/hypervisor && grep -r . type guest_type version "
                "properties/pagesize properties/virtual_start properties/features").splitlines()
    assert sorted(lines) == sorted([
        "type:xen", "guest_type:" + guest, "version/major:4", "version/minor:17",
        "version/extra:.7", "properties/pagesize:1000",
        "properties/virtual_start:ffff800000000000", "properties/features:" + features])
    assert machine.out(1, "cat", "/sys/hypervisor/properties/features") == \
        "%08x\n" % (int(features, 16) & ~0x800)


def test_sys_hypervisor_is_read_only_and_tells_of_absence(machine):
    assert machine.exec(0, "sh", "-c", "echo x > /sys/hypervisor/type").returncode
    denied = machine.exec(0, "cat", "/sys/hypervisor/properties/buildid")
    assert "No data available" in denied.stderr
    assert machine.out(1, "cat", "/sys/hypervisor/properties/buildid") == "<denied>"


def test_sys_hypervisor_lists_its_names_with_their_types(machine):
    kinds = machine.out(0, "find", "/sys/hypervisor", "-mindepth", "1", "-printf", "%y %Y %P\\n")
    listed = {name: kind for kind, real, name in map(str.split, kinds.splitlines())
              if kind == real}
    assert listed["type"] == "f" and listed["version"] == "d" and listed["version/major"] == "f"
    assert len(listed) == len(kinds.splitlines())


def test_xenbus_backend_gives_domain_0_its_port_and_page(machine):
    port, listed, used = python(machine, 0, """
fd = os.open("/dev/xen/xenbus_backend", os.O_RDWR)
print(fcntl.ioctl(fd, %d))
page = mmap.mmap(fd, 4096)
os.write(os.open("/dev/xen/xenbus", os.O_RDWR), struct.pack("<IIII2s", 1, 0, 0, 2, b"/\\0"))
print("xenbus_backend" in os.listdir("/dev/xen"))
print(struct.unpack_from("<I", page, 2052)[0])
""" % EVTCHN)
    ports = machine.json("dump", "ports", "0")["ports"]
    assert int(port) == ports[0]["port"] and listed == "True"
    assert int(used) >= 18, "it is the page over which the kernel talks"


@pytest.mark.parametrize("call, answer", [
    ("mmap.mmap(fd, 8192)", "EINVAL"), ("mmap.mmap(fd, 4096, offset=4096)", "EINVAL"),
    ("fcntl.ioctl(fd, 0x4202)", "ENOTTY"), ("os.read(fd, 1)", "EINVAL")])
def test_xenbus_backend_refuses_what_it_has_not(machine, call, answer):
    assert python(machine, 0, """
fd = os.open("/dev/xen/xenbus_backend", os.O_RDWR)
try:
    %s
except OSError as error:
    print(errno.errorcode[error.errno])
""" % call) == [answer]


def test_a_store_that_was_heard_cannot_move_to_another_domain(machine):
    machine.out(0, "sh", "-c", "unset XENSTORED_PATH; exec xenstore-exists /tool")
    assert python(machine, 0, """
file = os.open("/dev/xen/xenbus", os.O_RDWR)
os.write(file, struct.pack("<IIII2s", 1, 0, 0, 2, b"/\\0"))
os.read(file, 4096)
try:
    fcntl.ioctl(os.open("/dev/xen/xenbus_backend", os.O_RDWR), %d, 1)
except OSError as error:
    print(errno.errorcode[error.errno])
""" % SETUP) == ["EEXIST"]


def test_other_domains_have_no_xenbus_backend(machine):
    assert python(machine, 1, """
try:
    os.open("/dev/xen/xenbus_backend", os.O_RDWR)
except OSError as error:
    print(errno.errorcode[error.errno])
""") == ["ENOENT"]
