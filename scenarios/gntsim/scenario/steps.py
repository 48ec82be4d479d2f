# SPDX-License-Identifier: MIT
"""What each kind of step does: one function each, in a table by the step's name."""
from __future__ import annotations

import json
import re
import signal
import time
from typing import Any, Callable

from ..errors import Ended, Error, Gone, Refused
from ..process import describe_exit
from ..store import StoreError
from ..trace import agrees, amount, missing, select
from . import words
from .cases import find_program, values
from .device_acts import device_act
from .places import Path
from .play import BAD_VALUE, Failed, Play
from .schema import ANSWER, COMMON, step_kind
from .store_acts import STORE_ACTS
from .values import Wrong, shown
from .values import span as check_span

Step = dict[str, Any]


def execute(play: Play, path: Path, step: Step) -> None:
    """Executes one step; Failed or Error if it is not as it should be."""
    play.path = path
    play.check_time()
    what = step_kind(path, step)
    if "say" in step:
        play.said.append(str(play.value(step["say"])))
    if what == "for":
        return loop(play, path, step)
    try:
        if not play.sweeping or path[0] != "finally" or what not in PROGRAM_STEPS:
            return HANDLERS[what](play, step)
        if not has_ended_well(play, step[what]):
            try:
                HANDLERS[what](play, step)
            except Ended:
                if not has_ended_well(play, step[what]):
                    raise
    except BAD_VALUE as error:
        raise Failed("a step \"%s\" cannot be done with these values: %s"
                     % (what, error)) from error
    return None


def loop(play: Play, path: Path, step: Step) -> None:
    span = play.value(step["in"])
    try:
        check_span((), span)
    except Wrong as wrong:
        raise Failed("in: %s" % wrong) from None
    for value in values(span):
        play.variables[step["for"]] = value
        for i, inner in enumerate(step["steps"]):
            execute(play, path + ("steps", i), inner)


def has_ended_well(play: Play, name: str) -> bool:
    """In a sweep: a program that gave up in good order needs no more of the steps that clean up."""
    process = play.processes.get(name)
    return process is None or (process.returncode is not None
                               and (process.returncode in play.sweep.get("exit", [0, 1])
                               or -process.returncode in play.allowed_signals(name, process)))


# ---- Programs

PROGRAM_STEPS = ("expect", "send", "close", "wait")


def spawn(play: Play, step: Step) -> None:
    program = play.data["programs"][play.value(step["spawn"])]
    name = play.value(step.get("as", step["spawn"]))
    if name in play.processes and play.processes[name].running:
        raise Failed("program \"%s\" runs already: give the second one a name of its own with "
                     "as = NAME" % name)
    words = [str(word) for word in play.value(program["command"]) +
             play.value(step.get("args", []))]
    try:
        words[0] = find_program(play.case, play.options, words[0])
    except FileNotFoundError as error:
        raise Failed(str(error)) from None
    domain = play.domain_id(program.get("domain", 0))
    process = play.machine.domain(domain).spawn(words, name=name,
                                                env=play.value(program.get("env", {})),
                                                cwd=play.value(program.get("directory",
                                                                           play.directory)))
    play.processes[name] = process
    play.programs[process.pid] = name
    play.awaited.discard(name)


def captured(play: Play, match: re.Match[str]) -> None:
    for name, text in match.groupdict().items():
        if text is not None:
            play.variables[name] = int(text) if re.fullmatch(r"-?\d+", text) else text


def patience(play: Play, step: Step) -> float:
    """How long to wait for a program. Where a sweep's fault may be why it says nothing, not as long
    as otherwise."""
    timeout = play.timeout(step)
    return min(timeout, float(play.sweep.get("patience", 5))) if play.sweeping and \
        play.path[0] == "steps" else timeout


def expect(play: Play, step: Step) -> None:
    process = play.process(step["expect"])
    stream, regex = ("stdout", step["output"]) if "output" in step else ("stderr", step["errors"])
    regex = play.value(regex)
    captured(play, process.expect(regex, patience(play, step), stream,
                                  unless=play.sweep.get("errors") if play.sweeping
                                  and play.path[0] == "steps" else None))


def send(play: Play, step: Step) -> None:
    play.process(step["send"]).send(str(play.value(step["line"])))


def close(play: Play, step: Step) -> None:
    play.process(step["close"]).close_stdin()


def wait(play: Play, step: Step) -> None:
    name = step["wait"]
    process = play.process(name)
    status = process.wait(patience(play, step))
    if "signal" in step:
        wanted = [-getattr(signal, play.value(step["signal"]))]
    else:
        exits = play.value(step.get("exit", 0))
        wanted = exits if isinstance(exits, list) else [exits]
    if not step.get("any") and status not in wanted:
        raise Ended("program \"%s\" ended with %s, expected %s%s"
                    % (name, describe_exit(status),
                       " or ".join(describe_exit(one) for one in wanted), process.last_words()))
    play.awaited.add(name)
    for key, text in (("output", process.stdout), ("errors", process.stderr)):
        if key in step:
            match = re.search(play.value(step[key]), text, re.M)
            if not match:
                raise Failed("program \"%s\" never printed %r%s"
                             % (name, play.value(step[key]), process.last_words()))
            captured(play, match)


def kill(play: Play, step: Step) -> None:
    name = step["kill"]
    number = getattr(signal, play.value(step.get("signal", "SIGKILL")))
    play.signals.setdefault(name, set()).add(number)
    play.process(name).signal(number)


def running(play: Play, step: Step) -> None:
    process = play.process(step["running"])
    if not process.running:
        raise Failed("program \"%s\" has ended with %s%s"
                     % (step["running"], describe_exit(process.returncode or 0),
                        process.last_words()))


# ---- Verbs of the machine

OWN_KEYS = ("guest", "adversary", "text", *COMMON,
            *ANSWER)     # what a step has besides the verb's arguments
DOMAIN_KEYS = ("domain", "to", "granter", "remote")


def ask(play: Play, step: Step, verb: str, arguments: dict[str, Any]) -> None:
    answer(play, step, verb, lambda: play.machine.call(verb, **arguments))


def answer(play: Play, step: Step, what: str, act: Callable[[], Any]) -> None:
    """Does something and compares what comes of it with what the step says, again and again if that
    may take time."""
    end = time.monotonic() + (play.timeout(step) if step.get("eventually") else 0)
    while True:
        try:
            return answer_once(play, step, what, act)
        except Failed as error:
            if time.monotonic() >= end:
                raise Failed(str(error) + play.standing(step)) from None
        time.sleep(0.002)


def answer_once(play: Play, step: Step, what: str, act: Callable[[], Any]) -> None:
    try:
        result = act()
    except (Refused, StoreError) as error:
        said = error.message if isinstance(error, Refused) else str(error)
        if "error" not in step:
            if isinstance(error, StoreError) and step.get("eventually"):
                raise Failed(said) from None
            raise
        if not re.search(play.value(step["error"]), said, re.M):
            raise Failed("%s was refused with %r, which does not match %r"
                         % (what, said, play.value(step["error"]))) from None
        return
    if "error" in step:
        raise Failed("%s succeeded: %s; expected an error that matches %r"
                     % (what, json.dumps(result), play.value(step["error"])))
    if "result" in step:
        same(play, what, result, play.value(step["result"]))
    if "as" in step:
        play.variables[play.value(step["as"])] = result


def same(play: Play, what: str, result: Any, wanted: dict[str, Any]) -> None:
    for key, value in wanted.items():
        if not isinstance(result, dict) or key not in result:
            raise Failed("%s: the result %s has no %s" % (what, json.dumps(result), key))
        if not agrees(result[key], value):
            raise Failed("%s: %s is %s, expected %s"
                         % (what, key, shown(result[key]), shown(value)))


def guest(play: Play, step: Step) -> None:
    arguments = {key: play.value(value) for key, value in step.items() if key not in OWN_KEYS}
    for key in DOMAIN_KEYS:
        if key in arguments:
            arguments[key] = play.domain_id(arguments[key])
    for side in ("source", "dest"):
        if isinstance(arguments.get(side), dict) and "domain" in arguments[side]:
            arguments[side] = {**arguments[side],
                               "domain": play.domain_id(arguments[side]["domain"])}
    if "text" in step:
        arguments["hex"] = str(play.value(step["text"])).encode().hex()
    ask(play, step, "guest-" + play.value(step["guest"]), arguments)


def adversary(play: Play, step: Step) -> None:
    arguments = {key: play.value(value) for key, value in step.items() if key not in OWN_KEYS}
    for key in (*DOMAIN_KEYS, "peer"):
        if key in arguments:
            arguments[key] = play.domain_id(arguments[key])
    ask(play, step, "adversary-" + play.value(step["adversary"]), arguments)


# ---- The store

def store(play: Play, step: Step) -> None:
    what = play.value(step["store"])
    if what == "restart":
        ask(play, step, "store-restart", {})
        return
    arguments: dict[str, Any] = {key: play.value(step[key])
                                 for key in ("path", "value", "token", "set") if key in step}
    arguments["timeout"] = play.timeout(step)
    domain = play.domain_id(step.get("domain", 0))

    def act() -> Any:
        try:
            return STORE_ACTS[what](play.store(domain), arguments)
        except Gone:
            play.stores.pop(domain).close()     # the next step connects anew
            raise
    answer(play, step, "store " + what, act)


def device(play: Play, step: Step) -> None:
    answer(play, step, "device " + play.value(step["device"]), lambda: device_act(play, step))


def call(play: Play, step: Step) -> None:
    ask(play, step, play.value(step["call"]), play.value(step.get("args", {})))


def create(play: Play, step: Step) -> None:
    name = play.value(step["create"])
    if name in play.data.get("domains", {}):
        row = play.data["domains"][name]
        arguments = {key: play.value(row.get(key)) for key in words.DOMAIN_OPTIONS}
        profile = play.value(row.get("profile", play.case.profile))
        ask(play, step, "domain-create", {"domain": row["id"], "profile": profile, **arguments})
    else:
        ask(play, step, "domain-create", {"domain": play.domain_id(name),
                                          "profile": play.case.profile})


def destroy(play: Play, step: Step) -> None:
    domain = play.domain_id(step["destroy"])
    play.domains_gone.add(domain)
    ask(play, step, "domain-destroy", {"domain": domain})


def suspend(play: Play, step: Step) -> None:
    ask(play, step, "domain-suspend", {"domain": play.domain_id(step["suspend"]),
                                       "as": play.value(step.get("as_id")),
                                       "grant_version": play.value(step.get("grant_version"))})


def page(verb: str) -> Callable[[Play, Step], None]:
    return lambda play, step: ask(play, step, verb,
                                  {"domain": play.domain_id(step[verb]),
                                   "ref": play.value(step["ref"])})


def limit(play: Play, step: Step) -> None:
    ask(play, step, "limit", {"domain": play.domain_id(step["limit"]),
                              "what": play.value(step["what"]), "value": play.value(step["value"])})


def crash(play: Play, step: Step) -> None:
    play.crashed = True
    play.machine.crash()


# ---- Faults and time

def fault(play: Play, step: Step) -> None:
    play.add_rule(play.path, step["fault"])


def unfault(play: Play, step: Step) -> None:
    rule = play.rule(step["unfault"])
    required = [path for path, one in play.required if one is rule]
    if required and not play.sweeping and rule.fired == 0:
        raise Failed("the rule \"%s\" never fired: %d passed it; if that is all right say "
                     "optional = true" % (rule.name, rule.passed))
    rule.remove()
    del play.rules[step["unfault"]]


def fired(play: Play, step: Step) -> None:
    rule = play.rule(step["fired"])
    wanted = play.value(step.get("times", {"min": 1}))

    def problem() -> str:
        times = rule.fired
        if amount(times, wanted):
            return ""
        return "rule \"%s\" has fired %d times, expected %s (%d passed it)" % (
            step["fired"], times, shown(wanted), rule.passed)
    play.wait_until(step, problem)


def paused(play: Play, step: Step) -> None:
    rule = play.rule(step["paused"])
    play.wait_until({**step, "eventually": True},
                    lambda: "" if rule.paused() else "rule \"%s\" holds nobody" % step["paused"])


def resume(play: Play, step: Step) -> None:
    play.rule(step["resume"]).resume()


def clock(play: Play, step: Step) -> None:
    value = play.value(step["clock"])
    if value in ("auto", "manual"):
        play.machine.clock.auto(value == "auto")
    else:
        play.machine.clock.advance(value)


# ---- What must be seen

def stats(play: Play, step: Step) -> None:
    wanted = play.value(step["stats"])

    def problem() -> str:
        have = play.machine.stats()
        for name, value in wanted.items():
            if name not in have:
                return "there is no counter \"%s\": known are %s" % (name, ", ".join(have))
            if not amount(have[name], value):
                return "%s is %s, expected %s" % (name, have[name], shown(value))
        return ""
    play.wait_until(step, problem)


def dump(play: Play, step: Step) -> None:
    what, where = step["dump"], play.value(step.get("where", {}))
    wanted = play.value(step.get("count", {"min": 1}))
    where = {key: play.domain_id(value) if key in ("domain", "to", "granter", "remote_domain")
             and not isinstance(value, dict) else value
             for key, value in where.items()}
    domain = play.domain_id(step["domain"]) if "domain" in step else None
    rows: list[Any] = []

    def problem() -> str:
        table = play.machine.dump(what, domain)
        rows[:] = [row for row in table if agrees(row, where)]
        if amount(len(rows), wanted):
            return ""
        return "%d of %d rows of %s%s are as %s, expected %s%s" % (
            len(rows), len(table), what, "" if domain is None else " of domain %d" % domain,
            json.dumps(where), shown(wanted),
            "".join("\n  " + json.dumps(row) for row in table[:8]))
    play.wait_until(step, problem)
    if "as" in step:
        play.variables[step["as"]] = rows


def info(play: Play, step: Step) -> None:
    domain = play.domain_id(step["info"])
    rows: list[Any] = []

    def problem() -> str:
        rows[:] = [row for row in play.machine.domains() if row["domain"] == domain]
        if not rows:
            return "there is no domain %d" % domain
        try:
            same(play, "domain %d" % domain, rows[0], play.value(step.get("result", {})))
        except Failed as error:
            return str(error)
        return ""
    play.wait_until(step, problem)
    if "as" in step:
        play.variables[step["as"]] = rows[0]


def audit(play: Play, step: Step) -> None:
    if step["audit"] is True:
        return play.machine.audit()
    lines = play.machine.violations()
    if not any(re.search(play.value(step["audit"]), line) for line in lines):
        raise Failed("no violation matches %r: %s"
                     % (play.value(step["audit"]), "\n  ".join(lines) or "the audit is clean"))


def pattern(play: Play, wanted: dict[str, Any]) -> dict[str, Any]:
    wanted = dict(wanted)
    for key in wanted:
        wanted[key] = play.value(wanted[key])
    if "domain" in wanted:
        wanted["domain"] = play.domain_id(wanted["domain"])
    if "args" in wanted:
        wanted["args"] = {key: play.domain_id(value) if key in ("peer", "to", "granter")
                          and isinstance(value, str) else value
                          for key, value in wanted["args"].items()}
    return wanted


def trace(play: Play, step: Step) -> None:
    wanted = [pattern(play, one) for one in step["trace"]]

    def problem() -> str:
        left = missing(play.events(play.mark), wanted)
        return "event no. %d of %d did not occur%s: %s" % (len(wanted) - len(left) + 1, len(wanted),
                                                         " after those before it"
                                                         if len(left) < len(wanted) else "",
                                                         json.dumps(left[0])) if left else ""
    play.wait_until(step, problem)


def never(play: Play, step: Step) -> None:
    events = play.events(play.mark)
    for one in step["never"]:
        found = select(events, pattern(play, one))
        if found:
            raise Failed("an event that must not occur: %s" % found[0])


def events(play: Play, step: Step) -> None:
    wanted, one = play.value(step["count"]), pattern(play, step["events"])

    def problem() -> str:
        found = len(select(play.events(play.mark), one))
        if amount(found, wanted):
            return ""
        return "%d events are as %s, expected %s" % (found, json.dumps(one), shown(wanted))
    play.wait_until(step, problem)


def mark(play: Play, step: Step) -> None:
    events = play.machine.trace(play.mark)
    if events:
        play.mark = events[-1]["seq"] + 1


def equal(play: Play, step: Step) -> None:
    wanted = play.value(step["equal"])
    if any(value != wanted[0] for value in wanted[1:]):
        raise Failed("not the same: %s" % ", ".join(json.dumps(value) for value in wanted))


HANDLERS: dict[str, Callable[[Play, Step], None]] = {
    "spawn": spawn, "expect": expect, "send": send, "close": close, "wait": wait, "kill": kill,
    "running": running,
    "guest": guest, "adversary": adversary, "store": store, "device": device, "call": call,
    "fault": fault, "unfault": unfault, "fired": fired, "paused": paused, "resume": resume,
    "clock": clock,
    "create": create, "destroy": destroy, "suspend": suspend, "page-out": page("page-out"),
    "page-in": page("page-in"),
    "limit": limit, "crash": crash,
    "stats": stats, "dump": dump, "info": info, "audit": audit, "trace": trace, "never": never,
    "events": events, "mark": mark,
    "equal": equal,
}

__all__ = ["Error", "execute"]
