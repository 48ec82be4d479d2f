# SPDX-License-Identifier: MIT
"""`gntsim run`: a private machine for the life of a command."""
import os
import selectors
import signal
import subprocess

import pytest

import harness
from harness import GNTSIM, gntsim



@pytest.mark.parametrize("status", [0, 1, 7, 127, 255])
def test_the_exit_status_is_the_commands(status):
    assert gntsim("run", "--", "sh", "-c", "exit %d" % status).returncode == status


@pytest.mark.parametrize("name", ["KILL", "TERM", "SEGV", "INT"])
def test_a_command_that_dies_of_a_signal_gives_128_and_its_number(name):
    assert gntsim("run", "--", "sh", "-c", "kill -%s $$" % name).returncode == 128 + \
        getattr(signal, "SIG" + name)


def test_a_command_that_does_not_exist_is_127_and_is_named():
    done = gntsim("run", "--", "/no/such/command")
    assert done.returncode == 127
    assert "/no/such/command" in done.stderr


def test_a_32_bit_program_is_refused_in_one_line(place):
    """The head of an ELF file says how long its addresses are."""
    program = place / "old"
    program.write_bytes(b"\x7fELF\x01\x01\x01" + bytes(45))
    program.chmod(0o755)
    done = gntsim("run", "--", program)
    assert done.returncode == 126
    assert [line for line in done.stderr.splitlines() if "is a 32-bit program" in line] == \
        done.stderr.splitlines()[-1:], done.stderr


def test_a_command_that_cannot_be_executed_is_126():
    done = gntsim("run", "--", "/etc/passwd")
    assert done.returncode == 126
    assert "/etc/passwd" in done.stderr


def test_the_command_gets_our_input_output_arguments_environment_and_directory(tmp_path):
    done = subprocess.run([GNTSIM, "run", "--", "sh", "-c",
                           'cat; echo "$1|$VALUE"; pwd; echo oops >&2', "sh", "a b"],
                          input="from stdin\n", capture_output=True, text=True, cwd=tmp_path,
                          env={**os.environ, "VALUE": "x y"})
    assert done.stdout == "from stdin\na b|x y\n%s\n" % tmp_path
    assert done.stderr == "oops\n"


def test_the_command_runs_as_the_user_who_called_us():
    assert gntsim("run", "--", "id", "-u").stdout == "%d\n" % os.getuid()


def test_the_command_finds_the_devices_and_the_rest_of_dev():
    done = gntsim("run", "--", "sh", "-c", "ls /dev/xen; echo x > /dev/null; head -c 4 /dev/zero | "
                  "wc -c; ls /dev/pts /dev/shm > /dev/null")
    assert done.stdout.split() == [*harness.INITIAL_DEVICES, "4"], done.stderr


def test_a_command_may_have_options_of_its_own_after_a_double_dash_or_without():
    assert gntsim("run", "--", "echo", "--domain", "--json").stdout == "--domain --json\n"
    assert gntsim("run", "echo", "--domain").stdout == "--domain\n"


def test_the_domain_is_0_by_default_and_may_be_chosen(compiled):
    for args, domain in (((), 0), (("--domain", 5), 5), (("--domain", 32751), 32751)):
        done = gntsim("run", *args, "--", compiled("raw"), domain)
        assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert gntsim("run", "--domain", 5, "--", compiled("raw"), 4).returncode == 1, \
        "domain 5 is not domain 4"


def test_what_the_command_leaves_running_ends_with_the_machine():
    done = gntsim("run", "--", "sh", "-c", "sleep 1000 & exec true")
    assert done.returncode == 0
    # the fixture leaves_nothing looks for the sleeping process


def start_waiting(*args):
    """A `gntsim run` whose command has begun, in a process group of its own."""
    process = subprocess.Popen([GNTSIM, "run", *args], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, process_group=0)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(harness.PATIENCE)
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize("name", ["INT", "QUIT"])
def test_ctrl_c_ends_command_and_machine_and_leaves_nothing(name):
    sig = getattr(signal, "SIG" + name)
    process = start_waiting("--", "sh", "-c", "ulimit -c 0; echo begun; exec sleep 1000")
    os.killpg(process.pid, sig)
    process.communicate(timeout=harness.PATIENCE)
    assert process.returncode == 128 + sig


def test_a_command_that_survives_ctrl_c_keeps_its_machine():
    process = start_waiting("--", "sh", "-c",
                            "trap 'test -c /dev/xen/gntdev -o -f /dev/xen/gntdev && echo still "
                            "here; exit 3' INT; "
                                              "echo begun; while :; do sleep 0.01; done")
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=harness.PATIENCE)
    assert (process.returncode, out) == (3, "still here\n")


@pytest.mark.parametrize("name", ["TERM", "HUP", "USR1"])
def test_a_signal_sent_to_gntsim_reaches_the_command(name):
    process = start_waiting("--", "sh", "-c",
                            "trap 'echo got it; exit 5' %s; echo begun; while :; do sleep "
                            "0.01; done" % name)
    process.send_signal(getattr(signal, "SIG" + name))
    out, _ = process.communicate(timeout=harness.PATIENCE)
    assert (process.returncode, out) == (5, "got it\n")


def test_killing_gntsim_run_itself_ends_command_and_machine(compiled):
    process = start_waiting("--", "sh", "-c", "echo begun; exec %s 0 1000000" % compiled("churn"))
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()


def test_runs_do_not_see_each_other(compiled):
    running = [subprocess.Popen([GNTSIM, "run", "--", compiled("churn"), "0", "10"],
                                stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in running:
        out, _ = process.communicate(timeout=harness.PATIENCE)
        assert (process.returncode, out) == (0, "done\n")


def test_run_works_where_there_is_no_place_to_write(compiled):
    program = compiled("raw")
    done = subprocess.run([GNTSIM, "run", "--", program, "0"], capture_output=True, text=True,
                          cwd="/proc",
                          env={"PATH": os.environ["PATH"], "TMPDIR": "/nonexistent",
                               "HOME": "/nonexistent"})
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_run_inside_run_works_or_says_why_not(compiled):
    done = gntsim("run", "--", GNTSIM, "run", "--", compiled("raw"), 0)
    if done.returncode:
        assert "inside another machine" in done.stderr
    else:
        assert done.stdout == "done\n"
