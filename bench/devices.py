# SPDX-License-Identifier: MIT
"""Measures the rows of bench/run for devices.c: grant copy, waking a peer, many pages at once, a
crowd."""
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scenarios"))

import gntsim  # noqa: E402

DOMAINS = 16
CROWD = [2, 4, 8, 16, 32, 64]


def row(what, measured, against, reference, ratio, target, unit="x", at_most=True):
    return {"what": what, "measured": measured, "against": against, "reference": reference,
            "result": ratio, "unit": unit,
            "target": target, "at_most": at_most}


def us(ns):
    return "%.1f us" % (ns / 1000)


def grant_copy(bench, how, rounds, operations, target):
    copied, null, ratio = bench.beside_null_fuse((bench.devices, "gcopy"), rounds, operations)
    return row("grant copy of 4 KiB, " + how, us(copied), "null FUSE ioctl + memcpy", us(null),
               ratio, target)


def wake_up(bench, rounds):
    """And what FUSE allows at all: the same wake-ups with nothing between them."""
    lines = [line.split() for line in bench.with_null_fuse((bench.devices, "wake"), "bell",
                                                           rounds).splitlines()]
    for what, column, target in (("notify wakes a peer in poll", 0, 5.0),
                                 ("limit: a write to a null FUSE file does", 2, None)):
        woken, pipe, ratio = bench.pairs("\n".join("%s %s" % (line[column], line[1])
                                                   for line in lines))
        yield row(what, us(woken), "write to a pipe does", us(pipe), ratio, target)


def many_pages(bench, rounds, operations):
    many, one, ratio = bench.pairs(bench.in_machine(bench.devices, "pages", "1000", str(rounds),
                                                    str(operations)))
    return row("map + unmap of 1000 pages in one call", us(many), "of one page", us(one), ratio,
               3.0)


def popen(machine, domain, *command, **more):
    """A program in a domain; its own pipes, since the crowd talks over them."""
    return subprocess.Popen([machine.program, "exec", "--dir", machine.dir, "--domain", str(domain),
                             "--way", "device", "--", *map(str, command)], **more)


def crowd(bench, processes, seconds):
    """Rounds in a second of so many processes, half of them granters and half mappers.

    They are in at most 16 domains. There is no error, and nothing leaks."""
    with gntsim.Machine(program=str(bench.gntsim), way="device", clock="real") as machine:
        machine.call("trace", on=False)         # the package begins with it, and it costs time
        started, pairs = [], []
        domains = min(processes, DOMAINS)
        for pair in range(processes // 2):
            here, there = 1 + 2 * pair % domains, 1 + (2 * pair + 1) % domains
            down, up = os.pipe(), os.pipe()
            move = 'exec 3<&%d 4>&%d; exec "$0" "$@"'
            granter = popen(machine, here, "sh", "-c", move % (up[0], down[1]), bench.devices,
                            "granter", there, seconds, pass_fds=(up[0], down[1]),
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            mapper = popen(machine, there, "sh", "-c", move % (down[0], up[1]), bench.devices,
                           "mapper", here, pass_fds=(down[0], up[1]))
            for fd in (*down, *up):
                os.close(fd)
            started += [granter, mapper]
            pairs.append(granter)
        for granter in pairs:
            granter.stdin.write("x")
            granter.stdin.flush()
        begin = time.monotonic()
        rounds = sum(int(granter.stdout.read() or 0) for granter in pairs)
        took = time.monotonic() - begin
        if any([process.wait() for process in started]):
            sys.exit("bench: a process of the crowd of %d failed" % processes)
        machine.audit()
        left = machine.stats()
        if left["mappings"]:
            sys.exit("bench: the crowd of %d leaves %s" % (processes, left))
        return rounds / took


def crowds(bench, seconds):
    """The largest crowd for as long, the smaller ones, which it is compared with, for a fifth of
    it; each in three parts that alternate, of which the medians count."""
    sizes, parts, least = (CROWD[:3], 1, 0.2) if bench.quick else (CROWD, 3, 0.5)
    found = {n: [] for n in sizes}
    for _ in range(parts):
        for n in sizes:
            found[n].append(crowd(bench, n, max(seconds / parts / (1 if n == sizes[-1] else 5),
                                                least)))
    found = {n: statistics.median(values) for n, values in found.items()}
    best = max(sizes[:-1], key=found.get)
    return row("%d processes in %d domains" % (sizes[-1], min(sizes[-1], DOMAINS)),
               "%.0f /s" % found[sizes[-1]],
               "the best smaller number, %d" % best, "%.0f /s" % found[best],
               found[sizes[-1]] / found[best], 0.8, at_most=False)


def grant_copies(bench, _):
    quick = bench.quick
    return [grant_copy(bench, "in turn", 50 if quick else 2000, 1, 1.5),
            grant_copy(bench, "in a loop", 5 if quick else 25, 300, None)]


def store_reads(bench):
    """Where a program finds the store by itself, and over its kernel's xenbus."""
    arguments = [bench.store_read, *(("3", "20") if bench.quick else ("50", "100"))]
    for where, way, before, target in (
            ("a socket", "socket", [], 3.0),
            ("/dev/xen/xenbus", "device", ["env", "XENSTORED_PATH=/dev/xen/xenbus"], None)):
        asked, piped, ratio = bench.pairs(bench.in_machine(*before, *arguments, way=way))
        yield row("READ of the store over " + where, us(asked), "a round trip over pipes",
                  us(piped), ratio, target)


PARTS = {
    "store reads": lambda bench, _: store_reads(bench),
    "copy": grant_copies,
    "wake": lambda bench, _: wake_up(bench, 20 if bench.quick else 500),
    "pages": lambda bench, _: [many_pages(bench, *((5, 3) if bench.quick else (50, 10)))],
    "crowd": lambda bench, seconds: [crowds(bench, seconds)],
}
