# SPDX-License-Identifier: MIT
"""Measures what a program waits for a pager: the rows of bench/run for paged.c."""
import os
import subprocess
import sys

import devices

import gntsim


def paged_out(bench, rounds):
    """Per round what a write to a page that is out took, and a fault that a null pager serves."""
    with gntsim.Machine(program=str(bench.gntsim), way="device", clock="real") as machine:
        machine.call("trace", on=False)
        machine.call("domain-create", domain=1, profile="pvh")
        down, up = os.pipe(), os.pipe()
        move = 'exec 3<&%d 4>&%d; exec "$0" "$@"'
        writer = devices.popen(machine, 1, "sh", "-c", move % (down[0], up[1]), bench.paged,
                               "writer", rounds, pass_fds=(down[0], up[1]),
                               stdout=subprocess.PIPE, text=True)
        ref = int(writer.stdout.readline())
        entries = machine.call("dump", what="entries", domain=1)["entries"]
        gfn = next(e["frame"] for e in entries if e["ref"] == ref)
        pager = devices.popen(machine, 0, "sh", "-c", move % (up[0], down[1]), bench.paged,
                              "pager", 1, gfn, rounds, pass_fds=(up[0], down[1]))
        for fd in (*down, *up):
            os.close(fd)
        lines = writer.stdout.read()
        if writer.wait() or pager.wait():
            sys.exit("bench: a page that was out did not come back")
        return lines


def rows(bench, rounds):
    paged, null, ratio = bench.pairs(paged_out(bench, rounds))
    yield devices.row("a write to a page that is out, until its pager has loaded it",
                      devices.us(paged), "a userfaultfd fault and a null pager", devices.us(null),
                      ratio, 3.0)
    calls, null, ratio = bench.pairs(bench.with_null_fuse((bench.paged, "null"), "null", rounds,
                                                          inside=False))
    yield devices.row("limit: the fault and seven null FUSE ioctls of its pager",
                      devices.us(calls), "a userfaultfd fault and a null pager", devices.us(null),
                      ratio, None)


PARTS = {"paging": lambda bench, _: rows(bench, 20 if bench.quick else 300)}
