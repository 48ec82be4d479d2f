# SPDX-License-Identifier: MIT
"""Who is protected from whom (docs/reference.md): other users, and programs from others' accidents.
Accidents with mappings are in test_gone.py."""
import os
import subprocess
import sys

import pytest

import harness

# What another user tries: prints each that succeeded.
REACH = """
import os, socket, sys
directory, pids = sys.argv[1], sys.argv[2:]
def tried(what, do):
    try:
        do()
        print(what)
    except OSError:
        pass
def connect():
    socket.socket(socket.AF_UNIX).connect(directory + "/control")
tried("the machine's directory", lambda: os.listdir(directory))
tried("its socket", connect)
for pid in pids:
    tried("descriptors of %s" % pid, lambda: os.listdir("/proc/%s/fd" % pid))
    tried("memory of %s" % pid, lambda: open("/proc/%s/mem" % pid, "rb"))
    tried("mappings of %s" % pid, lambda: os.listdir("/proc/%s/map_files" % pid))
    tried("the root of %s" % pid, lambda: os.listdir(os.path.join("/proc/%s/root" % pid, "dev/xen")))
    for fd in range(64):
        tried("descriptor %d of %s" % (fd, pid), lambda: os.open("/proc/%s/fd/%d" % (pid, fd), os.O_RDONLY))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as another user")
def test_another_user_of_the_host_reaches_neither_the_machine_nor_its_programs(machine):
    agent = machine.new(1)
    _, refs = agent.share(2, 1)
    agent.map("rw", 1, *refs)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                           "--inh-caps=-all", sys.executable, "-c", REACH,
                           str(machine.dir), str(machine.server.pid), str(agent.pid)],
                          capture_output=True, text=True, timeout=harness.PATIENCE)
    assert (done.returncode, done.stdout) == (0, ""), done


def test_the_entry_of_32_bit_programs_leads_to_no_device_and_rearranges_nothing(machine, compiled):
    done = machine.exec(1, compiled("entry32"))
    if done.returncode < 0 or "ENOSYS" in done.stdout:
        pytest.skip("this kernel has no such entry")
    assert done.stdout.split() == ["ENOTTY", "ENOTTY", "ENOMEM", "EINVAL", "EINVAL"], done
    harness.eventually(lambda: "32-bit" in machine.stderr(), "it is said")
    assert machine.stderr().count("is a 32-bit program") == 1
    machine.quiet()
