# SPDX-License-Identifier: MIT
"""Writes docs/fidelity.md: how many observations of a real Xen gntsim makes alike. It reads the
records and the lists of differences. The conformance tests hold these exact: a line that is not
listed is equal, or a test fails.

Usage: fidelity.py [--check] docs/fidelity.md
"""
import difflib
import re
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE), str(HERE / "store")]

import compare
import differ
import tally

RECORD = HERE / "record"
HYPERCALL = HERE / "hypercall"

# What a command of a script (steps/) asks.
COMMANDS = {
    "gntalloc: ALLOC_GREF": "alloc",
    "gntalloc: DEALLOC_GREF": "dealloc",
    "gntalloc, gntdev: SET_UNMAP_NOTIFY": "notify",
    "gntdev: MAP_GRANT_REF": "mapop mapop-count",
    "gntdev: UNMAP_GRANT_REF": "unmapop",
    "gntdev: GET_OFFSET_FOR_VADDR": "offset",
    "gntdev: SET_MAX_GRANTS": "max-grants set-max",
    "gntdev: GRANT_COPY": "copy copy-flags",
    "mmap of a device": "mmap mmap-bytes mmap-over",
    "munmap, mremap, mprotect and others": "munmap mremap mprotect madvise msync mlock munlock anon anon-over",
    "memory seen through a mapping": "peek poke fill sum",
    "evtchn: BIND_UNBOUND_PORT": "unbound unbound-many ev-unbound",
    "evtchn: BIND_INTERDOMAIN": "bind ev-bind",
    "evtchn: BIND_VIRQ": "virq ev-virq",
    "evtchn: UNBIND": "unbind ev-unbind",
    "evtchn: NOTIFY": "signal ev-signal",
    "evtchn: RESET, RESTRICT_DOMID": "reset restrict ev-restrict",
    "events that come, or do not": "events ev-pending signals async",
    "evtchn: unmask": "unmask ev-unmask",
    "libxengnttab: map": "map map-one map-domain map-notify",
    "libxengnttab: unmap": "unmap",
    "libxengnttab: grant copy": "lib-copy",
    "libxengnttab: share": "share share-notify",
    "libxengnttab: unshare": "unshare",
    "libraries: handles": "lib-open lib-close lib-fd",
    "open, close, read, write, poll": "open close dup read write seek poll pipe interrupted-read",
    "any other ioctl": "ioctl",
    "module parameters": "param",
    "processes: fork, exec, end": "fork end kill exit segv exec stop in thread",
    "domains: create, destroy": "create destroy",
}
OPERATION = {command: operation for operation, commands in COMMANDS.items() for command in commands.split()}

# What a recorded probe is about.
PROBES = {
    "a00_first": "libxengnttab: first use of a domain", "b01_share": "libxengnttab: share", "b02_map": "libxengnttab: map",
    "b03_multi": "libxengnttab: map", "b05_unshare": "libxengnttab: unshare", "b07_limits": "limits", "b08_copy": "libxengnttab: grant copy",
    "c01_gntdev": "gntdev: the ioctls and mmap, by hand", "c03_gntalloc": "gntalloc: the ioctls and mmap, by hand",
    "d01_xencall": "hypercalls of a user program", "z01_setversion": "hypercalls of a user program",
    "h00_create": "domains with HAP", "h01_paging_control": "memory paging: control",
    "h02_paging_ops": "memory paging: operations", "h03_paging_grant": "memory paging: grants",
    "h10_sharing_control": "memory sharing: control",
    "h11_sharing_nominate": "memory sharing: nominate and share",
    "h12_sharing_unshare": "memory sharing: copies on write",
    "h13_sharing_range": "memory sharing: ranges", "h20_access": "memory access",
    "x00_self": "processes: fork, exec, end", "x02_dom0_shares": "libxengnttab: map", "x04_evtchn": "event channels between domains",
}


class Rows:
    """Observations by kind and operation."""

    def __init__(self):
        self.total, self.different = defaultdict(int), defaultdict(int)

    def add(self, kind, operation, equal):
        self.total[kind, operation] += 1
        self.different[kind, operation] += not equal

    def sums(self, kind=None):
        total = sum(n for (k, _), n in self.total.items() if kind in (None, k))
        return total, total - sum(n for (k, _), n in self.different.items() if kind in (None, k))


def operation_of_step(line):
    words = line.split()
    if len(words) < 4:
        return "processes: fork, exec, end"
    if words[2] in ("create", "destroy"):
        return OPERATION[words[2]]
    rest = words[3:]
    while rest and rest[0] in ("in", "thread"):
        rest = rest[2:] if rest[0] == "in" else rest[1:]
    return OPERATION.get(rest[0].rstrip(":"), "other") if rest else "other"


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def add_lines(rows, kind, run, lines, listed, operation):
    differing = {d.recorded for d in listed if d.run == run}
    for line in lines:
        rows.add(kind, operation(line), line not in differing)


def gather():
    rows, differences = Rows(), []
    listed = compare.read_list(HERE / "differences.txt")
    differences += listed
    def of_probe(line):
        return PROBES[line.split()[0]]
    both = lines_of(RECORD / "golden-domu.txt")
    add_lines(rows, "one domain", "dom0", lines_of(RECORD / "golden-dom0.txt"), listed, of_probe)
    domu = [l[2:] for l in both if l.startswith("U:")]
    cross = [l for l in both if l[:2] != "U:" and l.split()[0] != "x00_self"]
    add_lines(rows, "one domain", "domU", domu, listed, of_probe)
    add_lines(rows, "between domains", "cross", cross, listed, of_probe)
    add_lines(rows, "between domains", "pvh", lines_of(RECORD / "golden-pvh-domu.txt"), listed,
              of_probe)
    for run, lines in (("4.20-dom0", lines_of(RECORD / "golden-4.20-dom0.txt")),
                       ("4.20-domU", domu), ("4.20-cross", cross)):
        add_lines(rows, "Xen 4.20", run, lines, listed, of_probe)
    add_lines(rows, "toolstack", "hap", lines_of(RECORD / "golden-hap.txt"), listed, of_probe)
    listed = compare.read_list(HERE / "steps/differences.txt")
    differences += listed
    for path in sorted((RECORD / "steps").glob("*.txt")):
        add_lines(rows, tally.kind_of_script(path.stem), path.stem, lines_of(path), listed, operation_of_step)
    gather_hypercalls(rows, differences)
    return rows, differences


def operation_of_hypercall(line):
    found = re.search(r" op=(\S+)", line)
    return "hypercalls: " + (found[1] if found else "the end of a sequence")


def gather_hypercalls(rows, differences):
    """Steps of the hypercall executor: a line each, with the operation as its second word; see hypercall/."""
    record = HYPERCALL / "record"
    listed = HYPERCALL / "differences.txt"
    found = compare.read_list(listed) if listed.exists() else []
    differences += found
    for path in sorted(record.glob("*.txt")) if record.is_dir() else []:
        steps = [l for l in lines_of(path) if not l.startswith(("#", "sequence "))]
        add_lines(rows, "hypercalls", path.stem, steps, found, operation_of_hypercall)


def versions():
    known = dict(line.split(": ", 1) for line in lines_of(RECORD / "versions.txt"))
    return known


def page():
    rows, differences = gather()
    total, equal = rows.sums()
    known = versions()
    xen, linux = known["xen"], known["linux"]
    out = ["# How faithful gntsim is", "",
           f"**{equal} of {total} observations equal**: gntsim (profile `pv`) and Xen {xen} with Linux {linux}.",
           "Those of the row for Xen 4.20 are from a machine with `--xen xen-4.20`.", "",
           "An observation is one thing that a program saw: an answer, an error, a byte in shared memory, an event that came or did not. The same",
           "programs ran on a real Xen, booted in QEMU from Debian's packages, and run on gntsim in every test of the project; what the real one printed",
           "is in `tests/conformance/record`. This page is made from the records by `tests/conformance/fidelity.py`, and a test says if it is out of date.",
           "`tests/conformance/real-xen` asks a real Xen again; the scripts and how to ask something new: `tests/conformance/steps/README.md`.",
           "Memory paging, sharing and access are compared with a debug build of Xen RELEASE-4.17.7",
           "that has all three, on VMX with EPT.", "",
           "| | compared | equal |", "|---|---|---|"]
    for kind in KINDS:
        n, same = rows.sums(kind)
        if n:
            out.append(f"| {KINDS[kind]} | {n} | {same} |")
    ours = compare.read_record(RECORD, "libgnttab.txt").splitlines()
    if ours:
        golden = lines_of(RECORD / "golden-dom0.txt")
        same, _ = compare.differences("libgnttab", golden, ours)
        out += ["", f"Our own libxengnttab on the real Xen's devices: {same} of {len(golden)} lines as with Debian's."]
    out += ["", "## By operation", "", "On Xen " + xen + ", Linux " + linux + ".", "",
            "| what | " + " | ".join(KINDS) + " | equal |", "|---" * (len(KINDS) + 2) + "|"]
    for operation in sorted({o for _, o in rows.total}):
        counts = [rows.total[kind, operation] for kind in KINDS]
        different = sum(rows.different[kind, operation] for kind in KINDS)
        equal_here = sum(counts) - different
        out.append("| " + " | ".join([operation, *(str(n) if n else "" for n in counts),
                                      "all" if not different else f"{equal_here} of {sum(counts)}"]) + " |")
    out += ["", "## What differs", ""]
    if not differences:
        out.append("Nothing.")
    by_reason = defaultdict(list)
    for d in differences:
        by_reason[d.reason].append(d)
    for reason, ds in by_reason.items():
        out += [f"- **{reason}**"]
        out += [f"  - {d.run}: `{d.recorded}`, gntsim: `{d.printed.split(': ', 1)[-1]}`" for d in ds]
    out += store()
    out += other_versions()
    out += ["", "## Versions", "", *(f"- {name}: {version}" for name, version in known.items()), ""]
    return "\n".join(out)


def store():
    """Tests hold us to both: test_store.py and test_differ.py."""
    nodes = len(differ.comparable(differ.FRESH_DOMAIN.read_text()))
    return ["", "## The store", "", "| | compared | equal |", "|---|---|---|",
            "| nodes that `xl create` writes for a PV domain, with values and permissions "
            f"| {nodes} | {nodes} |",
            "| random requests of six connections to our store and to the same xenstored, each with"
            f" its replies and all events | {differ.ALL} | {differ.ALL} |", "",
            "[How to ask a real Xen](howto-conformance.md#the-store) says what the requests are and"
            " what the comparison leaves out."]


def other_versions():
    """What else was asked the same, and how it answered otherwise than the recorded version. Kept by real-xen check --keep."""
    out = []
    for path in sorted((RECORD / "others").glob("*.txt")):
        versions, counts, found = tally.read(path)
        out += ["", f"### Xen {versions['xen']}, Linux {versions['linux']}", "", "| | asked | as recorded above |", "|---|---|---|"]
        out += [f"| {KINDS.get(kind, 'our libxengnttab on these devices')} | {total} | {equal} |" for kind, (equal, total) in counts.items()]
        out += ["" for _ in found[:1]] + [f"- {Path(d.run).stem}: `{d.recorded}`, there: `{d.printed}`" for d in found]
    return ["", "## Other real versions", "", "The same questions to other versions that Debian offers; gntsim is held to the version above."] + out if out else []


KINDS = {"one domain": "devices and libraries, within one domain (dom0 and domU)", "between domains": "devices and libraries, between domains",
         "hypercalls": "hypercalls and grant entries, step by step", "random sequences": "random sequences of device calls by two processes",
         "Xen 4.20": "the same on Xen 4.20.4 with Linux 6.12.117 (`--xen xen-4.20`)",
         "toolstack": "memory paging, sharing and access by a toolstack in dom0"}


def main():
    path = Path(sys.argv[-1])
    text = page()
    if "--check" not in sys.argv:
        path.write_text(text, encoding="utf-8")
        print(text.splitlines()[2])
        return 0
    there = path.read_text(encoding="utf-8") if path.exists() else ""
    print("1..1")
    if there == text:
        print("ok 1 - docs/fidelity.md says what the records say")
        return 0
    print("not ok 1 - docs/fidelity.md says what the records say")
    print("out of date: python3 tests/conformance/fidelity.py docs/fidelity.md", file=sys.stderr)
    for line in list(difflib.unified_diff(there.splitlines(), text.splitlines(), "there", "now", lineterm=""))[:40]:
        print(line, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
