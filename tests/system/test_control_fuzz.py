# SPDX-License-Identifier: MIT
"""Whatever comes over the control socket, the server answers every line, and its books stay
right."""
import json
import random
import re
import socket

import pytest

import harness
from control import Control

# The verbs are read from the sources, so that none is forgotten. These three need a descriptor, a
# program, or end the machine.
VERBS = sorted({verb for path in (harness.SOURCE / "control").glob("control*.c")
                for verb in re.findall(r'\{ "([a-z-]+)", \w+ \}', path.read_text())}
               - {"shutdown", "supervise", "enter"})
KEYS = ["domain", "ref", "what", "value", "id", "ns", "to", "auto", "on", "from", "max", "last",
        "detail", "at", "do", "rule", "as", "page", "mapping",
        "granter", "offset", "size", "hex", "port", "remote", "kind", "seed", "steps", "n", "count",
        "frame", "flags", "version", "readonly",
        "profile", "grant_version", "grant_frames", "maptrack_frames", "skip", "times", "every",
        "probability", "index", "peer", "device", "ioctl",
        "writable", "pid", "process", "source", "dest", "words", "values", "first", "to", "name",
        "optional", "status"]
WORDS = ["", "*", "next", "map_grant_ref", "copy", "ioctl", "mmap", "open", "event", "notify",
         "defer", "unmap", "evtchn_send", "memory_op", "gntdev",
         "gntalloc", "evtchn", "MAP_GRANT_REF", "ALLOC_GREF", "eagain", "bad_gntref", "EINVAL",
         "ENOMEM", "pv", "pvh", "legacy", "rewrite", "flip", "guess",
         "flood", "stale", "grant_frames", "maptrack_frames", "entries", "ports", "ff" * 40,
         "x" * 3000, "\u0000", "\ud7ff", "%s%n"]
DOS = ["status", "hypercall", "errno", "page_out", "delay", "pause", "kill", "destroy", "suspend",
       "drop", "double", "late", "nothing"]


def value(chance, depth=0):
    pick = chance.randrange(12)
    if pick < 5:
        return chance.choice([0, 1, 2, 3, 4, 7, 8, 9, 64, 255, 4096, 32751, 32752, 65535, -1, 2**31,
                              2**32, 2**53, 2**63 - 1, -2**63])
    if pick < 8:
        return chance.choice(WORDS)
    if pick == 8:
        return chance.choice([True, False, None, 0.5, 1e308, -0.0])
    if depth > 2:
        return None
    if pick == 9:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if pick == 10:
        return {chance.choice(DOS): value(chance, depth + 1)}
    return {chance.choice(KEYS): value(chance, depth + 1) for _ in range(chance.randrange(5))}


def request(chance):
    asked = {"verb": chance.choice(VERBS)}
    if chance.random() < 0.8:
        asked["domain"] = chance.choice([1, 2, 3])
    if asked["verb"] == "fault-add":
        what = chance.choice(DOS)
        asked.update(at=chance.choice(WORDS),
                     do={what: chance.choice([True, 1, 2, "EINVAL", "eagain", 1000000])})
    for _ in range(chance.randrange(6)):
        asked[chance.choice(KEYS)] = value(chance)
    return asked


@pytest.mark.parametrize("seed", range(6))
def test_random_requests_are_all_answered_and_leave_the_books_right(serve, seed):
    machine = serve("--clock", "virtual", "--trace", "/dev/null")
    chance = random.Random(seed)
    control = Control(machine)
    for _ in range(700):
        asked = request(chance)
        if asked["verb"] in ("clock-advance", "trace-subscribe"):
            # Years of an adversary's life take long; a stream is no dialogue.
            asked = {"verb": "clock-advance", "to": "next"}
        text = json.dumps(asked)
        if chance.random() < 0.1:
            text = text[:chance.randrange(len(text) + 1)].replace("\n", "")
        reply = control.line(text)
        assert ("result" in reply) != ("error" in reply), (asked, reply)
        assert "error" not in reply or reply["error"], asked
    control.call("fault-clear")
    assert machine.ctl("audit").returncode in (0, 1), "it still answers"
    control.close()


@pytest.mark.parametrize("seed", range(3))
def test_bytes_that_are_no_requests_do_not_stop_the_server(machine, seed):
    chance = random.Random(seed)
    for _ in range(60):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(harness.PATIENCE)
            sock.connect(str(machine.dir / "control"))
            data = bytes(chance.randrange(256) for _ in range(chance.randrange(300)))
            if chance.random() < 0.3:
                data = b"[" * chance.randrange(5000) + data
            try:
                sock.sendall(data + b"\n" * chance.randrange(3))
                if chance.random() < 0.5:
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65536):
                        pass
            except (BrokenPipeError, ConnectionResetError):
                pass
    assert machine.stats()["domains"] == 0


def test_a_line_without_end_is_cut_off_and_others_are_served(machine):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(harness.PATIENCE)
        sock.connect(str(machine.dir / "control"))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(64):
                sock.sendall(b"x" * 65536)
    assert machine.stats()["domains"] == 0
