# SPDX-License-Identifier: MIT
"""/dev/xen/xenbus over device files: Debian's xenstore programs on it, unmodified, and what happens
when either side dies, stops, or breaks the ring page."""
import re
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import gntsim
import harness

HEADER = struct.Struct("<IIII")
CONTROL, READ, WATCH, START, EVENT = 0, 2, 4, 6, 15
RING_PAGE, STORE_PORT = 1, 1        # the reserved reference and the first port of a domain
REQ_PROD, ERROR_FIELD = 2052, 2072

# A program on the device that says what it likes. Each line of its input is Python.
CLIENT = """
import os, struct, sys
HEADER = struct.Struct("<IIII")
fd = os.open("/dev/xen/xenbus", os.O_RDWR)
def ask(type, body=b"", tx=0):
    os.write(fd, HEADER.pack(type, 7, tx, len(body)) + body)
def take():
    header = HEADER.unpack(whole(HEADER.size))
    return header[0], header[1], header[2], whole(header[3])
def whole(size):
    said = b""
    while len(said) < size:
        more = os.read(fd, size - len(said))
        if not more:
            raise EOFError
        said += more
    return said
print("ready", flush=True)
for line in sys.stdin:
    try:
        said = eval(line)
    except (EOFError, OSError) as error:
        said = getattr(error, 'errno', 0)
    print(repr(said), flush=True)
"""


@pytest.fixture
def machine(serve):
    return serve("--way", "device")


@pytest.fixture
def toolstack(machine):
    with gntsim.Machine.attach(machine.dir) as attached:
        yield attached.store


def out(machine, domain, *command):
    return machine.out(domain, "env", "-u", "XENSTORED_PATH", *command)


class Client:
    """A process of a domain with the device open."""

    def __init__(self, machine, domain):
        self.process = machine.popen(domain, sys.executable, "-c", CLIENT, text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == "ready\n"

    def send(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def result(self):
        return eval(self.process.stdout.readline())

    def __call__(self, line):
        self.send(line)
        return self.result()

    def kill(self):
        self.process.kill()
        self.process.wait(harness.PATIENCE)
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def client(machine):
    clients = []

    def new(domain):
        clients.append(Client(machine, domain))
        return clients[-1]

    yield new
    for each in clients:
        each.kill()


def counts(toolstack):
    """Of domain 1: its watches and its transactions."""
    text = toolstack.request(CONTROL, b"quota\x001\0").decode()
    return tuple(int(re.search(r"%s *: *(\d+)" % what, text)[1])
                 for what in ("watches", "transactions"))


def said(reply):
    return reply[3].decode().rstrip("\0")


def test_xens_programs_find_the_store_without_being_told_of_a_socket(machine):
    assert out(machine, 1, "xenstore-read", "domid", "name") == "1\ndomain-1\n"
    out(machine, 1, "xenstore-write", "data/x", "value")
    assert out(machine, 0, "xenstore-read", "/local/domain/1/data/x") == "value\n"
    assert "data/x" in out(machine, 0, "xenstore-ls", "-f", "/local/domain/1")
    assert machine.exec(1, "env", "-u", "XENSTORED_PATH", "xenstore-read",
                        "/local/domain/0/name").returncode == 1
    machine.audit()


def test_the_device_and_the_socket_lead_to_one_store(machine, toolstack):
    machine.exec(1, "xenstore-write", "data/socket", "1")
    out(machine, 1, "xenstore-write", "data/device", "2")
    assert toolstack.ls("/local/domain/1/data") == ["socket", "device"]


def test_a_domain_finds_its_page_and_its_ports_as_a_toolstack_names_them(machine):
    machine.must("domain", "create", "1")
    entries = machine.json("dump", "entries", 1)["entries"]
    frames = {row["ref"]: row["frame"] for row in entries if row["ref"] < 8}
    assert sorted(frames) == [0, 1] and {row["to"] for row in entries} == {0}
    console = out(machine, 1, "xenstore-read", "console/ring-ref", "console/port")
    store = out(machine, 1, "xenstore-read", "store/ring-ref", "store/port")
    assert console.split() == [str(frames[0]), "2"]
    assert store.split() == [str(frames[1]), "1"]
    ports = {row["port"]: (row["state"], row["remote_domain"])
             for row in machine.json("dump", "ports", 1)["ports"]}
    assert ports == {1: ("unbound", 0), 2: ("unbound", 0)}


def test_a_message_in_many_writes_and_one_that_is_too_long(machine, client):
    c = client(1)
    c(r'[os.write(fd, bytes([b])) for b in HEADER.pack(2, 9, 0, 6) + b"domid\0"]')
    assert c("take()") == (READ, 9, 0, b"1")
    assert c(r"os.write(fd, bytes(4097))") == 22                                # EINVAL
    assert c(r"os.write(fd, HEADER.pack(2, 9, 0, 4081))") == 7                  # E2BIG
    c(r'ask(2, b"domid\0", tx=5)')
    assert said(c("take()")) == "ENOENT"
    assert c("__import__('select').select([fd], [fd], [], 0)") == ([], [], [])
    assert c("os.lseek(fd, 0, 0)") == 29                                        # ESPIPE


def test_a_watch_wakes_a_reader_and_poll(machine, client, toolstack):
    c = client(1)
    c(r'ask(4, b"data\0mine\0")')
    assert c("take()") == (WATCH, 7, 0, b"OK\0")
    assert c("take()") == (EVENT, 0, 0, b"data\0mine\0")
    c.send("__import__('select').select([fd], [], [], 60)[0] == [fd] and take()")
    toolstack.write("/local/domain/1/data/y", "1")
    assert c.result() == (EVENT, 0, 0, b"data/y\0mine\0")
    c.send("take()")
    toolstack.write("/local/domain/1/data/y", "2")
    assert c.result()[0] == EVENT


def test_a_killed_program_leaves_no_watch_and_no_transaction(machine, client, toolstack):
    c = client(1)
    c(r'ask(4, b"data\0t\0")')
    c("(take(), take())")
    c(r'ask(6, b"\0")')
    assert c("take()")[0] == START
    assert counts(toolstack) == (1, 1)
    c.kill()
    harness.eventually(lambda: counts(toolstack) == (0, 0), "watch and transaction are gone")
    machine.audit()


def test_a_stopped_program_holds_up_nobody(machine, client, toolstack):
    stopped, other = client(1), client(1)
    for each in (stopped, other):
        each(r'ask(4, b"data\0t\0")')
        each("(take(), take())")
    stopped.process.send_signal(signal.SIGSTOP)
    for i in range(200):
        toolstack.write("/local/domain/1/data/%d" % i, "x" * 100)
        assert other("take()")[3].startswith(b"data/%d\0" % i)
    stopped.process.send_signal(signal.SIGCONT)
    assert stopped("take()")[3].startswith(b"data/0\0")
    machine.audit()


def test_a_destroyed_domain_wakes_its_readers_with_an_error(machine, client):
    c = client(1)
    c.send("take()")
    machine.must("domain", "destroy", "1")
    c.process.wait(harness.PATIENCE)
    machine.audit()
    machine.must("domain", "create", "1")
    assert out(machine, 1, "xenstore-read", "domid") == "1\n"


def test_a_program_goes_on_over_a_suspend_and_its_transaction_does_not(machine, client, toolstack):
    c = client(1)
    c(r'ask(4, b"data\0mine\0")')
    c("(take(), take())")
    c(r'ask(6, b"\0")')
    tx = int(said(c("take()")))
    machine.must("domain", "suspend", "1")
    c(r'ask(7, b"T\0", tx=%d)' % tx)
    assert c("take()")[0] == EVENT, "the watch is set anew"
    assert said(c("take()")) == "EAGAIN"
    toolstack.write("/local/domain/2/data/z", "1")
    assert c("take()") == (EVENT, 0, 0, b"data/z\0mine\0")
    c(r'ask(2, b"domid\0")')
    assert said(c("take()")) == "2"
    machine.audit()


def test_a_broken_ring_costs_its_own_domain_only(machine, client):
    machine.must("domain", "create", "2")
    with gntsim.Machine.attach(machine.dir) as attached:
        attached.call("guest-write", domain=2, ref=RING_PAGE, offset=REQ_PROD,
                      hex=struct.pack("<I", 5000).hex())
        attached.call("guest-event-send", domain=2, port=STORE_PORT)
        error = attached.call("guest-read", domain=2, ref=RING_PAGE, offset=ERROR_FIELD, size=4)
        assert error["hex"] == "02000000", "ring index"
    assert out(machine, 1, "xenstore-read", "domid") == "1\n"
    assert out(machine, 0, "xenstore-read", "/local/domain/2/domid") == "2\n"
    machine.must("domain", "destroy", "2")
    machine.must("domain", "create", "2")
    assert out(machine, 2, "xenstore-read", "domid") == "2\n", "a new domain, a new page"


def test_a_guest_that_never_stops_asking_lets_others_on(machine, client):
    c, other = client(1), client(2)
    c("setattr(os, 'n', [ask(2, b'domid' + bytes(1)) for _ in range(5000)])")
    for _ in range(20):
        other(r'ask(2, b"domid\0")')
        assert said(other("take()")) == "2"
    assert c("[take()[3] for _ in range(5000)] == [b'1'] * 5000")
    machine.audit()


def test_requests_over_the_ring_are_replayed_event_by_event(serve, tmp_path):
    machine = serve("--way", "device", "--trace", str(tmp_path / "trace"))
    assert out(machine, 1, "xenstore-write", "data/x", "1") == ""
    assert out(machine, 1, "xenstore-ls", "data") == 'x = "1"\n'
    machine.must("domain", "suspend", "1")
    machine.stop()
    done = harness.gntsim("replay", str(tmp_path / "trace"))
    assert done.returncode == 0 and "all as recorded" in done.stdout, done
    assert '"store_ring"' in (tmp_path / "trace").read_text()


def test_a_killed_server_ends_every_call(machine, client):
    c = client(1)
    c.send("take()")
    machine.server.kill()
    machine.server.wait(harness.PATIENCE)
    machine.stopped = True
    assert c.result() in (103, 107), "ECONNABORTED or ENOTCONN"
    c.kill()


TEST_XENSTORE = sorted(Path("/usr/lib").glob("xen-*/bin/test-xenstore"))


@pytest.mark.skipif(not TEST_XENSTORE, reason="test-xenstore (Debian's xen-utils) is not there")
def test_xens_own_test_of_a_store_passes_over_the_device(machine):
    done = out(machine, 0, TEST_XENSTORE[0], "-i", "50")
    assert len(done.splitlines()) == 12, done
