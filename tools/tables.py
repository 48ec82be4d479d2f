# SPDX-License-Identifier: MIT
"""What the program understands, for the scripts that make manual pages and completions of it."""
import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scenarios"))


def load(path):
    """What `gntsim --help --json` printed, and in "scenario" the same of the scenario verbs."""
    tables = json.loads(Path(path).read_text())
    tables["options"] = {option["name"]: option for option in tables["options"]}
    for command in tables["commands"]:
        used = {name for usage in command["usages"] for name in usage["options"]}
        command["options"] = [option for name, option in tables["options"].items() if name in used]
    tables["scenario"] = scenario_verbs()
    for verb in tables["verbs"]:
        syntax, colon, help_text = verb["help"].partition(": ")
        named = colon and syntax.startswith(verb["words"])
        verb["syntax"] = syntax if named else verb["words"]
        verb["help"] = help_text if named else verb["help"]
    return tables


def scenario_verbs():
    """The verbs of `gntsim scenario`, whose options Python's argparse knows."""
    from gntsim.scenario.__main__ import parser     # where PYTHONPATH need not lead

    [verbs] = [action for action in parser()._actions
               if isinstance(action, argparse._SubParsersAction)]
    helps = {action.dest: action.help for action in verbs._choices_actions}
    return [{"name": name, "help": helps[name],
             "rest": " ".join(argument(action) for action in one._actions
                              if not action.option_strings),
             "options": [option(action) for action in one._actions
                         if action.option_strings and action.dest != "help"]}
            for name, one in verbs.choices.items()]


def argument(action):
    return action.metavar + ("..." if action.nargs == "+" else "")


def option(action):
    """As the program's own options are described."""
    [name] = action.option_strings
    values = [str(choice) for choice in action.choices or ()]
    takes = action.nargs != 0
    return {"name": name[2:], "letter": "", "help": action.help, "values": " ".join(values),
            "argument": (action.metavar or "|".join(values)) if takes else ""}
