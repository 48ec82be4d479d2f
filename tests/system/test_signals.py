# SPDX-License-Identifier: MIT
"""Signals that come during a device call do what they do on Linux, no more and no less."""
import select
import signal
import subprocess
from pathlib import Path

import pytest

import harness
from control import Control


class Program:
    """A running `signals`, line by line."""

    def __init__(self, machine, compiled, *words, profile=None):
        self.process = machine.popen(1, compiled("signals"), *words, profile=profile,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.said = b""
        self.pid = self.process.pid

    def line(self):
        while b"\n" not in self.said:
            assert select.select([self.process.stdout], [], [], harness.PATIENCE)[0], \
                "the program says nothing"
            more = self.process.stdout.read1()
            assert more, "the program ended"
            self.said += more
        line, _, self.said = self.said.partition(b"\n")
        return line.decode()

    def waits_in_read(self):
        def waits():
            try:
                number, _, _ = Path("/proc/%d/syscall" % self.pid).read_text().partition(" ")
                return number == "0" and state_of(self.pid) in "SD"
            except OSError:
                return False
        harness.eventually(waits, "the program waits in its read")

    def starts_to_read(self):
        assert self.line() == "reading"
        self.waits_in_read()


def state_of(pid):
    return Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()[0]


@pytest.mark.parametrize("profile", ["pv", "pvh"])
@pytest.mark.parametrize("group, rounds", [("ioctls", 300), ("mmaps", 1000), ("places", 300),
                                           ("others", 300), ("ordinary", 20000)])
def test_a_handler_without_sa_restart_never_interrupts(machine, compiled, group, rounds, profile):
    """Many more signals than a program would get. Nothing was done twice either: all was given
    back, so nothing is left. No handler runs between a map ioctl and its mmap, where it could make
    calls and take its time; behind such an ioctl all other calls find the program's own signals
    open."""
    program = Program(machine, compiled, "calls", group, rounds, 300, profile=profile)
    said = program.line()
    assert said.split()[0] == "end" and int(said.split()[1]) > 10, said
    harness.eventually(lambda: machine.stats()["mappings"] == 0, "nothing is mapped")
    assert machine.json("dump", "maptrack", "1") == {"maptrack": []}
    assert not machine.own_grants() and not machine.own_ports()
    machine.audit()
    assert program.process.communicate(b"\n", timeout=harness.PATIENCE)[0] == b""
    assert program.process.returncode == 0


def test_an_mmap_that_follows_late_and_is_seen_late_is_not_interrupted_either(machine, compiled):
    """Threads of a program with a sanitizer wait for each other between the ioctl and the mmap."""
    program = Program(machine, compiled, "calls", "pauses", 6, 500, machine.server.pid)
    said = program.line()
    assert said.split()[0] == "end", said
    program.process.communicate(b"\n", timeout=harness.PATIENCE)
    machine.quiet()


def test_an_mmap_that_is_made_again_is_not_interrupted_either(machine, compiled):
    """After EAGAIN, which a kernel before Linux 4.0 gives for a page that is paged out."""
    Control(machine).fault("map_grant_ref", {"status": "eagain"}, domain=1, times=200)
    program = Program(machine, compiled, "calls", "again", 20, 300, profile="legacy")
    said = program.line()
    assert said.split()[0] == "end", said
    assert machine.stats()["mmap_eagain"] >= 50
    program.process.communicate(b"\n", timeout=harness.PATIENCE)


@pytest.fixture
def reader(machine, compiled):
    """A program that waits for events, and the agent that sends them with .send()."""
    def start(how):
        program = Program(machine, compiled, "read", how)
        sender = machine.new(2)
        word, port = program.line().split()
        assert word == "port"
        program.starts_to_read()
        local = sender.bind(1, int(port))
        program.send = lambda: sender("evtchn-notify", local)
        return program
    return start


def test_a_handler_without_sa_restart_ends_a_read(reader):
    program = reader("plain")
    program.process.send_signal(signal.SIGUSR1)
    assert [program.line(), program.line()] == ["handler", "EINTR"]
    program.starts_to_read()
    program.send()
    assert program.line() == "event"


def test_a_handler_with_sa_restart_lets_a_read_go_on(reader):
    program = reader("restart")
    for _ in range(3):
        program.process.send_signal(signal.SIGUSR1)
        assert program.line() == "handler"
        program.waits_in_read()
    program.send()
    assert program.line() == "event"


def test_a_stopped_reader_goes_on(reader):
    program = reader("plain")
    for _ in range(3):
        program.process.send_signal(signal.SIGSTOP)
        harness.eventually(lambda: state_of(program.pid) == "T", "it is stopped")
        program.process.send_signal(signal.SIGCONT)
        program.waits_in_read()
    program.send()
    assert program.line() == "event"


def test_an_event_of_a_stopped_reader_is_not_lost(reader):
    program = reader("plain")
    program.process.send_signal(signal.SIGSTOP)
    harness.eventually(lambda: state_of(program.pid) == "T", "it is stopped")
    program.send()
    program.process.send_signal(signal.SIGCONT)
    assert program.line() == "event"


def test_an_ignored_signal_is_not_noticed(reader):
    program = reader("none")
    for sig in (signal.SIGWINCH, signal.SIGURG, signal.SIGCHLD, signal.SIGCONT):
        program.process.send_signal(sig)
    program.send()
    assert program.line() == "event"


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_a_reader_that_waits_is_killed_at_once(machine, reader, sig):
    program = reader("plain")
    program.process.send_signal(sig)
    assert program.process.wait(harness.PATIENCE) == -sig
    harness.eventually(lambda: all(port["domain"] != 1 for port in machine.own_ports()),
                       "its port is closed")


def test_a_sigsys_of_somebody_does_not_end_a_mapping(machine, compiled):
    program = Program(machine, compiled, "sigsys", 1500)
    assert program.line() == "end"
    assert program.process.wait(harness.PATIENCE) == 0
    machine.quiet()


@pytest.mark.parametrize("microseconds", [300, 1000])
def test_no_event_is_lost_or_doubled_by_signals(machine, compiled, microseconds):
    program = Program(machine, compiled, "stream", 2000, microseconds)
    assert program.line() == "read 2000 left 0"
    assert program.process.wait(harness.PATIENCE) == 0
    machine.audit()


def test_a_signal_does_not_end_an_ioctl_that_waits_but_a_kill_does(machine, compiled):
    """The call is held up in the kernel, where it cannot be interrupted."""
    control = Control(machine)
    control.fault("ioctl", {"delay": 3_600_000_000_000}, ioctl="BIND_UNBOUND_PORT")
    program = Program(machine, compiled, "read", "plain")
    path = Path("/proc/%d/syscall" % program.pid)
    harness.eventually(lambda: path.read_text().startswith("16 "), "it waits in the ioctl")
    for _ in range(3):
        program.process.send_signal(signal.SIGUSR1)
        harness.eventually(lambda: "ShdPnd:\t%016x"
                           % (1 << signal.SIGUSR1 - 1) in Path("/proc/%d/status" % program.pid).read_text(), "it came")
        harness.eventually(lambda: path.read_text().startswith("16 "), "it waits on")
    program.process.send_signal(signal.SIGKILL)
    assert program.process.wait(harness.PATIENCE) == -signal.SIGKILL
    control.close()
    machine.audit()
