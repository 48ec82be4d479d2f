# SPDX-License-Identifier: MIT
"""Plays lists of raw hypercalls on a real Xen and on the hypervisor model, and compares them.

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

COMMON = ["main.c", "exec.c", "names.c", "watch.c", "calls.c", "gen.c", "gen_values.c", "gen_map.c", "gen_copy.c"]
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

def build():
    """Nothing: it is compiled when the machine is booted."""


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
    compile_c(work / "hv-steps-sim", [*COMMON, "backend_sim.c", *sorted((TOP / "sim-hv").glob("*.c"))], f"-I{TOP}/sim-hv/include",
              f"-I{TOP}/sim-hv", f"-I{TOP}/util", f"-I{TOP}/arch")
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

def in_order(lines):
    """The steps of one sequence after the other."""
    result = []
    for line in lines:
        if line.startswith("sequence "):
            result.append([])
        else:
            result[-1].append(line)
    return result


def first_difference(model, xen):
    """(number, the model's line, the real Xen's), or None."""
    for number, (ours, theirs) in enumerate(zip(model, xen)):
        if ours != theirs:
            return number, ours, theirs
    if len(model) != len(xen):
        return min(len(model), len(xen)), "(nothing)", "(nothing)"
    return None


def ranges_of(numbers):
    """[0, 1, 2, 5] as 0-2,5"""
    parts = []
    for n in numbers:
        if parts and parts[-1][1] == n - 1:
            parts[-1][1] = n
        else:
            parts.append([n, n])
    return ",".join(f"{a}-{b}" if a != b else str(a) for a, b in parts)


class Shrinker:
    """Looks for the shortest part of a seed's list that two machines still take differently. model, xen: functions from arguments of
    hv-steps to lines."""

    def __init__(self, model, xen, seed, steps):
        self.model, self.xen, self.seed, self.steps = model, xen, seed, steps
        lines = [l for l in model("--print", "--seeds", seed, 1, steps) if not l.startswith("sequence ")]
        self.lines = lines

    def run(self, subsets):
        """The first difference of each list of line numbers."""
        arguments = [a for numbers in subsets for a in ("--subset", self.seed, self.steps, ranges_of(numbers))]
        ours, theirs = in_order(self.model(*arguments)), in_order(self.xen(*arguments))
        return [first_difference(a, b) for a, b in zip(ours, theirs)]

    def run_all(self, subsets):
        """As run(), a few at a time: a command for the machine is not long."""
        results = []
        while subsets:
            n, size = 0, 0
            while n < len(subsets) and (n == 0 or size + len(ranges_of(subsets[n])) < 1200) and n < 30:
                size += len(ranges_of(subsets[n])) + 25
                n += 1
            results += self.run(subsets[:n])
            subsets = subsets[n:]
        return results

    def cut(self, numbers, result):
        """Up to the step that differs. Lines that configure domains are no steps."""
        steps = [n for n in numbers if not self.lines[n].startswith("domain ")]
        last = steps[min(result[0], len(steps) - 1)]
        return [n for n in numbers if n <= last]

    def shrink(self):
        """(lines, difference), or None if they do not differ any more."""
        numbers = list(range(len(self.lines)))
        result = self.run([numbers])[0]
        if not result:
            return None
        numbers, pieces = self.cut(numbers, result), 2
        while len(numbers) > 1:
            pieces = min(pieces, len(numbers))
            edges = [len(numbers) * i // pieces for i in range(pieces + 1)]
            attempts = [numbers[:a] + numbers[b:] for a, b in zip(edges, edges[1:])]
            good = [(self.cut(a, r), r) for a, r in zip(attempts, self.run_all(attempts)) if r]
            if good:
                numbers, result = min(good, key=lambda g: len(g[0]))
                pieces = max(pieces - 1, 2)
            elif pieces == len(numbers):
                break
            else:
                pieces *= 2
        return [self.lines[n] for n in numbers], result


def digests(lines):
    return {int(m[1]): m[2] for m in (re.fullmatch(r"seed=(\d+) steps=\d+ digest=(\w+)", l) for l in lines) if m}


def fuzz(guest, model, first, count, steps, found):
    """Compares random sequences; calls found(seed, shrunk list, difference) for each that differs. Returns (steps, differing seeds)."""
    differing, done = [], 0
    for start in range(first, first + count, BATCH):
        n = min(BATCH, first + count - start)
        arguments = ("--digest", "--seeds", start, n, steps)
        ours, theirs = digests(on_model(model, *arguments)), digests(on_xen(guest, *arguments))
        done += sum(1 for l in on_model(model, "--seeds", start, n, steps) if not l.startswith("sequence "))
        for seed in sorted(ours):
            if ours[seed] == theirs.get(seed):
                continue
            differing.append(seed)
            found(seed, Shrinker(lambda *a: on_model(model, *a), lambda *a: on_xen(guest, *a), seed, steps).shrink())
        print(f"seeds {first}..{start + n - 1}: {done} steps compared, {len(differing)} seeds differ", flush=True)
    return done, differing


if __name__ == "__main__":
    sys.exit(check_model(Path(sys.argv[1])))
