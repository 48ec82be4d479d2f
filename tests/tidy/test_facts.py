# SPDX-License-Identifier: MIT
"""Each fact stands once: the tables have what Xen has, and what people read follows from them."""
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("GNTSIM_BUILD", TOP / "build"))
HEADERS = Path(os.environ.get("XEN_HEADERS", "/usr/include/xen"))
DEVICES = ("gntdev", "gntalloc", "evtchn", "privcmd", "xenbus_backend")
HEADER_OF = {"xenbus_backend": "xenbus_dev"}     # where it is not the device's own name

# What Xen has and this machine has not. It may only shrink.
NOT_MODELLED = {"XENMEM": set("""
    add_to_physmap_batch claim_pages exchange get_pod_target get_vnumainfo increase_reservation
    machine_memory_map machphys_compat_mfn_list machphys_mapping machphys_mfn_list
    maximum_ram_page memory_map reserved_device_memory_map set_memory_map set_pod_target
""".split())}


def rows(path, table):
    """The first word of each row of a table: ROW(name, …)."""
    text = (TOP / path).read_text()
    body = re.search(r"#define %s\(ROW\) +\\\n((?:.*\\\n)*.*\n)" % table, text).group(1)
    names = re.findall(r"\bROW\((\w+)", body)
    assert names and len(names) == len(set(names))
    return set(names)


def defined(header, prefix):
    """Commands that a header shows to a guest: a number behind the name."""
    text = (HEADERS / header).read_text()
    text = re.sub(r"#if(def __XEN__| defined\(__XEN__\)).*?#endif", "", text, flags=re.S)
    names = re.findall(r"^#define %s_([a-z]\w+)\s+\(?-?\d+\)?\s*(?:/\*.*)?$" % prefix, text, re.M)
    # XENMEM_sharing_op has operations of its own, and XENMEM_acquire_resource kinds of resources.
    return {name for name in names if not re.match(r"\w+_op_|resource_", name)}


@pytest.mark.parametrize("header,prefix,table", [
    ("grant_table.h", "GNTTABOP", "HV_GNTTAB_OPS"),
    ("event_channel.h", "EVTCHNOP", "HV_EVTCHN_OPS"),
    ("memory.h", "XENMEM", "HV_MEMORY_OPS"),
    ("grant_table.h", "GNTST", "HV_STATUSES"),
])
def test_the_table_has_every_operation_of_xens_headers(header, prefix, table):
    there = defined(header, prefix)
    known = rows("sim-hv/ops_i.h", table)
    without = NOT_MODELLED.get(prefix, set())
    assert there, "the header was not understood"
    assert there - known - without == set()
    assert not known & without, "modelled by now: take it from the list"


@pytest.mark.parametrize("device", DEVICES)
def test_the_table_has_every_ioctl_of_xens_headers(device):
    text = (HEADERS / "sys" / (HEADER_OF.get(device, device) + ".h")).read_text()
    there = set(re.findall(r"^#define IOCTL_%s_(\w+)" % device.upper(), text, re.M))
    known = rows("sim-kernel/ioctls_i.h", "KERNEL_%s_IOCTLS" % device.upper())
    assert there, "the header was not understood"
    assert there - {"UNIMPLEMENTED"} - known == set()


def verbs():
    """The rows of the control server: name, VERB_*, the words of ctl or None."""
    text = (TOP / "control" / "verbs_i.h").read_text()
    row = r"\b(CTL|SOCKET)\(\"([\w-]+)\", \w+, \w+, ([\w |]+)(?:, (?:\\\n\s*)?\"([\w -]+)\")?"
    found = [(name, flags, words or None) for kind, name, flags, words in re.findall(row, text)]
    assert len(found) == len(re.findall(r"^    (?:CTL|SOCKET)\(", text, re.M))
    return found


def test_ctl_lists_each_verb_that_has_words():
    program = BUILD / "gntsim"
    if not program.exists():
        pytest.skip("gntsim is not built")
    done = subprocess.run([program, "ctl", "--dir", "/x"], capture_output=True, text=True)
    listed = [line[2:18].strip() for line in done.stderr.splitlines()[1:]]
    assert listed == [words for name, flags, words in verbs() if words]


def test_the_reference_tells_of_each_verb_and_of_no_other():
    text = (TOP / "docs" / "reference.md").read_text()
    tables = re.findall(r"^\| verb \|.*\n\|-.*\n((?:\|.*\n)*)", text, re.M)
    first = " ".join(line.split(" | ")[0] for line in "".join(tables).splitlines())
    told = set(re.findall(r"`([a-z-]+(?: [a-z]+\b)?)[^`]*`", first))
    assert {words for name, flags, words in verbs() if words} - told == set()
    assert told - {words or name for name, flags, words in verbs()} == set()
    untold = [name for name, flags, words in verbs() if not words and "`%s`" % name not in text]
    assert not untold, untold


def test_the_python_package_has_a_method_for_each_verb():
    """But for those that need more than a socket, which only gntsim's parts ask for. What is
    in the store is read and written by the store's own protocol."""
    package = TOP / "scenarios" / "gntsim"
    text = " ".join(path.read_text() for path in package.rglob("*.py"))
    asked = set(re.findall(r"\bcall\(\"([a-z-]+)\"", text))
    known = {name for name, flags, words in verbs()}
    assert asked - known == set()
    methods = {name for name, flags, words in verbs() if "VERB_OF_PARTS" not in flags}
    methods -= {name for name, flags, words in verbs() if words and words.startswith("store ")}
    assert methods - asked == set()


# These name operations themselves. The list may only shrink.
TWICE = {
    # A record names its requests by text, and a comparison does something else for some of them.
    "record/compare.c", "record/compare_ioctl.c",
}
ROOMS = ("sim-hv", "sim-kernel", "machine", "guests", "fuse-dev", "sock-dev", "store-dev",
         "hv-remote", "control", "replay", "record", "cli", "libgnttab", "util",
         "scenarios/gntsim")
TABLES = {"sim-hv/ops_i.h", "sim-kernel/ioctls_i.h"}
# These are words of the language, too.
COMMON = {"copy", "transfer", "NOTIFY", "RESET", "MMAP"}


def test_no_operation_has_its_name_or_a_list_of_numbers_outside_of_the_tables():
    """Whoever makes a call may name it; a text, or a place in an array, is a second table."""
    words = rows("sim-hv/ops_i.h", "HV_GNTTAB_OPS")
    words |= {"evtchn_" + name for name in rows("sim-hv/ops_i.h", "HV_EVTCHN_OPS")}
    for device in DEVICES:
        words |= rows("sim-kernel/ioctls_i.h", "KERNEL_%s_IOCTLS" % device.upper())
    words |= rows("sim-hv/ops_i.h", "HV_STATUSES") - {"okay", "eagain"}
    text = re.compile(r'"(%s)"' % "|".join(sorted(words - COMMON)))
    place = re.compile(r"\[(?:GNTTABOP|EVTCHNOP|XENMEM)_[a-z]\w+\]|\{ IOCTL_[A-Z]+_\w+,")
    found = set()
    for path in [path for room in ROOMS for path in (TOP / room).rglob("*.*")]:
        name = str(path.relative_to(TOP))
        if path.suffix in (".c", ".h", ".py") and name not in TABLES:
            code = re.sub(r"/\*.*?\*/|\"\"\".*?\"\"\"", "", path.read_text(), flags=re.S)
            if text.search(code) or place.search(code):
                found.add(name)
    assert found - TWICE == set()
    assert TWICE - found == set(), "these need no exception any more"


def test_gntsim_names_tells_what_the_tables_have_and_nothing_else():
    """Python, scenario files and sweeps know the names from there."""
    program = BUILD / "gntsim"
    if not program.exists():
        pytest.skip("gntsim is not built")
    told = json.loads(subprocess.run([program, "names", "--json"], capture_output=True,
                                     check=True).stdout)
    assert {name: {row["name"] for row in ioctls}
            for name, ioctls in told["devices"].items() if ioctls} == \
        {name: rows("sim-kernel/ioctls_i.h", "KERNEL_%s_IOCTLS" % name.upper())
         for name in DEVICES}
    assert set(told["statuses"]) == rows("sim-hv/ops_i.h", "HV_STATUSES")
    points = rows("sim-hv/ops_i.h", "HV_GNTTAB_OPS") | rows("sim-hv/ops_i.h", "HV_HYPERCALLS")
    points |= {"evtchn_" + name for name in rows("sim-hv/ops_i.h", "HV_EVTCHN_OPS")}
    text = (TOP / "machine" / "points.c").read_text()
    points |= set(re.findall(r'\[KERNEL_\w+\] = \{ "(\w+)", (?:CALLS|KERNELS)', text))
    points |= {"store_event", *re.findall(r'\[XS_\w+\] = \{ "(store_\w+)"', text)}
    assert {row["name"] for row in told["points"]} == points
