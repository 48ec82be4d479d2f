# SPDX-License-Identifier: MIT
"""The tools of the tests of whole processes: the gntsim command, a machine served for one test,
agents. An agent is a process of a domain that does what the test says."""
import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path


SOURCE = Path(__file__).resolve().parents[2]
GNTSIM = os.environ.get("GNTSIM") or str(SOURCE / "build" / "gntsim")
SYSTEM = Path(__file__).resolve().parent
# The package is the one of this source, whoever imports it from here.
sys.path.insert(0, str(SOURCE / "scenarios"))
# What is tested is the device files with the distribution's own libraries, unless a test or this
# run of the tests says otherwise.
os.environ.setdefault("GNTSIM_WAY", "device")

# Nothing here waits for a time to pass. This is how long an answer may take before the test gives
# up: it may be a busy machine.
PATIENCE = int(os.environ.get("GNTSIM_TEST_PATIENCE") or 60)


# The device files of a domain, in the order of their names.
DEVICES = ["evtchn", "gntalloc", "gntdev", "hypercall", "privcmd", "xenbus"]
INITIAL_DEVICES = [*DEVICES, "xenbus_backend"]      # domain 0's


def eventually(condition, what, patience=PATIENCE):
    """Polls until condition() is true and returns its value; fails with `what` if that never
    happens."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, \
            "did not happen within %d s: %s" % (patience, what() if callable(what) else what)
        time.sleep(0.002)


def stop(process):
    """SIGSTOP, until the last thread of a child stands still."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)


def begin():
    """Before the first test."""
    # Orphans of the processes that a test starts become our children, so that none can hide.
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    # Whoever started us in the background or under nohup may have had these ignored, and programs
    # inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for sig in (signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(sig, signal.SIG_DFL)


def children_of(process):
    """Every living child of a process, as {pid: command line}."""
    found = {}
    for task in Path("/proc/%s/task" % process).iterdir():
        try:
            pids = (task / "children").read_text().split()
        except OSError:                 # a thread that is ending
            continue
        for pid in pids:
            try:
                state = Path("/proc/%s/stat" % pid).read_text().rsplit(")", 1)[1].split()[0]
                if state != "Z":
                    found[int(pid)] = Path("/proc/%s/cmdline" % pid).read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
    return found


def children():
    """Our own."""
    return children_of("self")


def mounts():
    """Mounts of this namespace that gntsim made."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if "gntsim" in line.split(" - ")[1]]


def took_too_long(*_):
    raise TimeoutError("this waits for what does not happen")


@contextlib.contextmanager
def ends_within(seconds):
    """What waits for ever fails, and says where it waited."""
    before = signal.signal(signal.SIGALRM, took_too_long)
    timer = signal.getitimer(signal.ITIMER_REAL)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def nothing_stays():
    """What happens within ends, and leaves no process and no mount behind."""
    mounted, before = mounts(), set(children())
    with ends_within(15 * PATIENCE):
        yield
    try:
        eventually(lambda: not set(children()) - before,
                   lambda: "no process is left: %s" % children())
    finally:
        for pid in set(children()) - before:
            os.kill(pid, signal.SIGKILL)
    assert mounts() == mounted


SANITIZERS = "ASAN", "UBSAN", "TSAN", "LSAN"


def sanitizers_said():
    """In the files to which conftest.py sends it: those of each log_path=, with a process's number
    behind it. The last one counts."""
    paths = {name: Path(word.partition("=")[2]) for name in SANITIZERS
             for word in os.environ.get(name + "_OPTIONS", "").split(":")
             if word.startswith("log_path=")}
    return "".join(said.read_text(errors="replace") for path in paths.values()
                   for said in path.parent.glob(path.name + ".*"))


def library_kind():
    """What gntsim's own libraries were built with, as a kind of program: one without it could not
    load them."""
    library = Path(GNTSIM).parent / "libgnttab" / "libxengnttab.so.1"
    if not library.exists():
        return "dynamic"
    symbols = subprocess.run(["nm", "-D", library], capture_output=True, text=True,
                             check=True).stdout
    return "asan" if "__asan_init" in symbols else "tsan" if "__tsan_init" in symbols else "dynamic"


def can_unmount():
    """Whether this user can undo a FUSE mount of its own. gntsim needs no such thing, its mounts
    vanish with their namespace."""
    return os.geteuid() == 0 or os.path.exists("/etc/mtab")


def gntsim(*args, command=(GNTSIM,), **more):
    """Runs gntsim to its end. Text in, text out; never longer than PATIENCE."""
    more.setdefault("timeout", PATIENCE)
    more.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([*command, *map(str, args)], capture_output=True, text=True, **more)


class Dead(AssertionError):
    """The agent ended instead of answering."""


class Refused(AssertionError):
    """The agent answered with an error that the test did not expect."""

    def __init__(self, command, error):
        super().__init__("%s: %s" % (command, error))
        self.error = error


class Agent:
    """A process of a domain: see agent.c for what it can do. Calling it sends a command and returns
    the answer's words; .error() expects the command to fail and returns the name of the error."""

    def __init__(self, argv, errors, env=None, patience=PATIENCE):
        self.patience = patience
        self.settle = None
        self.domain = None
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=errors, env=env, bufsize=0)
        self.buffer = b""
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)

    def send(self, *words):
        """Sends a command without waiting for its answer."""
        try:
            self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        except BrokenPipeError:
            raise Dead("the agent has ended") from None

    def answered(self):
        """True if an answer is there already."""
        return b"\n" in self.buffer or bool(self.selector.select(0))

    def answer(self):
        """The line that the agent answers."""
        end = time.monotonic() + self.patience
        while b"\n" not in self.buffer:
            assert self.selector.select(max(0, end - time.monotonic())), \
                "no answer within %d s" % self.patience
            more = self.process.stdout.read(65536)
            if not more:
                raise Dead("the agent ended with %s instead of answering" % self.process.wait())
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode().strip()

    def result(self, command="command"):
        status, _, rest = self.answer().partition(" ")
        if status != "ok":
            raise Refused(command, rest)
        return rest

    def __call__(self, *words):
        self.send(*words)
        result = self.result(" ".join(map(str, words)))
        if self.settle and {"munmap", "unshare"} & set(map(str, words)):
            self.settle()
        return result

    def error(self, *words):
        self.send(*words)
        line = self.answer()
        assert line.startswith("err "), "%s succeeded: %s" % (words, line)
        return line[4:]

    def begins(self):
        """Waits until the program is there, and with it its domain: `gntsim exec` takes some time
        for both."""
        self.send("pid")
        self.answer()

    # What nearly every test does.

    def share(self, count, domain, access="rw"):
        region, *refs = map(int, self("share", count, domain, access).split())
        return region, refs

    def share_notify(self, domain, offset, port):
        region, ref = map(int, self("share-notify", domain, offset, port).split())
        return region, ref

    def map(self, access, domain, *refs):
        return int(self("map", access, *("%d:%d" % (domain, ref) for ref in refs)))

    def map_notify(self, access, domain, ref, offset, port):
        return int(self("map-notify", access, domain, ref, offset, port))

    def peek(self, region, offset):
        return int(self("peek", region, offset))

    def poke(self, region, offset, value):
        assert int(self("poke", region, offset, value)) == value

    def unbound(self, domain):
        return int(self("evtchn-unbound", domain))

    def bind(self, domain, port):
        """Binds, and takes the event that every freshly bound channel has."""
        local = int(self("evtchn-bind", domain, port))
        assert self.wait() == local
        self("evtchn-unmask", local)
        return local

    def wait(self, milliseconds=PATIENCE * 1000):
        """The port of the next event, None if there is none in that time."""
        port = self("wait", milliseconds)
        return None if port == "none" else int(port)

    def fork(self):
        child, pid = map(int, self("fork").split())
        return child, pid

    def open(self, device, mode="rw"):
        return int(self("open", device, mode))

    @property
    def pid(self):
        return self.process.pid

    def kill(self, sig=signal.SIGKILL):
        self.process.send_signal(sig)
        return self.process.wait(PATIENCE)

    def end(self):
        """Ends it in good order."""
        self.process.stdin.close()
        status = self.process.wait(PATIENCE)
        assert status == 0, "the agent ended with %d" % status


class Machine:
    """`gntsim serve` in a directory of its own, for one test."""

    def __init__(self, work, *args, gntsim=(GNTSIM,), env=None):
        """gntsim: the command, with what it runs under; env: its environment, and that of the
        machine's programs."""
        self.gntsim, self.env = list(gntsim), env
        self.work = Path(work)
        self.dir = self.work / "machine"
        self.errors = open(self.work / "stderr", "a+", encoding="utf-8", errors="replace")
        self.agents = []
        self.others = []
        self.stopped = False
        # Every machine of every test is recorded and done again if this is set.
        self.trace = self.work / "trace.jsonl" if os.environ.get("GNTSIM_TEST_REPLAY") and \
            "--trace" not in args else None
        args = (*args, *(["--trace", self.trace] if self.trace else []))
        self.server = subprocess.Popen([*self.gntsim, "serve", "--dir", str(self.dir),
                                        *map(str, args)], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                       env=env)
        with selectors.DefaultSelector() as selector:
            selector.register(self.server.stdout, selectors.EVENT_READ)
            assert selector.select(PATIENCE), "gntsim serve printed nothing"
        self.ready = self.server.stdout.readline()
        assert self.ready == "gntsim: ready: %s/control\n" % self.dir, self.ready + self.stderr()

    def slow(self):
        """From here on programs come before the server, which hardly gets beyond letting a thread
        go before the thread's next call."""
        for task in Path("/proc/%d/task" % self.server.pid).iterdir():
            os.setpriority(os.PRIO_PROCESS, int(task.name), 10)

    def stderr(self):
        """What the server and every process wrote there."""
        return (self.work / "stderr").read_text(errors="replace")

    def says(self, text, times=1):
        """Waits until it has said so as often: whoever it serves does not wait for its messages."""
        eventually(lambda: self.stderr().count(text) >= times,
                   lambda: "%d times %r: %s" % (times, text, self.stderr()))
        assert self.stderr().count(text) == times

    def exec_argv(self, domain, *command, profile=None, options=()):
        return [*self.gntsim, "exec", "--dir", str(self.dir), "--domain", str(domain),
                *(["--profile", profile] if profile else []),
                *options, "--", *map(str, command)]

    def exec(self, domain, *command, profile=None, **more):
        """Runs a command in a domain to its end."""
        more.setdefault("timeout", PATIENCE)
        more.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(self.exec_argv(domain, *command, profile=profile),
                              capture_output=True, text=True, **more)

    def popen(self, domain, *command, profile=None, **more):
        process = subprocess.Popen(self.exec_argv(domain, *command, profile=profile), **more)
        self.others.append(process)
        return process

    def agent(self, domain, program, profile=None, env=None, prefix=(), options=(), words=(),
              awaited=True):
        """awaited: it is there when this returns, or Dead."""
        agent = Agent(self.exec_argv(domain, *prefix, program, *words, profile=profile,
                                     options=options), self.errors, env=env or self.env)
        # With gntsim's libraries the machine sees a plain munmap at its next operation, or a moment
        # later: here is one.
        if os.environ.get("GNTSIM_WAY", "auto") != "device":
            agent.settle = lambda: self.ctl("stats")
        agent.domain = domain
        self.agents.append(agent)
        if awaited:
            agent.begins()
        return agent

    def ctl(self, *words, **more):
        """As whoever serves it."""
        more.setdefault("env", self.env)
        return gntsim("ctl", "--dir", self.dir, *words, command=self.gntsim, **more)

    def must(self, *words):
        done = self.ctl(*words)
        assert done.returncode == 0, \
            "gntsim ctl %s: %s%s" % (" ".join(map(str, words)), done.stdout, done.stderr)
        return done.stdout

    def json(self, *words):
        return json.loads(self.must("--json", *words))

    def out(self, domain, *command, status=0, **more):
        """What a program in the domain prints."""
        done = self.exec(domain, *command, **more)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def domain(self, number):
        """Its row of `domain list`; None: there is none."""
        return next((d for d in self.json("domain", "list") if d["domain"] == number), None)

    def stats(self):
        return self.json("stats")

    def audit(self):
        """Fails unless the audit is clean."""
        done = self.ctl("audit")
        assert done.returncode == 0, "audit: " + done.stdout + done.stderr

    def quiet(self, open_files=0):
        """Waits until nothing is mapped and so many device files are open. Then the books must be
        right."""
        eventually(lambda: [self.stats()[what] for what in ("mappings", "open_files")] ==
                   [0, open_files],
                   lambda: "no mappings, %d open files: %s" % (open_files, self.stats()))
        self.audit()

    def own_ports(self, *domain):
        """Ports that programs bound, of one domain or all: 1 and 2 are those of the store and the
        console."""
        return [port for port in self.json("dump", "ports", *domain)["ports"] if port["port"] > 2]

    def own_grants(self, *domain):
        """Grants that programs made, of one domain or all: 0 and 1 are those of the console's and
        the store's pages."""
        return [entry for entry in self.json("dump", "entries", *domain)["entries"]
                if entry["ref"] > 1]

    def free_frames(self):
        return self.stats()["frames_free"]

    def frames_are_back(self, free):
        """Waits until as many frames are free as there were: a granter's kernel frees some from a
        timer."""
        eventually(lambda: self.stats()["frames_free"] >= free,
                   lambda: "%d frames free: %s" % (free, self.stats()))

    def stop(self):
        """Shuts the machine down and checks that it goes in good order."""
        # In good order if they can: a program that is killed writes no coverage.
        for agent in self.agents:
            agent.process.stdin.close()
        for agent in self.agents:
            try:
                agent.process.wait(1)
            except subprocess.TimeoutExpired:
                agent.process.kill()
                agent.process.wait()
            agent.process.stdout.close()
            agent.selector.close()
        for process in self.others:
            if process.poll() is None:
                process.kill()
            process.wait()
        if self.stopped:
            return
        self.stopped = True
        status = self.server.poll()
        if status is None:
            self.server.terminate()
            try:
                status = self.server.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
                status = "no end within %d s" % PATIENCE
        self.server.stdout.close()
        self.errors.flush()
        assert status == 0, \
            "gntsim serve ended with %s:\n%s\n%s" % (status, self.stderr(), sanitizers_said())
        assert not (self.dir / "control").exists(), "the control socket is left"
        if self.trace:
            done = gntsim("replay", self.trace)
            assert done.returncode == 0, done.stdout + done.stderr
