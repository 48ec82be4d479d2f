# SPDX-License-Identifier: MIT
"""Lists of raw hypercalls, carried out on a real Xen and on the hypervisor model by the same program.

    python3 hypercalls.py HV_STEPS        # the model against the record; prints TAP (what ./test runs)

lists/NAME.txt is a list of steps, record/NAME.txt what a real Xen did. real-xen records, checks and looks for new differences.
"""
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent.parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE.parent)]

import compare

COMMON = ["main.c", "exec.c", "names.c", "watch.c", "calls.c", "gen.c"]
STEPS, GUEST = "/programs/hv-steps", "/programs/hv-guest"
PATIENCE = 1200                 # seconds for all lists, or for a batch of random ones
BATCH = 25                      # seeds at a time


def lists():
    return sorted((HERE / "lists").glob("*.txt"))


def recorded(name):
    """What the real Xen printed, without the head that says which."""
    return [l for l in (HERE / "record" / f"{name}.txt").read_text(encoding="utf-8").splitlines() if not l.startswith("#")]


def steps_of(lines):
    return [l for l in lines if not l.startswith("sequence ")]


# ---- The two programs ----------------------------------------------------------------------------

def compile_c(output, sources, *arguments):
    argv = ["gcc", "-O1", "-g", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wno-address-of-packed-member", "-o", output, *sources, *arguments]
    subprocess.run([str(a) for a in argv], cwd=HERE, check=True)


def build_for_xen(work):
    """The program for dom0 and the guest's image: {path there: path here}."""
    compile_c(work / "hv-steps", [*COMMON, "backend_xen.c"], f"-I{TOP}/sim-hv/include", "-D__XEN_TOOLS__=1", "-lxenguest", "-lxenctrl",
              "-lxenevtchn", "-lxenforeignmemory", "-lxencall")
    subprocess.run(["gcc", "-O2", "-Wall", "-ffreestanding", "-fno-pic", "-mcmodel=kernel", "-mno-red-zone", "-mno-sse",
                    "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-nostdlib", "-static", "-no-pie", "-Wl,-T,guest.lds",
                    "-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments", "-z", "max-page-size=4096", "-o", work / "hv-guest", "guest.S",
                    "guest.c"], cwd=HERE, check=True)
    return {STEPS: work / "hv-steps", GUEST: work / "hv-guest"}


def build_for_model(work):
    compile_c(work / "hv-steps-sim", [*COMMON, "backend_sim.c", *sorted((TOP / "sim-hv").glob("*.c"))], f"-I{TOP}/sim-hv/include")
    return work / "hv-steps-sim"


def on_model(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                          timeout=PATIENCE, check=False)
    if done.returncode:
        raise RuntimeError(f"{program} failed: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode().splitlines()


def on_xen(guest, *arguments):
    done = guest.run(STEPS, *arguments, env={"HV_GUEST": GUEST}, timeout=PATIENCE)
    if done.status:
        raise RuntimeError(f"hv-steps failed on the real Xen ({done.status}): " + "\n".join(done.errors[-5:]))
    return done.lines


# ---- Recording -----------------------------------------------------------------------------------

def head(versions):
    """Which real Xen it was."""
    return ["# SPDX-License-Identifier: MIT", f"# Recorded on Xen {versions['xen']} with Linux {versions['linux']}, in QEMU by plain emulation."]


def record(guest):
    """{file of record/: its text} as the real Xen has it now. Boot with files()."""
    return {path.name: "\n".join(head(guest.versions) + on_xen(guest, f"/lists/{path.name}")) + "\n" for path in lists()}


def files(work):
    """What the machine needs for record()."""
    return build_for_xen(work) | {f"/lists/{path.name}": path for path in lists()}


# ---- The model against the record ----------------------------------------------------------------

def check_model(program):
    listed = compare.read_list(HERE / "differences.txt")
    failed = equal = total = 0
    print(f"1..{len(lists())}")
    for number, path in enumerate(lists(), 1):
        golden = recorded(path.stem)
        n, found = compare.differences(path.stem, golden, on_model(program, path))
        unlisted, gone = compare.judge(path.stem, found, listed)
        good = not unlisted and not gone
        failed += not good
        equal += n - sum(l.startswith("sequence ") for l in golden)
        total += len(steps_of(golden))
        print(f"{'ok' if good else 'not ok'} {number} - {path.stem}: {len(steps_of(golden))} steps as on a real Xen"
              + (f", but {len(found)} listed in differences.txt" if found and good else ""))
        for d in unlisted[:20]:
            print(f"{path.stem}: on a real Xen:  {d.recorded}\n{path.stem}: on the model:   {d.printed}", file=sys.stderr)
        for d in gone:
            print(f"{path.stem}: equal now, take it off differences.txt: {d.text()}", file=sys.stderr)
    print(f"# {equal} of {total} steps equal")
    return 1 if failed else 0


# ---- Looking for differences ---------------------------------------------------------------------

def by_sequence(lines):
    result, name = {}, None
    for line in lines:
        if line.startswith("sequence "):
            name = line.split()[1]
            result[name] = []
        elif name is not None:
            result[name].append(line)
    return result


def first_difference(model, xen):
    """(number, the model's line, the real Xen's), or None."""
    for number, (ours, theirs) in enumerate(zip(model, xen)):
        if ours != theirs:
            return number, ours, theirs
    if len(model) != len(xen):
        return min(len(model), len(xen)), "(nothing)", "(nothing)"
    return None


class Pair:
    """Both machines, asked the same."""

    def __init__(self, guest, model):
        self.guest, self.model = guest, model

    def run(self, sequences):
        """The first difference of each: [list of lines without its "sequence" line]."""
        text = "".join(f"sequence s{i}\n" + "".join(l + "\n" for l in lines) for i, lines in enumerate(sequences))
        self.guest.put("/tmp/list", text.encode())
        here = self.guest.work.path / "list"
        here.write_text(text, encoding="utf-8")
        ours, theirs = by_sequence(on_model(self.model, here)), by_sequence(on_xen(self.guest, "/tmp/list"))
        return [first_difference(ours[f"s{i}"], theirs[f"s{i}"]) for i in range(len(sequences))]

    def shrink(self, lines):
        """The shortest list that is found that still differs: what is left out is tried piece by piece."""
        def is_setup(line):
            return line.startswith("domain ")
        setup, steps = [l for l in lines if is_setup(l)], [l for l in lines if not is_setup(l)]
        found = self.run([setup + steps])[0]
        if not found:
            return None
        steps = steps[:found[0] + 1]
        pieces = 2
        while len(steps) > 1:
            pieces = min(pieces, len(steps))
            edges = [len(steps) * i // pieces for i in range(pieces + 1)]
            attempts = [steps[:a] + steps[b:] for a, b in zip(edges, edges[1:])]
            results = self.run([setup + attempt for attempt in attempts])
            good = [(attempt, r) for attempt, r in zip(attempts, results) if r]
            if good:
                attempt, result = min(good, key=lambda g: g[1][0])
                steps = attempt[:result[0] + 1]
                pieces = max(pieces - 1, 2)
            elif pieces == len(steps):
                break
            else:
                pieces *= 2
        for i in range(len(setup) - 1, -1, -1):
            if self.run([setup[:i] + setup[i + 1:] + steps])[0]:
                del setup[i]
        return setup + steps, self.run([setup + steps])[0]


def digests(lines):
    return {int(m[1]): m[2] for m in (re.fullmatch(r"seed=(\d+) steps=\d+ digest=(\w+)", l) for l in lines) if m}


def fuzz(guest, model, first, count, steps, found):
    """Compares random sequences; calls found(seed, shrunk list, difference) for each that differs. Returns (steps, differing seeds)."""
    pair, differing, done = Pair(guest, model), [], 0
    for start in range(first, first + count, BATCH):
        n = min(BATCH, first + count - start)
        arguments = ("--digest", "--seeds", start, n, steps)
        ours, theirs = digests(on_model(model, *arguments)), digests(on_xen(guest, *arguments))
        done += sum(1 for l in on_model(model, "--seeds", start, n, steps) if not l.startswith("sequence "))
        for seed in sorted(ours):
            if ours[seed] == theirs.get(seed):
                continue
            differing.append(seed)
            lines = [l for l in on_model(model, "--print", "--seeds", seed, 1, steps) if not l.startswith("sequence ")]
            found(seed, pair.shrink(lines))
        print(f"seeds {first}..{start + n - 1}: {done} steps compared, {len(differing)} seeds differ", flush=True)
    return done, differing


if __name__ == "__main__":
    sys.exit(check_model(Path(sys.argv[1])))
