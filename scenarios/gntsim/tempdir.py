# SPDX-License-Identifier: MIT
"""Temporary directories that do not outlive their owner. A living process holds a lock on each, and
whoever makes the next one removes those without a lock."""
from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import tempfile
from typing import Iterator, Optional

from .control import MAX_PATH


def new_name(prefix: str) -> str:
    """A path for a new directory that leaves room for the name of a socket in it."""
    name = "%s.%s" % (prefix, secrets.token_hex(4))
    path = os.path.join(tempfile.gettempdir(), name)
    fits = len(os.fsencode(path)) + len("/control") <= MAX_PATH
    return path if fits else os.path.join("/tmp", name)


def lock(path: str) -> Optional[int]:
    """A descriptor that has the directory's lock; None if somebody else has it, or it is not
    ours."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        state = os.fstat(fd)
        if state.st_uid == os.geteuid() and state.st_nlink:
            return fd
    except OSError:
        pass
    os.close(fd)
    return None


def remove_machine(path: str) -> None:
    """What a machine that was killed leaves, and nothing else."""
    with contextlib.suppress(OSError):
        if set(os.listdir(path)) <= {"control"}:
            shutil.rmtree(path)


def sweep(like: str) -> None:
    """Removes directories beside `like`, of its kind, that no process has any more."""
    base, name = os.path.split(like)
    prefix = name.rpartition(".")[0]
    with contextlib.suppress(OSError):
        for other in os.listdir(base):
            path = os.path.join(base, other)
            fd = lock(path) if re.fullmatch(re.escape(prefix) + r"\.[0-9a-f]{8}", other) else None
            if fd is None:
                continue
            if prefix == "gntsim":
                remove_machine(path)
            else:
                shutil.rmtree(path, ignore_errors=True)
            os.close(fd)


@contextlib.contextmanager
def temporary_directory(prefix: str) -> Iterator[str]:
    """A directory for as long as the block takes."""
    fd = None
    while fd is None:
        path = new_name(prefix)
        sweep(path)
        os.mkdir(path, 0o700)
        fd = lock(path)         # somebody's sweep may have come between: then once more
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(fd)
