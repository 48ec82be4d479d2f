# SPDX-License-Identifier: MIT
"""Programs keep their starter's root and working directory, in chroots of several kinds."""
import os
import subprocess
from pathlib import Path

import pytest

import harness
from harness import GNTSIM, gntsim

root_only = pytest.mark.skipif(os.geteuid() != 0,
                               reason="an ordinary user is root in a user namespace only")

# A root directory "$top" of the kind that is asked for, known by its /mnt/marker: a mount, a
# directory of a mount, or the host's root once more, read-only.
MAKE = """
top=$1 build=$2 work=$3 kind=$4; shift 4
case $kind in
bound) mount --rbind / "$top" && mount -o remount,bind,ro "$top" && mount --rbind "$work" "$top$work" ;;
*)
    [ $kind = plain ] || mount -t tmpfs root "$top"
    for d in usr etc proc dev sys tmp; do mkdir -p "$top/$d" && mount --rbind /$d "$top/$d"; done
    for d in bin lib lib64 sbin; do ln -sfn usr/$d "$top/$d"; done
    mkdir -p "$top/mnt" "$top$build" && mount --rbind "$build" "$top$build" ;;
esac
mount -t tmpfs marker "$top/mnt" && echo inside >"$top/mnt/marker"
"""
# A machine, outside of the root directory or inside ($place): ready when this is over. Its process
# is $machine.
SERVE = """
mkfifo "$work/ready"
$place "$gntsim" serve --way device --dir "$work/m" >"$work/ready" & machine=$!
trap 'kill $machine 2>/dev/null || true' EXIT
read line <"$work/ready"
"""
SHUTDOWN = """
"$gntsim" ctl --dir "$work/m" shutdown && wait $machine
"""


@pytest.fixture
def chroot(place):
    """chroot(KIND, SCRIPT, ARGS...) runs a shell script beside a new root directory, "$top"."""
    (place / "top").mkdir()
    (place / "work").mkdir()
    for directory in (place, place / "work"):
        directory.chmod(0o755)

    def run(kind, script, *args):
        around = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        argv = ["unshare", *around, "--mount", "--propagation", "private", "sh", "-euc"]
        values = [place / "top", Path(GNTSIM).resolve().parent, place / "work", kind]
        tried = subprocess.run([*argv, MAKE + 'chroot "$top" "$@"', "sh", *map(str, values), GNTSIM,
                                "--version"], capture_output=True, text=True)
        if tried.returncode:
            pytest.skip("no such root directory can be made here: " + tried.stderr)
        return subprocess.run([*argv, MAKE + "gntsim=%s\n" % GNTSIM + script, "sh",
                               *map(str, (*values, *args))],
                              capture_output=True, text=True, timeout=harness.PATIENCE,
                              stdin=subprocess.DEVNULL)

    # The test's own attempt leaves nothing in a plain directory.
    yield run
    subprocess.run(["rm", "-rf", "--one-file-system", place / "top"], check=True)


@pytest.fixture(params=["mounted", "plain", "bound"])
def kind(request, place):
    return request.param


def test_a_program_that_is_run_in_a_chroot_stays_in_it(chroot, kind, compiled):
    done = chroot(kind, 'exec chroot "$top" sh -c "cd /mnt && exec \\"\\$@\\"" sh "$@"', GNTSIM,
                  "run", "--way", "device", "--", "sh", "-c",
                  'cat /mnt/marker && pwd && cat marker && ls /dev/xen && "$0"', compiled("raw"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["inside", "/mnt", "inside", *harness.INITIAL_DEVICES, "done"]


def test_a_machine_of_a_chroot_takes_the_chroots_programs(chroot, kind, compiled):
    done = chroot(kind, 'place="chroot $top"' + SERVE + """
chroot "$top" "$gntsim" exec --dir "$work/m" --way device -- sh -c 'cat /mnt/marker && "$0"' "$1"
chroot "$top" "$gntsim" exec --dir "$work/m" --domain 2 --way device -- cat /mnt/marker
""" + SHUTDOWN, compiled("raw"))
    assert (done.returncode, done.stdout) == (0, "inside\ndone\ninside\n"), done.stderr


@pytest.mark.parametrize("machine,program", [("", "chroot $top"), ("chroot $top", "")],
                         ids=["outside", "inside"])
def test_a_program_with_another_root_directory_than_the_machine_has_no_device_files_of_it(chroot, kind, machine, program):
    done = chroot(kind, 'place="%s" program="%s"' % (machine, program) + SERVE + """
if $program "$gntsim" exec --dir "$work/m" --way device -- echo wrong; then exit 3; fi
""" + SHUTDOWN)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "its root directory is not the one that the machine was started in" in done.stderr, \
        done.stderr


def test_a_chroot_in_another_mount_namespace_is_another_root_directory_too(chroot, kind, serve):
    machine = serve("--way", "device")
    done = chroot(kind, 'exec chroot "$top" "$@"',
                  *machine.exec_argv(1, "echo", "wrong", options=("--way", "device")))
    assert (done.returncode, done.stdout) == (1, "") and \
        "its root directory is not" in done.stderr, done.stderr


def test_by_itself_such_a_program_takes_the_socket_and_stays_where_it_is(chroot, kind):
    done = chroot(kind, "place= " + SERVE + """
chroot "$top" "$gntsim" exec --dir "$work/m" --way auto -- sh -c 'cat /mnt/marker; test -S "$GNTSIM_SOCKET" && echo reached'
""" + SHUTDOWN)
    assert (done.returncode, done.stdout) == (0, "inside\nreached\n"), done.stderr
    assert "reached over a socket" in done.stderr and "its root directory is not" in done.stderr


def test_a_socket_that_is_not_in_the_programs_root_directory_is_named(chroot):
    done = chroot("mounted", "place= " + SERVE + """
mount -t tmpfs none "$top/dev/shm"
if chroot "$top" "$gntsim" exec --dir "$work/m" --way auto -- echo wrong; then exit 3; fi
""" + SHUTDOWN)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "cannot be reached" in done.stderr and "root directory" in done.stderr


def test_a_killed_machine_leaves_nothing_in_a_chroot(chroot, kind):
    done = chroot(kind, """
before=$(cat /proc/self/mountinfo) place="chroot $top"
""" + SERVE + """
chroot "$top" "$gntsim" exec --dir "$work/m" --way device -- true
kill -KILL $machine
wait $machine || true
test "$before" = "$(cat /proc/self/mountinfo)"
test ! -e "$top/dev/.gntsim"
rm "$work/m/control"
echo nothing
""")
    assert (done.returncode, done.stdout) == (0, "nothing\n"), done.stderr


@root_only
def test_an_ordinary_user_is_told_that_a_chroot_is_why_there_are_no_device_files(chroot, place):
    """Linux lets nobody in a chroot make a user namespace."""
    script = 'mknod -m 666 "$top/fuse" c 10 229 && mount --bind "$top/fuse" "$top/dev/fuse" && exec chroot --userspec=65534:65534 "$top" "$@"'
    done = chroot("mounted", script, GNTSIM, "run", "--way", "device", "--", "true")
    if "Permission denied" in done.stderr:
        pytest.skip("nobody cannot execute " + GNTSIM)
    assert done.returncode not in (0, 127) and \
        "this is a chroot, in which an ordinary user" in done.stderr, done
    done = chroot("mounted", script, "env", "-u", "GNTSIM_TMPDIR", GNTSIM, "run", "--way", "auto",
                  "--", "cat", "/mnt/marker")
    assert (done.returncode, done.stdout) == (0, "inside\n"), done.stderr
    assert "no device files: this is a chroot" in done.stderr


# ---- The working directory -----------------------------------------------------------------------


def test_a_working_directory_that_was_removed_stays_the_working_directory(place):
    gone = place / "gone"
    gone.mkdir()
    done = subprocess.run(["sh", "-c", 'cd "$0" && rmdir "$0" && exec "$@"', gone, GNTSIM, "run",
                           "--way", "device", "--", "stat", "-c", "%h %i", "."],
                          capture_output=True, text=True, timeout=harness.PATIENCE)
    assert done.returncode == 0 and done.stdout.split()[0] == "0", done


def test_where_the_machine_shows_something_else_it_is_that():
    done = gntsim("run", "--way", "device", "--", "ls", "xen", cwd="/dev")
    assert done.stdout.split() == harness.INITIAL_DEVICES, done.stderr


@root_only
def test_a_working_directory_that_is_another_one_in_the_domain_is_an_error(serve, place):
    machine = serve("--way", "device")
    later = place / "later"
    later.mkdir()
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-euc",
                           'mount -t tmpfs none "$1" && cd "$1" && shift && exec "$@"', "sh",
                           later, *machine.exec_argv(1, "pwd")], capture_output=True, text=True,
                          timeout=harness.PATIENCE)
    assert done.returncode not in (0, 127) and "where it is another directory" in done.stderr, done
