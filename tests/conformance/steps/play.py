# SPDX-License-Identifier: MIT
"""Plays the scripts on gntsim and compares with what the same programs printed on a real Xen.

Usage: play.py PROGRAMS [--list] [SCRIPT...]

PROGRAMS is the directory with the built actor and conduct. Prints TAP: one line for each script.
--list prints the differences instead, in the form of differences.txt. Each script has a machine of
its own, and several are played at the same time.
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
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent / "system")]

import compare
import harness
import scripts

PROFILE = "pv"          # what was recorded
PATIENCE = 600          # seconds for a script, nearly all of them asleep
AT_ONCE = 6
RECORD = HERE.parent / "record" / "steps"


def recorded(name):
    return (RECORD / f"{name}.txt").read_text(encoding="utf-8").splitlines()


class Stage:
    """A machine with two domains besides domain 0, and the way in which conduct starts actors
    there."""

    def __init__(self, programs, work, profile=PROFILE):
        self.programs, self.work = Path(programs), Path(work)
        (self.work / "domids").mkdir(parents=True)
        self.machine = harness.Machine(self.work, "--profile", profile)
        for slot in (1, 2):
            self.machine.must("domain", "create", slot)
        self.env = {k: os.environ[k] for k in ("PATH", "HOME", "TMPDIR") if k in os.environ} | {
            "GNTSIM": harness.GNTSIM, "MACHINE": str(self.machine.dir),
            "DOMIDS": str(self.work / "domids"),
            "ACTOR": str(self.programs / "actor")}

    def play(self, name, text):
        path = self.work / f"{name}.txt"
        path.write_text(text, encoding="utf-8")
        with open(self.work / "out", "w+b") as out, open(self.work / "err", "wb") as err:
            process = subprocess.Popen([self.programs / "conduct", HERE / "helper-gntsim", path],
                                       stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=err, env=self.env, cwd=self.work,
                                       start_new_session=True)
            try:
                status = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                status = "no end"
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                process.wait()
            out.seek(0)
            lines = out.read().decode(errors="replace").splitlines()
        if status:
            said = (self.work / "err").read_text(errors="replace").splitlines()
            raise AssertionError(f"{name}: {status}: " +
                                 "\n".join(l for l in said if "gnttab: error" not in l))
        return lines

    def stop(self):
        try:
            self.machine.quiet()
        finally:
            self.machine.stop()
        said = [l for l in self.machine.stderr().splitlines() if "Sanitizer" in l
                or "runtime error" in l]
        assert not said, "\n".join(said)


class Played(threading.Thread):
    slots = threading.Semaphore(AT_ONCE)

    def __init__(self, name, programs, work):
        super().__init__(name=name)
        self.programs, self.work = programs, Path(work) / name
        self.lines, self.broken = [], None

    def run(self):
        with self.slots:
            try:
                stage = Stage(self.programs, self.work)
                try:
                    self.lines = stage.play(self.name, scripts.SCRIPTS[self.name]())
                finally:
                    stage.stop()
            except Exception:
                self.broken = traceback.format_exc()


def play_all(names, programs):
    with tempfile.TemporaryDirectory(prefix="conformance.") as work:
        played = [Played(name, programs, work) for name in names]
        for thread in played:
            thread.start()
        for thread in played:
            thread.join()
    return played


def main():
    arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
    programs = Path(arguments[0]).resolve()
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        print("1..0 # SKIP /dev/fuse is not open to this user (as root: chmod 0666 /dev/fuse)")
        return 0
    names = arguments[1:] or [name for name in scripts.SCRIPTS if (RECORD / f"{name}.txt").exists()]
    listed = compare.read_list(HERE / "differences.txt")
    played = play_all(names, programs)
    if "--list" in sys.argv:
        for p in played:
            for d in compare.differences(p.name, recorded(p.name), p.lines)[1]:
                reasons = [l.reason for l in listed if (l.run, l.recorded) == (d.run, d.recorded)]
                print(compare.Difference(d.run, d.recorded, d.printed,
                                         reasons[0] if reasons else "WHY?").text())
        return 0

    total = equal = count = failed = 0

    def line(good, text, details=()):
        nonlocal count, failed
        count += 1
        failed += not good
        print(f"{'ok' if good else 'not ok'} {count} - {text}")
        for detail in details:
            print(f"{text}: {detail}", file=sys.stderr)

    for p in played:
        golden = recorded(p.name)
        n, found = compare.differences(p.name, golden, p.lines)
        unlisted, gone = compare.judge(p.name, found, listed)
        total, equal = total + len(golden), equal + n
        line(not unlisted and not gone and not p.broken,
             f"{p.name}: {n} of {len(golden)} lines equal"
             + (f", {len(found)} listed in differences.txt" if found and not unlisted else ""),
             [f"{d.recorded} on a real Xen, but: {d.printed}" for d in unlisted]
             + [f"equal now, take it off differences.txt: {d.text()}" for d in gone] +
             (p.broken or "").splitlines())
    unknown = [d for d in listed if d.run not in scripts.SCRIPTS]
    line(not unknown, "differences.txt lists only scripts that are played",
         [d.text() for d in unknown])
    missing = [name for name in scripts.SCRIPTS if not (RECORD / f"{name}.txt").exists()]
    line(not missing, "every script has been recorded", missing)
    line(True, f"{equal} of {total} observations equal")
    print(f"1..{count}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
