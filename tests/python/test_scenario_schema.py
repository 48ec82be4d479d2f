# SPDX-License-Identifier: MIT
"""The JSON schema of scenario files says what `gntsim scenario check` says, as far as it can."""
import importlib
import json
import subprocess
import tomllib

import pytest

import harness
from conftest import SOURCE

STORIES = sorted((SOURCE / "scenarios" / "stories").glob("*.toml"))
GOOD = {"steps": [{"audit": True}]}


@pytest.fixture(scope="module")
def schema():
    done = subprocess.run([harness.GNTSIM, "scenario", "schema"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def mistakes(schema):
    """The mistakes that a validator finds in a file."""
    jsonschema = pytest.importorskip("jsonschema")
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return lambda data: list(kind(schema).iter_errors(data))


def test_it_has_every_key_of_the_tables(schema):
    from gntsim.scenario import schema as tables
    assert set(schema["properties"]) == set(tables.FILE) and schema["required"] == ["steps"]
    for name, keys in (("scenario", tables.SCENARIO), ("sweep", tables.SWEEP)):
        assert set(schema["properties"][name]["properties"]) == set(keys)
    assert set(schema["$defs"]["rule"]["properties"]) == set(tables.RULE)
    assert set(schema["$defs"]["action"]["properties"]) == set(tables.ACTIONS)
    kinds = schema["$defs"]["step"]["anyOf"]
    assert {kind["required"][0] for kind in kinds} == set(tables.STEPS)
    for what, acts in (("guest", tables.ACTS), ("store", tables.STORE_ACTS)):
        assert {kind["properties"][what]["const"] for kind in kinds
                if kind["required"][0] == what} == set(acts)


@pytest.mark.parametrize("story", STORIES, ids=lambda path: path.stem)
def test_every_story_is_good_by_it(mistakes, story):
    assert not mistakes(tomllib.loads(story.read_text()))


@pytest.mark.parametrize("data", [
    {}, {"steps": {}}, {"steps": [{}]}, {"steps": [{"frobnicate": True}]},
    {**GOOD, "frobnicate": 1}, {**GOOD, "scenario": {"clock": "slow"}},
    {**GOOD, "domains": {"front": {}}}, {**GOOD, "domains": {"front": {"id": 40000}}},
    {**GOOD, "faults": [{"at": "mmap"}]},
    {**GOOD, "faults": [{"at": "mmop", "do": {"drop": True}}]},
    {**GOOD, "faults": [{"at": "mmap", "do": {"drop": True, "double": True}}]},
    {"steps": [{"guest": "grant", "domain": 1, "page": 1}]},
    {"steps": [{"guest": "page", "domain": 1, "readonly": True}]},
    {"steps": [{"audit": True, "timeout": 0}]},
], ids=json.dumps)
def test_what_check_refuses_it_refuses(mistakes, data):
    checks = importlib.import_module("gntsim.scenario.values")
    tables = importlib.import_module("gntsim.scenario.schema")
    assert not mistakes(GOOD)
    with pytest.raises(checks.Wrong):
        checks.table((), data, tables.FILE, ("steps",))
    assert mistakes(data)
