# SPDX-License-Identifier: MIT
"""The JSON schema of scenario files, made from the tables that check them.

An editor completes and checks a file by it. What JSON schema cannot say (that a name exists, which
keys exclude each other) only `gntsim scenario check` tells."""
from __future__ import annotations

import signal
from typing import Any

from . import schema, values, words
from .values import Check

VARIABLE = {"type": "string", "pattern": r"\$\{[A-Za-z0-9_.-]+\}"}
TEXT = {"type": "string"}
TABLE = {"type": "object"}


def or_variable(*kinds: dict[str, Any]) -> dict[str, Any]:
    """What may be a variable, too: its value is known when the step is played."""
    return {"anyOf": [*kinds, VARIABLE]}


NATURAL = {"type": "integer", "minimum": 0}
NUMBER = or_variable({"type": "integer"})
DOMID = {"type": "integer", "minimum": 0, "maximum": 32751}
STATUS = {"type": "integer", "minimum": 0, "maximum": 255}
TIME = {"type": ["integer", "string"]}
ACTION = {"$ref": "#/$defs/action"}
STEPS = {"type": "array", "items": {"$ref": "#/$defs/step"}}
SPAN = {"anyOf": [{"type": "array", "minItems": 1},
                  {"type": "object", "required": ["from", "to"], "additionalProperties": False,
                   "properties": {key: NUMBER for key in ("from", "to", "step")}}]}
RANGE = {"type": "object", "minProperties": 1, "additionalProperties": False,
         "properties": {"min": NUMBER, "max": NUMBER}}

# The checks that are made of nothing else.
SIMPLE: dict[Check, dict[str, Any]] = {
    values.text: TEXT, values.argument: TEXT, values.regex: {"type": "string", "format": "regex"},
    values.name: {"type": "string", "pattern": "^%s$" % values.NAME.pattern},
    values.boolean: {"type": "boolean"}, values.true: {"const": True}, values.anything: {},
    values.number: NUMBER, values.natural: or_variable(NATURAL),
    values.real: or_variable({"type": "number", "exclusiveMinimum": 0}),
    values.fraction: {"type": "number", "minimum": 0, "maximum": 1},
    values.domid: DOMID, values.domain: {"anyOf": [DOMID, TEXT]},
    values.time: TIME, values.clock_step: TIME,
    values.amount: or_variable({"type": "number"}, RANGE),
    values.signal_name: or_variable({"enum": sorted(signal.Signals.__members__)}),
    values.error_number: {"anyOf": [NUMBER, {"type": "string", "pattern": r"^E[A-Z0-9]+$|\$\{"}]},
    values.hexadecimal: {"type": "string"}, values.exit_status: or_variable(STATUS),
    values.free_table: TABLE, values.span: SPAN, values.late_span: or_variable(SPAN),
    schema.exit_statuses: or_variable(STATUS, {"type": "array", "minItems": 1}),
    schema.profiles: {"anyOf": [{"enum": ["pv", "pvh", "legacy"]}, {"type": "array"}]},
    schema.rule: {"$ref": "#/$defs/rule"}, schema.action: ACTION, schema.steps: STEPS,
}


def described(check: Check) -> dict[str, Any]:
    """The schema of what a check lets pass."""
    if check in SIMPLE:
        return SIMPLE[check]
    if check is schema.counters:
        return table({key: values.amount for key in words.names("counters")})
    kind, *parts = getattr(check, "made_of")
    if kind == "words":
        return or_variable({"enum": list(parts[0]())})
    if kind == "known":
        return {"anyOf": [{"enum": list(parts[0]())}, {"type": "string", "pattern": r"\$\{"}]}
    if kind == "any":
        return {"anyOf": [described(part) for part in parts]}
    if kind == "list":
        return or_variable({"type": "array", "items": described(parts[0]), "minItems": parts[1]})
    if kind == "names":
        return {"type": "object", "propertyNames": SIMPLE[values.name],
                "additionalProperties": described(parts[0])}
    assert kind == "record"
    return table(*parts)


def table(keys: dict[str, Check], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "additionalProperties": False,
            "properties": {key: described(check) for key, check in keys.items()}}


def kinds_of_step() -> list[dict[str, Any]]:
    """Each kind of step, and each act of those that act."""
    acts: dict[str, Any] = {"guest": schema.ACTS, "store": schema.STORE_ACTS,
                            "device": schema.DEVICE_ACTS,
                            "adversary": ("start", "step", "stop")}
    kinds = []
    for what in schema.STEPS:
        for act in acts.get(what, [None]):
            keys, required = schema.keys_of(what, act)
            one = table(keys, (what, *required))
            if act is not None:
                one["properties"][what] = {"const": act}
            kinds.append(one)
    return kinds


def json_schema() -> dict[str, Any]:
    file = table(schema.FILE, ("steps",))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "gntsim scenario",
            **file, "$defs": {
                "step": {"type": "object", "anyOf": kinds_of_step()},
                "rule": table(schema.RULE, ("at", "do")),
                "action": {**table(schema.ACTIONS), "minProperties": 1, "maxProperties": 1}}}
