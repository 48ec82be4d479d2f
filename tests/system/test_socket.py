# SPDX-License-Identifier: MIT
"""The socket way: when it is chosen, what it needs, what ends it, and how it treats bad peers. The
other files' tests run over it, too, and show that programs see the same as over device files."""
import array
import errno
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
from pathlib import Path

import pytest

import harness
from harness import GNTSIM, PATIENCE, eventually, gntsim

pytestmark = pytest.mark.needs_no_machine      # that is, none with device files
SAYS_ONCE = "is reached over a socket"
OPEN, ATTACH, IOCTL, MMAP, IOCTL_MMAP, WRITE = range(1, 7)
MAGIC, VERSION, PACKET = 0x6D69736E, 4, 16 << 10


# ---- What is chosen ------------------------------------------------------------------------------


@pytest.fixture
def cage(compiled, place):
    """argv of a command as in a container: as nobody if we are root, without /dev/fuse, without
    what caged.c forbids."""
    caged, closed = compiled("caged"), place / "closed"
    closed.write_text("")
    closed.chmod(0)
    place.chmod(0o755)

    def argv(*command):
        inside = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
                  "--bounding-set=-all"] \
            if os.geteuid() == 0 else ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
        around = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
        script = 'mount --bind "$0" /dev/fuse && exec "$@"'
        return ["unshare", *around, "--mount", "--propagation", "private", "sh", "-c", script,
                str(closed), *inside, caged,
                *map(str, command)]

    env = quiet_env(place)
    tried = subprocess.run(argv("true"), capture_output=True, text=True, env=env)
    if tried.returncode:
        pytest.skip("no cage can be made here: " + tried.stderr)
    tried = subprocess.run(argv(GNTSIM, "--version"), capture_output=True, text=True, env=env)
    if tried.returncode:
        pytest.skip("nobody cannot execute %s: %s" % (GNTSIM, tried.stderr))
    return argv


@pytest.fixture
def open_place(place):
    """A directory that nobody may write to, inside of which everything is cleaned up."""
    path = place / "open"
    path.mkdir()
    path.chmod(0o777)
    return path


@pytest.fixture
def ours(monkeypatch):
    """gntsim chooses by itself, whatever this run of the tests says."""
    monkeypatch.delenv("GNTSIM_WAY", raising=False)


def quiet_env(place):
    """TMPDIR where nobody can write. Sanitizers report to standard error, and cannot trace to look
    for leaks."""
    env = {key: value for key, value in os.environ.items()
           if key not in ("GNTSIM_WAY", "ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS",
                                                                         "LSAN_OPTIONS")}
    return dict(env, TMPDIR=str(place), GNTSIM_TMPDIR=str(place), ASAN_OPTIONS="detect_leaks=0")


def program(compiled, name):
    return compiled(name, harness.library_kind())


def test_in_a_container_the_socket_is_chosen_and_one_line_says_so(cage, compiled, ours, open_place):
    done = subprocess.run(cage(GNTSIM, "run", "--domain", 1, "--", program(compiled, "blocked"),
                               "--help"), capture_output=True, text=True,
                          env=quiet_env(open_place))
    assert done.stderr.count(SAYS_ONCE) == 1, done.stderr
    assert "/dev/fuse" in done.stderr, "it says why"


def test_in_a_container_doctor_says_which_way_and_why(cage, ours, open_place):
    done = subprocess.run(cage(GNTSIM, "doctor", "--json"), capture_output=True, text=True,
                          env=quiet_env(open_place))
    answer = json.loads(done.stdout)
    assert (answer["way"], answer["usable"]) == ("socket", True), done.stdout
    assert "/dev/fuse" in answer["why"]
    missing = {check["check"] for check in answer["checks"] if not check["ok"]}
    assert {"fuse", "namespaces", "mounts", "tracing"} <= missing and "socket" not in missing
    text = subprocess.run(cage(GNTSIM, "doctor"), capture_output=True, text=True,
                          env=quiet_env(open_place)).stdout
    assert re.search(r"^way\s+socket\b", text, re.M) and "because:" in text


def test_in_a_container_the_demo_works(cage, ours, open_place):
    """Its two programs share memory, meet a paged-out page, and see each other's end; its audit is
    clean."""
    build = Path(os.environ.get("GNTSIM_BUILD", Path(GNTSIM).parent))
    if harness.library_kind() != "dynamic":
        pytest.skip("the libraries have a sanitizer, the demo's programs have none")
    if not (build / "scenarios" / "demo" / "demo-granter").exists():
        pytest.skip("the demo's programs are not built")
    done = subprocess.run(cage("/usr/bin/python3", "-B",
                               harness.SOURCE / "scenarios" / "demo" / "demo.py", build),
                          capture_output=True, text=True, env=quiet_env(open_place))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == "", "the package has asked for the way itself"


def test_in_a_container_every_agent_of_these_tests_can_work(cage, compiled, ours, place,
                                                            open_place):
    """Sharing, mapping, copying and events, with the agents that all tests are made of."""
    machine = harness.Machine(open_place, gntsim=cage(GNTSIM), env=quiet_env(open_place))
    try:
        granter, mapper = (machine.agent(domain, program(compiled, "agent")) for domain in (1, 2))
        port = granter.unbound(2)
        shared, refs = granter.share(3, 2)
        mapped = mapper.map("rw", 1, *reversed(refs))
        mapper.poke(mapped, 2 * 4096, 42)
        assert granter.peek(shared, 0) == 42
        local = mapper.bind(1, port)
        mapper("evtchn-notify", local)
        assert granter.wait() == port
        assert mapper.kill() == -signal.SIGKILL
        machine.audit()
    finally:
        machine.stop()
        shutil.rmtree(open_place / "machine", ignore_errors=True)
        for path in open_place.iterdir():
            path.unlink()


def test_a_machine_with_device_files_offers_the_socket_as_well(serve, compiled, monkeypatch):
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse is not open to this user (as root: chmod 0666 /dev/fuse)")
    monkeypatch.delenv("GNTSIM_WAY", raising=False)
    machine = serve("--way", "device")
    files = machine.agent(1, compiled("agent"))
    monkeypatch.setenv("GNTSIM_WAY", "socket")
    other = machine.agent(2, program(compiled, "agent"))
    shared, refs = files.share(3, 2)
    mapped = other.map("rw", 1, *reversed(refs))
    other.poke(mapped, 4096, 11)
    assert files.peek(shared, 4096) == 11
    machine.audit()


def test_a_machine_without_device_files_refuses_them(serve):
    machine = serve("--way", "socket")
    done = gntsim("exec", "--dir", machine.dir, "--way", "device", "--", "true")
    assert done.returncode == 1
    assert "no device files" in done.stderr


def test_asked_for_it_is_not_told(serve):
    machine = serve("--way", "socket")
    done = gntsim("exec", "--dir", machine.dir, "--way", "socket", "--", "true")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("args", [("run", "--way", "frog", "--", "true"),
                                  ("doctor", "--way", "socket")])
def test_a_way_that_does_not_exist_or_means_nothing_is_a_usage_error(args):
    done = gntsim(*args)
    assert done.returncode == 2
    assert "--way" in done.stderr or "frog" in done.stderr


def test_the_environment_names_a_way_and_a_wrong_name_is_an_error(monkeypatch):
    monkeypatch.setenv("GNTSIM_WAY", "frog")
    done = gntsim("run", "--", "true")
    assert (done.returncode, "GNTSIM_WAY" in done.stderr) == (2, True)


def test_a_statically_linked_program_is_warned_of(compiled):
    done = gntsim("run", "--way", "socket", "--", compiled("agent", "static"))
    assert "statically linked" in done.stderr


def test_a_program_that_names_the_devices_is_warned_of(compiled):
    done = gntsim("run", "--way", "socket", "--", program(compiled, "raw"))
    assert "names files in /dev/xen" in done.stderr


# ---- Life and death ------------------------------------------------------------------------------


@pytest.fixture
def machine(serve, compiled, monkeypatch):
    monkeypatch.setenv("GNTSIM_WAY", "socket")
    machine = serve()
    kind = harness.library_kind()
    machine.new = lambda domain, profile=None, **more: machine.agent(domain, compiled("agent", kind), profile, **more)
    return machine


def private_dirs():
    return set(Path(os.environ["GNTSIM_TMPDIR"]).glob("gntsim-machine.*"))


def test_a_killed_server_is_an_error_to_its_programs_and_hangs_nobody(machine):
    agent = machine.new(1)
    shared, refs = agent.share(1, 1)
    mapped = agent.map("rw", 1, *refs)
    agent.unbound(1)
    agent.send("wait", PATIENCE * 1000)
    machine.server.kill()
    machine.server.wait()
    machine.stopped = True
    assert agent.answer() != "", "who waits for an event wakes up"
    assert agent.error("map", "rw", "1:%d" % refs[0]) == "ENODEV"
    assert agent.error("share", 1, 1, "rw") == "ENODEV"
    assert machine.agents and agent.error("unmap", mapped) == "ENODEV", \
        "the memory goes, the grant cannot"
    assert agent.peek(shared, 0) == 0, "what is mapped stays"
    agent("unshare", shared)
    eventually(lambda: not private_dirs(), "its attendant has removed its directory")
    (machine.dir / "control").unlink()


def test_the_next_machine_sweeps_after_one_that_was_killed_with_its_attendant(machine):
    machine.new(1).share(1, 1)
    left = private_dirs()
    assert left
    for pid in [*harness.children_of(machine.server.pid), machine.server.pid]:
        os.kill(pid, signal.SIGKILL)
    machine.server.wait()
    machine.stopped = True
    assert private_dirs() == left
    assert gntsim("run", "--way", "socket", "--", "true").returncode == 0
    assert not private_dirs() & left
    (machine.dir / "control").unlink()


def test_a_living_machines_directory_is_not_swept(machine):
    before = private_dirs()
    assert gntsim("run", "--way", "socket", "--", "true").returncode == 0
    assert private_dirs() == before
    machine.new(1).share(1, 2)


def test_destroying_a_domain_kills_its_programs_and_their_children(machine):
    agent, other = machine.new(1), machine.new(2)
    child = agent.fork()[1]
    machine.must("domain", "destroy", 1)
    assert agent.process.wait(PATIENCE) == -signal.SIGKILL
    eventually(lambda: child not in harness.children(), "the child is gone")
    other.share(1, 2)
    machine.must("domain", "create", 1)
    machine.new(1).share(1, 2)


def test_run_ends_what_the_command_leaves_running(compiled, monkeypatch):
    """The harness fails the test if the sleeper is left."""
    done = gntsim("run", "--way", "socket", "--", "sh", "-c",
                  "sleep 1000 >/dev/null 2>&1 & echo started")
    assert (done.returncode, done.stdout) == (0, "started\n")


def test_a_forked_child_may_go_on_using_a_handle_as_it_may_a_descriptor(machine):
    """Against the rules of the interface, but so it is with the device: parent and child share one
    open file."""
    parent = machine.new(1, "pvh")
    shared, refs = parent.share(1, 1)
    child, _ = parent.fork()
    region = int(parent("child", child, "map", "rw", "1:%d" % refs[0]))
    parent("child", child, "poke", region, 5, 55)
    assert parent.peek(shared, 5) == 55
    again = parent.map("rw", 1, *refs)
    parent("child", child, "unmap", region)
    assert parent.peek(again, 5) == 55
    machine.audit()


# ---- Peers ---------------------------------------------------------------------------------------


class Peer:
    """Somebody who speaks the protocol, or not."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(path)

    def send(self, data, *fds):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([data], ancillary)

    def message(self, op, body=b"", *fds):
        data = struct.pack("II", 8 + len(body), op) + body
        self.send(data[:PACKET], *fds)
        for at in range(PACKET, len(data), PACKET):
            self.send(data[at:at + PACKET])

    def reply(self):
        """(result, mapped) of the next reply, with descriptors closed; None at the end."""
        data = b""
        while len(data) < 8 or len(data) < struct.unpack_from("I", data)[0]:
            more, fds, _, _ = socket.recv_fds(self.socket, 65536, 4)
            for fd in fds:
                os.close(fd)
            if not more:
                assert not data, "half a reply"
                return None
            data += more
        return struct.unpack_from("qi", data, 8)

    def open(self, device=b"gntdev"):
        self.message(OPEN, struct.pack("III12s", MAGIC, VERSION, os.O_RDWR, device))
        return self.reply()

    def is_dropped(self):
        try:
            return self.reply() is None
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()


@pytest.fixture
def peer(machine):
    """peer() connects to domain 1's socket."""
    path = machine.exec(1, "sh", "-c", "echo $GNTSIM_SOCKET").stdout.strip()
    peers = []

    def connect():
        peers.append(Peer(path))
        return peers[-1]

    yield connect
    for each in peers:
        each.close()


def ioctl(cmd, arg, ranges=(), data=b"", views=()):
    return struct.pack("QIIII", arg, cmd, len(ranges), len(views), 0) + \
        b"".join(struct.pack("QII", addr, size, 0) for addr, size in ranges) + \
        b"".join(struct.pack("QQQQ", *view) for view in views) + data


MAP_GRANT_REF = 0x00184700
BAD_BEFORE_OPEN = {
    "an empty message": struct.pack("II", 0, OPEN),
    "a message shorter than its header": struct.pack("II", 7, OPEN),
    "a message of four gigabytes": struct.pack("II", 0xFFFFFFFF, OPEN),
    "a request before the greeting": struct.pack("II", 8, WRITE),
    "another magic": struct.pack("IIIII12s", 32, OPEN, 1, VERSION, 2, b"gntdev"),
    "a device name without an end": struct.pack("IIIII12s", 32, OPEN, MAGIC, VERSION, 2,
                                                b"gntdevgntdev"),
    "a request that does not exist": struct.pack("II", 8, 99),
    "request number 0": struct.pack("II", 8, 0),
    "a packet that is too long": struct.pack("II", PACKET + 1, OPEN) + b"\0" * (PACKET - 7),
    "text": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
}
BAD_AFTER_OPEN = {
    "a second greeting": (OPEN, struct.pack("III12s", MAGIC, VERSION, 2, b"gntdev")),
    "a short ioctl": (IOCTL, b"\0" * 12),
    "more ranges than bytes": (IOCTL, struct.pack("QIIII", 0, MAP_GRANT_REF, 1 << 31, 0, 0)),
    "more views than bytes": (IOCTL, struct.pack("QIIII", 0, MAP_GRANT_REF, 0, 1 << 31, 0)),
    "a range without bytes": (IOCTL, ioctl(MAP_GRANT_REF, 4096, [(4096, 24)])),
    "an empty range": (IOCTL, ioctl(MAP_GRANT_REF, 4096, [(4096, 0)])),
    "ranges that descend": (IOCTL, ioctl(MAP_GRANT_REF, 4096, [(8192, 8), (4096, 8)], b"\0" * 16)),
    "ranges that overlap": (IOCTL, ioctl(MAP_GRANT_REF, 4096, [(4096, 8), (4100, 8)], b"\0" * 16)),
    "a range around the end of everything": (IOCTL,
                                             ioctl(MAP_GRANT_REF, 4096, [(2 ** 64 - 4, 8)],
                                                   b"\0" * 8)),
    "bytes of no range": (IOCTL, ioctl(MAP_GRANT_REF, 4096, [], b"\0" * 24)),
    "a long mmap": (MMAP, b"\0" * 100),
    "an attachment of nothing": (ATTACH, b""),
}


def dropped_with_a_line(machine, peer):
    assert peer.is_dropped()
    eventually(lambda: "domain 1: dropped process %d" % os.getpid() in machine.stderr(),
               machine.stderr)


@pytest.mark.parametrize("what", BAD_BEFORE_OPEN)
def test_a_peer_that_begins_with_garbage_is_dropped(machine, peer, what):
    one = peer()
    one.send(BAD_BEFORE_OPEN[what])
    dropped_with_a_line(machine, one)
    assert peer().open() == (0, 1)


@pytest.mark.parametrize("what", BAD_AFTER_OPEN)
def test_a_peer_that_sends_garbage_is_dropped_and_its_device_closed(machine, peer, what):
    one = peer()
    assert one.open() == (0, 1)
    one.message(*BAD_AFTER_OPEN[what])
    dropped_with_a_line(machine, one)
    machine.quiet()


@pytest.mark.parametrize("size", [1, 7, 8, 9, 31])
def test_half_a_message_and_an_end_is_dropped(machine, peer, size):
    one = peer()
    one.send(struct.pack("IIIII12s", 32, OPEN, MAGIC, VERSION, 2, b"gntdev")[:size])
    one.socket.shutdown(socket.SHUT_WR)
    assert one.is_dropped()
    eventually(lambda: "half a message" in machine.stderr(), machine.stderr)


def test_a_message_may_come_byte_by_byte(peer):
    one = peer()
    for byte in struct.pack("IIIII12s", 32, OPEN, MAGIC, VERSION, 2, b"gntdev"):
        one.send(bytes([byte]))
    assert one.reply() == (0, 1)


@pytest.mark.parametrize("size", [PACKET - 1, PACKET, PACKET + 1, 10 * PACKET,
                                  (16 << 20) - 8 - 24 - 16])
def test_a_message_may_be_longer_than_a_packet(peer, size):
    one = peer()
    assert one.open() == (0, 1)
    for _ in range(2):
        one.message(IOCTL, ioctl(0xDEAD, 4096, [(4096, size)], b"\0" * size))
        assert one.reply()[0] == -errno.ENOTTY


def test_another_version_and_another_device_are_errors(peer):
    one = peer()
    one.message(OPEN, struct.pack("III12s", MAGIC, VERSION + 1, 2, b"gntdev"))
    assert one.reply()[0] == -errno.EPROTONOSUPPORT
    assert one.open(b"mem") == (-errno.ENOENT, 1)
    assert one.open(b"gntalloc") == (0, 1)


@pytest.mark.parametrize("many", [1, 2, 200])
def test_descriptors_that_nobody_asked_for_are_closed_and_their_sender_dropped(machine, peer, many):
    pipe = os.pipe()
    one = peer()
    assert one.open() == (0, 1)
    one.message(WRITE, b"", *[pipe[1]] * many)
    dropped_with_a_line(machine, one)
    os.close(pipe[1])
    assert os.read(pipe[0], 1) == b"", "nobody has the other end any more"
    os.close(pipe[0])


@pytest.mark.parametrize("what", [os.pipe, lambda: [end.detach() for end in socket.socketpair()]],
                         ids=["pipe", "stream"])
def test_what_is_attached_must_be_a_socket_of_packets(machine, peer, what):
    one = peer()
    assert one.open() == (0, 1)
    fds = what()
    one.message(ATTACH, b"", fds[0])
    for fd in fds:
        os.close(fd)
    dropped_with_a_line(machine, one)


def test_an_access_beyond_what_was_sent_is_a_fault(peer):
    one = peer()
    assert one.open() == (0, 1)
    one.message(IOCTL, ioctl(MAP_GRANT_REF, 4096))
    assert one.reply()[0] == -errno.EFAULT
    one.message(IOCTL, ioctl(MAP_GRANT_REF, 4096, [(4096, 24)],
                             struct.pack("IIQII", 3, 0, 0, 1, 8)))
    assert one.reply()[0] == -errno.EFAULT, "three references, but one was sent"
    one.message(IOCTL_MMAP, struct.pack("QIIIIQQII", 4096, MAP_GRANT_REF, 1, 0, 0, 9999, 4096, 3,
                                        1) + struct.pack("QII", 4096, 24, 0) +
                struct.pack("IIQII", 1, 0, 0, 1, 8))
    assert one.reply() == (0, -errno.EFAULT), "the index is said to be where nothing was sent"


def test_views_of_mappings_that_do_not_exist_or_are_anothers_are_no_mappings(machine, peer):
    agent = machine.new(2)
    shared, refs = agent.share(1, 1)
    one = peer()
    assert one.open() == (0, 1)
    segment = struct.pack("QQIHHHHhH", 8192, 0, 0, 0, 0, 0, 0, 0, 0)[:24]
    for mapping in (0, 1, 2, 3, 2 ** 64 - 1):
        one.message(IOCTL, ioctl(0x00104708, 4096, [(4096, 40), (8192, 16)],
                                 struct.pack("IIQ", 1, 0, 4112) + segment + b"\0" * 16,
                                 [(8192, 4096, mapping, 0)]))
        assert one.reply()[0] <= 0
    machine.audit()


def test_a_flood_of_connections_and_requests_hurts_nobody_else(machine, peer):
    agent = machine.new(2)
    peers = [peer() for _ in range(100)]
    for each in peers:
        each.message(OPEN, struct.pack("III12s", MAGIC, VERSION, os.O_RDWR, b"evtchn"))
    agent.share(2, 1)
    for each in peers:
        assert each.reply() == (0, 1)
    assert machine.stats()["open_files"] >= 100
    for each in peers:
        each.close()
    eventually(lambda: machine.stats()["open_files"] == 1, machine.stats)


def test_a_peer_that_takes_no_replies_holds_up_nobody_else(machine, peer):
    one = peer()
    assert one.open() == (0, 1)
    one.socket.setblocking(False)
    body = ioctl(0xDEAD, 4096, [(4096, 65536)], b"\0" * 65536)
    with pytest.raises(BlockingIOError):
        for _ in range(100000):
            one.message(IOCTL, body)
    machine.new(2).share(2, 1)
    one.close()


def test_events_that_nobody_reads_stay_and_come_in_order(machine):
    sender, reader = machine.new(1), machine.new(2)
    pairs = []
    for _ in range(64):
        port = reader.unbound(1)
        pairs.append((sender.bind(2, port), port))
    for local, port in pairs:
        sender("evtchn-notify", local)
    assert [reader.wait() for _ in pairs] == [port for _, port in pairs]


def test_ports_can_be_read_from_the_descriptor_and_written_to_it(peer):
    """What stands for the device's descriptor behaves like it."""
    one = peer()
    one.message(OPEN, struct.pack("III12s", MAGIC, VERSION, os.O_RDWR, b"evtchn"))
    data, (events, *_), _, _ = socket.recv_fds(one.socket, 4096, 4)
    assert struct.unpack_from("q", data, 8) == (0,)

    def call(cmd, *words):
        one.message(IOCTL, ioctl(cmd, 4096, [(4096, 4 * len(words))],
                                 struct.pack("%dI" % len(words), *words)))
        return one.reply()[0]

    port = call(0x00044502, 1)
    local = call(0x00084501, 1, port)
    assert os.read(events, 4) == struct.pack("I", local), "every freshly bound channel has an event"
    assert not select.select([events], [], [], 0)[0]
    assert call(0x00044504, port) == 0
    assert not select.select([events], [], [], 0)[0], "it is masked until it is written"
    os.write(events, struct.pack("I", local))
    assert os.read(events, 4) == struct.pack("I", local)
    one.close()
    os.close(events)
