# SPDX-License-Identifier: MIT
"""--way auto, the default: every program finds device files, and linked ones get gntsim's
libraries. The tests say which library a program has, what works only through it, and that both work
together."""
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

import harness
from harness import GNTSIM, gntsim, library_kind

OURS = str((Path(GNTSIM).resolve().parent / "libgnttab").resolve())
PROFILES = ["pv", "pvh", "legacy"]
HABITS = ["closes-what-it-does-not-know", "closes-everything", "becomes-a-daemon",
          "is-restricted-in-a-child", "has-a-timer", "jumps-out",
          "locks-itself-in", "uses"]
no_sanitizer = pytest.mark.skipif(library_kind() != "dynamic",
                                  reason="the libraries have a sanitizer: programs without get "
                                  "device files alone")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user cannot")


@pytest.fixture(autouse=True)
def ours(monkeypatch):
    """gntsim chooses by itself, whatever this run of the tests says."""
    monkeypatch.delenv("GNTSIM_WAY", raising=False)


def library_of(agent):
    """The file of libxengnttab in a process, which may still be on its way to be the program. Its
    path is seen from the root directory of the domain's namespace, not from ours in a chroot."""
    def loaded():
        outside = os.readlink("/proc/%d/root" % agent.pid).rstrip("/")
        return {line.split(None, 5)[5].removeprefix(outside)
                for line in Path("/proc/%d/maps" % agent.pid).read_text().splitlines()
                if "libxengnttab" in line}

    harness.eventually(loaded, "the program has its libraries")
    files = loaded()
    assert len(files) == 1, files
    return files.pop()


def has_ours(agent):
    return library_of(agent).startswith(OURS + "/")


def loops_back(agent, domain):
    """Shares a page with its own domain, and maps it."""
    shared, refs = agent.share(1, domain)
    mapped = agent.map("rw", domain, *refs)
    agent.poke(mapped, 1, 11)
    assert agent.peek(shared, 1) == 11
    agent("unmap", mapped)
    agent("unshare", shared)


# ---- Who gets what -------------------------------------------------------------------------------


@no_sanitizer
def test_a_program_that_is_linked_with_the_libraries_gets_ours_and_device_files_too(machine):
    agent = machine.new(1)
    assert has_ours(agent)
    loops_back(agent, 1)
    agent.open("gntdev")
    agent.end()
    machine.quiet()


@pytest.mark.parametrize("which", ["exec", "serve"])
def test_with_way_device_a_program_keeps_its_own_libraries(serve, compiled, which):
    machine = serve(*(["--way", "device"] if which == "serve" else []))
    agent = machine.agent(1, compiled("agent"),
                          options=["--way", "device"] if which == "exec" else [])
    assert not has_ours(agent)
    loops_back(agent, 1)
    environment = Path("/proc/%d/environ" % agent.pid).read_bytes().split(b"\0")
    assert not [name for name in environment if name.startswith((b"GNTSIM_SOCKET",
                                                                 b"GNTSIM_DEVICE_FILES"))]


@no_sanitizer
def test_libraries_that_the_user_names_are_stronger_than_ours(machine, compiled, place):
    for name in ("libxengnttab.so.1", "libxenevtchn.so.1"):
        found = [line.split("=>")[1].split()[0]
                 for line in subprocess.run(["ldd", compiled("agent")], capture_output=True,
                                            text=True).stdout.splitlines()
                 if line.strip().startswith(name)]
        shutil.copy(found[0], place / name)
    agent = machine.agent(1, compiled("agent"), env={**os.environ, "LD_LIBRARY_PATH": str(place)})
    assert library_of(agent) == str(place / "libxengnttab.so.1")
    loops_back(agent, 1)


@pytest.mark.parametrize("kind", ["static", "asan", "tsan"])
def test_static_and_sanitized_programs_work(compiled, kind):
    done = gntsim("run", "--domain", 3, "--", compiled("churn", kind), 3, 5)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_dynamic_programs_work_whatever_gntsim_was_built_with(compiled):
    done = gntsim("run", "--domain", 3, "--", compiled("churn"), 3, 5, 4)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@no_sanitizer
def test_what_a_script_starts_has_ours_as_well(compiled):
    done = gntsim("run", "--", "sh", "-c", "ldd %s | grep -c %s/libxengnttab; %s 0"
                  % (compiled("agent"), OURS, compiled("raw")))
    assert done.stdout == "1\ndone\n", done.stderr


@as_root
@no_sanitizer
def test_a_set_user_id_program_has_the_systems_library_and_device_files(machine, compiled, place):
    program = place / "suid"
    shutil.copy(compiled("agent"), program)
    program.chmod(0o4755)
    place.chmod(0o755)
    machine.exec(1, "sh", "-c", "chmod 0666 /dev/xen/*")
    agent = machine.agent(1, program, prefix=["setpriv", "--reuid=65534", "--regid=65534",
                                              "--clear-groups"])
    if "nosuid" in subprocess.run(["findmnt", "-no", "OPTIONS", "-T", place], capture_output=True,
                                  text=True).stdout:
        pytest.skip("set-user-ID means nothing here")
    assert not has_ours(agent)
    loops_back(agent, 1)


@as_root
@no_sanitizer
def test_a_program_that_has_another_user_by_now_opens_the_device_files(machine, compiled, place):
    """As on a real machine their modes decide."""
    machine.exec(1, "sh", "-c", "chmod 0666 /dev/xen/*")
    agent = machine.agent(1, compiled("agent"),
                          prefix=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    assert has_ours(agent)
    loops_back(agent, 1)
    assert machine.stats()["socket_requests"] == 0


@no_sanitizer
def test_a_program_that_does_not_find_the_socket_opens_the_device_files(machine, compiled):
    agent = machine.agent(1, compiled("agent"), prefix=["env", "GNTSIM_SOCKET=/no/such/socket"])
    assert has_ours(agent)
    loops_back(agent, 1)
    assert machine.stats()["socket_requests"] == 0


def test_nothing_of_another_machine_is_handed_on(serve, compiled, monkeypatch):
    """A machine without device files in which one with such files is used."""
    outer = serve("--way", "socket")
    monkeypatch.setenv("GNTSIM_SOCKET", "/outer")
    done = subprocess.run(outer.exec_argv(1, GNTSIM, "run", "--domain", 1, "--way", "device", "--",
                                          "env"), capture_output=True, text=True,
                          timeout=harness.PATIENCE)
    assert done.returncode == 0 and "GNTSIM_SOCKET" not in done.stdout, done


@no_sanitizer
def test_a_killed_machine_leaves_no_socket_on_the_host(machine, compiled):
    loops_back(machine.new(1), 1)
    machine.server.kill()
    machine.server.wait()
    machine.stopped = True
    (machine.dir / "control").unlink()
    # the fixture leaves_nothing looks for files


# ---- Programs under tools ------------------------------------------------------------------------


def tool(name):
    return pytest.mark.skipif(not shutil.which(name),
                              reason="%s is not installed (tools/packages.txt)" % name)


@no_sanitizer
@tool("gdb")
@pytest.mark.parametrize("profile", PROFILES)
def test_under_gdb_from_its_start_a_program_maps(compiled, profile):
    words = ["break xengnttab_map_grant_ref", "run", "finish", "continue"]
    done = gntsim("run", "--profile", profile, "--", "gdb", "-batch", "-nx",
                  *(word for line in words for word in ("-ex", line)),
                  "--args", compiled("habits"), "uses", 0)
    assert "Value returned is" in done.stdout and "\ndone\n" in done.stdout and \
        "exited normally" in done.stdout, done.stdout + done.stderr


@no_sanitizer
@tool("strace")
@pytest.mark.parametrize("habit", ["uses", "becomes-a-daemon"])
def test_under_strace_from_its_start_a_program_maps_and_so_do_its_children(compiled, place, habit):
    done = gntsim("run", "--", "strace", "-f", "-o", place / "log", compiled("habits"), habit, 0)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert "sendmsg(" in (place / "log").read_text()


@no_sanitizer
@tool("valgrind")
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("checker", ["memcheck", "helgrind"])
def test_under_valgrind_a_program_maps_and_nothing_of_ours_is_complained_of(compiled, checker,
                                                                            profile):
    done = gntsim("run", "--profile", profile, "--", "valgrind", "-q", "--error-exitcode=9",
                  "--tool=" + checker, compiled("habits"), "uses", 0, timeout=4 * harness.PATIENCE)
    assert (done.returncode, done.stdout) == (0, "done\n"), done
    said = done.stderr.splitlines()
    assert ["maps its own page" in line for line in said] == [True] * (profile == "pvh"), said


@no_sanitizer
@tool("valgrind")
@pytest.mark.parametrize("way", ["auto", "socket"])
def test_valgrind_survives_threads_whose_mappings_lie_beside_each_other(compiled, way):
    """It takes what touches, in memory and in the file, for one mapping, and forgets the name of
    one of the two that it had."""
    done = gntsim("run", "--way", way, "--", "valgrind", "-q", "--error-exitcode=9",
                  compiled("neighbours"))
    assert (done.returncode, done.stdout) == (0, "done\n"), done


# ---- What daemons do -----------------------------------------------------------------------------


@no_sanitizer
@pytest.mark.parametrize("profile", PROFILES[:2])
@pytest.mark.parametrize("habit", HABITS)
def test_our_libraries_stand_what_daemons_do(compiled, habit, profile):
    done = gntsim("run", "--profile", profile, "--", compiled("habits"), habit, 0)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@no_sanitizer
def test_with_few_descriptors_a_program_works(compiled):
    done = gntsim("run", "--", "prlimit", "--nofile=64:64", compiled("habits"),
                  "has-few-descriptors", 0)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@no_sanitizer
@pytest.mark.parametrize("profile", ["pv", "legacy"])
def test_a_program_that_has_no_descriptor_left_maps(compiled, profile):
    done = gntsim("run", "--profile", profile, "--", compiled("stubborn"), "full", 0, 20)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@as_root
@no_sanitizer
def test_a_program_that_changed_its_root_goes_on_with_what_it_has_open(compiled):
    done = gntsim("run", "--", compiled("habits"), "changes-its-root", 0)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


# ---- Both at once --------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["auto", "device"])
@pytest.mark.parametrize("profile", PROFILES)
def test_libraries_plain_calls_on_their_descriptors_and_device_files_work_side_by_side(
        serve, compiled, way, profile):
    machine = serve("--profile", profile)
    argv = machine.exec_argv(1, compiled("mixed"), 1, profile, options=["--way", way])
    done = subprocess.run(argv, capture_output=True, text=True, timeout=harness.PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    machine.quiet()


@no_sanitizer
@pytest.mark.parametrize("profile", PROFILES)
def test_a_program_with_our_libraries_and_one_with_its_own_share_memory_and_events(serve, compiled,
                                                                                   profile):
    machine = serve("--profile", profile)
    granter = machine.agent(1, compiled("agent"))
    mapper = machine.agent(2, compiled("agent"), options=["--way", "device"])
    assert has_ours(granter) and not has_ours(mapper)
    port = granter.unbound(2)
    local = mapper.bind(1, port)
    shared, refs = granter.share(3, 2)
    mapped = mapper.map("rw", 1, *reversed(refs))
    mapper.poke(mapped, 2 * 4096, 42)
    assert granter.peek(shared, 0) == 42
    mapper("evtchn-notify", local)
    assert granter.wait() == port
    byte, ref = granter.share_notify(2, 5, port)
    assert mapper.map_notify("rw", 1, ref, 7, local) is not None
    granter.poke(byte, 7, 1)
    granter("evtchn-unmask", port)
    mapper.kill()
    if profile != "legacy":         # which does not hold the port
        assert granter.wait() == port
    harness.eventually(lambda: granter.peek(byte, 7) == 0, "the byte is cleared")
    granter.end()
    machine.quiet()


@no_sanitizer
def test_the_descriptors_of_handles_are_where_select_can_name_them(machine):
    agent = machine.new(1)
    agent.share(1, 1)
    numbers = [int(entry.name) for entry in Path("/proc/%d/fd" % agent.pid).iterdir()
               if stat.S_ISSOCK(entry.stat().st_mode)]
    assert numbers and all(512 <= number < 1024 for number in numbers)
