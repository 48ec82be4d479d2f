# SPDX-License-Identifier: MIT
"""Who trusts whom: clients their server, and the machine its domains' programs."""
import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys

import pytest

import harness
from control import Control
from harness import GNTSIM, SOURCE, gntsim

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
NOBODY = 65534

# Serves DIR/control and answers every request with the namespaces (or files) named, as often as it
# is asked.
IMPOSTOR = """
import array, os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1] + "/control")
os.chmod(sys.argv[1] + "/control", 0o666)
listener.listen(8)
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    while connection.recv(65536):
        print("asked", flush=True)
        fds = array.array("i", [os.open(path, os.O_RDONLY) for path in sys.argv[2:]])
        connection.sendmsg([b'{"result": {}}\\n'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)] if fds else [])
"""


@contextlib.contextmanager
def impostor(place, *paths, user=None):
    process = subprocess.Popen([sys.executable, "-c", IMPOSTOR, place, *paths],
                               stdout=subprocess.PIPE, text=True, user=user)
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def everything_of(directory):
    return [("exec", "--dir", directory, "--", "id"),
            ("exec", "--dir", directory, "--way", "socket", "--", "id"),
            ("ctl", "--dir", directory, "stats"), ("trace", "--dir", directory)]


@needs_root
@pytest.mark.needs_no_machine
def test_root_joins_nothing_that_another_user_serves(place):
    os.chmod(place, 0o755)
    directory = place / "theirs"
    directory.mkdir()
    os.chown(directory, NOBODY, NOBODY)
    with impostor(directory, "/proc/self/ns/mnt", user=NOBODY) as server:
        for words in everything_of(directory):
            done = gntsim(*words)
            assert (done.returncode, done.stdout) == (1, ""), done
            assert "served by user nobody" in done.stderr and "as that user" in done.stderr
        code = "import gntsim, sys; gntsim.Machine.attach(sys.argv[1])"
        done = subprocess.run([sys.executable, "-c", code, directory],
                              env={**os.environ, "PYTHONPATH": str(SOURCE / "scenarios")},
                              capture_output=True, text=True)
        assert done.returncode == 1 and "served by another user, %d" % NOBODY in done.stderr
        server.kill()
        assert "asked" not in server.stdout.read(), "something was sent"


@needs_root
def test_another_user_is_told_whose_machine_it_is(machine, place):
    for directory in (place, machine.work, machine.dir):
        os.chmod(directory, 0o755)
    os.chmod(machine.dir / "control", 0o666)
    for words in (("ctl", "--dir", machine.dir, "stats"),
                  ("exec", "--dir", machine.dir, "--way", "socket", "--", "true")):
        done = gntsim(*words, user=NOBODY)
        assert "another user" not in done.stderr, "root can do what it likes anyway"
    os.chmod(machine.dir / "control", 0o600)
    done = gntsim("ctl", "--dir", machine.dir, "stats", user=NOBODY)
    assert done.returncode == 1 and "another user" in done.stderr


@pytest.mark.needs_no_machine
@pytest.mark.parametrize("paths", [(), ("/dev/null",), ("/proc/self/ns/net",),
                                   ("/proc/self/ns/user",), ("/proc/self/ns/mnt", "/",
                                                             "/proc/self/ns/mnt"),
                                   ("/proc/self/ns/mnt", "/", "/dev/null")],
                         ids=lambda paths: "+".join(map(os.path.basename, paths)) or "none")
def test_what_is_no_namespace_of_the_server_is_not_joined(place, paths):
    with impostor(place, *paths):
        done = gntsim("exec", "--dir", place, "--", "id")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no namespace of its own" in done.stderr


# ---- Programs of domains

ASK = """
import json, socket, sys
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(sys.argv[1] + "/control")
    lines = sock.makefile("rb")
    for request in sys.argv[2:]:
        sock.sendall(request.encode() + b"\\n")
        print(lines.readline().decode(), end="", flush=True)
"""
TABLE = (SOURCE / "control" / "verbs_i.h").read_text()
VERBS = sorted(set(re.findall(r'^    (?:CTL|SOCKET)\("([a-z-]+)", \w+, (BY_\w+)', TABLE, re.M)))
ATTACH = {"verb": "kernel-attach", "domain": 9, "version": 1, "pages": 16}


def ask(machine, domain, *requests, prefix=(), way="auto"):
    argv = machine.exec_argv(domain, *prefix, sys.executable, "-c", ASK, machine.dir,
                             *map(json.dumps, requests), options=("--way", way))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=harness.PATIENCE)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_verbs_are_found():
    assert {("kernel-attach", "BY_OUTSIDERS"), ("stats", "BY_ANYBODY")} <= set(VERBS)
    assert ("shutdown", "BY_PRIVILEGED") in VERBS


@pytest.mark.parametrize("way", ["auto", "socket"])
def test_a_program_of_an_unprivileged_domain_may_only_look(serve, way):
    machine = serve("--way", way)
    machine.must("domain", "create", 2)
    answers = ask(machine, 1, *({**ATTACH, "verb": verb, "domain": 2} for verb, _ in VERBS),
                  way=way)
    for (verb, by), answer in zip(VERBS, answers):
        refused = "a program of domain 1" in answer.get("error", "")
        assert refused == (by != "BY_ANYBODY"), (verb, answer)
    assert {d["domain"]: d["state"] for d in machine.json("domain", "list")} == {1: "alive",
                                                                                 2: "alive"}


@pytest.mark.parametrize("way", ["auto", "socket"])
def test_a_program_of_domain_0_is_a_toolstack_but_gets_no_kernel(serve, way):
    machine = serve("--way", way)
    made, attached = ask(machine, 0, {"verb": "domain-create", "domain": 5}, ATTACH, way=way)
    assert made == {"result": {}} and "domain 0" in attached["error"]
    assert {0, 5} == {d["domain"] for d in machine.json("domain", "list")}


def test_a_namespace_of_its_own_makes_no_outsider(machine):
    if os.environ.get("GNTSIM_WAY") == "socket":
        pytest.skip("there are no namespaces")
    prefix = ("unshare", "--mount", "--fork") if os.geteuid() == 0 else ("unshare", "--user",
                                                                         "--mount", "--fork")
    answer, = ask(machine, 1, {"verb": "domain-destroy", "domain": 1}, prefix=prefix)
    assert "may only look" in answer["error"]


def test_outside_of_the_domains_everything_may_be_asked(machine):
    control = Control(machine)
    control.domain_create(domain=5)
    assert control.kernel_attach(**{key: value
                                    for key, value in ATTACH.items()
                                    if key != "verb"})["errno"] >= 0
    control.close()


def test_who_is_gone_before_it_is_served_gets_nothing(machine):
    """Nobody can say any more in which domain it was."""
    code = "import socket; s = socket.socket(socket.AF_UNIX); s.connect(%r); s.sendall(b'{\"verb\":\"shutdown\"}\\n')"
    harness.stop(machine.server)
    subprocess.run([sys.executable, "-c", code % str(machine.dir / "control")], check=True)
    os.kill(machine.server.pid, signal.SIGCONT)
    machine.must("stats")


# ---- The directory

@contextlib.contextmanager
def served(directory, **more):
    server = subprocess.Popen([GNTSIM, "serve", "--way", "socket", "--dir", directory],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    try:
        yield server
    finally:
        server.terminate()
        server.communicate()


def test_of_servers_that_start_together_one_wins_and_the_others_say_who_serves(place):
    directory = place / "m"
    for _ in range(5):
        servers = [subprocess.Popen([GNTSIM, "serve", "--way", "socket", "--dir", directory],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    text=True) for _ in range(8)]
        harness.eventually(lambda: sum(s.poll() is None for s in servers) == 1, "one is left")
        winner = next(s for s in servers if s.poll() is None)
        assert winner.stdout.readline() == "gntsim: ready: %s/control\n" % directory
        late = gntsim("serve", "--dir", directory)
        assert late.returncode == 1 and "served by process %d" % winner.pid in late.stderr
        assert gntsim("ctl", "--dir", directory, "stats").returncode == 0
        winner.kill()        # leaves its socket to the next
        for server in servers:
            out, errors = server.communicate()
            assert server is winner or (server.returncode == 1 and "a machine is" in errors
                                        and out == ""), (out, errors)
        assert (directory / "control").exists()
    with served(directory) as server:
        assert "ready" in server.stdout.readline(), "and sweeps up after the killed ones"


def test_a_directory_that_serve_made_goes_with_the_machine(place):
    with served(place / "new") as server:
        assert "ready" in server.stdout.readline()
        assert stat.S_IMODE((place / "new").stat().st_mode) == 0o700
    assert not (place / "new").exists()
    (place / "old").mkdir()
    with served(place / "old") as server:
        assert "ready" in server.stdout.readline()
    assert list((place / "old").iterdir()) == []
    with served(place / "used") as server:
        assert "ready" in server.stdout.readline()
        (place / "used" / "mine").write_text("precious")
    assert [path.name for path in (place / "used").iterdir()] == ["mine"]


def test_the_control_socket_is_its_users_only_whatever_the_umask(place):
    with served(place / "m", umask=0) as server:
        assert "ready" in server.stdout.readline()
        assert stat.S_IMODE((place / "m" / "control").lstat().st_mode) == 0o600


def test_no_symbolic_link_is_followed(place):
    target = place / "target"
    target.mkdir()
    (place / "link").symlink_to(target)
    done = gntsim("serve", "--dir", place / "link")
    assert done.returncode == 1 and "symbolic link" in done.stderr
    (place / "m").mkdir()
    (place / "precious").write_text("")
    os.chmod(place / "precious", 0o644)
    for pointed in (place / "precious", place / "nowhere"):
        (place / "m" / "control").symlink_to(pointed)
        assert gntsim("serve", "--dir", place / "m").returncode == 1
        (place / "m" / "control").unlink()
    assert list(target.iterdir()) == [] and not (place / "nowhere").exists()
    assert stat.S_IMODE((place / "precious").stat().st_mode) == 0o644


def test_a_directory_that_others_may_change_is_not_used(place):
    (place / "m").mkdir()
    os.chmod(place / "m", 0o777)
    done = gntsim("serve", "--dir", place / "m")
    assert done.returncode == 1 and "chmod o-w" in done.stderr
    os.chmod(place / "m", 0o1777)
    with served(place / "m") as server:
        assert "ready" in server.stdout.readline()


@needs_root
def test_a_directory_of_another_user_is_not_used(place):
    (place / "m").mkdir()
    os.chown(place / "m", NOBODY, NOBODY)
    done = gntsim("serve", "--dir", place / "m")
    assert done.returncode == 1 and "belongs to user nobody" in done.stderr
