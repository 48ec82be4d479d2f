# SPDX-License-Identifier: MIT
"""A new hypercall takes two files: its row, and its handler. All else follows from the row."""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import SOURCE

pytestmark = [
    pytest.mark.needs_device_files,
    pytest.mark.skipif(not os.environ.get("GNTSIM_TEST_ALL"),
                       reason="builds the project once more: runs with ./test --all"),
]

# The headers of a real one would have the first part.
ROW = """
#define GNTTABOP_count_entries 13
struct gnttab_count_entries {
    uint32_t nr;
    int16_t status;
};

#define HV_GNTTAB_OPS(ROW) \\
    ROW(count_entries, HV_OP_ONE | HV_OP_STATUS, none, "general_error", \\
        OKAY(count_entries, "nr", nr)) \\
"""
HANDLER = """
static int count_entries(const struct hv_call *c, void *element, void *state)
{
    struct gnttab_count_entries *op = element;

    (void)state;
    op->nr = c->d->gt.nr_frames * 512;
    return GNTST_okay;
}

long gnttab_count_entries(const struct hv_call *c, uint64_t uop, unsigned count)
{
    return call_elements(c, uop, count,
                         &(struct element_kind){ ELEMENT(struct gnttab_count_entries),
                                                 .answers = true, .act = count_entries }, NULL);
}
"""
# The number of the operation is the program's, as everywhere. It prints what came back.
PROGRAM = """
import ctypes, fcntl, struct
argument = ctypes.create_string_buffer(8)
call = bytearray(struct.pack("6Q", 20, 13, ctypes.addressof(argument), 1, 0, 0))
with open("/dev/xen/privcmd", "r+b", buffering=0) as privcmd:
    result = fcntl.ioctl(privcmd, 0x305000, call)
print(result, *struct.unpack("Ihxx", argument.raw))
"""
STORY = """
[programs]
caller = { command = ["%s", "${here}/caller.py"] }
[[steps]]
spawn = "caller"
[[steps]]
wait = "caller"
"""
FAULTY = STORY + """
[[steps]]
fault = { name = "one", at = "count_entries", do = { status = "bad_domain" } }
[[steps]]
spawn = "caller"
[[steps]]
expect = "caller"
output = '^0 0 -2$'
[[steps]]
wait = "caller"
[[steps]]
trace = [ { op = "count_entries", rule = "one" } ]
"""


def change(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def wanted(folder, name):
    return not re.match(r"\.git$|__pycache__|\.\w+_cache", name) and \
        not (Path(folder) == SOURCE and name.startswith("build"))


@pytest.fixture
def changed(place):
    """The project with one more operation, built; the caller of the operation is beside it."""
    shutil.copytree(SOURCE, place / "source",
                    ignore=lambda folder, names: [one for one in names if not wanted(folder, one)])
    hypervisor = place / "source" / "sim-hv"
    change(hypervisor / "ops_i.h", "\n#define HV_GNTTAB_OPS(ROW) \\\n", ROW)
    with open(hypervisor / "gnttab.c", "a") as file:
        file.write(HANDLER)
    environment = {name: value for name, value in os.environ.items() if name != "TARGETS"}
    subprocess.run([place / "source" / "tools" / "build", place / "build"], check=True,
                   env=environment | {"TARGETS": "demo"})
    (place / "caller.py").write_text(PROGRAM)
    (place / "story.toml").write_text(STORY % sys.executable)
    (place / "faulty.toml").write_text(FAULTY % sys.executable)
    return place


def test_a_new_operation_needs_its_row_and_its_handler_only(changed):
    def gntsim(*words, status=0):
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("GNTSIM", "GNTSIM_BUILD", "PYTHONPATH")}
        done = subprocess.run([changed / "build" / "gntsim", *words], cwd=changed, text=True,
                              capture_output=True, env=environment)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    caller = ("--", sys.executable, "caller.py")
    assert "count_entries" in gntsim("names")
    assert gntsim("run", "--trace", "trace", *caller) == "0 512 0\n"
    events = [json.loads(line) for line in Path(changed, "trace").read_text().splitlines()[1:]]
    told = [event for event in events if event.get("op") == "count_entries"]
    assert [event["args"].get("nr") for event in told] == [512], told
    gntsim("replay", "trace")
    (changed / "rule").write_text('{ "at": "count_entries", "do": { "status": "eagain" } }')
    assert gntsim("run", "--fault", "rule", *caller) == "0 0 -12\n"
    gntsim("run", "--", str(changed / "build" / "gntsim"), "record", "-o", "record", *caller)
    assert gntsim("replay-device", "record", *caller) == "0 512 0\n"
    gntsim("compare", "--domain", "0", "record")
    gntsim("scenario", "run", "faulty.toml")
    assert "count_entries no. 1" in gntsim("scenario", "run", "--sweep", "nth", "story.toml")
