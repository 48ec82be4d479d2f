# SPDX-License-Identifier: MIT
"""[devices] in scenarios, and the steps that attach, await and detach them."""
from test_scenario_run import fails, passes, steps

DISK = """
[devices.disk]
domain = "front"
kind = "vbd"
backend = "back"
keys = { params = "raw:${dir}/disk.img", mode = "r" }
"""


def test_devices_of_a_table_are_there_before_the_first_step(scenario):
    passes(scenario(steps(
        "store = 'read'\npath = '/local/domain/2/backend/qdisk/1/51712/mode'\n"
        "result = { value = 'r' }",
        "device = 'wait'\ndomain = 'front'\nkind = 'vbd'\nid = 51712\nstate = 'initialising'\n"
        "result = { connected = false }") + DISK))


def test_steps_attach_await_and_detach_a_device(scenario):
    passes(scenario(steps(
        "device = 'attach'\ndomain = 'front'\nkind = 'vif'\nbackend = 'back'\nas = 'vif'\n"
        "result = { id = 0, front = 'initialising' }",
        "store = 'write'\ndomain = 'front'\npath = 'device/vif/0/state'\nvalue = 4",
        "store = 'write'\ndomain = 'back'\npath = '${vif.backend}/state'\nvalue = 4",
        "device = 'wait'\ndomain = 'front'\nkind = 'vif'\nresult = { connected = true }",
        "device = 'detach'\ndomain = 'front'\nkind = 'vif'\nforce = true",
        "store = 'read'\npath = '${vif.backend}'\nerror = 'ENOENT'",
        "device = 'attach'\ndomain = 'front'\nkind = 'vbd'\nerror = 'needs params=VALUE'")))


def test_a_device_that_never_connects_fails_its_step(scenario):
    fails(scenario(steps("device = 'wait'\ndomain = 'front'\nkind = 'vbd'\ntimeout = 0.1") + DISK),
          "<vbd 51712 of domain 1> is not connected")


def test_a_kind_that_is_none_is_found_before_the_run(scenario):
    done = scenario(steps("device = 'attach'\ndomain = 'front'\nkind = 'disk'"))
    assert done.returncode == 2 and "disk" in done.stderr
