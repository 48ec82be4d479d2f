# SPDX-License-Identifier: MIT
"""The rooms of the tree: which folder may include which, so that no arrow points upwards."""
import re
from collections import defaultdict
from pathlib import Path

import pytest

from rules import TOP, relative, tree

# From the lowest room to the highest. A room knows the rooms of its row, which have rows above it.
KNOWS = {
    "util": "",
    "arch": "",
    "sim-hv": "util arch",
    "sim-kernel": "util sim-hv",
    "sim-store": "",
    "machine": "util sim-hv sim-kernel",
    "guests": "util arch sim-hv sim-kernel machine",
    "checks": "util arch sim-hv sim-kernel machine",
    "fuse-dev": "util arch sim-hv sim-kernel machine",
    "sock-dev": "util sim-hv sim-kernel machine",
    "store-dev": "util sim-store sim-hv sim-kernel machine sock-dev",
    "hv-remote": "util sim-hv",
    "hv-remote/server": "util sim-hv machine hv-remote",
    "control": "util sim-hv sim-kernel machine guests checks fuse-dev sock-dev"
               " store-dev sim-store hv-remote/server",
    "replay": "util sim-hv sim-kernel sim-store machine guests store-dev control",
    "libgnttab": "util arch",
    "record": "util arch sim-hv sim-kernel",
    "cli": "util arch sim-hv sim-kernel machine guests checks fuse-dev sock-dev hv-remote/server"
           " control replay record store-dev sim-store",
}
# Folders of C that are users of the rooms, as others are.
NOT_ROOMS = ["bench", "docs", "scenarios", "tests"]
# What a room must not use of the host, either: the models have no file, socket, clock or thread.
FORBIDDEN = {
    "sim-hv": r"fuse|json|sys/socket\.h|pthread\.h|time\.h|fcntl\.h|sys/ioctl\.h",
    "sim-kernel": r"fuse|json|sys/socket\.h|pthread\.h",
    "sim-store": r"fuse|json|sys/socket\.h|pthread\.h|time\.h|fcntl\.h|sys/ioctl\.h",
    "machine": r"fuse|json",
    "guests": r"fuse|json",
    "fuse-dev": r"json",
    "sock-dev": r"fuse|json",
    "store-dev": r"fuse|json",
    "libgnttab": r"fuse|json",
}
SOURCES = [path for path in tree() if path.suffix in (".c", ".h")
           and relative(path).split("/")[0] not in NOT_ROOMS]


def room(path):
    """The machine's side of hv-remote is a room of its own: the other side is somebody's kernel."""
    if path.parent == TOP / "hv-remote" and path.stem == "server":
        return "hv-remote/server"
    return relative(path).split("/")[0]


HEADERS = defaultdict(list)
for header in (path for path in SOURCES if path.suffix == ".h"):
    HEADERS[header.name].append(header)


def included(path):
    """(as it is written, the file of ours that it is, None: the host's) of each #include."""
    for sign, name in re.findall(r'^\s*#\s*include\s*([<"])([^">]+)', path.read_text(), re.M):
        beside = (path.parent / name).resolve()
        if sign == '"' and beside.is_file():
            yield name, beside
        elif sign == '"' or name.startswith("gntsim/"):
            found = [header for header in HEADERS[Path(name).name]
                     if sign == '"' or str(header).endswith("/include/" + name)]
            assert len(found) == 1, "%s: which %s?" % (relative(path), name)
            yield name, found[0]
        else:
            yield name, None


def test_every_folder_has_a_row():
    assert {room(path) for path in SOURCES} == set(KNOWS)


def test_a_row_names_lower_rooms_only():
    lower = set()
    for name, known in KNOWS.items():
        assert set(known.split()) <= lower, name
        lower.add(name)


@pytest.mark.parametrize("name", KNOWS)
def test_a_room_includes_only_what_it_knows(name):
    allowed = {name, *KNOWS[name].split()}
    wrong = ["%s: %s" % (relative(path), written) for path in SOURCES if room(path) == name
             for written, file in included(path) if file and room(file) not in allowed]
    assert not wrong, wrong


def test_a_private_header_stays_in_its_folder():
    wrong = ["%s: %s" % (relative(path), written) for path in SOURCES
             for written, file in included(path)
             if file and file.stem.endswith("_i") and file.parent != path.parent]
    assert not wrong, wrong


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_room_uses_no_more_of_the_host_than_it_is_for(name):
    wrong = ["%s: %s" % (relative(path), written) for path in SOURCES if room(path) == name
             for written, file in included(path)
             if not file and re.match(FORBIDDEN[name], written)]
    assert not wrong, wrong
