# SPDX-License-Identifier: MIT
"""What the steps of the store do: one function each, in a table by the word of the step."""
from __future__ import annotations

from typing import Any, Callable

from ..store import Store

Arguments = dict[str, Any]


def text(value: bytes) -> str:
    """A byte is the character of that number, as in `ctl store`."""
    return value.decode("latin-1")


def read(store: Store, given: Arguments) -> Arguments:
    return {"value": text(store.read(given["path"]))}


def write(store: Store, given: Arguments) -> Arguments:
    store.write(given["path"], str(given["value"]))
    return {}


def ls(store: Store, given: Arguments) -> Arguments:
    return {"names": store.ls(given["path"])}


def mkdir(store: Store, given: Arguments) -> Arguments:
    store.mkdir(given["path"])
    return {}


def rm(store: Store, given: Arguments) -> Arguments:
    store.rm(given["path"])
    return {}


def perms(store: Store, given: Arguments) -> Arguments:
    if "set" in given:
        store.set_perms(given["path"], *given["set"])
    return {"perms": store.perms(given["path"])}


def watch(store: Store, given: Arguments) -> Arguments:
    store.watch(given["path"], given.get("token", ""))
    return {}


def unwatch(store: Store, given: Arguments) -> Arguments:
    store.unwatch(given["path"], given.get("token", ""))
    return {}


def event(store: Store, given: Arguments) -> Arguments:
    path, token = store.event(given["timeout"])
    return {"path": path, "token": token}


def wait(store: Store, given: Arguments) -> Arguments:
    value = str(given["value"]) if "value" in given else None
    return {"value": text(store.wait(given["path"], value, given["timeout"]))}


STORE_ACTS: dict[str, Callable[[Store, Arguments], Arguments]] = {
    "read": read, "write": write, "ls": ls, "mkdir": mkdir, "rm": rm, "perms": perms,
    "watch": watch, "unwatch": unwatch, "event": event, "wait": wait,
}
