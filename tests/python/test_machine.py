# SPDX-License-Identifier: MIT
"""Tests machines, domains and programs from Python, with the real command."""
import os
import select
import shutil
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

import gntsim
import harness
from conftest import SOURCE


def test_two_domains_share_a_page(machine):
    front, back = machine.domain(1), machine.domain(2, profile="pvh")
    toolstacks = machine.dump("entries", front)
    ref = front.grant(to=back)
    mapping = back.map(front, ref)
    back.write(b"hello", mapping=mapping, offset=7)
    [row] = [row for row in machine.dump("entries", front) if row not in toolstacks]
    assert (row["to"], row["ref"]) == (2, ref)
    assert back.read(5, mapping=mapping, offset=7) == b"hello"
    assert front.end(ref) is False
    back.unmap(mapping)
    assert front.end(ref) is True
    assert machine.dump("entries", front) == toolstacks
    machine.audit()


def test_a_failed_map_says_why(machine):
    with pytest.raises(gntsim.GrantFailed, match="reference 99 of domain 1: status general_error"):
        machine.domain(2).map(machine.domain(1), 99)


def test_copies_and_events_between_domains(machine):
    front, back = machine.domain(1), machine.domain(2)
    page = front.page()
    front.write(b"data", page=page)
    ref = front.grant(to=back, page=page)
    target = back.page()
    assert back.copy({"domain": 1, "ref": ref, "offset": 0}, {"page": target, "offset": 8},
                     4) == "okay"
    assert back.read(4, page=target, offset=8) == b"data"
    port = front.event_alloc(remote=back)
    local = back.event_bind(front, port)
    back.event_pending(local)
    front.event_pending(port)
    back.event_send(local)
    assert front.event_pending(port)["pending"] is True
    assert front.event_pending(port)["pending"] is False


def test_a_closed_event_channel_is_no_port_any_more(machine):
    front, back = machine.domain(1), machine.domain(2)
    port = front.event_alloc(remote=back)
    front.event_close(port)
    with pytest.raises(gntsim.Refused):
        back.event_bind(front, port)


def test_a_hostile_guest_is_stepped_listed_and_stopped(machine):
    front, back = machine.domain(1), machine.domain(2)
    front.grant(to=back, page=front.page())
    number = back.adversary("guess", seed=7, granter=1)
    assert [row["id"] for row in machine.adversaries()] == [number]
    before = machine.adversary_step(number)["steps"]
    assert machine.adversary_step(number, 3)["steps"] == before + 3
    assert machine.adversary_stop(number)["id"] == number
    assert machine.adversaries() == []


def test_cleared_rules_do_nothing_any_more(machine):
    machine.domain(1)
    machine.fault(at="open", do={"errno": "EIO"}, times=0)
    machine.clear_faults()
    assert machine.faults() == []
    assert machine.rules == []


def test_a_program_talks_and_ends(machine):
    cat = machine.domain(1).spawn(["cat"])
    cat.send("one")
    cat.send(b"two\n")
    assert cat.readline() == "one"
    assert cat.expect("t(w)o").group(1) == "w"
    cat.close_stdin()
    assert cat.wait() == 0 and not cat.running
    assert cat.stdout == "one\ntwo\n"


@pytest.mark.needs_device_files
def test_a_program_is_in_its_domain(machine):
    listed = machine.domain(3).run(["ls", "/dev/xen"]).split()
    assert listed == ["evtchn", "gntalloc", "gntdev", "hypercall", "privcmd", "xenbus"]


def test_a_program_that_prints_a_lot_and_is_not_read_goes_on(machine):
    program = machine.domain(1).spawn(["sh", "-c",
                                       "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; "
                                       "echo done"])
    assert program.wait() == 0
    assert len(program.stdout) == 3000005 and len(program.stderr) == 3000000


def test_signals_and_exits_are_told_apart(machine):
    domain = machine.domain(1)
    assert domain.spawn(["sh", "-c", "exit 3"]).wait() == 3
    assert domain.spawn(["sleep", "1000"]).kill() == -signal.SIGKILL
    with pytest.raises(gntsim.Ended, match=r"sh was expected to end with exit status 0 \(exit "
                       r"status 3\)\n  its stderr ends with: oh"):
        domain.spawn(["sh", "-c", "echo oh >&2; exit 3"]).check()


def test_waiting_ends_with_a_timeout_that_shows_what_was_printed(machine):
    program = machine.domain(1).spawn(["sh", "-c", "echo begun; exec sleep 1000"])
    program.expect("begun")
    with pytest.raises(gntsim.Timeout, match=r"did not end within 0.05 s \(still running\)\n  its "
                       r"stdout ends with: begun"):
        program.wait(0.05)
    with pytest.raises(gntsim.Timeout, match="did not print 'more' within 0.05 s"):
        program.expect("more", 0.05)


def test_expect_leaves_no_rest_of_a_line_behind(machine):
    program = machine.domain(1).spawn(["printf", "one two\\nthree\\nfour five\\nsix"])
    assert program.wait() == 0
    assert program.expect("one").group() == "one"
    assert program.readline() == "three"
    assert program.expect("four (five\n)").group(1) == "five\n"
    assert program.expect("s").group() == "s"
    assert program.expect("x").group() == "x", "what ends in no newline is a line to come"


def test_a_page_comes_with_the_frame_that_its_grant_names(machine):
    front = machine.domain(1)
    page, frame = front.page_and_frame()
    ref = front.grant(to=2, page=page)
    [entry] = [row for row in machine.dump("entries", 1) if row["ref"] == ref]
    assert entry["frame"] == frame


def test_expecting_what_never_comes_ends_with_the_program(machine):
    program = machine.domain(1).spawn(["sh", "-c", "echo something else"])
    with pytest.raises(gntsim.Ended, match="ended without printing 'ready'.*exit status "
                       "0.*something else"
                       .replace(".*", "(.|\n)*")):
        program.expect("ready")


def test_sending_to_a_program_that_has_ended_is_an_error(machine):
    program = machine.domain(1).spawn(["true"])
    program.wait()
    with pytest.raises(gntsim.Ended, match="reads no more input"):
        program.send("x")


@pytest.mark.parametrize("command, says", [(["no-such-program"], "in PATH"),
                                           (["./no-such"], "build it first"),
                                           (["/etc/passwd"], "not executable")])
def test_a_missing_program_is_said_to_be_missing(machine, command, says):
    with pytest.raises(gntsim.NotFound, match=says):
        machine.domain(1).spawn(command)


def test_a_destroyed_domain_takes_its_programs_along(machine):
    domain = machine.domain(4)
    program = domain.spawn(["sh", "-c", "echo there; exec sleep 1000"])
    program.expect("there")
    domain.destroy()
    assert program.wait() == -signal.SIGKILL
    with pytest.raises(gntsim.NotFound, match="no domain 4"):
        domain.info


def test_leaving_the_block_ends_everything():
    with gntsim.Machine() as machine:
        program = machine.domain(1).spawn(["sh", "-c", "sleep 1000 & echo there; wait"])
        program.expect("there")
    assert program.returncode == -signal.SIGKILL
    assert not os.path.exists(machine.dir)
    with pytest.raises(gntsim.Gone, match="closed"):
        machine.stats()
    machine.close()


def test_an_exception_in_the_block_ends_everything():
    with pytest.raises(ZeroDivisionError):
        with gntsim.Machine() as machine:
            machine.domain(1).spawn(["sleep", "1000"])
            1 / 0
    assert not os.path.exists(machine.dir)


OWNER = """
    import os, sys, time
    sys.path.insert(0, %r)
    import gntsim
    machine = gntsim.Machine()
    machine.domain(1).spawn(["sleep", "1000"])
    print(machine.dir, flush=True)
    %s
"""


def run_owner(end, **more):
    return subprocess.Popen([sys.executable, "-c",
                             textwrap.dedent(OWNER) % (str(SOURCE / "scenarios"), end)],
                            stdout=subprocess.PIPE, text=True, **more)


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_a_machine_ends_with_the_process_that_made_it_however_that_ends(sig, place):
    with run_owner("time.sleep(1000)") as owner:
        directory = owner.stdout.readline().strip()
        owner.send_signal(sig)
        owner.wait()
    harness.eventually(lambda: not harness.children(),
                       lambda: "all are gone: %s" % harness.children())
    harness.eventually(lambda: not os.path.exists(directory), "its directory is gone, too")


def test_what_a_killed_machine_of_a_killed_process_leaves_goes_with_the_next_one(place):
    with run_owner("time.sleep(1000)") as owner:
        directory = owner.stdout.readline().strip()
        server, = (pid for pid, command in harness.children_of(owner.pid).items()
                   if "serve" in command)
        os.kill(owner.pid, signal.SIGSTOP)
        end = os.pidfd_open(server)
        os.kill(server, signal.SIGKILL)
        owner.kill()
        owner.wait()
    select.select([end], [], [])
    os.close(end)
    for pid in harness.children():      # a program that makes no call on a device lives on
        os.kill(pid, signal.SIGKILL)
    assert os.listdir(directory) == ["control"]
    mine = os.path.join(os.path.dirname(directory), "gntsim.0123abcd")
    os.mkdir(mine)
    open(os.path.join(mine, "precious"), "w").close()
    with gntsim.Machine() as one, gntsim.Machine() as other:
        assert not os.path.exists(directory)
        assert os.path.exists(one.dir) and os.path.exists(other.dir)
    assert os.listdir(mine) == ["precious"], "what a machine does not leave is left alone"
    shutil.rmtree(mine)


def test_a_machine_that_crashes_leaves_no_directory(place):
    with gntsim.Machine() as machine:
        machine.domain(1).spawn(["sleep", "1000"])
        machine.crash()
        assert os.path.exists(machine.dir)
    assert not os.path.exists(machine.dir) and machine.log() == ""


def test_a_machine_that_nobody_closes_is_closed_at_exit(place):
    with run_owner("pass") as owner:
        directory = owner.stdout.readline().strip()
        assert owner.wait(60) == 0
    assert not os.path.exists(directory)


def test_a_machine_of_an_owner_that_is_gone_does_not_start(place):
    gone = subprocess.Popen(["true"])
    gone.wait()
    done = harness.gntsim("serve", "--dir", place / "m", "--owner", gone.pid)
    assert done.returncode == 1
    assert "--owner" in done.stderr and "No such process" in done.stderr


@pytest.mark.parametrize("text", ["0", "-1", "x", "99999999999999", ""])
def test_what_is_no_process_id_is_a_usage_error(place, text):
    done = harness.gntsim("serve", "--dir", place / "m", "--owner=" + text)
    assert done.returncode == 2 and "not a process id" in done.stderr


def test_a_crashed_machine_gives_errors_and_no_hang(machine):
    program = machine.domain(1).spawn(["cat"])
    program.send("there")
    program.expect("there")
    machine.crash()
    with pytest.raises(gntsim.Gone, match="ended"):
        machine.stats()
    with pytest.raises(gntsim.Gone):
        machine.stats()


def test_a_server_that_cannot_start_says_why(place, monkeypatch):
    (place / "bad").write_text("#!/bin/sh\necho 'no such thing' >&2; exit 1\n")
    os.chmod(place / "bad", 0o755)
    with pytest.raises(gntsim.Gone, match="did not start: no such thing"):
        gntsim.Machine(program=str(place / "bad"))
    with pytest.raises(gntsim.NotFound, match="cannot start"):
        gntsim.Machine(program=str(place / "missing"))
    monkeypatch.setenv("GNTSIM", str(place / "missing"))
    with pytest.raises(gntsim.NotFound, match="GNTSIM="):
        gntsim.Machine()


def test_without_gntsim_in_path_the_error_says_what_to_set(monkeypatch, place):
    shutil.copytree(SOURCE / "scenarios" / "gntsim", place / "gntsim",
                    ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run([sys.executable, "-B", "-c", "import gntsim; gntsim.Machine()"],
                          cwd=place, capture_output=True, text=True,
                          env={"PATH": "/usr/bin", "PYTHONPATH": str(place)})
    assert "the gntsim command is not in PATH: install it, or set GNTSIM" in done.stderr


def test_machines_do_not_know_of_each_other():
    with gntsim.Machine() as one, gntsim.Machine() as other:
        one.domain(1).grant(to=2)
        assert other.domains() == [] or all(row["domain"] != 1 for row in other.domains())
        assert one.dir != other.dir


def test_several_threads_may_use_a_machine(machine):
    domain = machine.domain(1)
    failed = []

    def use():
        try:
            for _ in range(50):
                ref = domain.grant(to=2)
                assert domain.end(ref)
        except Exception as error:
            failed.append(error)
    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    machine.audit()


def test_attaching_to_a_machine_that_is_served(place):
    with gntsim.Machine() as served:
        served.domain(1)
        with gntsim.Machine.attach(served.dir) as machine:
            assert machine.domain(1).run(["echo", "hello"]) == "hello\n"
            with pytest.raises(gntsim.Error, match="shutdown"):
                machine.crash()
        assert served.stats()["domains"] >= 1


def test_attaching_where_no_machine_is_says_how_to_start_one(place):
    with pytest.raises(gntsim.NotFound, match="gntsim serve --dir"):
        gntsim.Machine.attach(place)


def test_waiting_in_vain_under_a_clock_that_stands_still_says_so():
    with gntsim.Machine(clock="virtual", way="socket") as machine:
        with pytest.raises(gntsim.Timeout, match="the clock stands still at 0.0+ s, and nothing "
                                                 "waits for a later time; stats"):
            machine.eventually(lambda: False, timeout=0.01)
        machine.clock.auto()
        with pytest.raises(gntsim.Timeout) as raised:
            machine.eventually(lambda: False, timeout=0.01)
        assert "stands still" not in str(raised.value)
