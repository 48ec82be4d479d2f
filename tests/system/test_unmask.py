# SPDX-License-Identifier: MIT
"""Over a socket a program unmasks a port without a message, in a page that it shares with the
machine; and nobody can tell the difference."""
import errno
import mmap
import os
import select
import socket
import struct

import pytest

import gntsim
import harness
from test_socket import IOCTL, MAGIC, OPEN, VERSION, WRITE, Peer, ioctl

pytestmark = pytest.mark.needs_no_machine      # that is, none with device files
EVENTS_PAGE, WORDS = 9, 64
BIND_INTERDOMAIN, BIND_UNBOUND, NOTIFY = 0x00084501, 0x00044502, 0x00044504


class Device(Peer):
    """An open evtchn device of domain 1, with its page and a port that is bound to another one of
    its own, and unmasked."""

    def __init__(self, machine):
        super().__init__(machine.exec(1, "sh", "-c", "echo $GNTSIM_SOCKET").stdout.strip())
        self.events = self.fd_of(OPEN, struct.pack("III12s", MAGIC, VERSION, os.O_RDWR, b"evtchn"))
        self.file = self.fd_of(EVENTS_PAGE)
        self.page = mmap.mmap(self.file, 4096)
        self.other = self.call(BIND_UNBOUND, 1)
        self.port = self.call(BIND_INTERDOMAIN, 1, self.other)
        assert self.read() == self.port, "every freshly bound channel has an event"
        self.ask()

    def fd_of(self, op, body=b""):
        self.message(op, body)
        data, (fd,), _, _ = socket.recv_fds(self.socket, 4096, 4)
        assert struct.unpack_from("q", data, 8) == (0,)
        return fd

    def call(self, cmd, *words):
        self.message(IOCTL, ioctl(cmd, 4096, [(4096, 4 * len(words))],
                                  struct.pack("%dI" % len(words), *words)))
        return self.reply()[0]

    def ask(self):
        """Unmasks the port as the library does, which asks if it must."""
        if self.may:
            self.unmask()
        self.message(WRITE, struct.pack("I", self.port))
        return self.reply()[0]

    def notify(self):
        assert self.call(NOTIFY, self.other) == 0

    def read(self):
        assert select.select([self.events], [], [], harness.PATIENCE)[0]
        return struct.unpack("I", os.read(self.events, 4))[0]

    def is_quiet(self):
        return not select.select([self.events], [], [], 0)[0]

    @property
    def may(self):
        return struct.unpack_from("I", self.page, 0)[0]

    def words(self, at):
        return struct.unpack_from("%dQ" % WORDS, self.page, at)

    @property
    def late(self):
        return bool(self.words(8 + 8 * WORDS)[self.port // 64] >> self.port % 64 & 1)

    def unmask(self):
        """As the library does, without asking."""
        at = 8 + self.port // 64 * 8
        struct.pack_into("Q", self.page, at,
                         struct.unpack_from("Q", self.page, at)[0] | 1 << self.port % 64)
        struct.pack_into("I", self.page, 4, 1)


@pytest.fixture
def machine(serve, compiled, monkeypatch):
    monkeypatch.setenv("GNTSIM_WAY", "socket")
    started = serve()
    started.new = lambda domain: started.agent(domain, compiled("agent"))
    return started


@pytest.fixture
def device(machine):
    return Device(machine)


def test_a_port_is_unmasked_before_the_next_operation_of_anybody(machine, device):
    assert device.may
    device.notify()
    for _ in range(2):
        assert device.read() == device.port
        device.unmask()
        device.notify()
    assert device.read() == device.port
    device.unmask()
    assert any(device.words(8)), "nobody was asked"
    machine.stats()
    assert not any(device.words(8)), "the machine takes note first"
    machine.audit()


def test_an_event_that_came_before_waits_for_a_message(device):
    device.notify()
    assert device.read() == device.port and not device.late
    device.notify()
    assert device.late and device.is_quiet()
    assert device.ask() == 4
    assert not device.late and device.read() == device.port


def test_a_program_must_ask_while_somebody_wants_to_know(machine, device):
    with gntsim.Machine.attach(machine.dir) as attached:
        attached.call("trace", on=True)
        assert not device.may
        attached.call("trace", on=False)
        assert device.may
        rule = attached.call("fault-add", at="write", do={"errno": "EIO"}, times=1)["id"]
        assert not device.may and device.ask() == -errno.EIO
        device.unmask()
        attached.call("fault-remove", id=rule)
        assert device.may


def test_whatever_a_program_writes_into_its_page_hurts_nobody(machine, device):
    for junk in (b"\xff", b"\x55", b"\1"):
        device.page[:] = junk * 4096
        machine.stats()
        device.notify()
    with pytest.raises(PermissionError):
        os.ftruncate(device.file, 0)
    device.close()
    os.close(device.events)
    harness.eventually(lambda: machine.stats()["open_files"] == 0, machine.stats)
    machine.audit()


def test_only_an_evtchn_device_has_such_a_page(machine):
    one = Peer(machine.exec(1, "sh", "-c", "echo $GNTSIM_SOCKET").stdout.strip())
    one.open(b"gntdev")
    one.message(EVENTS_PAGE)
    assert one.reply()[0] == -errno.EINVAL
    one.close()


def test_the_library_asks_only_if_an_event_came_meanwhile(machine):
    agent = machine.new(1)
    port = int(agent("evtchn-unbound", 1))
    local = int(agent("evtchn-bind", 1, port))

    def asked():
        before = machine.stats()["socket_requests"]
        agent("evtchn-unmask", local)
        return machine.stats()["socket_requests"] - before

    agent.wait()
    agent("evtchn-unmask", local)
    agent("evtchn-notify", port)
    assert agent.wait() == local and asked() == 0
    agent("evtchn-notify", port)
    assert agent.wait() == local
    agent("evtchn-notify", port)
    assert asked() == 1, "the event waited, masked"
    assert agent.wait() == local
