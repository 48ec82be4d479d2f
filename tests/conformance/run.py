# SPDX-License-Identifier: MIT
"""Runs the recorded programs on gntsim and compares what they print with what they printed on a
real Xen.

Usage: run.py [--list] PROGRAMS [LIBGNTTAB]

PROGRAMS is the directory with the built programs. With LIBGNTTAB, a directory that holds our
libxengnttab, the dom0 programs run once more with that library, and must print the same again.
Prints TAP: one line for each program.
--list prints the differences instead, in the form of differences.txt.

Each run has a machine of its own and all run at the same time:
  dom0    the programs of record/probes, in name order, in domain 0
  domU    the same in domain 1, which has no privileges
  cross   record/probes-domu: one half in domain 0, the other started in domain 1 by the recorded
  job runner
  pvh     the same, with a domain 1 that is auto-translated
  4.20-*  dom0, domU and cross again, on a machine with --xen xen-4.20
  hap     record/probes-hap in domain 0: memory paging, sharing and access of domains that they make
"""
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "system"))

import compare
import harness
from xenstore import Xenstore

PROFILE = "pv"      # what was recorded
DOMU = 1
PATIENCE = 300      # seconds for one program, nearly all of them asleep


def recorded(name):
    return (HERE / "record" / name).read_text(encoding="utf-8").splitlines()


class Run(threading.Thread):
    """One machine and the lines that its programs printed."""

    def __init__(self, name, golden, domain, programs, work, env=(), listed_as=None,
                 machine=()):
        super().__init__(name=name)
        self.golden, self.domain, self.programs = golden, domain, programs
        self.listed_as = listed_as or name
        self.work = Path(work) / name
        self.work.mkdir()
        self.options = machine
        # As in the oracle's init: a bare environment, and the distribution's libraries.
        self.env = {k: os.environ[k] for k in ("PATH", "HOME", "TMPDIR")
                    if k in os.environ} | dict(env)
        self.lines, self.broken, self.audit = [], None, None

    def run(self):
        try:
            self.machine = harness.Machine(self.work, "--profile", PROFILE, *self.options)
            try:
                self.use()
                self.machine.quiet()
            finally:
                self.machine.stop()
            said = [l for l in self.machine.stderr().splitlines() if "Sanitizer" in l
                    or "runtime error" in l]
            assert not said, "\n".join(said)
        except Exception:
            self.broken = traceback.format_exc()

    def use(self):
        for name in sorted(compare.by_probe(self.golden)):
            self.execute(name, str(self.domain), self.env)

    def execute(self, name, arguments, env):
        """Appends the program's lines and its exit status, as the recording did."""
        # Files, not pipes: a process that a program leaves behind keeps nobody waiting.
        with open(self.work / (name + ".out"), "w+b") as out, \
                open(self.work / (name + ".err"), "wb") as err:
            process = subprocess.Popen(self.machine.exec_argv(self.domain, self.programs / name,
                                                              *arguments.split()),
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env,
                                       cwd=self.work, start_new_session=True)
            try:
                status = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                end_group(process)
                status = process.wait()
            else:
                end_group(process)
            out.seek(0)
            self.lines += out.read().decode(errors="replace").splitlines()
        self.lines.append(f"{name} EXIT={status if status >= 0 else 128 - status}")


def end_group(process):
    """Whatever a program started and left."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class CrossRun(Run):
    """Two domains, which meet through xenstore."""

    domu_profile = PROFILE

    def use(self):
        self.machine.ctl("domain", "create", str(DOMU), "--profile", self.domu_profile)
        with Xenstore(self.work, [0, DOMU]) as store:
            env = {domid: self.env | {"XENSTORED_PATH": store.socket(domid),
                                      "CONFORMANCE_ROOT": str(self.root(domid))}
                   for domid in (0, DOMU)}
            with open(self.work / "agent.log", "wb") as log:
                agent = self.machine.popen(DOMU, self.programs / "agent", stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log,
                                           env=env[DOMU], cwd=self.work, start_new_session=True)
            try:
                ready = f"/local/domain/{DOMU}/data/agent"
                harness.eventually(lambda: ready in store.tree.nodes or agent.poll() is not None,
                                   "the agent is ready")
                for name in sorted(compare.by_probe(self.golden)):
                    self.execute(name, f"dom0 {DOMU}", env[0])
            finally:
                end_group(agent)
                agent.wait()

    def root(self, domid):
        """The file system that the recorded programs expect: see relocate.h."""
        root = self.work / f"root{domid}"
        (root / "tmp").mkdir(parents=True)
        (root / "xprobes").symlink_to(self.programs)
        return root


class PvhRun(CrossRun):
    """The second one is auto-translated."""

    domu_profile = "pvh"


def of_release(prefix, programs, work, *options):
    """What one release of Xen was asked; prefix: of its runs. In a domU all printed the same."""
    both = recorded("golden-domu.txt")
    return [
        Run(prefix + "dom0", recorded(f"golden-{prefix}dom0.txt"), 0, programs, work,
            machine=options),
        Run(prefix + "domU", [l[2:] for l in both if l.startswith("U:")], DOMU, programs, work,
            machine=options),
        # x00_self started the programs of the domU, which is what the run before does.
        CrossRun(prefix + "cross",
                 [l for l in both if l[:2] != "U:" and l.split()[0] != "x00_self"], 0, programs,
                 work, machine=options),
    ]


def runs(programs, libgnttab, work):
    result = [
        *of_release("", programs, work),
        *of_release("4.20-", programs, work, "--xen", "xen-4.20"),
        PvhRun("pvh", recorded("golden-pvh-domu.txt"), 0, programs, work),
    ]
    # Only where libxenctrl is the one that they were made for.
    if (programs / "h00_create").exists():
        result.append(Run("hap", recorded("golden-hap.txt"), 0, programs, work))
    if libgnttab:
        result.append(Run("libgnttab", recorded("golden-dom0.txt"), 0, programs, work,
                          {"LD_LIBRARY_PATH": libgnttab}, listed_as="dom0"))
    return result


class Tap:
    def __init__(self):
        self.count = self.failed = 0
        self.considered = set()     # of the listed differences

    def line(self, good, name, details=()):
        self.count += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}")
        for detail in details:      # where meson shows them when the test fails
            print(f"{name}: {detail}", file=sys.stderr)

    def run(self, run, listed):
        """One line for each program; the number of equal observations."""
        equal = 0
        printed = compare.by_probe(run.lines)
        for name, golden in compare.by_probe(run.golden).items():
            n, found = compare.differences(run.listed_as, golden, printed.pop(name, []))
            mine = [d for d in listed if d.run == run.listed_as
                    and name in (d.recorded.split()[0], d.printed.split()[0])]
            unlisted, gone = compare.judge(run.listed_as, found, mine)
            equal += n
            self.considered.update(mine if run.name == run.listed_as else ())
            self.line(not unlisted and not gone,
                      f"{run.name}: {name}, {n} of {len(golden)} lines equal"
                      + (f", {len(found)} listed in differences.txt" if found
                         and not unlisted else ""),
                      [f"{d.recorded} on a real Xen, but: {d.printed}" for d in unlisted]
                      + [f"equal now, take it off differences.txt: {d.text()}" for d in gone])
        self.line(not printed, f"{run.name}: nothing else was printed",
                  [l for ls in printed.values() for l in ls])
        self.line(not run.broken, f"{run.name}: the machine ends with a clean audit",
                  (run.broken or "").splitlines())
        return equal


def main():
    arguments = [a for a in sys.argv[1:] if a != "--list"]
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        print("1..0 # SKIP /dev/fuse is not open to this user (as root: chmod 0666 /dev/fuse)")
        return 0
    listed = compare.read_list(HERE / "differences.txt")
    with tempfile.TemporaryDirectory(prefix="conformance.") as work:
        started = runs(Path(arguments[0]).resolve(), arguments[1] if len(arguments) > 1 else None,
                       work)
        for run in started:
            run.start()
        for run in started:
            run.join()

    if "--list" in sys.argv:
        for run in [run for run in started if run.listed_as == run.name]:
            for d in compare.differences(run.name, run.golden, run.lines)[1]:
                reasons = [l.reason for l in listed if (l.run, l.recorded) == (d.run, d.recorded)]
                print(compare.Difference(d.run, d.recorded, d.printed,
                                         reasons[0] if reasons else "WHY?").text())
        return 0

    tap, equal = Tap(), 0
    for run in started:
        n = tap.run(run, listed)
        if run.listed_as == run.name:       # a record is counted once
            equal += n
    unknown = [d for d in listed if d not in tap.considered]
    tap.line(not unknown, "differences.txt lists only programs that are run",
             [d.text() for d in unknown])
    total = sum(len(run.golden) for run in started if run.listed_as == run.name)
    tap.line(True, f"{equal} of {total} observations equal")
    print(f"1..{tap.count}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
