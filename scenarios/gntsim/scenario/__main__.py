# SPDX-License-Identifier: MIT
"""The command line of `gntsim scenario`."""
from __future__ import annotations

import argparse
import fnmatch
import json
import os
import signal
import sys
from typing import Any, NoReturn, Optional

from ..errors import Error, NotFound
from ..machine import find_program, usual_way
from . import json_schema, schema, sweep, values
from .cases import Case, Mistake, Options, Scenario, cases, check_programs, load
from .play import Unreachable
from .report import Progress, Tap, junit, summary
from .run import Plan, Runner
from .values import Wrong

PASSED, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, "gntsim: %s; see %s --help\n" % (message, self.prog))


def positive(text: str) -> int:
    value = int(text) if text.isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError("'%s' is no number from 1 on" % text)
    return value


def natural(text: str) -> int:
    if not text.isdigit() or int(text) >= 1 << 63:
        raise argparse.ArgumentTypeError("'%s' is no number from 0 on" % text)
    return int(text)


def shard(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError("'%s' is not I/N with I from 1 to N" % text)
    return int(part), int(parts)


def sweep_point(text: str) -> dict[str, Any]:
    try:
        point = json.loads(text)
        if isinstance(point, dict) and set(point) == {"limit"}:
            values.table((), point["limit"], {"domain": values.domid, "what": values.text,
                                              "value": values.natural}, ("domain", "what", "value"))
        else:
            schema.rule((), point)
        return dict(point)
    except (ValueError, Wrong) as error:
        raise argparse.ArgumentTypeError("no point of a sweep: %s" % error) from None


def parser() -> argparse.ArgumentParser:
    top = Parser(prog="gntsim scenario", description="Plays scenario files and says whether all "
                 "was as they say.")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    run = verbs.add_parser("run", help="play scenarios: TAP on standard output, exit status 0 if "
                           "all passed",
                           description="Plays scenario files. TAP on standard output; exit status "
                           "0: all passed, 1: a failure, 2: a file or an option is wrong.")
    check = verbs.add_parser("check", help="look for mistakes in scenario files, without "
                             "playing them",
                             description="Looks for mistakes in scenario files and names line and "
                             "key. Exit status 2 if there are any.")
    verbs.add_parser("schema", help="print the JSON schema of scenario files, for editors",
                     description="Prints the JSON schema of scenario files: an editor completes "
                     "and checks a file by it.")
    for verb in (run, check):
        verb.add_argument("files", nargs="+", metavar="FILE")
        verb.add_argument("--programs", action="append", default=[], metavar="DIR",
                          help="where programs named without / are looked for first")
    run.add_argument("--list", action="store_true", help="print the cases, without playing them")
    run.add_argument("--only", action="append", metavar="CASE",
                     help="only cases of this name (may be a shell pattern, may be repeated)")
    run.add_argument("--tag", action="append", metavar="WORD", help="only scenarios with this tag")
    run.add_argument("--seed", type=natural, metavar="N", help="instead of the files'")
    run.add_argument("--repeat", type=positive, default=1, metavar="N",
                     help="play each case N times")
    run.add_argument("--jobs", type=positive, default=1, metavar="N", help="play so many at a time")
    run.add_argument("--way", choices=("device", "socket", "auto"),
                     help="how programs reach their devices")
    run.add_argument("--profile", choices=("pv", "pvh", "legacy"),
                     help="guest kernel, instead of the files'")
    run.add_argument("--shard", type=shard, metavar="I/N",
                     help="only every N-th case, beginning with the I-th; of a sweep, every N-th "
                     "point")
    run.add_argument("--sweep", choices=sweep.KINDS,
                     help="play each case once per injection point, batch index, limit value or "
                     "kill point")
    run.add_argument("--sweep-point", type=sweep_point, metavar="JSON", help="one point of a sweep")
    run.add_argument("--check-determinism", action="store_true",
                     help="play each case twice and compare the traces")
    run.add_argument("--check", metavar="WORDS", nargs="?", const="usual", dest="check",
                     help="a finding fails its case: all kinds, or as the words of gntsim run "
                     "--check=WORDS say")
    run.add_argument("--no-check", action="store_const", const="", dest="check",
                     help="nothing is checked, whatever the files say")
    run.add_argument("--trace", metavar="DIR", help="keep the trace of each case in DIR")
    run.add_argument("--junit", metavar="FILE", help="write a JUnit report")
    return top


def complain(message: str) -> None:
    sys.stderr.write("gntsim: %s\n" % message)


def load_all(files: list[str], options: Options) -> Optional[list[Scenario]]:
    """The files, None after a line for each that has a mistake."""
    scenarios, good = [], True
    for name in files:
        try:
            scenario = load(name)
            for case in cases(scenario, options):
                check_programs(case, options)
            scenarios.append(scenario)
        except Mistake as mistake:
            complain(str(mistake))
            good = False
    return scenarios if good else None


def choose(scenarios: list[Scenario], args: argparse.Namespace, options: Options) -> list[Case]:
    every = [case for scenario in scenarios for case in cases(scenario, options)
             if not args.tag or set(args.tag) & set(scenario.head.get("tags", []))]
    if args.only:
        chosen = [case for case in every if any(case.name == one
                                                or fnmatch.fnmatchcase(case.name, one)
                                                for one in args.only)]
        for one in args.only:
            if not any(case.name == one or fnmatch.fnmatchcase(case.name, one) for case in every):
                raise Mistake("no case is called %s; --list shows what they are called" % one)
        every = chosen
    if args.shard and not args.sweep:
        part, parts = args.shard
        every = every[part - 1::parts]
    if args.sweep_point:
        every = [case.at(args.sweep_point, sweep.label({"skip": 0, **args.sweep_point}))
                 for case in every]
    return every


def list_cases(chosen: list[Case]) -> int:
    for case in chosen:
        variant = case.labels[0] if case.labels else ""
        about = case.scenario.data.get("variants", {}).get(variant, {}).get("description") or \
            case.scenario.head.get("description", "")
        print("%-40s %s" % (case.name, about) if about else case.name)
    return PASSED


def run(args: argparse.Namespace) -> int:
    options = Options(args.seed, args.profile, args.way, args.programs, args.trace, args.check)
    scenarios = load_all(args.files, options)
    if scenarios is None:
        return USAGE
    chosen = choose(scenarios, args, options)
    if args.list:
        return list_cases(chosen)
    find_program()
    if any("ways" in scenario.head for scenario in scenarios):
        options.real_way = args.way if args.way in ("device", "socket") else usual_way()
    # Said before anything is played, not after all of it.
    try:
        if args.trace:
            os.makedirs(args.trace, exist_ok=True)
        if args.junit:
            open(args.junit, "a", encoding="utf-8").close()
    except OSError as error:
        raise Mistake("cannot write %s: %s" % (error.filename, error.strerror)) from None
    progress = Progress()
    runner = Runner(options, Plan(args.jobs, args.repeat, args.sweep, args.check_determinism,
                                  args.shard or (1, 1)),
                    Tap(sys.stdout, options), progress)
    try:
        passed = runner.run(chosen)
    except Wrong as wrong:
        raise chosen[0].scenario.mistake(wrong) from None
    except Unreachable as error:
        runner.tap.bail_out(str(error))
        complain(" ".join(str(error).split()))
        return USAGE
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    finally:
        progress.clear()
        if args.junit:
            with open(args.junit, "w", encoding="utf-8") as file:
                file.write(junit(runner.results, options))
        if args.trace:
            with open(os.path.join(args.trace, "results.json"), "w", encoding="utf-8") as file:
                file.write(summary(runner.results, options))
    return PASSED if passed else FAILED


def check(args: argparse.Namespace) -> int:
    scenarios = load_all(args.files, Options(programs=args.programs))
    if scenarios is None:
        return USAGE
    for scenario in scenarios:
        print("%s: good, %d cases" % (scenario.path, len(list(cases(scenario, Options())))))
    return PASSED


def print_schema(_args: argparse.Namespace) -> int:
    json.dump(json_schema.json_schema(), sys.stdout, indent=1)
    print(flush=True)
    return PASSED


def interrupted(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def main() -> int:
    # the value of --check is no word of its own, which may be a file
    args = parser().parse_args(["--check=usual" if word == "--check" else word
                                for word in sys.argv[1:]])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        return {"run": run, "check": check, "schema": print_schema}[args.verb](args)
    except (Mistake, NotFound) as error:
        complain(str(error))
        return USAGE
    except OSError as error:
        # Its reader is gone, or its disk full: what is still to be written at exit would be a
        # second complaint.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        complain("cannot write %s: %s" % (error.filename or "the results", error.strerror))
        return FAILED
    except Error as error:
        complain(str(error))
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
