# SPDX-License-Identifier: MIT
"""Whoever reads what a machine says may be slow, or read nothing at all: others of the machine do not notice."""
import contextlib
import json
import select
import socket

import pytest

import harness
from control import Control


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
    assert len(dump["entries"]) == 20000
    assert len(big.must("dump", "entries").splitlines()) == 20002


def test_a_client_that_reads_slowly_gets_every_answer_whole(big):
    with silent(big, times=5) as sock:
        sock.setblocking(True)
        lines = sock.makefile("rb")
        big.must("stats")
        answers = [json.loads(lines.readline()) for _ in range(5)]
        lines.close()
    assert all(answer == answers[0] for answer in answers) and len(answers[0]["result"]["entries"]) == 20000


def test_clients_that_never_read_hold_nobody_up_and_are_let_go(big):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(silent(big)) for _ in range(20)]
        control = Control(big)
        for _ in range(100):
            control.stats()
        assert big.exec(3, "true").returncode == 0
        assert not any(map(hung_up, sockets)), "they were waited for"
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
