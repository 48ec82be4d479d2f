# SPDX-License-Identifier: MIT
"""A machine: one that lives as long as its object, or one that runs already."""
from __future__ import annotations

import atexit
import json
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Callable, Optional, Union

from .control import Control
from .domain import Domain
from .errors import AuditFailed, Error, Gone, NotFound, Refused, Timeout
from .faults import Clock, Rule, rule_arguments
from .process import PATIENCE, Process, Pump, ends
from .store import Store
from .tempdir import new_name, remove_machine, sweep
from .trace import Event, select

PAGE_SIZE = 4096
NO_REFUSAL = "no call was refused"      # what why() says then
CLOCKS = ("real", "virtual", "auto")


def find_program() -> str:
    """The gntsim command: $GNTSIM, the one in PATH, or the one of the build directory that this
    package lies in."""
    named = os.environ.get("GNTSIM")
    if named:
        if not os.access(named, os.X_OK):
            raise NotFound("GNTSIM=%s is no program: set it to the gntsim command, or unset it to "
                           "search PATH" % named)
        return named
    found = shutil.which("gntsim")
    if found:
        return found
    scenarios, top = Path(__file__).resolve().parents[1:3]
    for place in (top / "gntsim", top / "build" / "gntsim"):
        if scenarios.name == "scenarios" and place.is_file() and os.access(place, os.X_OK):
            return str(place)
    raise NotFound("the gntsim command is not in PATH: install it, or set GNTSIM to its path")


def usual_way() -> str:
    """The way that a machine of this host has unless it is told: "device" or "socket"."""
    named = os.environ.get("GNTSIM_WAY", "auto")
    if named != "auto":
        return named
    done = subprocess.run([find_program(), "doctor", "--json"], stdin=subprocess.DEVNULL,
                          capture_output=True)
    try:
        return str(json.loads(done.stdout)["way"])
    except (ValueError, KeyError):
        raise Gone("`gntsim doctor --json` does not say how programs reach their devices: %s"
                   % done.stderr.decode(errors="replace")) from None


class Machine:
    """A simulated machine. As a context manager it ends, with everything in it, when the block is
    left; it also ends with this process, however that ends.

    profile: the guest kernel of its domains ("pv", "pvh", "legacy"). xen: the hypervisor's release
    ("xen-4.17", "xen-4.20", "xen-4.23"). seed: for faults with a probability, and for adversaries.
    clock: "real", "virtual" (stands still until clock.advance) or "auto" (virtual, and jumps to
    the next deadline when somebody waits for it). way: "device", "socket" or "auto". trace: a file
    that gets the trace. program: the gntsim command.
    gnttab_max_frames, gnttab_max_maptrack_frames: what a domain can be created with at most, as on
    Xen's command line. check: report what right programs do not do (findings): True, or the words
    of --check. check_suppress: a file of findings that are known.
    """

    _server: Optional[subprocess.Popen[bytes]]
    _errors: Optional[IO[bytes]]
    _control: Optional[Control]
    _pump: Optional[Pump]

    def __init__(self, *, profile: Optional[str] = None, xen: Optional[str] = None,
                 seed: Optional[int] = None, clock: str = "auto", way: Optional[str] = None,
                 trace: Optional[str | os.PathLike[str]] = None, program: Optional[str] = None,
                 verbose: bool = False, check: bool | str = False,
                 check_suppress: Optional[str | os.PathLike[str]] = None,
                 gnttab_max_frames: Optional[int] = None,
                 gnttab_max_maptrack_frames: Optional[int] = None):
        self._begin(way)
        if clock not in CLOCKS:
            raise Error("clock=%r: use one of %s" % (clock, ", ".join(CLOCKS)))
        self.program = program or find_program()
        self.seed = seed
        # the server makes and removes it, and ends with us: nothing stays if we are killed
        self.dir = new_name("gntsim")
        sweep(self.dir)
        argv = [self.program, "serve", "--dir", self.dir, "--owner", str(os.getpid())]
        for option, value in (("--profile", profile), ("--xen", xen), ("--seed", seed),
                              ("--clock", clock),
                              ("--trace", trace), ("--way", way),
                              ("--check-suppress", check_suppress),
                              ("--gnttab-max-frames", gnttab_max_frames),
                              ("--gnttab-max-maptrack-frames", gnttab_max_maptrack_frames)):
            if value is not None:
                argv += [option, os.fspath(value) if isinstance(value, os.PathLike) else str(value)]
        argv += ["--verbose"] * verbose
        if check:
            argv.append("--check" if check is True else "--check=" + check)
        atexit.register(self.close)
        try:
            self._start(argv)
            self._control = Control(self.dir)
            self.call("trace", on=True)
        except BaseException:
            self.close()
            raise

    @classmethod
    def attach(cls, directory: str | os.PathLike[str], *, way: Optional[str] = None,
               program: Optional[str] = None) -> Machine:
        """The machine that `gntsim serve --dir DIRECTORY` serves; it goes on when this object is
        closed."""
        self = cls.__new__(cls)
        self._begin(way)
        self.program = program or find_program()
        self.seed = None
        self.dir = os.fspath(directory)
        self._control = Control(self.dir)
        atexit.register(self.close)
        return self

    def _begin(self, way: Optional[str]) -> None:
        self.way = way
        self._real_way = None if way == "auto" else way
        self.processes: list[Process] = []
        self.clock = Clock(self)
        self.rules: list[Rule] = []
        self.ended_rules: list[dict[str, Any]] = []     # what was known of rules that are gone
        self._server = None
        self._errors = None
        self._control = None
        self._pump = None
        self._store: Optional[Store] = None
        self._closed = False
        self.crashed = False

    def _start(self, argv: list[str]) -> None:
        self._errors = tempfile.TemporaryFile(prefix="gntsim.")
        try:
            self._server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=self._errors)
        except OSError as error:
            raise NotFound("cannot start %s: %s" % (self.program, error.strerror)) from None
        assert self._server.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self._server.stdout, selectors.EVENT_READ)
            if not selector.select(PATIENCE):
                raise Timeout("`%s` was not ready within %g s; %s"
                              % (" ".join(argv), PATIENCE, self.log() or "it said nothing"))
        if b"ready" not in self._server.stdout.readline():
            self._server.wait(PATIENCE)
            raise Gone("the machine did not start: %s"
                       % (self.log().strip() or "no message, exit status %s; try `%s`"
                                                        % (self._server.returncode,
                                                           " ".join(argv))))

    # ---- Talking to it

    def call(self, verb: str, **arguments: Any) -> Any:
        """Any control verb; see `gntsim ctl` and the reference. Arguments that are None are left
        out."""
        if not self._control:
            raise Gone("%s: this machine is closed" % verb)
        return self._control.call(verb, **arguments)

    def log(self) -> str:
        """What the server has written to standard error. Only of a machine that this object
        started."""
        if not self._errors or self._errors.closed:
            return ""
        return os.pread(self._errors.fileno(), os.fstat(self._errors.fileno()).st_size,
                        0).decode(errors="replace")

    # ---- Domains and programs

    def domain(self, number: int, *, profile: Optional[str] = None,
               grant_frames: Optional[int] = None,
               maptrack_frames: Optional[int] = None, grant_version: Optional[int] = None,
               privcmd_unrestricted: Optional[bool] = None) -> Domain:
        """A domain; it is created if it is new. Naming another profile than it has is an error."""
        for row in self.domains():
            if row["domain"] == number and row.get("state", "alive") == "alive":
                if profile and row["profile"] not in (profile, "-"):
                    raise Error("domain %d exists with profile %s: a profile is chosen when a "
                                "domain is created" % (number, row["profile"]))
                return Domain(self, number)
        self.call("domain-create", domain=number, profile=profile, grant_frames=grant_frames,
                  maptrack_frames=maptrack_frames,
                  grant_version=grant_version,
                  privcmd_unrestricted=None if privcmd_unrestricted is None
                  else int(privcmd_unrestricted))
        return Domain(self, number)

    def domains(self) -> list[dict[str, Any]]:
        """All domains, as `gntsim ctl domain list` shows them."""
        result: list[dict[str, Any]] = self.call("domain-list")
        return result

    def real_way(self, domain: int) -> str:
        """How programs of the machine reach their devices, said to `gntsim exec`: "socket" if
        "auto" comes to that, so that it need not tell the program's reader."""
        if not self._real_way:
            self.way = self._real_way = "socket" if "why" in self.call("enter",
                                                                       domain=domain) else "auto"
        return self._real_way

    def pump(self) -> Pump:
        """What reads the output of the machine's programs."""
        if not self._pump:
            self._pump = Pump()
        return self._pump

    @property
    def store(self) -> Store:
        """The store as the toolstack has it, in domain 0: privileged."""
        if not self._store:
            self._store = Store.of(self, 0)
        return self._store

    # ---- Looking into it

    def stats(self) -> dict[str, Any]:
        """Counters by name."""
        result: dict[str, Any] = self.call("stats")
        return result

    def dump(self, what: Optional[str] = None, domain: Optional[int | Domain] = None) -> Any:
        """Tables: "entries", "maptrack", "frames" or "ports" gives its rows, None an object of all
        four."""
        result = self.call("dump", what=what, domain=None if domain is None else int(domain))
        return result[what] if what else result

    def violations(self) -> list[str]:
        """What the audit finds, a sentence each."""
        result = self.call("audit")
        lines: list[str] = result["lines"]
        return lines if result["violations"] else []

    def audit(self) -> None:
        """Fails unless all counts of the machine agree with each other."""
        lines = self.violations()
        if lines:
            raise AuditFailed(lines)

    def findings(self) -> list[str]:
        """What a machine with check=True has reported so far, a text each."""
        return list(self.call("findings"))

    def found(self) -> list[dict[str, Any]]:
        """The same with all that is known of each: "kind", "level", "title", "parts" and more."""
        return list(self.call("findings", detail=True))

    def held(self) -> list[dict[str, Any]]:
        """What the programs of a machine with check=True have now and have not given back: "text"
        and "parts" each, of what one process made at one place together."""
        return list(self.call("check", detail=True))

    def why(self, domain: Union[int, Domain, None] = None, ref: Optional[int] = None, *,
            page: Optional[int] = None, port: Optional[int] = None) -> list[str]:
        """Which calls of programs were refused, and why, the newest first: of all domains, or of
        one. With a reference, a page (gfn) or a port of the domain: who has it, and what would let
        it go."""
        asked = {key: number for key, number in (("grant", ref), ("page", page), ("port", port))
                 if number is not None}
        if len(asked) > 1:
            raise ValueError("why() takes one of ref, page and port")
        what, number = next(iter(asked.items()), (None, None))
        return list(self.call("why", what=what, id=number,
                              domain=None if domain is None else int(domain)))

    def cause(self) -> str:
        """A sentence on why the latest call of a program was refused, without its stack; "" if none
        was, or if the machine checks nothing."""
        try:
            latest = "".join(self.why()[:1])
        except Refused:
            return ""
        lines = [line.strip() for line in latest.splitlines()]
        return "" if latest == NO_REFUSAL else "; ".join(line for line in lines
                                                         if not line.startswith("#"))

    def trace(self, start: int = 0, **pattern: Any) -> list[Event]:
        """The events so far, from the number `start` on. With a pattern (op="map_grant_ref",
        domain=1, args={"index": 3}) only those that have these values."""
        events: list[Event] = []
        while True:
            result = self.call("trace-read", **{"from": start, "max": 4096})
            events += [Event(event) for event in result["events"]]
            if not result["events"] or result["next"] <= start:
                return select(events, pattern)
            start = result["next"]

    def pids(self) -> dict[int, int]:
        """The ids of the processes that events and rules know by number: the first that used a
        device is 1."""
        return {row["process"]: row["pid"] for row in self.call("processes")}

    def points(self) -> dict[str, Any]:
        """The injection points passed so far: a total, and how often each."""
        result: dict[str, Any] = self.call("points")
        return result

    # ---- Faults and limits

    def fault(self, *, at: str, do: dict[str, Any], **selectors: Any) -> Rule:
        """Adds a rule: at this point, if all selectors match, do that instead. See the reference
        for points and actions. m.fault(at="map_grant_ref", index=6, do={"status": "eagain"},
        times=2)"""
        rule: dict[str, Any] = {key: int(value) if isinstance(value, Domain) else value
                                for key, value in selectors.items() if value is not None}
        added = Rule(self, self.call("fault-add",
                                     **rule_arguments({"at": at, "do": do, **rule}))["id"],
                     rule.get("name"), bool(rule.get("optional")))
        self.rules.append(added)
        return added

    def faults(self) -> list[dict[str, Any]]:
        """All rules, with what they have matched ("passed") and how often they have fired
        ("fired")."""
        result: list[dict[str, Any]] = self.call("fault-list")
        return result

    def tally(self) -> list[dict[str, Any]]:
        """The same of all rules that there ever were: also of those that were taken away."""
        return sorted(self.ended_rules + self.faults(), key=lambda row: int(row["id"]))

    def clear_faults(self) -> None:
        """Takes all rules away."""
        self.ended_rules += self.faults()
        self.call("fault-clear")
        self.rules.clear()

    # ---- Hostile guests, which Domain.adversary starts

    def adversaries(self) -> list[dict[str, Any]]:
        """All of them: "id", "domain", "kind", "steps", "hits"."""
        return list(self.call("adversary-list"))

    def adversary_step(self, number: int, n: int = 1) -> dict[str, Any]:
        """Has one make n steps now; its row of adversaries()."""
        return dict(self.call("adversary-step", id=number, n=n))

    def adversary_stop(self, number: int) -> dict[str, Any]:
        """Ends one; its last row of adversaries()."""
        return dict(self.call("adversary-stop", id=number))

    # ---- Waiting

    def eventually(self, condition: Callable[[], Any], what: str = "the condition",
                   timeout: float = PATIENCE) -> Any:
        """Asks until the condition is true, and returns its value."""
        end = time.monotonic() + timeout
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() >= end:
                standing = self.clock.standing()
                raise Timeout("%s did not come true within %g s; %sstats: %s"
                              % (what, timeout, standing + "; " if standing else "",
                                 json.dumps(self.stats())))
            time.sleep(0.002)

    # ---- The end

    def shutdown(self) -> None:
        """Ends the machine and its programs, also one that somebody else started."""
        self.call("shutdown")

    def crash(self) -> None:
        """Kills the simulator itself, as a CI system might. Its programs find out; nothing can be
        asked of it afterwards."""
        if not self._server:
            raise Error("crash() kills a machine that this object started; end another with "
                        "`gntsim ctl shutdown`")
        self.crashed = True
        self._server.kill()
        self._server.wait()

    def abort(self) -> None:
        """From another thread: kills the machine and its programs, so that whoever uses it gets an
        error; close() is still needed."""
        if self._server and self._server.poll() is None:
            self._server.kill()
        for process in list(self.processes):
            process.signal(signal.SIGKILL)

    def close(self) -> None:
        """Ends the programs that were started here, and the machine if it was started here. Can be
        called again."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        try:
            for process in self.processes:
                process.close()
            if self._pump:
                self._pump.close()
        finally:
            if self._store:
                self._store.close()
            if self._control:
                self._control.close()
            self._stop_server()

    def _stop_server(self) -> None:
        if not self._server:
            return
        assert self._server.stdout
        if self._server.poll() is None:
            self._server.terminate()
            if not ends(self._server, PATIENCE):
                self._server.kill()
                self._server.wait()
        self._server.stdout.close()
        remove_machine(self.dir)      # a server that was killed could not
        if self._errors:
            self._errors.close()

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], value: Optional[BaseException],
                 where: Optional[TracebackType]) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<Machine at %s>" % self.dir
