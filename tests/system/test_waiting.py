# SPDX-License-Identifier: MIT
"""How programs wait for event channels: epoll and signals."""
import os
import signal
import subprocess
import sys

import pytest


@pytest.mark.parametrize("how", ["level", "edge", "oneshot", "both"])
def test_epoll_sees_every_event(machine, compiled, how):
    done = machine.exec(1, compiled("waiter"), how)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
    machine.audit()


@pytest.mark.parametrize("how", ["sigio", "fioasync", "setsig", "thread", "group", "others"])
def test_who_asks_for_signals_gets_them(machine, compiled, how):
    done = machine.exec(1, compiled("waiter"), how)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
    machine.audit()


def test_nobody_can_have_a_stranger_signalled(machine, compiled):
    """The owner of a descriptor may be any process; who named it must be one that could have sent
    the signal."""
    if os.geteuid() != 0:
        pytest.skip("needs two users")
    victim = subprocess.Popen(["sleep", "1000"])
    try:
        assert machine.exec(1, "chmod", "666", "/dev/xen/evtchn").returncode == 0
        done = machine.exec(1, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                            sys.executable, "-c", """
import fcntl, os, struct
receiver, sender = (os.open("/dev/xen/evtchn", os.O_RDWR) for _ in range(2))
def call(fd, nr, *words):
    return fcntl.ioctl(fd, nr | ord("E") << 8 | 4 * len(words) << 16, bytearray(struct.pack("I" * len(words), *words)), True)
port = call(receiver, 2, 1)
local = call(sender, 1, 1, port)
fcntl.fcntl(receiver, fcntl.F_SETOWN, %d)
fcntl.fcntl(receiver, fcntl.F_SETFL, os.O_RDWR | os.O_ASYNC)
call(sender, 4, local)
print(struct.unpack("I", os.read(receiver, 4))[0] == port)
""" % victim.pid)
        # The kernel itself has refused it, or our server has.
        assert done.returncode == 0 or "PermissionError" in done.stderr, done.stderr
        machine.audit()
        assert victim.poll() is None, "SIGIO ends a process that does not handle it"
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()
