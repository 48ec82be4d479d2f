# SPDX-License-Identifier: MIT
"""Programs of a domain make and use pseudo-terminals, and existing ones keep their names."""
import os
import subprocess
from pathlib import Path

import pytest

import harness
from harness import GNTSIM, gntsim

PYTHON = """
import os, tty
master, slave = os.openpty()
tty.setraw(slave)
os.write(master, b"there")
assert os.read(slave, 5) == b"there"
os.write(slave, b"back")
assert os.read(master, 4) == b"back"
assert os.stat(os.ttyname(slave)).st_rdev == os.fstat(slave).st_rdev
print("done")
"""

# A container's /dev: few nodes, terminals of its own, ptmx a link into them.
CONTAINER = """
mount -t tmpfs -o mode=0755 container "$0/dev" && cd "$0/dev" && mkdir pts shm && ln -s pts/ptmx ptmx &&
for node in null zero full random urandom tty fuse; do : >$node; mount --bind /dev/$node $node; done &&
mount -t devpts -o newinstance,ptmxmode=0666 devpts pts && cd / && mount --rbind "$0/dev" /dev && exec "$@"
"""

# A host with Xen devices of its own, which an ordinary user's gntsim shows around.
XEN_HOST = """
mount -t tmpfs -o mode=0755,dev host "$0/dev" && cd "$0/dev" && mkdir pts shm xen && echo real >xen/gntdev && chmod 666 xen/gntdev && mknod -m 666 ptmx c 5 2 &&
mknod -m 666 fuse c 10 229 && for node in null zero full random urandom tty; do : >$node; mount --bind /dev/$node $node; done &&
mount --rbind /dev/pts pts && cd / && mount --rbind "$0/dev" /dev &&
exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "$@"
"""


def within(place, script, *command, user_ns):
    """Runs a command on a host whose /dev is as the script makes it."""
    (place / "dev").mkdir(exist_ok=True)
    place.chmod(0o755)
    argv = ["unshare", *(["--user", "--map-root-user"] if user_ns else []), "--mount",
            "--propagation", "private", "sh", "-c", script, str(place)]
    tried = subprocess.run([*argv, GNTSIM, "--version"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip("such a host cannot be made here: " + tried.stderr)
    return subprocess.run([*argv, *map(str, command)], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)


def test_a_c_program_makes_terminals_in_either_way_and_uses_them(compiled):
    done = gntsim("run", "--way", "device", "--", compiled("terminal"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("done /dev/pts/")


def test_a_python_program_makes_terminals_and_finds_their_names():
    done = gntsim("run", "--way", "device", "--", "python3", "-c", PYTHON)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_script_runs_a_command_on_a_terminal():
    done = gntsim("run", "--way", "device", "--", "script", "-qec", "tty && exit 7", "/dev/null")
    assert done.returncode == 7, done.stdout + done.stderr
    assert "/pts/" in done.stdout


def test_a_terminal_that_is_there_already_keeps_its_name():
    master, slave = os.openpty()
    try:
        done = gntsim("run", "--way", "device", "--", "sh", "-c", "tty && test -c $(tty)",
                      stdin=slave)
        assert (done.returncode, done.stdout.strip()) == (0, os.ttyname(slave)), done.stderr
    finally:
        os.close(slave)
        os.close(master)


def test_terminals_of_several_domains_are_those_of_one_host(serve, compiled):
    machine = serve("--way", "device")
    outside, slave = os.openpty()
    try:
        for domain in (1, 2):
            done = machine.exec(domain, compiled("terminal"))
            assert done.returncode == 0, done.stderr
            assert done.stdout.strip() != "done " + os.ttyname(slave), "two terminals of one name"
            assert machine.exec(domain, "test", "-c", os.ttyname(slave)).returncode == 0
    finally:
        os.close(slave)
        os.close(outside)


def test_terminals_of_a_container_are_the_containers(place, compiled):
    done = within(place, CONTAINER, GNTSIM, "run", "--way", "device", "--", compiled("terminal"),
                  user_ns=os.geteuid() != 0)
    assert (done.returncode, done.stdout) == (0, "done /dev/pts/0\n"), done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make such a host")
def test_a_hosts_own_xen_devices_are_out_of_sight(place, compiled):
    command = 'ls -A /dev/xen; echo "host: $(ls -A /dev/.host/xen)"; exec "$0"'
    done = within(place, XEN_HOST, GNTSIM, "run", "--way", "device", "--", "sh", "-c", command,
                  compiled("terminal"), user_ns=False)
    if "this is a chroot" in done.stderr:
        pytest.skip("in a chroot no ordinary user has device files")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:-2] == [*harness.INITIAL_DEVICES, "host:"]
    assert not Path("/dev/.host").exists()
