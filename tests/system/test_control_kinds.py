# SPDX-License-Identifier: MIT
"""Every verb of the control socket refuses values of every wrong kind."""
import json
import random
import re

import pytest

import harness
from control import Control

# Not here: what ends the machine, waits for somebody, or turns the connection into a stream.
LEFT_OUT = {"shutdown", "trace-subscribe"}
SOURCES = sorted((harness.SOURCE / "control").glob("control_*.c"))
TABLE = (harness.SOURCE / "control" / "verbs_i.h").read_text()
VERBS = sorted(set(re.findall(r'^    (?:CTL|SOCKET)\("([a-z-]+)"', TABLE, re.M)) - LEFT_OUT)
KEYS = sorted({key for path in [*SOURCES, *(harness.SOURCE / "control").glob("fault_json.c")]
               for key in re.findall(r'"([a-z_]+)"', path.read_text())})
VALUES = [None, True, False, 0, 1, 2, 8, -1, 1 << 31, 1 << 40, (1 << 63) - 1, -(1 << 63), 1 << 70,
          1.5, 1e300, "", "x", "1", "%s%n", "\0",
          "00", "zz", "pv", "a" * 5000, "\U0001f600", [], {}, [1], [None], [[]], {"page": 1},
          {"ref": 8, "domain": 1, "offset": 0},
          {"status": "eagain"}, {"status": None}, {"kill": True}, {"delay": -1}, {"pause": True},
          ["x"] * 3, {"": {"": None}}]


def test_the_verbs_are_found():
    assert {"domain-list", "guest-map", "adversary-start", "fault-add", "clock-advance",
            "trace-read"} <= set(VERBS)
    assert {"domain", "refs", "kind", "at", "ns"} <= set(KEYS)


@pytest.mark.parametrize("seed", range(4))
def test_no_request_stops_the_server(serve, seed):
    machine = serve()
    control = Control(machine)
    chance = random.Random(seed)
    for domain in (1, 2):
        control.domain_create(domain=domain)
        control.guest_page(domain=domain)
    for _ in range(1500):
        request = {"verb": chance.choice(VERBS)}
        for _ in range(chance.randrange(6)):
            request[chance.choice(KEYS)] = chance.choice(VALUES)
        if chance.random() < .7:
            request["domain"] = chance.choice([1, 2])
        reply = control.line(json.dumps(request))
        assert set(reply) <= {"result", "error"} and len(reply) == 1, (request, reply)
        assert reply.get("error", " ") != "", request
    assert machine.server.poll() is None
    control.close()


def test_no_argument_of_a_wrong_kind_stops_the_server(serve):
    machine = serve()
    control = Control(machine)
    control.domain_create(domain=1)
    for verb in VERBS:
        for key in KEYS:
            for value in (None, {}, [None], "", 1.5):
                control.line(json.dumps({"verb": verb, "domain": 1, "id": 1, "ref": 8, "at": "*",
                                         "do": {"kill": True}, key: value}))
    assert machine.server.poll() is None
    control.close()


@pytest.mark.parametrize("letter", ["\u00e9", "\u20ac", "\U0001f600"])
def test_an_error_never_ends_within_a_character(machine, letter):
    control = Control(machine)
    for pad in range(8):
        for request in ({"verb": pad * "x" + 300 * letter},
                        {"verb": "domain-create", "domain": 1, "profile": pad * "x" + 300 * letter},
                        {"verb": "stats" + 3 * letter}):
            reply = control.line(json.dumps(request, ensure_ascii=False))
            assert letter in reply["error"]
    control.close()


@pytest.mark.parametrize("line", ["", "{", "[]", "1", "null", '"x"', "{}", '{"verb": 1}',
                                  '{"verb": null}', '{"verb": "nothing"}',
                                  '{"verb": {"verb": "stats"}}', "[" * 1000, "\x01\x02",
                                  '{"verb":"stats"'])
def test_a_line_that_is_no_request_gets_a_sentence(machine, line):
    control = Control(machine)
    assert " " in control.line(line)["error"]
    assert control.stats()["domains"] == 0
    control.close()
