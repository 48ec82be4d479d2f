# SPDX-License-Identifier: MIT
"""A slow or absent reader of a machine's output does not hold up anybody else."""
import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import struct
import subprocess
import types

import pytest

import harness
from control import Control
from test_socket import ATTACH, MAGIC, OPEN, VERSION, WRITE, Peer


@contextlib.contextmanager
def silent(machine, request=b'{"verb":"dump"}\n', times=2000):
    """A client that asks as long as it is let, and reads nothing."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(str(machine.dir / "control"))
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            for _ in range(times):
                sock.send(request)
        yield sock


def hung_up(sock):
    poll = select.poll()
    poll.register(sock, 0)
    return bool(poll.poll(0))


RESERVED = 2                        # entries, for the console and the store


@pytest.fixture
def big(machine):
    """A machine whose dump has some MiB."""
    control = Control(machine)
    control.domain_create(domain=1)
    page = control.guest_page(domain=1, count=20000)["page"]
    for first in range(0, 20000, 10000):
        control.guest_grant(domain=1, page=page + first, to=2, count=10000)
    control.close()
    return machine


def test_a_dump_may_have_any_size(big):
    text = big.must("--json", "dump")
    assert len(text) > 3 << 20
    dump = json.loads(text)
    assert len(dump["entries"]) == 20000 + RESERVED
    assert len(big.must("dump", "entries").splitlines()) == 20002 + RESERVED


def test_a_client_that_reads_slowly_gets_every_answer_whole(big):
    with silent(big, times=5) as sock:
        sock.setblocking(True)
        lines = sock.makefile("rb")
        big.must("stats")
        answers = [json.loads(lines.readline()) for _ in range(5)]
        lines.close()
    assert all(answer == answers[0] for answer in answers) and \
        len(answers[0]["result"]["entries"]) == 20000 + RESERVED


def test_clients_that_never_read_hold_nobody_up_and_are_let_go(big):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(silent(big)) for _ in range(20)]
        control = Control(big)
        for _ in range(100):
            control.stats()
        assert big.exec(3, "true").returncode == 0
        harness.eventually(lambda: all(map(hung_up, sockets)), "all are let go")
        big.says("takes no answer", 20)
        control.stats()
        control.close()


def test_a_client_that_reads_all_the_time_is_not_let_go_however_slow_it_is(big):
    with silent(big, times=1) as lazy, silent(big) as mute:
        lazy.setblocking(True)
        while not hung_up(mute):
            select.select([], [], [], 0.2)
            assert lazy.recv(30000)
        lines = lazy.makefile("rb")
        assert lines.readline().endswith(b"}}\n")
        lines.close()


def test_live_traces_that_nobody_reads_hold_nobody_up(machine):
    control = Control(machine)
    control.domain_create(domain=1)
    page = control.guest_page(domain=1)["page"]
    with silent(machine, b'{"verb":"trace-subscribe","detail":true}\n', 1) as sock:
        harness.eventually(lambda: control.trace()["on"], "the stream is there")
        while not control.trace()["first"]:
            for _ in range(50):
                control.guest_write(domain=1, page=page, offset=0, hex="5a" * 4096)
        assert not hung_up(sock), "who is slow only loses events"
        sock.setblocking(True)
        lines = sock.makefile("rb")
        assert "result" in json.loads(lines.readline())
        events = (json.loads(line) for line in lines)
        lost = next(event["lost"] for event in events if "lost" in event)
        assert lost > 0 and "seq" in next(events)
        lines.close()
    control.close()


# ---- Everything at once

KERNEL = os.path.join(os.environ.get("GNTSIM_BUILD") or str(harness.SOURCE / "build"), "tests",
                      "system", "remote-kernel")


def full_pipe():
    """(what to read from, what to write to): as small as a pipe can be, and full."""
    source, target = os.pipe()
    fcntl.fcntl(target, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(target, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(target, b"x" * 4096)
    os.set_blocking(target, True)
    return source, target


def answers(path):
    """Whether somebody listens there: the socket has its name a moment earlier."""
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(str(path))
        return True
    return False


@pytest.fixture
def unread(place):
    """A machine whose standard output, messages and trace are read by nobody."""
    os.mkfifo(place / "trace")
    trace = os.open(place / "trace", os.O_RDONLY | os.O_NONBLOCK)
    (out, to_out), (errors, to_errors) = full_pipe(), full_pipe()
    server = subprocess.Popen([harness.GNTSIM, "serve", "--verbose", "--dir", place / "m",
                               "--trace", place / "trace"], stdin=subprocess.DEVNULL,
                              stdout=to_out, stderr=to_errors)
    harness.eventually(lambda: answers(place / "m" / "control"), "it serves")
    yield types.SimpleNamespace(dir=place / "m", server=server)
    server.terminate()
    assert server.wait(harness.PATIENCE) == 1, "the trace is not whole"
    os.set_blocking(errors, False)
    assert set(os.read(errors, 1 << 20)) == {ord("x")} and not (place / "m").exists()
    for fd in (trace, out, to_out, errors, to_errors):
        os.close(fd)


def agent_of(machine, domain, program, *options):
    return harness.Agent([harness.GNTSIM, "exec", "--dir", machine.dir, "--domain", str(domain),
                          *options, "--", program], subprocess.DEVNULL)


def unread_replies(path):
    """A program that asks as long as the machine takes it, and reads no reply."""
    peer = Peer(path)
    assert peer.open() == (0, 1)
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.socket.setblocking(False)
    waits = 0
    while waits < 100:                       # the machine gets time to take what there is
        try:
            peer.message(WRITE, b"\0" * 8)
            waits = 0
        except BlockingIOError:
            waits += 1
            select.select([], [], [], 0.001)
    return peer


def unread_events(machine, program):
    """Two programs, of which one never reads the events that the other sends."""
    receiver, sender = agent_of(machine, 11, program, "--way", "socket"), agent_of(machine, 12, program, "--way", "socket")
    port = receiver.unbound(12)
    local = sender.bind(11, port)
    for _ in range(700):
        sender("evtchn-notify", local)
        receiver("evtchn-unmask", port)
    return receiver, sender


def test_whoever_reads_nothing_stops_nobody_else(unread, compiled):
    control = Control(unread)
    control.domain_create(domain=1)
    page = control.guest_page(domain=1)["page"]
    with contextlib.ExitStack() as stack:
        path = control.enter(domain=10, way="socket")["socket"]
        stack.callback(unread_replies(path).close)
        for agent in unread_events(unread, compiled("agent", harness.library_kind())):
            stack.callback(agent.kill)
        for _ in range(1000):                # messages: much more than the machine keeps of them
            peer = Peer(path)
            peer.send(b"GET / HTTP/1.1\r\n\r\n")
            peer.is_dropped()
            peer.close()
        for _ in range(1500):                # events of the trace, likewise
            control.guest_write(domain=1, page=page, offset=0, hex="5a" * 4096)
        for _ in range(3):
            stack.enter_context(silent(unread, b'{"verb":"trace-read","detail":true,"max":2000}\n'))
            stack.enter_context(silent(unread, b'{"verb":"trace-subscribe","detail":true}\n', 1))
        kernel = harness.Agent([KERNEL, str(unread.dir), "20", "pv"], subprocess.DEVNULL)
        stack.callback(kernel.kill)
        kernel.result("attach")
        assert int(kernel("flood")) > 1
        others_go_on(unread, control, compiled("agent"))
    control.close()


def others_go_on(machine, control, program):
    for _ in range(100):
        control.stats()
    granter, mapper = agent_of(machine, 2, program), agent_of(machine, 3, program)
    for _ in range(20):
        region, refs = granter.share(2, 3)
        mapped = mapper.map("rw", 2, *refs)
        granter.poke(region, 7, 77)
        assert mapper.peek(mapped, 7) == 77
        mapper("unmap", mapped)
        granter("unshare", region)
    port = granter.unbound(3)
    local = mapper.bind(2, port)
    mapper("evtchn-notify", local)
    assert granter.wait() == port
    granter.end()
    mapper.end()
    control.domain_destroy(domain=11)
    assert control.audit()["violations"] == 0


# ---- Descriptors whose close waits

def lingering():
    """A socket with bytes that nobody takes: its last close waits for an hour."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
    ours.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            ours.send(b"x" * 65536)
    return ours, theirs


def hand_over(machine, sock, data):
    """Sends with these bytes a descriptor whose last close is the machine's. What its other end
    is."""
    ours, theirs = lingering()
    # a thread that still ran could leave the last close to us
    harness.stop(machine.server)
    socket.send_fds(sock, [data], [ours.fileno()])
    ours.close()
    os.kill(machine.server.pid, signal.SIGCONT)
    return theirs


def a_control_connection(machine, path):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(machine.dir / "control"))
    return sock


def a_device(machine, path):
    peer = Peer(path)
    assert peer.open() == (0, 1)
    return peer.socket


def an_event_socket(machine, path):
    peer = Peer(path)
    peer.message(OPEN, struct.pack("III12s", MAGIC, VERSION, os.O_RDWR, b"evtchn"))
    _, (fd, *_), _, _ = socket.recv_fds(peer.socket, 65536, 4)
    peer.close()
    return socket.socket(fileno=fd)


@pytest.mark.parametrize("place_of, data", [
    (a_control_connection, b'{"verb":"stats"'), (a_control_connection, b'{"verb":"supervise"}\n'),
    (a_device, struct.pack("II", 8, ATTACH)),
    (a_device, struct.pack("II", 8, WRITE)), (an_event_socket, b"\xff" * 4)],
                         ids=["control", "supervise", "attach", "device", "events"])
def test_a_descriptor_whose_close_waits_is_waited_for_by_nobody_else(machine, place_of, data):
    control = Control(machine)
    path = control.enter(domain=10, way="socket")["socket"]
    with place_of(machine, path) as sock:
        theirs = hand_over(machine, sock, data)
    for _ in range(20):
        control.stats()
        peer = Peer(path)
        assert peer.open() == (0, 1), "others are served"
        peer.close()
    machine.audit()
    theirs.close()
    control.close()
