# SPDX-License-Identifier: MIT
"""gntsim as one file, which has its libraries in itself."""
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import harness

STATIC = os.path.join(os.environ.get("GNTSIM_BUILD") or os.path.dirname(harness.GNTSIM),
                      "static", "gntsim")
pytestmark = pytest.mark.skipif(not os.access(STATIC, os.X_OK), reason="it is not built here")


@pytest.fixture
def alone(place):
    """It without the build directory around it."""
    shutil.copy(STATIC, place / "gntsim")
    return place / "gntsim"


@pytest.fixture
def started(place, alone):
    machines = []

    def start(*args, env=None):
        machines.append(harness.Machine(place, *args, gntsim=(alone,), env=env))
        return machines[-1]

    yield start
    for machine in machines:
        machine.stop()


def share_and_map(machine, program, way="device"):
    granter, mapper = (machine.agent(domain, program, options=("--way", way))
                       for domain in (1, 2))
    region, [ref] = granter.share(1, 2)
    granter.poke(region, 8, 77)
    assert mapper.peek(mapper.map("rw", 1, ref), 8) == 77
    return granter, mapper


def mapped_libraries(agent):
    text = Path("/proc/%d/maps" % agent.pid).read_text()
    return set(re.findall(r"/\S*/(gntsim-machine\.\w+/libxengnttab\.so\.1)$", text, re.M))


def test_it_needs_no_library_of_the_host():
    assert "INTERP" not in subprocess.run(["readelf", "-l", STATIC], check=True,
                                          capture_output=True, text=True).stdout


@pytest.mark.parametrize("way", ["device", "socket", "auto"])
def test_it_serves_and_brings_its_libraries(started, compiled, way):
    machine = started("--way", way)
    granter, mapper = share_and_map(machine, compiled("agent", "dynamic"), way)
    assert bool(mapped_libraries(mapper)) == (way != "device")
    granter.end()
    mapper.end()
    machine.audit()


def test_a_program_that_is_static_as_well_has_the_device_files(started, compiled):
    for agent in share_and_map(started(), compiled("agent", "static")):
        agent.end()


def test_run_brings_them_too_and_leaves_nothing(place, alone, compiled):
    done = subprocess.run([alone, "run", "--way", "socket", "--", compiled("agent", "dynamic")],
                          input="share 1 0 rw\n", capture_output=True, text=True,
                          timeout=harness.PATIENCE)
    assert (done.returncode, done.stdout[:3]) == (0, "ok "), done
    assert not list(place.rglob("gntsim-machine.*"))


def test_libraries_are_not_put_where_nothing_may_be_executed(place, alone, compiled):
    """As a container's /dev/shm: the directory is in the next place that will do."""
    (place / "here").mkdir()
    script = 'mount -t tmpfs -o noexec noexec "$GNTSIM_TMPDIR" && exec "$@"'
    words = [alone, "run", "--way", "socket", "--", compiled("agent", "dynamic")]
    around = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    done = subprocess.run(["unshare", *around, "--mount", "sh", "-c", script, "sh", *words],
                          env=dict(os.environ, GNTSIM_TMPDIR=str(place / "here")),
                          input="share 1 0 rw\n", capture_output=True, text=True,
                          timeout=harness.PATIENCE)
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip("nothing can be mounted here: " + done.stderr.strip())
    assert (done.returncode, done.stdout[:3]) == (0, "ok "), done


def test_a_killed_server_leaves_no_libraries(place, alone):
    server = subprocess.Popen([alone, "serve", "--way", "socket", "--dir", place / "machine"],
                              stdout=subprocess.PIPE, text=True,
                              env=dict(os.environ, GNTSIM_TMPDIR=str(place)))
    assert server.stdout.readline().startswith("gntsim: ready")
    assert len(list(place.glob("gntsim-machine.*/libx*"))) == 2
    server.send_signal(signal.SIGKILL)
    server.wait()
    server.stdout.close()
    harness.eventually(lambda: not list(place.glob("gntsim-machine.*")), "the attendant clears up")


def test_where_it_cannot_unpack_them_it_says_so_in_one_line(place, alone):
    """Files may be no longer than a page there, which neither library is."""
    done = subprocess.run(["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", alone, "run", "--way",
                           "device", "--", "true"], capture_output=True, text=True)
    assert done.returncode == 1
    assert re.fullmatch(r"gntsim: cannot unpack the libraries \(GNTSIM_TMPDIR .*\): File too "
                        r"large\n", done.stderr), done
    assert not list(place.rglob("gntsim-machine.*"))


# A root with busybox, the program, what it runs, and the host's /proc and /dev.
BARE = """
top=$1; shift
mount -t tmpfs root "$top"
mkdir "$top/bin" "$top/proc" "$top/dev" "$top/old"
for file in "$@"; do cp "$file" "$top/bin"; done
mount --rbind /proc "$top/proc"
mount --rbind /dev "$top/dev"
cd "$top"
pivot_root . old
exec /bin/busybox sh -euc '
    PATH=/bin
    busybox umount -l /old
    busybox rmdir /old
    gntsim --version
    busybox printf "share 1 0 rw\\n" | gntsim run --way device -- agent-static
    gntsim doctor >/dev/null || true
    busybox ls /'
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has no root directory to give")
@pytest.mark.skipif(not shutil.which("busybox"), reason="there is no busybox here")
def test_it_runs_where_there_is_nothing_but_busybox(place, alone, compiled):
    (place / "top").mkdir()
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-euc", BARE,
                           "sh", place / "top", shutil.which("busybox"), alone,
                           compiled("agent", "static")],
                          capture_output=True, text=True, timeout=harness.PATIENCE)
    if "not found" in done.stderr:
        pytest.skip("busybox is dynamically linked here")
    assert done.returncode == 0, done
    version, shared, *rest = done.stdout.splitlines()
    assert version.startswith("gntsim ") and shared.startswith("ok "), done.stdout
    assert rest == ["bin", "dev", "proc"], "it leaves nothing"
