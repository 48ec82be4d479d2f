# SPDX-License-Identifier: MIT
"""`gntsim serve`, `exec` and `ctl`: a machine that stays, and what it answers."""
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

import harness
from harness import GNTSIM, gntsim


def test_serve_prints_one_line_when_ready_and_only_that(machine):
    assert machine.ready == "gntsim: ready: %s/control\n" % machine.dir
    machine.must("stats")
    machine.server.terminate()
    assert machine.server.wait(harness.PATIENCE) == 0
    assert machine.server.stdout.read() == ""


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT"])
def test_a_signal_shuts_the_machine_down_with_its_programs(machine, name):
    agent = machine.new(1)
    agent.share(3, 2)
    machine.server.send_signal(getattr(signal, "SIG" + name))
    assert machine.server.wait(harness.PATIENCE) == 0
    agent.process.wait(harness.PATIENCE)
    assert not (machine.dir / "control").exists()


def test_ctl_shutdown_shuts_the_machine_down_with_its_programs(machine):
    agent = machine.new(1)
    agent.share(3, 2)
    machine.must("shutdown")
    assert machine.server.wait(harness.PATIENCE) == 0
    agent.process.wait(harness.PATIENCE)


def test_a_server_that_is_killed_takes_its_programs_devices_but_hangs_nobody(machine):
    agent = machine.new(1)
    shared, _ = agent.share(1, 1)
    machine.server.kill()
    machine.server.wait()
    machine.stopped = True
    agent.send("share", 1, 1, "rw")
    try:
        assert agent.answer().startswith("err")
        agent.kill()
    except harness.Dead:
        pass
    os.unlink(machine.dir / "control")


def test_a_second_server_on_a_used_directory_is_refused(machine):
    done = gntsim("serve", "--dir", machine.dir)
    assert done.returncode == 1
    assert "running" in done.stderr and str(machine.dir) in done.stderr
    machine.must("stats")


def test_a_socket_left_by_a_killed_server_is_replaced(serve, tmp_path):
    first = serve()
    first.server.kill()
    first.server.wait()
    first.stopped = True
    assert (first.dir / "control").exists()
    again = subprocess.Popen([GNTSIM, "serve", "--dir", str(first.dir)], stdout=subprocess.PIPE,
                             text=True)
    assert again.stdout.readline().startswith("gntsim: ready")
    again.terminate()
    assert again.wait(harness.PATIENCE) == 0
    again.stdout.close()


@contextlib.contextmanager
def someone_at(directory):
    """A machine that finds the lock of its directory taken: (its process, our descriptor)."""
    directory.mkdir()
    fd = os.open(directory, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    server = subprocess.Popen([GNTSIM, "serve", "--dir", str(directory)], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield server, fd
    finally:
        server.terminate()
        server.communicate(timeout=harness.PATIENCE)
        os.close(fd)


def opened(pid, path):
    for link in Path("/proc/%d/fd" % pid).iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(link) == str(path):
                return True
    return False


@pytest.mark.parametrize("removed", [False, True], ids=["left", "removed"])
def test_whoever_tidies_up_beside_a_machine_that_starts_is_waited_for(tmp_path, removed):
    place = tmp_path / "machine"
    with someone_at(place) as (server, fd):
        harness.eventually(lambda: opened(server.pid, place), "the machine looks at its directory")
        if removed:
            place.rmdir()
        fcntl.flock(fd, fcntl.LOCK_UN)
        assert server.stdout.readline() == "gntsim: ready: %s/control\n" % place


def test_a_directory_whose_lock_is_never_free_is_named(tmp_path):
    place = tmp_path / "machine"
    with someone_at(place) as (server, _):
        assert server.wait(harness.PATIENCE) == 1
        message = server.stderr.read()
        assert "lock of %s" % place in message and "fuser" in message


def test_something_else_where_the_socket_should_be_is_left_alone(tmp_path):
    (tmp_path / "control").write_text("precious")
    done = gntsim("serve", "--dir", tmp_path)
    assert done.returncode == 1
    assert (tmp_path / "control").read_text() == "precious"


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    done = gntsim("serve", "--dir", tmp_path / "a" / "b")
    assert done.returncode == 1
    assert str(tmp_path / "a" / "b") in done.stderr


def test_a_path_that_is_too_long_for_a_socket_is_said_so(tmp_path):
    deep = tmp_path / ("d" * 120)
    for words in (("serve",), ("ctl",), ("exec",)):
        tail = {"ctl": ["stats"], "exec": ["--", "true"]}.get(words[0], [])
        done = gntsim(*words, "--dir", deep, *tail)
        assert done.returncode == 1
        assert "too long" in done.stderr


@pytest.mark.parametrize("words", [("ctl", "stats"), ("exec", "--", "true")])
def test_without_a_server_the_error_says_how_to_start_one(tmp_path, words):
    done = gntsim(words[0], "--dir", tmp_path, *words[1:])
    assert done.returncode == 1
    assert "gntsim serve --dir %s" % tmp_path in done.stderr


def test_exec_passes_the_exit_status_and_becomes_the_command(machine):
    assert machine.exec(3, "sh", "-c", "exit 9").returncode == 9
    assert machine.exec(3, "sh", "-c", "kill -TERM $$").returncode == -signal.SIGTERM
    process = machine.popen(3, "sh", "-c", "echo $$", stdout=subprocess.PIPE, text=True)
    assert int(process.stdout.readline()) == process.pid
    process.stdout.close()
    assert machine.exec(3, "/no/such/command").returncode == 127


def test_exec_creates_the_domain_if_it_is_new(machine):
    assert machine.json("domain", "list") == [] or \
        all(d["domain"] != 7 for d in machine.json("domain", "list"))
    machine.exec(7, "true", profile="pvh")
    assert [d["profile"] for d in machine.json("domain", "list") if d["domain"] == 7] == ["pvh"]


def test_a_profile_that_contradicts_an_existing_domain_is_refused(machine):
    machine.must("domain", "create", 4, "--profile", "legacy")
    done = machine.exec(4, "true", profile="pv")
    assert done.returncode == 1 and "legacy" in done.stderr
    assert machine.exec(4, "true", profile="legacy").returncode == 0


@pytest.mark.parametrize("profile", ["pv", "pvh", "legacy"])
def test_the_servers_profile_is_that_of_new_domains(serve, profile):
    machine = serve("--profile", profile)
    machine.must("domain", "create", 1)
    assert [d["profile"] for d in machine.json("domain", "list") if d["domain"] == 1] == [profile]


def test_domains_can_be_created_listed_and_destroyed(machine):
    machine.must("domain", "create", 11)
    machine.must("domain", "create", 12, "--profile", "pvh")
    rows = {d["domain"]: d for d in machine.json("domain", "list")}
    assert (rows[11]["profile"], rows[11]["auto_translated"]) == ("pv", False)
    assert (rows[12]["profile"], rows[12]["auto_translated"]) == ("pvh", True)
    text = machine.must("domain", "list")
    assert "11" in text and "pvh" in text and "profile" in text
    again = machine.ctl("domain", "create", 11)
    assert again.returncode == 1 and "11" in again.stderr
    machine.must("domain", "destroy", 11)
    assert 11 not in {d["domain"] for d in machine.json("domain", "list")}
    gone = machine.ctl("domain", "destroy", 11)
    assert gone.returncode == 1 and "11" in gone.stderr


def test_the_dump_shows_entries_mappings_frames_and_ports(machine):
    granter, mapper = machine.new(1), machine.new(2)
    _, refs = granter.share(2, 2)
    mapper.map("r", 1, *refs)
    port = granter.unbound(2)
    local = mapper.bind(1, port)
    entries = {row["ref"]: row for row in machine.json("dump", "entries", 1)["entries"]}
    for ref in refs:
        assert entries[ref]["to"] == 2
        assert entries[ref]["host_read"] >= 1
    assert {row["ref"] for row in machine.json("dump", "maptrack", 2)["maptrack"]
            if row["granter"] == 1} == set(refs)
    frames = {row["mfn"]: row for row in machine.json("dump", "frames", 1)["frames"]}
    assert all(entries[ref]["frame"] in frames for ref in refs)
    ports = {row["port"]: row for row in machine.json("dump", "ports", 2)["ports"]}
    assert (ports[local]["state"], ports[local]["remote_domain"],
            ports[local]["remote_port"]) == ("interdomain", 1, port)
    everything = machine.json("dump")
    assert set(everything) == {"entries", "maptrack", "frames", "ports"}
    assert {row["domain"] for row in everything["ports"]} >= {1, 2}
    for what in ("entries", "maptrack", "frames", "ports"):
        text = machine.must("dump", what, 1)
        assert what in text
    assert str(refs[0]) in machine.must("dump", "entries", 1)


def test_stats_count_what_happens(machine):
    before = machine.stats()
    assert {"domains", "open_files", "mappings", "frames_free", "frames_total", "hypercalls",
            "mmap_eagain", "events", "fuse_requests",
            "notifications"} <= set(before)
    agent = machine.new(1)
    shared, refs = agent.share(3, 1)
    agent.map("rw", 1, *refs)
    after = machine.stats()
    assert after["mappings"] == before["mappings"] + 2
    assert after["open_files"] == before["open_files"] + 2
    assert after["domains"] >= 1
    assert after["frames_free"] < before["frames_free"]
    for counter in ("hypercalls", "fuse_requests", "notifications"):
        assert after[counter] > before[counter], counter
    assert "mappings" in machine.must("stats")
    agent("unshare", shared)


def test_the_audit_is_clean_and_says_so(machine):
    machine.new(1).share(1, 2)
    done = machine.ctl("audit")
    assert (done.returncode, done.stderr) == (0, "")
    assert "clean" in done.stdout
    assert machine.json("audit")["violations"] == 0


def test_the_audit_finds_a_guest_that_takes_its_own_entry_away(machine):
    """The oracle of the audit: a grant that is mapped, while its granter overwrites the entry's
    domid: its guest's own business, yet nothing of the mapping's accounting may be lost."""
    granter, mapper = machine.new(1), machine.new(2)
    shared, refs = granter.share(1, 2)
    mapped = mapper.map("rw", 1, *refs)
    granter("unshare", shared)
    entries = {row["ref"]: row for row in machine.json("dump", "entries", 1)["entries"]}
    assert refs[0] in entries and entries[refs[0]]["host_write"] >= 1, "still held, and shown"
    mapper("unmap", mapped)
    harness.eventually(lambda: refs[0] not in {row["ref"]
                                               for row in machine.json("dump", "entries",
                                                                       1)["entries"]},
                       "the entry is free")
    machine.audit()


def test_page_out_and_page_in_check_what_they_get(machine):
    granter, mapper = machine.new(1), machine.new(2)
    _, refs = granter.share(2, 2)
    mapper.map("rw", 1, refs[0])
    for words, text in ((("page-out", 1, refs[0]), "mapped"),
                        (("page-in", 1, refs[1]), "not paged out"),
                        (("page-out", 1, 500), "500"), (("page-out", 9, refs[1]), "9"),
                        (("page-in", 9, refs[1]), "9")):
        done = machine.ctl(*words)
        assert done.returncode == 1, words
        assert text in done.stderr, done.stderr
    machine.must("page-out", 1, refs[1])
    assert machine.ctl("page-out", 1, refs[1]).returncode == 1
    assert [d["paged_out"] for d in machine.json("domain", "list") if d["domain"] == 1] == [1]
    machine.must("page-in", 1, refs[1])
    machine.audit()


def test_json_is_one_line_of_json(machine):
    for words in (("stats",), ("domain", "list"), ("dump",), ("audit",)):
        text = machine.must("--json", *words)
        assert text.count("\n") == 1
        json.loads(text)
        assert machine.must(*words, "--json") == machine.must(*words, "--json")


def test_nonsense_on_the_control_socket_harms_nobody(machine):
    lines = [b"\n", b"{}\n", b"[]\n", b"null\n", b"{\"verb\":1}\n", b"{\"verb\":\"nope\"}\n",
             b"\xff\xfe\n", b"{\"verb\":\"dump\",\"what\":3}\n",
             b"{\"verb\":\"domain-create\",\"domain\":-1}\n",
             b"{\"verb\":\"domain-create\",\"domain\":\"x\"}\n",
             b"{\"verb\":\"supervise\"}\n", b"{" * 2000 + b"\n"]
    for line in lines:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(harness.PATIENCE)
            sock.connect(str(machine.dir / "control"))
            sock.sendall(line)
            answer = sock.makefile("rb").readline()
            assert b"error" in answer or not answer, (line[:40], answer)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(harness.PATIENCE)
        sock.connect(str(machine.dir / "control"))
        try:
            for _ in range(400):
                sock.sendall(b"x" * 65536)
        except OSError:
            pass                # it may hang up on a line without end
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(machine.dir / "control"))
        sock.sendall(b"{\"verb\":\"st")
        machine.must("stats")
    machine.must("stats")
    machine.audit()


def test_a_reader_that_never_reads_its_answers_stops_nobody(machine):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        sock.connect(str(machine.dir / "control"))
        try:
            for _ in range(20000):
                sock.send(b"{\"verb\":\"dump\"}\n")
        except BlockingIOError:
            pass
        machine.must("stats")
        machine.new(1).share(1, 1)


def test_only_the_machines_user_can_reach_the_control_socket(machine):
    assert (machine.dir / "control").stat().st_mode & 0o077 == 0
