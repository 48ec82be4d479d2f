# SPDX-License-Identifier: MIT
"""The machine's store: Debian's xenstore programs, unmodified, in its domains.

Also what a toolstack writes into it, and clients that die, stop and lie."""
import os
import random
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import gntsim
import harness

sys.path.append(str(harness.SOURCE / "tests" / "conformance" / "store"))
import differ  # noqa: E402

HEADER = struct.Struct("<IIII")


@pytest.fixture
def machine(serve):
    return serve()


@pytest.fixture
def toolstack(machine):
    with gntsim.Machine.attach(machine.dir) as attached:
        yield attached.store


def raw(machine, domain):
    """A connection to the domain's store that says what it likes."""
    with gntsim.Machine.attach(machine.dir) as attached:
        path = attached.call("store-socket", domain=domain)["socket"]
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    client.settimeout(harness.PATIENCE)
    return client


def test_programs_of_domain_0_write_and_read(machine):
    machine.out(0, "xenstore-write", "/a/b", "value", "/a/c", "other")
    assert machine.out(0, "xenstore-read", "/a/b") == "value\n"
    assert machine.out(0, "xenstore-list", "/a") == "b\nc\n"
    machine.out(0, "xenstore-chmod", "/a/b", "r0", "w1")
    assert machine.out(0, "xenstore-ls", "-f", "-p", "/a") == \
        '/a/b = "value"   (r0,w1)\n/a/c = "other"   (n0)\n'
    machine.out(0, "xenstore-rm", "/a/b")
    assert machine.exec(0, "xenstore-read", "/a/b").returncode == 1
    machine.audit()


def test_a_domain_finds_what_a_toolstack_writes_with_its_permissions(machine):
    assert machine.out(1, "xenstore-read", "domid") == "1\n"
    listing = machine.out(0, "xenstore-ls", "-f", "-p", "/local/domain/1")
    for line in ('/local/domain/1/name = "domain-1"   (n0,r1)',
                 '/local/domain/1/domid = "1"   (n0,r1)',
                 '/local/domain/1/control/shutdown = ""   (n1)', '/local/domain/1/data = ""   (n1)',
                 '/local/domain/1/device/suspend = ""   (n0,r1)',
                 '/local/domain/1/device/suspend/event-channel = ""   (n1)',
                 '/local/domain/1/cpu/0/availability = "online"   (n0,r1)'):
        assert line in listing.splitlines(), listing
    vm = machine.out(1, "xenstore-read", "vm").strip()
    assert machine.out(0, "xenstore-read", vm + "/uuid").strip() == vm[len("/vm/"):]
    assert machine.out(0, "xenstore-ls", "-f", "-p", "/libxl") == \
        '/libxl/1 = ""   (n0)\n/libxl/1/device = ""   (n0)\n' + \
        ''.join('/libxl/1/device/console%s = "%s"   (n0)\n' % row for row in (
            ("", ""), ("/0", ""), ("/0/frontend", "/local/domain/1/console"),
            ("/0/backend", "/local/domain/0/backend/console/1/0"), ("/0/frontend-id", "1"),
            ("/0/online", "1"), ("/0/state", "1"), ("/0/protocol", "vt100"))) + \
        '/libxl/1/type = "pv"   (n0)\n/libxl/1/dm-version = "qemu_xen"   (n0)\n'
    assert machine.out(0, "xenstore-read", "domid", "/local/domain/0/name") == "0\nDomain-0\n"


def test_a_fresh_pv_domain_has_the_nodes_and_permissions_that_it_has_on_a_real_xen(machine):
    """fresh-domain.txt is what a real Xen 4.17.7 printed after `xl create` (howto-conformance)."""
    machine.must("domain", "create", "1")
    listed = differ.comparable(machine.out(0, "xenstore-ls", "-f", "-p", "/"))
    assert listed == differ.comparable(differ.FRESH_DOMAIN.read_text())
    assert len(listed) > 75


def test_a_domain_writes_its_own_and_nothing_else(machine):
    machine.must("domain", "create", "2")
    machine.out(1, "xenstore-write", "data/x", "1", "control/shutdown", "", "drivers/y", "2")
    for path in ("name", "domid", "memory/target", "/tool/x", "/local/domain/2/data/x"):
        assert machine.exec(1, "xenstore-write", path, "1").returncode == 1, path
    assert machine.exec(1, "xenstore-ls", "/local/domain/2").returncode == 1
    assert machine.exec(2, "xenstore-read", "/local/domain/1/data/x").returncode == 1
    machine.out(1, "xenstore-chmod", "data/x", "n1", "r2")
    assert machine.out(2, "xenstore-read", "/local/domain/1/data/x") == "1\n"


def test_what_a_domain_had_goes_with_it(machine, toolstack):
    machine.out(1, "xenstore-write", "data/x", "1")
    toolstack.mkdir("/shared")
    toolstack.set_perms("/shared", "b0")
    machine.out(1, "xenstore-write", "/shared/mine", "1")
    toolstack.write("/shared/ours", "0")
    toolstack.watch("@releaseDomain", "gone")
    assert toolstack.event() == ("@releaseDomain", "gone")
    machine.must("domain", "destroy", "1")
    assert toolstack.event() == ("@releaseDomain", "gone")
    assert toolstack.ls("/shared") == ["ours"]
    for root in ("/local/domain", "/vm", "/libxl"):
        assert toolstack.ls(root) == ([] if root != "/local/domain" else ["0"])
    machine.must("domain", "create", "1")
    assert toolstack.read("/local/domain/1/domid") == b"1"
    assert not toolstack.exists("/local/domain/1/data/x")
    machine.audit()


def test_a_suspended_domain_is_in_the_store_under_its_new_id(machine, toolstack):
    machine.must("domain", "create", "1")
    now = machine.json("domain", "suspend", "1")["domain"]
    assert toolstack.ls("/local/domain") == ["0", str(now)]
    assert toolstack.read("/local/domain/%d/domid" % now) == b"%d" % now
    machine.audit()


def test_a_program_that_watches_is_woken_by_another_domain(machine, toolstack):
    watcher = machine.popen(1, "xenstore-watch", "-n", "3", "data/go", stdout=subprocess.PIPE,
                            text=True)
    assert watcher.stdout.readline().strip() == "data/go"
    toolstack.write("/local/domain/1/data/go", "now")
    assert watcher.stdout.readline().strip() == "data/go"
    toolstack.rm("/local/domain/1/data")
    assert watcher.stdout.readline().strip() == "data/go"
    assert watcher.wait(harness.PATIENCE) == 0


def test_two_machines_do_not_meet(serve):
    one, other = serve(), serve()
    one.out(0, "xenstore-write", "/which", "one")
    other.out(0, "xenstore-write", "/which", "other")
    assert one.out(0, "xenstore-read", "/which") == "one\n"
    assert other.out(0, "xenstore-read", "/which") == "other\n"


def test_a_program_that_was_told_of_another_store_keeps_it(machine):
    env = dict(os.environ, XENSTORED_PATH="/somewhere/else")
    tell = ("sh", "-c", "echo $XENSTORED_PATH")
    assert machine.exec(1, *tell, env=env).stdout == "/somewhere/else\n"
    inner = machine.exec(1, *tell).stdout
    env = dict(os.environ, XENSTORED_PATH=inner.strip(), GNTSIM_STORE=inner.strip())
    assert machine.exec(2, *tell, env=env).stdout not in (inner, "\n")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_watcher_that_dies_or_stops_holds_up_nobody(machine, toolstack, how):
    watcher = machine.popen(1, "xenstore-watch", "data", stdout=subprocess.PIPE, text=True)
    assert watcher.stdout.readline().strip() == "data"
    os.kill(watcher.pid, how)
    for i in range(2000):
        toolstack.write("/local/domain/1/data/%d" % (i % 50), "x" * 1000)
    assert machine.out(1, "xenstore-read", "data/7") == "x" * 1000 + "\n"
    os.kill(watcher.pid, signal.SIGKILL)
    watcher.wait(harness.PATIENCE)
    machine.audit()


def test_a_destroyed_domain_ends_its_programs_connections(machine):
    machine.must("domain", "create", "3")
    client = raw(machine, 3)
    machine.must("domain", "destroy", "3")
    assert client.recv(100) == b""
    client.close()
    machine.must("domain", "create", "3")
    assert machine.out(3, "xenstore-read", "domid") == "3\n"


def test_a_message_that_is_too_long_ends_its_connection_only(machine, toolstack):
    client = raw(machine, 0)
    client.sendall(HEADER.pack(2, 1, 0, 4097) + b"x" * 4097)
    with pytest.raises((ConnectionError, AssertionError)):
        assert client.recv(100)
    client.close()
    assert toolstack.read("/local/domain/0/domid") == b"0"


def test_half_a_message_waits_for_the_rest(machine):
    client = raw(machine, 0)
    message = HEADER.pack(2, 7, 0, 22) + b"/local/domain/0/domid\0"
    for byte in message[:-1]:
        client.sendall(bytes([byte]))
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(1)
    client.setblocking(True)
    client.sendall(message[-1:])
    assert client.recv(100) == HEADER.pack(2, 7, 0, 1) + b"0"
    client.close()


def test_nonsense_gets_errors_and_the_store_stays_whole(machine, toolstack):
    machine.must("domain", "create", "1")
    lots = random.Random(5)
    for domain in (0, 1):
        client = raw(machine, domain)
        client.setblocking(False)
        for _ in range(3000):
            body = bytes(lots.choice(b"/abdt\0TF@0123n") for _ in range(lots.randrange(12)))
            kind = lots.choice([k for k in range(30) if k not in (8, 9)])
            try:
                transaction = lots.choice([0, 0, 0, 1, 2])
                client.send(HEADER.pack(kind, 7, transaction, len(body)) + body)
                client.recv(1 << 16)
            except BlockingIOError:
                pass
        client.close()
    assert toolstack.read("/local/domain/0/domid") == b"0"
    machine.audit()


def test_a_client_that_reads_nothing_keeps_only_itself_waiting(machine, toolstack):
    machine.must("domain", "create", "1")
    client = raw(machine, 1)
    client.settimeout(0.2)
    request = HEADER.pack(2, 0, 0, 6) + b"domid\0"
    with pytest.raises(socket.timeout):
        while True:
            client.sendall(request * 100)
    assert toolstack.read("/local/domain/1/domid") == b"1"
    assert machine.out(1, "xenstore-read", "domid") == "1\n"
    client.close()
    machine.audit()


def test_too_many_clients_are_turned_away_and_the_machine_goes_on(machine, toolstack):
    machine.must("domain", "create", "1")
    with gntsim.Machine.attach(machine.dir) as attached:
        path = attached.call("store-socket", domain=1)["socket"]
    limit = len(os.listdir("/proc/%d/fd" % machine.server.pid)) + 20
    resource.prlimit(machine.server.pid, resource.RLIMIT_NOFILE, (limit, limit))
    clients = []
    for _ in range(40):
        clients.append(socket.socket(socket.AF_UNIX))
        clients[-1].connect(path)
    harness.eventually(lambda: "was turned away" in machine.stderr(), "somebody is turned away")
    assert toolstack.read("/local/domain/1/domid") == b"1"
    for client in clients:
        client.close()
    assert toolstack.read("/local/domain/1/domid") == b"1"


def test_long_lists_come_in_parts(machine, toolstack):
    for i in range(500):
        toolstack.mkdir("/many/child%05d" % i)
    names = ["child%05d" % i for i in range(500)]
    assert toolstack.ls("/many") == names
    assert machine.out(0, "xenstore-list", "/many").split() == names


def test_transactions_of_two_clients_conflict(machine, toolstack):
    toolstack.write("/counter", "0")
    tries = []

    def add():
        value = int(toolstack.read("/counter"))
        if not tries:
            machine.out(0, "xenstore-write", "/counter", "10")
        tries.append(value)
        toolstack.write("/counter", str(value + 1))
        return value

    assert toolstack.transaction(add) == 10
    assert tries == [0, 10]
    assert toolstack.read("/counter") == b"11"

    def fail():
        toolstack.write("/counter", "99")
        raise KeyError

    with pytest.raises(KeyError):
        toolstack.transaction(fail)
    assert toolstack.read("/counter") == b"11"


def test_waiting_ends_when_the_value_is_there(machine, toolstack):
    script = "read line; xenstore-write data/state 3; read line; xenstore-write data/state 4"
    writer = machine.popen(1, "sh", "-c", script, stdin=subprocess.PIPE, text=True)
    with pytest.raises(gntsim.Timeout):
        toolstack.wait("/local/domain/1/data/state", timeout=0.05)
    writer.stdin.write("\n")
    writer.stdin.flush()
    assert toolstack.wait("/local/domain/1/data/state") == b"3"
    writer.stdin.write("\n")
    writer.stdin.flush()
    assert toolstack.wait("/local/domain/1/data/state", "4") == b"4"
    assert writer.wait(harness.PATIENCE) == 0


def test_ctl_reads_and_writes_the_store(machine, toolstack):
    machine.must("store", "write", "/a/b", "wert \u00fc")
    assert machine.must("store", "read", "/a/b") == "wert \u00fc\n"
    assert toolstack.read("/a/b") == "wert \u00fc".encode()
    machine.must("store", "mkdir", "/a/c")
    assert machine.must("store", "ls", "/a") == "b\nc\n"
    machine.must("store", "chmod", "/a/c", "n0,r1")
    assert machine.must("store", "perms", "/a/c") == "n0\nr1\n"
    machine.must("store", "rm", "/a")
    refused = machine.ctl("store", "read", "/a/b")
    assert refused.returncode == 1
    assert "the store answers for /a/b: No such file or directory" in refused.stderr


TEST_XENSTORE = sorted(Path("/usr/lib").glob("xen-*/bin/test-xenstore"))


@pytest.mark.skipif(not TEST_XENSTORE, reason="test-xenstore (Debian's xen-utils) is not there")
def test_xens_own_test_of_a_store_passes(machine):
    done = machine.out(0, TEST_XENSTORE[0], "-i", "50")
    assert len(done.splitlines()) == 12, done
