# SPDX-License-Identifier: MIT
"""`gntsim top`: what it shows of a machine, on a terminal and without one, and how it ends."""
import json
import os
import pty
import select
import signal
import subprocess
import termios

import pytest

import harness
from control import Control


class Screen:
    """`gntsim top` on a terminal of its own."""

    def __init__(self, machine):
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.text = ""
        self.process = subprocess.Popen([harness.GNTSIM, "top", "--dir", machine.dir], stdin=slave,
                                        stdout=slave, stderr=slave, start_new_session=True)

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            self.text += os.read(self.master, 65536).decode()
        return self.text

    def shows(self, *wanted):
        harness.eventually(lambda: all(one in self.read() for one in wanted), wanted)

    def ends(self):
        """Its exit status, when it has left the terminal as it found it."""
        status = self.process.wait(harness.PATIENCE)
        text = self.read()
        assert text.count("\x1b[?1049h") == text.count("\x1b[?1049l") == 1
        assert termios.tcgetattr(self.slave) == self.before
        return status

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def screen(machine):
    made = Screen(machine)
    yield made
    made.close()


def test_it_shows_counters_domains_and_grants_anew_until_q(machine, screen):
    screen.shows("hypercalls", "Domains", "none", "q: end")
    control = Control(machine)
    control.call("domain-create", domain=7)
    screen.shows("\n7 ", "/s", "Grants (2)")
    control.close()
    os.write(screen.master, b"xq")
    assert screen.ends() == 0


@pytest.mark.parametrize("name", ["INT", "QUIT", "TERM", "HUP"])
def test_a_signal_ends_it_with_its_number(screen, name):
    screen.shows("q: end")
    number = getattr(signal, "SIG" + name)
    screen.process.send_signal(number)
    assert screen.ends() == 128 + number


def test_it_ends_by_key_while_the_machine_does_not_answer(machine, screen):
    screen.shows("q: end")
    machine.server.send_signal(signal.SIGSTOP)
    os.write(screen.master, b"q")
    assert screen.ends() == 0
    machine.server.send_signal(signal.SIGCONT)


def test_a_machine_that_dies_ends_it_with_status_1_and_a_message(serve):
    machine = serve()
    screen = Screen(machine)
    screen.shows("q: end")
    machine.server.kill()
    machine.server.wait()
    machine.stopped = True
    assert screen.ends() == 1
    assert "answers no more: it ended" in screen.text.split("\x1b[?1049l")[1]
    screen.close()


def test_without_a_terminal_it_tells_once(machine):
    machine.must("domain", "create", "3")
    for options in ((), ("--once",)):
        done = harness.gntsim("top", "--dir", machine.dir, *options)
        assert (done.returncode, done.stderr) == (0, ""), done
        assert "\x1b" not in done.stdout and "\n3  " in done.stdout and "Grants (2)" in done.stdout


def test_as_json_it_says_what_the_machine_says(machine):
    machine.must("domain", "create", "3")
    done = harness.gntsim("top", "--json", "--dir", machine.dir)
    told = json.loads(done.stdout)
    assert set(told) == {"clock", "stats", "domains", "entries", "maptrack"}
    assert told["domains"] == machine.json("domain", "list")
    assert told["stats"]["domains"] == 1 and told["maptrack"] == []
    assert {(row["domain"], row["ref"]) for row in told["entries"]} == {(3, 0), (3, 1)}


def test_without_a_machine_it_says_so(place):
    done = harness.gntsim("top", "--dir", place / "none")
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done
    assert harness.gntsim("top").returncode == 2
    assert harness.gntsim("top", "--dir", place, "x").returncode == 2
