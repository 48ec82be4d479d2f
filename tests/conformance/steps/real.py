#!/usr/bin/python3 -B
# SPDX-License-Identifier: MIT
"""Plays programs on a real Xen in QEMU and brings back what they printed.

Usage: real.py [--cache DIR] [--check] BUILD steps [SCRIPT...]    the scripts (scripts/) ->
../record/steps
       real.py [--cache DIR] [--check] BUILD probes               the first probes ->
       ../record/golden-*.txt
       real.py [--cache DIR] [--check] BUILD libgnttab            the recorded probes with our
       libxengnttab -> ../record/libgnttab.txt
       real.py [--cache DIR] [--check] BUILD programs             gntsim record of programs with
       Debian's library -> ../record/programs
       real.py [--cache DIR] BUILD fuzz [FIRST [COUNT [STEPS]]]  random scripts (fuzz.py), here and
       there; what differs is shrunk
       real.py [--cache DIR] BUILD play FILE...                   files in the language of the
       scripts; prints what they print

BUILD is the build directory (without sanitizers). --check compares with the record instead of
writing it: status 1 if it no longer holds. Another --kernel or --xen is another record: NAME or
NAME=VERSION of Debian packages.
"""
import argparse
import base64
import gzip
import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONFORMANCE = HERE.parent
RECORD = CONFORMANCE / "record"
sys.path[:0] = [str(HERE), str(CONFORMANCE), str(CONFORMANCE / "vm")]

import compare
import fuzz
import scripts
from vm import Domu, Vm, VmError, default_cache

PROBES = "a00_first b01_share b02_map b03_multi b05_unshare b07_limits b08_copy c01_gntdev c03_gntalloc d01_xencall z01_setversion".split()
CROSS = "x00_self x02_dom0_shares x04_evtchn".split()
# Of the probes, the ones that do something that a single record can say.
PROGRAMS = "b01_share b02_map b08_copy c01_gntdev c03_gntalloc".split()
PATIENCE = 1500
BATCH = 10              # random scripts that are played in one go
HEAD = 3                # lines of a random script that name its case and its actors


def stage(arguments):
    built = arguments.build / "tests/conformance/steps"
    return {f"/steps/{name}": built / name for name in ("actor", "conduct", "remote")} | {
        f"/steps/{name}": HERE / name for name in ("helper-vm", "helper-self")}


def show(name, lines):
    print(f"real-xen: {name}: {len(lines)} lines", flush=True)


def played(guest, name, domain=0):
    """What a script prints. One that needs one domain only is played inside it."""
    helper = "helper-self" if domain else "helper-vm"
    done = guest.run("/steps/conduct", f"/steps/{helper}", f"/scripts/{name}.txt", domain=domain,
                     timeout=PATIENCE)
    if done.status:
        raise VmError(f"{name}: status {done.status}: " + "\n".join(done.errors[-5:]))
    show(name, done.lines)
    return done.lines


def own_domain(name):
    """The domU that a script keeps to, 0 if it needs several."""
    found = re.fullmatch(r"y.*([12])", name)
    return int(found[1]) if found else 0


def keep_versions(versions):
    (RECORD / "versions.txt").write_text("".join(f"{name}: {version}\n"
                                                 for name, version in versions.items()),
                                         encoding="utf-8")


def keep(results):
    for name, lines in results.items():
        compare.write_record(RECORD, name, "".join(line + "\n" for line in lines))


def steps_files(arguments, names):
    files = stage(arguments)
    for name in names:
        (arguments.work / f"{name}.txt").write_text(scripts.SCRIPTS[name](), encoding="utf-8")
        files[f"/scripts/{name}.txt"] = arguments.work / f"{name}.txt"
    return files


def domus(names):
    return [Domu(memory=192)] * (2 if any(name.startswith("x") for name in names) else 1
                                 if any(map(own_domain, names)) else 0)


def play_scripts(guest, names, each=lambda result: None):
    results = {}
    for slot in (1, 2):
        if slot in guest.domids:
            guest.run("/steps/helper-vm", "serve", slot)
    # those that end domUs come last
    for name in sorted(names, key=lambda n: ("destroy" in n, n)):
        results[f"steps/{name}.txt"] = played(guest, name, own_domain(name))
        each({f"steps/{name}.txt": results[f"steps/{name}.txt"]})
    return results


def do_steps(arguments):
    names = arguments.rest or list(scripts.SCRIPTS)
    with vm(arguments).boot(domus(names), steps_files(arguments, names)) as guest:
        return play_scripts(guest, names, (lambda result: None) if arguments.check
                            else keep), guest.versions


def probes_files(arguments):
    built = arguments.build / "tests/conformance"
    return {f"/probes/{name}": built / name for name in PROBES} | {f"/xprobes/{name}": built / name
                                                                   for name in ["agent", *CROSS]}


def probes_domus():
    return [Domu()]


def play_probes(guest):
    """The probes in dom0, then inside a domU, then the halves in both against each other. The last
    of dom0 takes all grants away."""
    def in_dom0(name):
        done = guest.run(f"/probes/{name}", "0", timeout=PATIENCE)
        return [*done.lines, f"{name} EXIT={done.status}"]

    dom0 = [line for name in PROBES[:-1] for line in in_dom0(name)]
    # The domU's half is started by the recorded job runner, which must not take what others left
    # there for a job.
    guest.shell(f"xenstore-write /local/domain/{guest.domids[1]}/data/job '0 none'")
    guest.start("/xprobes/agent", domain=1, timeout=100000)
    both = []
    for name in CROSS:
        done = guest.run(f"/xprobes/{name}", "dom0", "{d1}", timeout=PATIENCE)
        both += [*done.lines, f"{name} EXIT={done.status}"]
    dom0 += in_dom0(PROBES[-1])
    show("golden-dom0", dom0)
    show("golden-domu", both)
    return {"golden-dom0.txt": dom0, "golden-domu.txt": both}


def do_probes(arguments):
    with vm(arguments).boot(probes_domus(), probes_files(arguments)) as guest:
        return play_probes(guest), guest.versions


def library_files(arguments):
    built = arguments.build / "tests/conformance"
    return {f"/probes/{name}": built / name for name in PROBES} | {
        "/ours/libxengnttab.so.1": (arguments.build / "libgnttab/libxengnttab.so.1").resolve()}


def play_library(guest):
    """As the recorded probes were played, in a freshly booted dom0, but with the library that we
    have built."""
    lines = []
    for name in PROBES:
        done = guest.run(f"/probes/{name}", "0", env={"LD_LIBRARY_PATH": "/ours"}, timeout=200)
        lines += [*done.lines, f"{name} EXIT={done.status}"]
    used = guest.shell("LD_LIBRARY_PATH=/ours LD_TRACE_LOADED_OBJECTS=1 /probes/b01_share | grep "
                       "-c /ours/libxengnttab").out
    if used.strip() != b"1":
        raise VmError("the probes did not use our library")
    show("libgnttab", lines)
    return {"libgnttab.txt": lines}


def do_libgnttab(arguments):
    with vm(arguments).boot([], library_files(arguments)) as guest:
        return play_library(guest), guest.versions


def do_programs(arguments):
    built = arguments.build / "tests/conformance"
    files = {f"/probes/{name}": built / name
             for name in PROGRAMS} | {"/gntsim": arguments.build / "gntsim"}
    results = {}
    with vm(arguments).boot([], files) as guest:
        for name in PROGRAMS:
            done = guest.run("/gntsim", "record", "-o", f"/tmp/{name}", "--", f"/probes/{name}",
                             "0", timeout=600)
            record = guest.run("/bin/cat", f"/tmp/{name}", timeout=200).lines
            results[f"programs/{name}.record"] = record
            results[f"programs/{name}.txt"] = [*done.lines, f"{name} EXIT={done.status}"]
            show(name, record)
        return results, guest.versions


# ---- Differential fuzzing -----------------------------------------------------------------------

def cases(lines):
    """{case: its lines}."""
    found = {}
    for line in lines:
        words = line.split()
        if len(words) > 1 and words[1].startswith("case="):
            found.setdefault(words[1][5:], []).append(line)
    return found


def upload(guest, path, text):
    """A small file into dom0, in pieces that fit into a command line: nearly always one."""
    coded = base64.b64encode(gzip.compress(text.encode())).decode()
    pieces = [coded[i:i + 1700] for i in range(0, len(coded), 1700)]
    for i, piece in enumerate(pieces):
        end = f" && base64 -d {path}.b64 | gunzip > {path}" if piece is pieces[-1] else ""
        guest.shell(f"echo {piece} {'>>' if i else '>'} {path}.b64{end}")


def shrink(lines, differs):
    """The lines of one case without those that do not matter: pieces are left out, ever smaller
    ones, as long as differs() says so of the rest. What makes no sense without them does not
    differ."""
    size = max((len(lines) - HEAD) // 2, 1)
    while True:
        i, changed = HEAD, False
        while i < len(lines):
            candidate = lines[:i] + lines[i + size:]
            if differs(candidate):
                lines, changed = candidate, True
            else:
                i += size
        if size == 1 and not changed:
            return lines
        size = max(size // 2, 1)


class Both:
    """The same script on both sides."""

    def __init__(self, guest, arguments):
        self.guest, self.arguments, self.count = guest, arguments, 0
        os.environ["GNTSIM"] = str(arguments.build / "gntsim")       # play's harness runs this one

    def here(self, name, text):
        import play
        self.count += 1
        stage = play.Stage(self.arguments.build / "tests/conformance/steps",
                           self.arguments.work / f"stage{self.count}")
        try:
            return stage.play(name, text)
        finally:
            stage.stop()

    def there(self, path):
        done = self.guest.run("/steps/conduct", "/steps/helper-vm", path, timeout=PATIENCE)
        if done.status:
            raise AssertionError(f"{path} on the real Xen: {done.status}: " +
                                 "\n".join(done.errors[-5:]))
        return done.lines

    def pair(self, lines):
        """The first two answers to one case that are not the same; None if all are."""
        text = "\n".join(lines) + "\n"
        upload(self.guest, "/tmp/shrink.txt", text)
        real, ours = self.there("/tmp/shrink.txt"), self.here("shrink", text)
        return next(((r, o) for r, o in zip(real + ["(nothing)"], ours + ["(nothing)"]) if r != o),
                    None)

    def differs(self, lines):
        try:
            return self.pair(lines) is not None
        except AssertionError:      # makes no sense, or shows something else
            return False

    def batch(self, seeds, steps):
        """{case: (lines there, lines here)}"""
        real = cases(self.there(batch_path(seeds)))
        try:
            ours = cases(self.here(batch_name(seeds), fuzz.scripts(seeds, steps)))
        except AssertionError:      # of one of them: which?
            ours = {f"seed{seed}": self.alone(batch_name(seeds), seed, steps) for seed in seeds}
        return {name: (real[name], ours.get(name, [])) for name in real}

    def alone(self, name, seed, steps):
        try:
            return cases(self.here(name, fuzz.script(seed, steps)))[f"seed{seed}"]
        except AssertionError as error:
            return [f"seed{seed} failed: {error}"]

    def explore(self, name, steps, output):
        """Shrinks the case of a seed that differs and keeps it."""
        lines = fuzz.script(int(name.removeprefix("seed")), steps).splitlines()
        if not self.differs(lines):
            print(f"real-xen: {name} differed, and not when it was played alone", flush=True)
            return
        lines = shrink(lines, self.differs)
        path, (real, ours) = output / f"{name}.txt", self.pair(lines)
        output.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"real-xen: {name} differs in {len(lines) - HEAD} steps, see {path}\n    real Xen: {real}\n    gntsim:   {ours}", flush=True)


def batches(first, count):
    return [range(start, min(start + BATCH, first + count))
            for start in range(first, first + count, BATCH)]


def batch_name(seeds):
    """Which begins each line."""
    return f"fuzz{seeds[0]}"


def batch_path(seeds):
    return f"/scripts/{batch_name(seeds)}.txt"


def fuzz_files(arguments, first, count, steps):
    files = stage(arguments)
    for seeds in batches(first, count):
        path = arguments.work / f"{batch_name(seeds)}.txt"
        path.write_text(fuzz.scripts(seeds, steps), encoding="utf-8")
        files[batch_path(seeds)] = path
    return files


def play_fuzz(guest, arguments, first, count, steps, output=HERE / "regressions"):
    """(observations compared, names of the seeds that differ); each of those is shrunk and kept in
    a file of output."""
    both, observations, different = Both(guest, arguments), 0, []
    for seeds in batches(first, count):
        played_twice = both.batch(seeds, steps)
        observations += sum(len(real) for real, _ in played_twice.values())
        new = [name for name, (real, ours) in played_twice.items() if real != ours]
        different += new
        print(f"seeds {first}..{seeds[-1]}: {observations} observations compared, {len(different)} seeds differ", flush=True)
        for name in new:
            both.explore(name, steps, output)
    return observations, different


def do_fuzz(arguments):
    first, count, steps = (int(arguments.rest[i]) if len(arguments.rest) > i else n
                           for i, n in enumerate((1, 100, 40)))
    with vm(arguments).boot([], fuzz_files(arguments, first, count, steps)) as guest:
        if play_fuzz(guest, arguments, first, count, steps)[1]:
            raise SystemExit(1)
    return {}, {}


def do_play(arguments):
    files = stage(arguments) | {f"/scripts/{Path(f).name}": Path(f) for f in arguments.rest}
    with vm(arguments).boot([Domu(memory=192)] * 2, files) as guest:
        for slot in (1, 2):
            guest.run("/steps/helper-vm", "serve", slot)
        for f in arguments.rest:
            done = guest.run("/steps/conduct", "/steps/helper-vm", f"/scripts/{Path(f).name}",
                             timeout=PATIENCE)
            print("\n".join(done.lines), flush=True)
    return {}, {}


def vm(arguments):
    return Vm(arguments.cache, kernel=arguments.kernel, xen=arguments.xen)


def check(results):
    """How many lines the real Xen prints otherwise than the record says."""
    different = 0
    for name, lines in results.items():
        # each run has other addresses and times in what a program copies
        if name.endswith(".record"):
            continue
        golden = compare.read_record(RECORD, name).splitlines()
        for d in compare.differences(name, golden, lines)[1]:
            different += 1
            print(f"{name}: recorded {d.recorded!r}, now {d.printed!r}")
    return different


def main():
    import tempfile
    parser = argparse.ArgumentParser(prog="real.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--kernel")
    parser.add_argument("--xen", default="xen-hypervisor-4.17-amd64")
    parser.add_argument("build", type=Path)
    parser.add_argument("verb", choices=("steps", "probes", "libgnttab", "programs", "fuzz",
                                         "play"))
    parser.add_argument("rest", nargs="*")
    arguments = parser.parse_args()
    arguments.build = arguments.build.resolve()
    do = {"steps": do_steps, "probes": do_probes, "libgnttab": do_libgnttab,
          "programs": do_programs, "fuzz": do_fuzz, "play": do_play}[arguments.verb]
    with tempfile.TemporaryDirectory(prefix="real-xen.") as work:
        arguments.work = Path(work)
        try:
            results, versions = do(arguments)
        except (VmError, FileNotFoundError) as error:
            print(f"real-xen: {error}", file=sys.stderr)
            return 1
    if arguments.check:
        different = check(results)
        print(f"{sum(map(len, results.values()))} lines, {different} different from the record")
        return 1 if different else 0
    keep(results)
    if results:
        keep_versions(versions)
    return 0


if __name__ == "__main__":
    sys.exit(main())
