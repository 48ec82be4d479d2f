# SPDX-License-Identifier: MIT
"""Measures the rows of bench/run for what a consumer feels: events, mappings and vchans over the
library, with the other processor idle and busy; starts of machines; the stories."""
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from devices import row, us

import gntsim  # devices knows where it is

TOP = Path(__file__).resolve().parents[1]
SMALLEST, LARGE = 1024, 256 << 10       # bytes of a vchan's ring
# In turn: one of each after the other. In a loop: many of each.
HOW = {"in turn": (1000, 1), "in a loop": (25, 200)}
QUICK = {"in turn": (20, 1)}


@contextlib.contextmanager
def others(busy):
    """A process that never rests, if the other processors are to be busy."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
                for _ in range((os.cpu_count() - 1 or 1) if busy else 0)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def columns(text):
    """The medians of each column, and those of the first one's ratios to the others."""
    rows = [[float(word) for word in line.split()] for line in text.splitlines()]
    return ([statistics.median(column) for column in zip(*rows)],
            [statistics.median(line[0] / line[i] for line in rows)
             for i in range(1, len(rows[0]))])


def conditions(bench):
    """What a row is measured under: its name, the numbers, whether the others are busy."""
    for how, numbers in (QUICK if bench.quick else HOW).items():
        for busy in (False,) if bench.quick else (False, True):
            yield "%s, %s" % (how, "busy" if busy else "quiet"), numbers, busy


# ---- Events --------------------------------------------------------------------------------------


def events(bench, way):
    """Each beside a server that does nothing, with the same hand-overs; and beside a pipe."""
    name = {"socket": "library", "device": "device files"}[way]
    for how, numbers, busy in conditions(bench):
        with others(busy):
            text = bench.in_machine(bench.events, "socket", "-", *map(str, numbers), way=way) \
                if way == "socket" else bench.with_null_fuse((bench.events, "device"), "",
                                                             *numbers)
        (event, pipe, limit), (to_pipe, to_limit) = columns(text)
        yield row("event round trip, %s, %s" % (name, how), us(event),
                  "a server that does nothing", us(limit), to_limit, 1.5)
        if way == "socket":
            yield row("event round trip, library, %s: pipes" % how, us(event),
                      "a round trip over pipes", us(pipe), to_pipe, 4.0)


# ---- Mappings ------------------------------------------------------------------------------------


def mappings(bench):
    """Plain programs load no sanitized library."""
    if not os.path.exists(bench.hv_bench):
        return
    for how, numbers, busy in conditions(bench):
        with others(busy):
            text = bench.in_machine(bench.client, "trips", "-", *map(str, numbers), way="socket")
        (mapped, trips, least), (ratio, _) = columns(text)
        yield row("map + unmap, library, %s" % how, us(mapped), "two round trips over pipes",
                  us(trips), ratio, 2.0 if busy else 2.5)
        yield row("limit: two requests that do nothing, %s" % how, us(least),
                  "two round trips over pipes", us(trips), least / trips, None)


def checks(bench):
    """What --check adds, stacks included."""
    if not os.path.exists(bench.hv_bench):
        return
    plain, checked = (columns(bench.in_machine(bench.client, "trips", "-",
                                               *map(str, next(conditions(bench))[1]), way="socket",
                                               options=options))[0][0]
                      for options in ((), ("--check",)))
    yield row("map + unmap, library, --check with stacks", us(checked), "the same without --check",
              us(plain), checked / plain, 4.0)


# ---- vchan ---------------------------------------------------------------------------------------


def vchan(bench, way, ring, chunk, size, rounds):
    """Lines of the reader: nanoseconds over the vchan, and over plain descriptors."""
    ours, theirs = socket.socketpair()
    ends = os.pipe()
    move = 'exec 3<&%d 4<&%d; exec "$0" "$@"'
    with tempfile.TemporaryDirectory(prefix="gntsim-bench.") as directory, ours, theirs:
        with bench.machine(directory, way):
            started = [subprocess.Popen(
                [*bench.exec_argv(directory, domain, way), "sh", "-c",
                 move % (other.fileno(), end), bench.vchan, role, str(peer),
                 *map(str, (ring, chunk, size, rounds))], pass_fds=(other.fileno(), end),
                stdout=subprocess.PIPE, text=True)
                for domain, peer, role, other, end in ((1, 2, "reader", ours, ends[0]),
                                                       (2, 1, "writer", theirs, ends[1]))]
            for end in ends:
                os.close(end)
            ours.close()
            theirs.close()
            reader, writer = started
            # Nothing tells a reader of a writer that never came.
            if writer.wait():
                reader.kill()
            said = [process.communicate()[0] for process in started]
            if any(process.returncode for process in started):
                sys.exit("bench: an end of a vchan failed")
            return said[0]


def vchans(bench):
    """The smallest rings have room for one piece, so each is answered; beside the same pieces over
    a socket pair, each answered. Larger rings beside a pipe with as much room."""
    if not os.path.exists(bench.hv_bench):
        return
    for what, ring, chunk, size, against in (
            ("smallest rings", SMALLEST, 1000, 4 << 20, "a socket pair, each piece answered"),
            ("256 KiB rings", LARGE, 64 << 10, 256 << 20, "a pipe with as much room")):
        for way in ("socket", "device"):
            some = size // (40 if bench.quick else 4 if way == "device" else 1)
            (took, plain), _ = columns(vchan(bench, way, ring, chunk, some,
                                             1 if bench.quick else 7))
            name = {"socket": "library", "device": "device files"}[way]
            yield row("vchan, %s, %s" % (what, name), "%.1f MB/s" % (some * 1000 / took), against,
                      "%.1f MB/s" % (some * 1000 / plain), plain / took, 0.5, at_most=False)


# ---- Starts --------------------------------------------------------------------------------------


def machine_start(bench):
    """As in a test: a machine, two domains, and the first line of a program in each."""
    times = []
    for _ in range(2 if bench.quick else 20):
        begin = time.perf_counter()
        with gntsim.Machine(program=bench.gntsim) as machine:
            for number in (1, 2):
                machine.domain(number).spawn(["echo", "out"]).readline()
            times.append((time.perf_counter() - begin) * 1000)
    took = statistics.median(times)
    yield row("a test's machine with two domains, to their output", "%.1f ms" % took, "nothing",
              "0.0 ms", took, 30.0, unit="ms")


def stories(bench):
    """All of them, as `gntsim scenario run` plays them."""
    if bench.quick:
        return
    begin = time.perf_counter()
    done = subprocess.run([bench.gntsim, "scenario", "run",
                           *sorted(map(str, (TOP / "scenarios" / "stories").glob("*.toml")))],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          env={**os.environ, "GNTSIM": bench.gntsim})
    took = time.perf_counter() - begin
    # The cases with the bug fail, as they must; an exit status above 1 is another matter.
    if done.returncode not in (0, 1):
        sys.exit("bench: the stories end with status %d" % done.returncode)
    yield row("all stories", "%.1f s" % took, "nothing", "0.0 s", took, 30.0, unit="s")


def pieces(bench):
    """What a map + unmap over the library consists of: "name: microseconds"."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None,
                                     prefix="gntsim-bench.") as place:
        text = subprocess.run([bench.pieces, place, "5" if bench.quick else "200"], check=True,
                              stdout=subprocess.PIPE, text=True).stdout
    return {name: float(ns) / 1000 for ns, name in (line.split(" ", 1)
                                                    for line in text.splitlines())}


PARTS = {
    "events": lambda bench, _: events(bench, "socket"),
    "bells": lambda bench, _: events(bench, "device"),
    "library": lambda bench, _: mappings(bench),
    "checks": lambda bench, _: checks(bench),
    "vchan": lambda bench, _: vchans(bench),
    "test": lambda bench, _: machine_start(bench),
    "stories": lambda bench, _: stories(bench),
}
