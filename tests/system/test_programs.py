# SPDX-License-Identifier: MIT
"""Ordinary C programs under `gntsim run`: built against the distribution's packages, dynamic,
static and with sanitizers."""
import signal
import subprocess
from pathlib import Path

import pytest

import harness
from harness import gntsim


# A sanitizer's report to standard error, which every other test takes for a failure.
HEARD = ["env", "-u", "UBSAN_OPTIONS", "LSAN_OPTIONS=log_path=stderr",
         "ASAN_OPTIONS=exitcode=23:log_path=stderr"]


@pytest.mark.parametrize("profile", ["pv", "pvh", "legacy"])
@pytest.mark.parametrize("kind", ["dynamic", "static", "asan"])
def test_a_program_that_uses_only_the_libraries_works(compiled, kind, profile):
    done = gntsim("run", "--domain", 3, "--profile", profile, "--", compiled("churn", kind), 3, 5)
    assert (done.returncode, done.stdout) == (0, "done\n"), done
    # It maps its own pages, which an auto-translated domain had better not do: it is said once.
    said = done.stderr.splitlines()
    assert ["maps its own page" in line for line in said] == [True] * (profile == "pvh"), said


@pytest.mark.parametrize("kind", ["dynamic", "static", "asan"])
def test_a_program_that_uses_the_devices_by_hand_works(compiled, kind):
    done = gntsim("run", "--", compiled("raw", kind), 0)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_the_leak_sanitizer_reports_the_programs_own_leaks_and_only_those(compiled, tmp_path):
    source = tmp_path / "leak.c"
    source.write_text("""
        #include <stdlib.h>
        #include <sys/mman.h>
        #include <xengnttab.h>
        int main(void)
        {
            uint32_t ref;
            xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
            xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
            xengntshr_share_pages(gntshr, 0, 1, &ref, 1);
            char *mapped = xengnttab_map_grant_ref(gnttab, 0, ref, PROT_READ | PROT_WRITE);
            mapped[0] = 1;
            *(void *volatile *)mapped = malloc(77);
            *(void *volatile *)mapped = NULL;
            xengnttab_close(gnttab);
            xengntshr_close(gntshr);
            return 0;
        }""")
    program = tmp_path / "leak"
    subprocess.run(["cc", "-fsanitize=address", "-g", "-o", program, source, "-lxengnttab"],
                   check=True)
    done = gntsim("run", "--", *HEARD, program)
    assert done.returncode == 23
    assert "SUMMARY: AddressSanitizer: 77 byte(s) leaked in 1 allocation(s)" in done.stderr


def test_the_address_sanitizer_still_finds_a_stray_write(compiled, tmp_path):
    source = tmp_path / "stray.c"
    source.write_text("""
        #include <stdlib.h>
        #include <xengnttab.h>
        int main(void)
        {
            uint32_t ref;
            xengntshr_handle *gntshr = xengntshr_open(NULL, 0);
            char *shared = xengntshr_share_pages(gntshr, 0, 1, &ref, 1), *heap = malloc(10);
            shared[0] = 1;
            heap[10 + shared[1]] = 1;
            return 0;
        }""")
    program = tmp_path / "stray"
    subprocess.run(["cc", "-fsanitize=address", "-g", "-o", program, source, "-lxengnttab"],
                   check=True)
    done = gntsim("run", "--", *HEARD, program)
    assert done.returncode == 23
    assert "heap-buffer-overflow" in done.stderr


def test_threads_of_one_process_work_side_by_side(machine, compiled):
    done = machine.exec(1, compiled("churn"), 1, 20, 8)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    machine.quiet()


def test_many_processes_in_many_domains_work_at_once(machine, compiled):
    running = [machine.popen(domain, compiled("churn"), domain, 20, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
               for domain in range(1, 7) for _ in range(4)]
    for process in running:
        out, err = process.communicate(timeout=harness.PATIENCE * 4)
        assert (process.returncode, out, err) == (0, "done\n", "")
    machine.quiet()
    assert machine.stats()["domains"] >= 6


def test_forty_processes_killed_at_once_leave_nothing(machine, compiled):
    running = [machine.popen(domain, compiled("churn"), domain, 1000000, stderr=subprocess.DEVNULL)
               for domain in range(1, 5) for _ in range(10)]
    harness.eventually(lambda: machine.stats()["mappings"] > 20, "the processes work")
    for process in running:
        process.kill()
    for process in running:
        process.wait()
    machine.quiet()
    done = machine.exec(1, compiled("churn"), 1, 2)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.mark.parametrize("threads", [1, 3])
def test_a_stopped_client_does_not_stop_others(machine, compiled, threads):
    """Stopped at a moment of its own choice: in a call, in a mapping that is being completed, or
    between."""
    victim = machine.popen(1, compiled("churn"), 1, 1000000, threads)
    harness.eventually(lambda: machine.stats()["mappings"] > 0, "the victim works")
    other = machine.new(2)
    for _ in range(30):
        victim.send_signal(signal.SIGSTOP)
        shared, refs = other.share(2, 2)
        mapped = other.map("rw", 2, *refs)
        other.poke(mapped, 0, 1)
        assert other.peek(shared, 0) == 1
        other("unmap", mapped)
        other("unshare", shared)
        victim.send_signal(signal.SIGCONT)
    assert victim.poll() is None, "the victim died of it"
    before = machine.stats()["fuse_requests"]
    harness.eventually(lambda: machine.stats()["fuse_requests"] > before + 200,
                       "the victim works on")
    victim.send_signal(signal.SIGSTOP)
    victim.kill()
    victim.wait()
    other.end()
    machine.quiet()


@pytest.mark.parametrize("threads", [1, 3])
def test_a_stop_in_the_middle_of_a_mapping_stops_the_program(machine, compiled, threads):
    """It waits until the mapping is complete, and is not lost."""
    victim = machine.popen(1, compiled("churn"), 1, 1000000, threads)
    harness.eventually(lambda: machine.stats()["mappings"] > 0, "the victim works")
    status = Path("/proc/%d/status" % victim.pid)
    for _ in range(60):
        before = machine.stats()["notifications"]
        harness.eventually(lambda: machine.stats()["notifications"] > before, "the victim works on")
        victim.send_signal(signal.SIGSTOP)
        harness.eventually(lambda: "State:\tT" in status.read_text(), "the victim is stopped")
        victim.send_signal(signal.SIGCONT)
    victim.kill()
    victim.wait()
    machine.quiet()


@pytest.mark.parametrize("how", ["plain", "occupied", "changed", "removed", "forbidden", "full",
                                 "crowded"])
def test_a_program_maps_whatever_it_has_where_gntsim_would_put_something(machine, compiled, how):
    done = machine.exec(1, compiled("stubborn"), how, 1, 20)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    machine.quiet()


@pytest.mark.parametrize("last", ["execlp(\"true\", \"true\", NULL)", "exit(0)", "abort()"],
                         ids=["exec", "exit", "abort"])
def test_a_thread_ends_the_process_while_others_map(machine, tmp_path, last):
    """Threads vanish in the middle of mappings that are being completed; nothing of them is
    left."""
    source = tmp_path / "ends.c"
    source.write_text("""
        #define main churn_main
        #include "%s/churn.c"
        #undef main
        #include <time.h>
        #include <unistd.h>
        int main(int argc, char **argv)
        {
            struct worker workers[6];
            unsigned spin = atoi(argv[1]);
            for (unsigned i = 0; i < 6; i++) {
                workers[i] = (struct worker){ .domid = 1, .rounds = 1000000, .number = i };
                must(!pthread_create(&workers[i].thread, NULL, work, &workers[i]));
            }
            nanosleep(&(struct timespec){ .tv_nsec = spin * 1000 }, NULL);
            %s;
            return 1;
        }""" % (harness.SYSTEM, last))
    program = tmp_path / "ends"
    subprocess.run(["cc", "-D_GNU_SOURCE", "-O1", "-o", program, source, "-lxengnttab",
                    "-lxenevtchn"], check=True)
    expected = -signal.SIGABRT if last == "abort()" else 0
    for moment in range(0, 20000, 731):         # microseconds after the threads began, any will do
        done = machine.exec(1, "sh", "-c", "ulimit -c 0; exec %s %d" % (program, moment))
        assert done.returncode == expected, (moment, done.stderr)
    machine.quiet()


def test_signals_with_handlers_do_not_disturb_a_client(machine, tmp_path):
    """A program with a timer signal every few hundred microseconds, as a profiler makes them."""
    source = tmp_path / "timer.c"
    source.write_text("""
        #define main churn_main
        #include "%s/churn.c"
        #undef main
        #include <signal.h>
        #include <sys/time.h>
        static volatile sig_atomic_t ticks;
        static void tick(int sig) { ticks++; (void)sig; }
        int main(int argc, char **argv)
        {
            struct sigaction action = { .sa_handler = tick, .sa_flags = SA_RESTART };
            struct itimerval every = { { 0, 300 }, { 0, 300 } };
            struct worker w = { .domid = 1, .rounds = 200 };
            sigaction(SIGALRM, &action, NULL);
            setitimer(ITIMER_REAL, &every, NULL);
            work(&w);
            must(ticks > 50);
            puts("done");
            return 0;
        }""" % harness.SYSTEM)
    program = tmp_path / "timer"
    subprocess.run(["cc", "-D_GNU_SOURCE", "-O1", "-o", program, source, "-lxengnttab",
                    "-lxenevtchn"], check=True)
    done = machine.exec(1, program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    machine.quiet()


@pytest.mark.parametrize("way", ["device", "socket"])
@pytest.mark.parametrize("size", [1024, 8192])      # in the control page, and in pages of their own
@pytest.mark.skipif(harness.library_kind() != "dynamic",
                    reason="libxenvchan has no sanitizer, the libraries of the socket way have")
def test_libxenvchan_works_between_two_domains(serve, compiled, place, way, size):
    machine, program = serve(), compiled("vchan")
    (place / "xenstore").mkdir()
    (place / "xenstore" / "domid").write_text("1")
    env = ["env", "XENSTORE=%s" % (place / "xenstore")]
    free = machine.stats()["frames_free"]
    server = subprocess.Popen(machine.exec_argv(1, *env, program, "server", 2, size,
                                                options=("--way", way)), stdout=subprocess.PIPE,
                              text=True)
    machine.others.append(server)
    assert server.stdout.readline() == "serving\n"
    client = subprocess.run(machine.exec_argv(2, *env, program, "client", 1, size,
                                              options=("--way", way)), capture_output=True,
                            text=True, timeout=harness.PATIENCE)
    assert (client.returncode, client.stdout, client.stderr) == (0, "the same sum\n", "")
    assert server.stdout.read() == "200000 bytes, then the client was gone\n" and \
        server.wait(harness.PATIENCE) == 0
    machine.quiet()
    machine.audit()
    assert free - machine.stats()["frames_free"] < 20, \
        "the pages are back; two kernels have some of their own"
