# SPDX-License-Identifier: MIT
"""One round of stress: programs at work in two domains of a machine, and what a seed does to them.

In the mode storm programs are killed, stopped and signalled, domains destroyed and suspended, the machine looked at and traced; in the end
nothing may be mapped or open, the books must be right, and the machine ends in good order, perhaps with everybody at work. In the mode server-kill the server
gets SIGKILL at a random moment: everybody must be gone by themselves soon, and nothing left on the host."""
import collections
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import harness
from harness import GNTSIM, children, eventually, library_kind, mounts, sanitizers_said

HERE = Path(__file__).resolve().parent
COMPILE = [os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", str(HERE / "worker.c")]
LIBRARIES = ["-lxengnttab", "-lxenevtchn", "-lxentoollog", "-lxentoolcore", "-lpthread"]
SANITIZE = {"dynamic": [], "asan": ["-fsanitize=address,undefined"], "tsan": ["-fsanitize=thread"]}
# How a program of a killed server may end: by itself, or by the one signal that the reference names.
ENDS_WITHOUT_SERVER = {0, -signal.SIGKILL}


def what(seed):
    """Way and mode of a round."""
    lot = random.Random("what %d" % seed)
    return lot.choice(["auto", "device", "socket"]), lot.choice(["storm", "storm", "server-kill"])


class Failure(Exception):
    """Something is not as it must be."""


def must(condition, text, *args):
    if not condition:
        raise Failure(text % args)


class Worker:
    """One program, and what it says."""

    def __init__(self, storm, domain):
        lot = storm.lot
        self.domain = domain
        self.log = tempfile.TemporaryFile(dir=storm.work)
        argv = [storm.program(), str(lot.getrandbits(60)), str(domain), str(lot.choice([0, 1000, 1000, 7000])), str(lot.choice([1, 1, 1, 2, 3]))]
        self.process = subprocess.Popen(storm.machine.exec_argv(domain, *argv), stdin=subprocess.DEVNULL, stdout=self.log, stderr=storm.machine.errors)
        self.may_end = self.stopped = False

    def lines(self):
        size = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), size, 0).decode(errors="replace").splitlines()

    def is_ready(self):
        return self.process.poll() is not None or "ready" in self.lines()

    def signal(self, sig):
        if self.process.poll() is None:
            self.process.send_signal(sig)


class Storm:
    """What all rounds have in common, and the present one."""

    def __init__(self, options):
        self.options = options
        self.count = collections.Counter()
        self.slowest = 0.0

    def __enter__(self):
        harness.begin()
        self.directory = Path(tempfile.mkdtemp(prefix="stress."))
        os.chmod(self.directory, 0o755)
        self.programs, self.library_kind = {}, library_kind()
        for kind in {"dynamic", self.library_kind}:
            self.programs[kind] = self.directory / ("worker-" + kind)
            subprocess.run([*COMPILE, *SANITIZE[kind], "-o", self.programs[kind], *LIBRARIES], check=True)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory)

    def counts(self):
        return ", ".join("%d %s" % (n, name) for name, n in sorted(self.count.items())) + "; slowest end after SIGKILL %.1f s" % self.slowest

    def program(self):
        return self.programs["dynamic" if self.way == "device" else self.library_kind]

    # ---- A round

    def round(self, seed, way, mode):
        """True if all went well."""
        self.lot, self.way = random.Random("round %d" % seed), way
        profile = self.lot.choice(["pv", "pv", "pvh", "legacy"])
        print("stress: seed %d: %s, %s, %s" % (seed, way, mode, profile), flush=True)
        self.work = Path(tempfile.mkdtemp(prefix="round.", dir=self.directory))
        self.shared = Path(tempfile.mkdtemp(prefix="stress.", dir="/dev/shm"))
        os.environ.update(GNTSIM_TMPDIR=str(self.shared), TMPDIR=str(self.work), GNTSIM_WAY=way)
        for name in harness.SANITIZERS:
            os.environ[name + "_OPTIONS"] = "log_path=%s/report" % self.work
        self.mounted, self.workers, self.machine = mounts(), [], None
        try:
            self.machine = harness.Machine(self.work, "--way", way, "--profile", profile)
            self.numbers, self.fresh = [1, 2], 1000     # the latter: more than suspends make
            self.hire()
            getattr(self, mode.replace("-", "_"))()
            self.nothing_is_left()
            self.count[mode] += 1
            return True
        except (Failure, AssertionError, subprocess.SubprocessError, OSError) as failure:
            self.report(failure)
            print("stress: again: tests/stress/run --seed %d --rounds 1 --way %s --mode %s --programs %d --build %s%s" %
                  (seed, way, mode, self.options.programs, self.options.build,
                   "".join(" --without " + act for act in self.options.without)), flush=True)
            return False
        finally:
            self.clean_up()

    def hire(self):
        """As many programs as there are to be."""
        while len(self.workers) < self.options.programs:
            self.workers.append(Worker(self, self.lot.choice(self.numbers)))
            self.count["programs"] += 1

    def everybody_is_at_work(self):
        def idle():
            return [w for w in self.workers if not w.stopped and not w.is_ready()]
        eventually(lambda: not idle(), lambda: "everybody has mapped, but not %s, which said %s" % (states(idle()), [w.lines() for w in idle()]))

    def let_go(self, worker):
        """It has ended. What it said counts."""
        self.workers.remove(worker)
        for line in worker.lines():
            must(not line.startswith(("ODD", "EINTR")), "a program says: %s", line)
        worker.log.close()

    def collect(self):
        """Those who have ended. Nobody does without a reason."""
        must(self.machine.server.poll() is None, "the server has ended: %s", self.machine.server.returncode)
        for worker in list(self.workers):
            status = worker.process.poll()
            if status is not None:
                must(worker.may_end, "a program of domain %d ended with %d: %s", worker.domain, status, worker.lines()[-3:])
                self.let_go(worker)

    # ---- Storm

    def storm(self):
        acts = [self.kill_one] * 6 + [self.stop_one] * 4 + [self.signal_one] * 3 + [self.destroy] * 2 + [self.suspend] * 2 + [self.look] * 2
        for _ in range(self.lot.randrange(10, 50)):
            time.sleep(self.lot.random() * 0.1)
            act = self.lot.choice(acts)
            if act.__name__ in self.options.without:
                continue
            self.count[act.__name__] += 1
            act()
            self.collect()
            self.hire()
        for worker in self.workers:
            worker.signal(signal.SIGCONT)
        if self.lot.random() < 0.5:
            self.everybody_ends()
        self.machine_ends()

    def kill_one(self):
        worker = self.lot.choice(self.workers)
        worker.may_end = True
        worker.signal(signal.SIGKILL)

    def stop_one(self):
        worker = self.lot.choice(self.workers)
        if not worker.is_ready():    # it may be on its way into its domain, and is not yet one of those that end with it
            return
        worker.signal(signal.SIGCONT if worker.stopped else signal.SIGSTOP)
        worker.stopped = not worker.stopped

    def signal_one(self):
        for _ in range(self.lot.randrange(1, 30)):
            worker = self.lot.choice([w for w in self.workers if w.is_ready()] or [None])
            if worker:
                worker.signal(signal.SIGUSR1)

    def destroy(self):
        number = self.lot.choice(self.numbers)
        victims = [w for w in self.workers if w.domain == number]
        late = [w for w in victims if not w.is_ready()]
        for worker in victims:
            worker.may_end = True
        self.machine.ctl("domain", "destroy", number)
        for worker in late:          # it may have come to a new domain of that number
            worker.signal(signal.SIGKILL)
        eventually(lambda: all(w.process.poll() is not None for w in victims), lambda: "the programs of domain %d are gone: %s" % (number, states(victims)))
        # While somebody who is stopped holds its frames, its number is taken.
        if any(row["state"] == "dying" for row in self.machine.json("domain", "list")
               if row["domain"] == number):
            self.numbers[self.numbers.index(number)] = self.fresh = self.fresh + 1

    def suspend(self):
        number = self.lot.choice(self.numbers)
        # One that is still on its way to this number would find, or make, another domain there.
        eventually(lambda: all(w.stopped or w.is_ready() for w in self.workers if w.domain == number), "all programs of domain %d have mapped" % number)
        done = self.machine.ctl("--json", "domain", "suspend", number)
        if done.returncode:          # nobody has come to it yet
            return
        now = int(done.stdout.split(":")[1].strip(" }\n"))
        self.numbers[self.numbers.index(number)] = now
        for worker in self.workers:
            if worker.domain == number:
                worker.domain = now

    def look(self):
        done = self.machine.ctl(self.lot.choice(["audit", "stats", "dump"]))
        must(done.returncode == 0, "ctl: %s%s", done.stdout, done.stderr)

    def everybody_ends(self):
        for worker in self.workers:
            worker.may_end = True
            worker.signal(signal.SIGKILL)
        for worker in list(self.workers):
            worker.process.wait(harness.PATIENCE)
            self.let_go(worker)
        eventually(lambda: set(children()) == {self.machine.server.pid}, lambda: "only the server is left: %s" % children())
        self.machine.quiet()

    def machine_ends(self):
        self.machine.stopped = True
        self.machine.server.terminate()
        status = self.machine.server.wait(harness.PATIENCE)
        must(status == 0, "the server ended with %d", status)
        for worker in list(self.workers):
            worker.process.wait(harness.PATIENCE)
            self.let_go(worker)
        must(not (self.machine.dir / "control").exists(), "the control socket is left")

    # ---- The server is killed

    def server_kill(self):
        self.everybody_is_at_work()
        time.sleep(self.lot.random() * 0.5)
        self.collect()
        self.machine.stopped = True
        self.machine.server.kill()
        before = time.monotonic()
        eventually(lambda: self.machine.server.poll() is not None, lambda: "the server is gone: %s" % states_of([self.machine.server.pid]))
        eventually(lambda: all(w.process.poll() is not None for w in self.workers), lambda: "the programs are gone: %s" % states(self.workers))
        eventually(lambda: not children(), lambda: "no process is left: %s" % states_of(children()))
        self.slowest = max(self.slowest, time.monotonic() - before)
        for worker in list(self.workers):
            must(worker.process.returncode in ENDS_WITHOUT_SERVER, "without its server a program ended with %d: %s",
                 worker.process.returncode, worker.lines()[-3:])
            self.let_go(worker)

    # ---- In the end

    def nothing_is_left(self):
        eventually(lambda: not children(), lambda: "no process is left: %s" % states_of(children()))
        must(mounts() == self.mounted, "mounts are left: %s", mounts())
        eventually(lambda: not os.listdir(self.shared), lambda: "no files in /dev/shm: %s" % os.listdir(self.shared))
        must(not sanitizers_said(), "a sanitizer says: %s", sanitizers_said())

    def report(self, failure):
        print("stress: FAILED: %s" % failure, flush=True)
        if self.machine:
            print("\n".join(self.machine.stderr().splitlines()[-20:]))
        print(sanitizers_said()[:4000], flush=True)

    def clean_up(self):
        """Whatever happened."""
        if self.machine and self.machine.server.poll() is None:
            self.machine.server.kill()
        for pid in children():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        for worker in self.workers:
            worker.log.close()
        if self.machine:
            self.machine.errors.close()
            self.machine.server.stdout.close()
        shutil.rmtree(self.shared)
        shutil.rmtree(self.work)


def states(workers):
    return states_of([w.process.pid for w in workers if w.process.poll() is None])


def states_of(pids):
    """Where processes are, for people."""
    found = []
    for pid in pids:
        for task in Path("/proc/%d/task" % pid).glob("*"):
            try:
                found.append("%s %s %s" % (task.name, (task / "stat").read_text().rsplit(")", 1)[1].split()[0], (task / "wchan").read_text()))
            except OSError:
                continue
    return found
