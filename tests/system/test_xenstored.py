# SPDX-License-Identifier: MIT
"""A real daemon as the store of a machine: Debian's xenstored and oxenstored, unmodified."""
import os
import re
import signal
import socket
import struct
import subprocess
from pathlib import Path

import pytest

import gntsim
import harness

BIN = (sorted(Path("/usr/lib").glob("xen-[0-9]*/bin")) or [Path("/nonexistent")])[-1]
REQ_CONS, REQ_PROD = 2048, 2052     # in the ring page
XS_READ, XS_ERROR = 2, 16
DIFFER = Path(os.environ.get("GNTSIM_BUILD", harness.SOURCE / "build"),
              "tests", "conformance", "store", "store-differ")
DAEMONS = ["xenstored", "oxenstored"]
HAS_DAEMONS = all(os.access(BIN / name, os.X_OK) for name in DAEMONS)

needs_daemons = pytest.mark.skipif(not HAS_DAEMONS, reason="Debian's xen-utils are not there")


@pytest.fixture(params=DAEMONS)
def daemon(request):
    return BIN / request.param


@pytest.fixture
def machine(serve, daemon):
    return serve("--way", "device", "--xenstored", daemon)


def processes(daemon):
    """Of the daemon's, anywhere: their numbers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().split(b"\0")[0] == str(daemon).encode():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def process_of(machine, daemon):
    """The daemon of this machine: others may run at the same time."""
    shown = machine.out(0, "stat", "-c", "%d %i", "/run/xenstored/socket")
    return [pid for pid in processes(daemon) if subprocess.run(
        ["stat", "-c", "%d %i", Path("/proc", str(pid), "root", "run", "xenstored", "socket")],
        capture_output=True, text=True, check=False).stdout == shown]


@needs_daemons
def test_programs_of_all_domains_reach_the_daemon(machine, daemon):
    assert len(process_of(machine, daemon)) == 1
    assert machine.out(0, "xenstore-read", "domid") == "0\n"
    assert machine.out(1, "xenstore-read", "domid") == "1\n"
    machine.out(1, "xenstore-write", "data/x", "from one")
    assert machine.must("store", "read", "/local/domain/1/data/x") == "from one\n"
    assert machine.exec(1, "xenstore-write", "name", "other").returncode == 1
    machine.must("domain", "create", "2")
    machine.must("store", "chmod", "/local/domain/1/data/x", "n1,r2")
    assert machine.out(2, "xenstore-read", "/local/domain/1/data/x") == "from one\n"
    machine.audit()


@needs_daemons
def test_a_domain_has_there_what_it_has_in_a_store_of_the_machines_own(machine, serve, daemon):
    listings = []
    for each in (machine, serve("--way", "device")):
        each.must("domain", "create", "1")
        listings.append([line for root in ("/local/domain/1", "/vm", "/libxl", "/local/pool",
                                           "/local/domain/0")
                         for line in each.out(0, "xenstore-ls", "-f", "-p", root).splitlines()
                         if not re.search("/(start_time|ring-ref) = ", line)])
    assert sorted(listings[0]) == sorted(listings[1]), "but for the time and the pages"
    assert len(listings[0]) > 60


@needs_daemons
def test_what_a_domain_had_goes_with_it_and_its_number_is_free(machine):
    machine.out(1, "xenstore-write", "data/x", "1")
    machine.must("domain", "destroy", "1")
    assert machine.must("store", "ls", "/local/domain") == "0\n"
    assert machine.ctl("store", "read", "/libxl/1/type").returncode == 1
    assert [d["domain"] for d in machine.json("domain", "list")] == [0], "nobody has its page"
    machine.must("domain", "create", "1")
    assert machine.out(1, "xenstore-read", "domid") == "1\n"
    assert machine.ctl("store", "read", "/local/domain/1/data/x").returncode == 1
    machine.audit()


@needs_daemons
def test_a_suspended_domain_is_introduced_under_its_new_id(machine):
    machine.out(1, "true")
    now = machine.json("domain", "suspend", "1")["domain"]
    assert machine.must("store", "ls", "/local/domain").split() == ["0", str(now)]
    assert machine.must("store", "read", "/local/domain/%d/domid" % now) == "%d\n" % now


@needs_daemons
@pytest.mark.parametrize("device", [False, True], ids=["socket", "xenbus"])
def test_xens_own_test_of_a_store_passes(machine, device):
    before = ["env", "XENSTORED_PATH=/dev/xen/xenbus"] if device else []
    assert len(machine.out(0, *before, BIN / "test-xenstore", "-i", "20").splitlines()) == 12


@needs_daemons
@pytest.mark.skipif(not DIFFER.exists(), reason="store-differ is not built")
def test_our_store_answers_random_requests_as_the_daemon_that_runs_on_it(serve):
    """Two sockets of domain 0; guests, too: tests/conformance/store."""
    machine = serve("--way", "device", "--xenstored", BIN / "xenstored")
    requests = 30000 if os.environ.get("GNTSIM_TEST_ALL") else 400
    said = machine.out(0, DIFFER, "xenstored", "-", "/run/xenstored", "1", str(requests),
                       timeout=harness.PATIENCE * 10)
    assert re.fullmatch(r"\d+ requests, no difference\n", said)
    machine.audit()


@needs_daemons
def test_a_daemon_that_was_killed_is_told_of_and_another_one_takes_over(machine, daemon):
    machine.out(1, "xenstore-write", "data/x", "lost")
    asker = machine.popen(1, "sh", "-c", "echo; read x; exec xenstore-read domid",
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert asker.stdout.readline() == "\n"
    os.kill(process_of(machine, daemon)[0], signal.SIGKILL)
    machine.says("%s ended by signal 9" % daemon)
    refused = machine.ctl("store", "read", "/tool")
    assert refused.returncode == 1 and "the store's daemon is not there" in refused.stderr
    machine.must("store", "restart")
    asker.stdin.write("\n")
    asker.stdin.close()
    assert asker.stdout.readline() == "1\n"
    asker.stdout.close()
    assert machine.must("store", "read", "/local/domain/1/name") == "domain-1\n"
    assert machine.ctl("store", "read", "/local/domain/1/data/x").returncode == 1, "it knew that"
    assert machine.out(0, "env", "XENSTORED_PATH=/dev/xen/xenbus", "xenstore-read", "domid") == \
        "0\n", "domain 0's kernel has it, too"
    machine.audit()


@needs_daemons
def test_a_request_that_was_under_way_is_asked_of_the_next_daemon(serve):
    daemon = BIN / "xenstored"
    machine = serve("--way", "device", "--xenstored", daemon)
    machine.out(1, "true")
    os.kill(process_of(machine, daemon)[0], signal.SIGSTOP)
    asker = machine.popen(1, "xenstore-read", "domid", stdout=subprocess.PIPE, text=True)
    with gntsim.Machine.attach(machine.dir) as attached:
        harness.eventually(lambda: len(set(
            attached.call("guest-read", domain=1, ref=1, offset=offset, size=4)["hex"]
            for offset in (REQ_CONS, REQ_PROD))) == 2, "the request is in the ring")
    machine.must("store", "restart")
    assert asker.stdout.readline() == "1\n"
    asker.stdout.close()


@needs_daemons
def test_a_killed_server_leaves_no_daemon(machine, daemon):
    (pid,) = process_of(machine, daemon)
    machine.server.kill()
    machine.server.wait()
    machine.stopped = True
    harness.eventually(lambda: not Path("/proc/%d" % pid).exists(), "the daemon has ended")


@needs_daemons
def test_the_end_of_domain_0_ends_the_daemon(machine, daemon):
    (pid,) = process_of(machine, daemon)
    machine.must("domain", "destroy", "0")
    harness.eventually(lambda: not Path("/proc/%d" % pid).exists(), "the daemon has ended")


def by_socket(machine, domain, *words):
    """A program that has no device files."""
    return subprocess.run(machine.exec_argv(domain, *words, options=("--way", "socket")),
                          capture_output=True, text=True, timeout=harness.PATIENCE, check=False)


@needs_daemons
def test_a_program_over_the_socket_has_the_daemon_too(machine):
    done = by_socket(machine, 0, "xenstore-ls", "/local/pool")
    assert done.stdout == '0 = ""\n name = "Pool-0"\n', done.stderr


@needs_daemons
def test_a_domains_programs_over_the_socket_have_the_daemon_with_their_domains_rights(machine):
    machine.must("domain", "create", "2")
    done = by_socket(machine, 1, "xenstore-read", "domid", "/local/domain/1/name")
    assert done.stdout == "1\ndomain-1\n", done.stderr
    assert by_socket(machine, 1, "xenstore-write", "data/x", "v" * 2000).returncode == 0
    assert machine.out(1, "xenstore-read", "data/x") == "v" * 2000 + "\n", "over the device"
    for path in ("name", "/local/domain/2/data/x", "/tool/x"):
        assert by_socket(machine, 1, "xenstore-write", path, "1").returncode == 1, path
    names = ["name-that-is-long-%d" % i for i in range(60)]
    for some in (names[:30], names[30:]):
        assert by_socket(machine, 1, "xenstore-write", *(
            word for name in some for word in ("data/%s" % name, "1"))).returncode == 0
    assert sorted(by_socket(machine, 1, "xenstore-list", "data").stdout.split()) == \
        sorted(["x", *names])
    machine.audit()


@needs_daemons
def test_a_watch_over_the_socket_fires_also_after_another_daemon_began(machine):
    argv = machine.exec_argv(1, "xenstore-watch", "-n", "3", "data/go",
                             options=("--way", "socket"))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout.readline() == "data/go\n"
        machine.must("store", "write", "/local/domain/1/data/go", "now")
        assert watcher.stdout.readline() == "data/go\n"
        machine.must("store", "restart")
        machine.must("store", "write", "/local/domain/1/data/go", "again")
        assert watcher.stdout.readline() == "data/go\n", "its kernel set the watch anew"
        assert watcher.wait(harness.PATIENCE) == 0
    machine.audit()


@needs_daemons
def test_who_says_nonsense_over_the_socket_loses_only_the_connection(machine):
    machine.must("domain", "create", "1")
    with gntsim.Machine.attach(machine.dir) as attached:
        path = attached.call("store-socket", domain=1)["socket"]
    header = struct.Struct("<IIII")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(harness.PATIENCE)
        client.connect(path)
        # The device takes no more than 4096 bytes in all.
        for body, kind, answer in ((b"domid\0", XS_READ, b"1"),
                                   (b"x" * 4090, XS_ERROR, b"E2BIG\0")):
            message = header.pack(XS_READ, 7, 0, len(body)) + body
            client.sendall(message[:20])
            client.sendall(message[20:])
            expected, said = header.pack(kind, 7, 0, len(answer)) + answer, b""
            while len(said) < len(expected):
                said += client.recv(4096)
            assert said == expected
        client.sendall(header.pack(XS_READ, 8, 0, 4097))
        assert client.recv(1) == b"", "no message is so long"
    assert by_socket(machine, 1, "xenstore-read", "domid").stdout == "1\n"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(harness.PATIENCE)
        client.connect(path)
        client.sendall(header.pack(XS_READ, 9, 0, 6) + b"domid\0")
        assert client.recv(4096)
        machine.must("domain", "destroy", "1")
        assert client.recv(1) == b"", "it ends with the domain"
    machine.audit()


@needs_daemons
def test_a_domain_whose_daemon_is_not_there_is_not_created(machine, daemon):
    for pid in process_of(machine, daemon):
        os.kill(pid, signal.SIGKILL)
    harness.eventually(lambda: "store restart" in machine.stderr(), "the daemon's end is told")
    done = machine.ctl("domain", "create", "5")
    assert done.returncode == 1 and "store restart" in done.stderr, done.stderr
    assert not machine.domain(5)
    machine.must("store", "restart")
    machine.must("domain", "create", "5")
    assert machine.out(5, "xenstore-read", "domid") == "5\n"


@needs_daemons
def test_a_command_can_be_run_with_it(daemon):
    done = harness.gntsim("run", "--way", "device", "--xenstored", daemon, "--domain", "3", "--",
                          "xenstore-read", "domid", "name")
    assert done.stdout == "3\ndomain-3\n", done.stderr


def test_a_daemon_that_is_not_there_is_named(tmp_path):
    done = harness.gntsim("serve", "--dir", tmp_path / "m", "--xenstored", "/nonexistent/daemon")
    assert done.returncode == 2
    assert "cannot execute the store's daemon /nonexistent/daemon: No such file" in done.stderr
    assert "xen-utils" in done.stderr


def test_a_daemon_needs_device_files(tmp_path):
    done = harness.gntsim("serve", "--dir", tmp_path / "m", "--way", "socket", "--xenstored",
                          "/bin/true")
    assert done.returncode == 2 and "needs device files" in done.stderr


@pytest.mark.parametrize("program, how", [("/bin/true", "with status 0"),
                                          ("/bin/false", "with status")])
def test_a_daemon_that_ends_before_it_serves_ends_the_machine(tmp_path, program, how):
    done = harness.gntsim("serve", "--dir", tmp_path / "m", "--way", "device", "--xenstored",
                          program)
    assert done.returncode == 1 and "ready" not in done.stdout
    assert "the store's daemon %s ended %s" % (program, how) in done.stderr
    assert "before it served" in done.stderr


def test_a_signal_ends_run_while_the_daemon_does_not_serve(tmp_path):
    daemon, began = tmp_path / "daemon", tmp_path / "began"
    os.mkfifo(began)
    daemon.write_text("#!/bin/sh\necho began >%s\nexec sleep 1000\n" % began)
    daemon.chmod(0o700)
    with subprocess.Popen([harness.GNTSIM, "run", "--way", "device", "--xenstored", daemon, "--",
                           "true"], start_new_session=True) as run:
        assert began.read_text() == "began\n"
        run.terminate()
        assert run.wait(harness.PATIENCE) == -signal.SIGTERM


def test_a_trace_of_it_says_that_it_cannot_be_replayed(tmp_path):
    trace = tmp_path / "trace"
    harness.gntsim("serve", "--dir", tmp_path / "m", "--way", "device", "--xenstored", "/bin/true",
                   "--trace", trace)
    done = harness.gntsim("replay", trace)
    assert done.returncode == 2 and "a daemon that is no part of the trace" in done.stderr
