# SPDX-License-Identifier: MIT
"""Debian's own Xen programs, unmodified, in the domains of a machine: toolstack, console daemon,
vchan, tests of Xen. Those that are not installed are skipped."""
import os
import signal
import socket
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

import gntsim
import harness

PROGRAMS = sorted(Path("/usr/lib").glob("xen-[0-9]*/bin/xl"))
CONSOLE_PAGE, CONSOLE_PORT = 0, 2   # the reserved reference and the second port of a domain
OUT, OUT_PROD = 1024, 3084          # in the console page
UUID_OF_1 = "00000000-0000-4000-8000-000000000001"

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="Debian's xen-utils-4.17 are not there")


@pytest.fixture(params=["own store", "xenstored"])
def machine(serve, request):
    """With domain 1, which no program has begun."""
    words = ["--xenstored", program("xenstored")] if request.param == "xenstored" else []
    machine = serve("--way", "device", *words)
    machine.must("domain", "create", "1")
    return machine


def program(name):
    return PROGRAMS[-1].with_name(name)


def out(machine, domain, name, *words):
    return machine.out(domain, program(name), *words)


def test_xl_lists_domains_with_the_names_that_the_store_has(machine):
    machine.must("domain", "create", "7")
    rows = [line.split() for line in out(machine, 0, "xl", "list").splitlines()]
    assert [row[:2] for row in rows] == [["Name", "ID"], ["Domain-0", "0"], ["domain-1", "1"],
                                         ["domain-7", "7"]]
    assert out(machine, 0, "xl", "domid", "domain-7") == "7\n"
    assert out(machine, 0, "xl", "domname", "1") == "domain-1\n"
    assert machine.exec(0, program("xl"), "domid", "nobody").returncode == 1
    machine.audit()


def test_xl_tells_which_hypervisor_it_is(machine):
    said = dict(line.split(":", 1) for line in out(machine, 0, "xl", "info").splitlines())
    said = {key.strip(): value.strip() for key, value in said.items()}
    assert said["xen_version"] == "4.17.7" and said["xen_scheduler"] == "credit2"
    assert "hvm-3.0-x86_64" in said["xen_caps"]


def test_a_toolstacks_questions_are_refused_in_an_unprivileged_domain(machine):
    assert machine.exec(1, program("xl"), "list").returncode == 1


def test_lsevtchn_shows_the_ports_of_console_and_store(machine):
    store, console = out(machine, 0, "lsevtchn", "1").splitlines()
    waits = "   %d: VCPU 0: Interdomain (Waiting connection) - Remote Domain 0"
    assert console == waits % 2
    # The machine's own store has no port in domain 0; a daemon has.
    assert store == waits % 1 or \
        store.startswith("   1: VCPU 0: Interdomain (Connected) - Remote Domain 0, Port ")


def test_xen_diag_asks_for_the_size_of_a_grant_table(machine):
    assert out(machine, 0, "xen-diag", "gnttab_query_size", "1") == \
        "domid=1: nr_frames=1, max_nr_frames=64\n"


def test_a_hypercall_that_is_not_modelled_is_named_once_and_counted(machine):
    for _ in range(2):
        machine.exec(0, program("xl"), "sched-credit2")
    assert machine.stderr().count("made hypercall sysctl (35), command 19, which is not") == 1
    assert machine.stats()["unmodelled"] >= 2


def test_xl_tells_the_vcpus_of_each_domain(machine):
    rows = [line.split() for line in out(machine, 0, "xl", "vcpu-list").splitlines()]
    assert rows[1:] == [["Domain-0", "0", "0", "0", "-b-", "0.0", "all", "/", "all"],
                        ["domain-1", "1", "0", "0", "-b-", "0.0", "all", "/", "all"]]


def test_xl_tells_the_topology_of_the_machine(machine):
    said = out(machine, 0, "xl", "info", "-n").splitlines()
    assert said[said.index("cpu_topology           :") + 2].split() == ["0:", "0", "0", "0"]
    memory = next(line for line in said if line.startswith("total_memory")).split()[2]
    free = next(line for line in said if line.startswith("free_memory")).split()[2]
    assert said[said.index("numa_info              :") + 2].split() == ["0:", memory, free, "10"]
    assert out(machine, 0, "xl", "cpupool-list").splitlines()[1].split() == \
        ["Pool-0", "1", "credit2", "y", "2"]


def test_xl_pauses_and_goes_on(machine):
    def state():
        return out(machine, 0, "xl", "list", "1").splitlines()[1].split()[4]
    for words, letters in (("pause", "-bp---"), ("unpause", "-b----")):
        out(machine, 0, "xl", words, "domain-1")
        assert state() == letters


def test_xl_destroys_a_domain_with_all_that_the_store_has_of_it(machine):
    program_of_it = machine.popen(1, "sleep", "1000")
    harness.eventually(lambda: machine.exec(0, "xenstore-exists", "/libxl/1/type").returncode == 0,
                       "the domain is there")
    out(machine, 0, "xl", "destroy", "domain-1")
    harness.eventually(lambda: len(out(machine, 0, "xl", "list").splitlines()) == 2,
                       "the daemon lets go of its page")
    assert program_of_it.wait(harness.PATIENCE) == -signal.SIGKILL
    for path in ("/local/domain/1", "/libxl/1", "/vm/" + UUID_OF_1,
                 "/local/domain/0/backend/console/1"):
        assert machine.exec(0, "xenstore-exists", path).returncode == 1, path
    machine.audit()
    machine.must("domain", "create", "1")
    assert out(machine, 0, "xl", "domname", "1") == "domain-1\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="xenconsoled asks for root")
def test_xl_console_finds_the_terminal_that_the_daemon_made(machine, tmp_path):
    consoled(machine, tmp_path)
    console = machine.popen(0, program("xl"), "console", "domain-1", stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
    say(machine, "a prompt\n")
    assert console.stdout.readline().strip() == b"a prompt"
    console.kill()
    console.wait(harness.PATIENCE)
    for pipe in (console.stdin, console.stdout):
        pipe.close()


def say(machine, line):
    """Domain 1's kernel prints a line on its console."""
    with gntsim.Machine.attach(machine.dir) as attached:
        used = struct.unpack("<I", bytes.fromhex(attached.call(
            "guest-read", domain=1, ref=CONSOLE_PAGE, offset=OUT_PROD, size=4)["hex"]))[0]
        attached.call("guest-write", domain=1, ref=CONSOLE_PAGE, offset=OUT + used,
                      hex=line.encode().hex())
        attached.call("guest-write", domain=1, ref=CONSOLE_PAGE, offset=OUT_PROD,
                      hex=struct.pack("<I", used + len(line)).hex())
        attached.call("guest-event-send", domain=1, port=CONSOLE_PORT)


def consoled(machine, log):
    """The daemon, when it serves domain 1."""
    daemon = machine.popen(0, program("xenconsoled"), "-i", "--log=guest", "--log-dir=%s" % log,
                           stdin=subprocess.DEVNULL)
    harness.eventually(lambda: machine.must("store", "read", "/local/domain/1/console/tty")
                       .startswith("/dev/pts/"), "the console has a terminal")
    return daemon


@pytest.mark.skipif(os.geteuid() != 0, reason="xenconsoled asks for root")
def test_xenconsoled_writes_what_a_guest_says_into_its_log(machine, tmp_path):
    daemon = consoled(machine, tmp_path)
    say(machine, "first line\n")
    log = tmp_path / "guest-domain-1.log"
    harness.eventually(lambda: log.exists() and log.read_text() == "first line\n", "it is logged")
    daemon.kill()
    daemon.wait(harness.PATIENCE)
    machine.must("store", "write", "/local/domain/1/console/tty", "")
    say(machine, "nobody listens\n")
    consoled(machine, tmp_path)
    harness.eventually(lambda: log.read_text() == "first line\nnobody listens\n",
                       "another daemon goes on where it ended")
    machine.must("domain", "destroy", "1")
    machine.audit()


def proxy(machine, domain, mode, peer, path):
    """An end of a vchan whose other side is a socket."""
    return machine.popen(domain, program("vchan-socket-proxy"), "-m", mode, str(peer),
                         "/local/domain/1/data/vchan", path, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("killed", ["server", "client"])
def test_two_sockets_are_joined_by_vchan_until_an_end_is_killed(machine, tmp_path, killed):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "inner"))
        listener.listen()
        server = proxy(machine, 1, "server", 0, tmp_path / "inner")
        client = proxy(machine, 0, "client", 1, tmp_path / "outer")
        with socket.socket(socket.AF_UNIX) as mine:
            mine.settimeout(harness.PATIENCE)
            harness.eventually(lambda: not mine.connect_ex(str(tmp_path / "outer")),
                               "the client listens")
            listener.settimeout(harness.PATIENCE)
            theirs, _ = listener.accept()
            with theirs:
                theirs.settimeout(harness.PATIENCE)
                data = bytes(range(256)) * 64
                mine.sendall(data)
                assert whole(theirs, len(data)) == data
                theirs.sendall(b"answer")
                assert whole(mine, 6) == b"answer"
                {"server": server, "client": client}[killed].kill()
                other = mine if killed == "server" else theirs
                assert ends(other), "the other side is told"
    for process in (server, client):
        process.send_signal(signal.SIGKILL)
        process.wait(harness.PATIENCE)
    machine.audit()


def ends(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def whole(connection, size):
    said = b""
    while len(said) < size:
        more = connection.recv(size - len(said))
        assert more, "the connection ended"
        said += more
    return said


def test_xens_own_test_of_resources_passes(machine):
    done = machine.exec(0, program("test-resource"))
    assert done.returncode == 0, done.stdout + done.stderr
    machine.audit()


QEMU = Path("/usr/libexec/xen-qemu-system-i386")
CLIENTS = harness.SOURCE / "tests" / "clients"
with_qemu = pytest.mark.skipif(not (os.environ.get("GNTSIM_TEST_ALL") and QEMU.exists()),
                               reason="only in ./test --all, with Debian's qemu-system-xen")


def qemu(machine):
    """Serves all devices of domain 1 that are there."""
    return machine.popen(0, QEMU, "-M", "xenpv", "-xen-attach", "-xen-domid", "1", "-nodefaults",
                         "-no-user-config", "-display", "none", "-monitor", "none", "-serial",
                         "none", stdin=subprocess.DEVNULL)


def kill(*processes):
    for process in processes:
        process.kill()
        process.wait(harness.PATIENCE)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


class Connected:
    """A front end in domain 1, one of tests/clients, when its back end has connected."""

    def __init__(self, machine, name, *words):
        self.process = machine.popen(1, "/usr/bin/python3", CLIENTS / name, *words,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.hears("connected")

    def hears(self, line):
        assert self.process.stdout.readline() == line + "\n"

    def close(self):
        self.process.stdin.close()
        self.hears("closed")
        assert self.process.wait(harness.PATIENCE) == 0
        self.process.stdout.close()


def end(front, back, how):
    """how: which end is killed; else the front end closes the device."""
    if how == "front":
        kill(front.process)
    elif how == "back":
        kill(back, front.process)
    else:
        front.close()


def attached_anew(machine, kind, *keys):
    """The back end was killed, so a toolstack takes the device away and attaches it again."""
    machine.must("device", "detach", "1", kind, "1" if kind == "console" else "0", "--force")
    machine.must("device", "attach", "1", kind, *keys)
    return qemu(machine)


@with_qemu
def test_qemus_9pfs_serves_a_directory_whichever_end_is_killed(machine, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    data = os.urandom(200000)
    (shared / "data").write_bytes(data)
    machine.must("device", "attach", "1", "9pfs", "path=%s" % shared)
    back = qemu(machine)
    kill(Connected(machine, "p9_front.py", "data", "half").process)    # as it copies
    for copy, killed in (("first", "front"), ("second", "back"), ("third", None)):
        # Of QEMU 7.2 an assertion fails if a second front end connects to a device.
        kill(back)
        back = attached_anew(machine, "9pfs", "path=%s" % shared)
        front = Connected(machine, "p9_front.py", "data", copy)
        front.hears("copied %d %08x" % (len(data), zlib.crc32(data)))
        assert (shared / copy).read_bytes() == data
        end(front, back, killed)
    kill(back)
    machine.must("device", "detach", "1", "9pfs", "--force")
    machine.audit()


@with_qemu
def test_qemus_console_carries_lines_both_ways_whichever_end_is_killed(machine):
    machine.must("device", "attach", "1", "console")
    back = qemu(machine)
    for killed in ("front", "back", None):
        # QEMU 7.2 ends if a second front end connects to a console.
        kill(back)
        back = attached_anew(machine, "console")
        front = Connected(machine, "console_front.py", "1")
        tty = machine.must("store", "read", "/local/domain/1/device/console/1/tty").strip()
        with open(tty, "r+b", buffering=0) as terminal:
            front.process.stdin.write("said by the guest\n")
            front.process.stdin.flush()
            assert terminal.readline().strip() == b"said by the guest"
            terminal.write(b"typed by somebody\n")
            front.hears("typed by somebody")
        end(front, back, killed)
    kill(back)
    machine.audit()


@pytest.mark.needs_no_machine
@with_qemu
def test_qemus_qdisk_serves_one_front_end_after_the_other():
    """The story; docs/howto-backend.md, which test_project.py executes, kills each."""
    story = harness.SOURCE / "scenarios" / "stories" / "qemu" / "qdisk.toml"
    build = Path(os.environ.get("GNTSIM_BUILD", harness.SOURCE / "build"))
    done = subprocess.run([harness.GNTSIM, "scenario", "run", story],
                          capture_output=True, text=True, timeout=harness.PATIENCE * 5,
                          env={**os.environ, "GNTSIM_PROGRAMS": str(build / "docs" / "examples")})
    assert done.returncode == 0, done.stdout + done.stderr
