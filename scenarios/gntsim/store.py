# SPDX-License-Identifier: MIT
"""The machine's store, as a client over its socket: libxenstore's requests in a few lines."""
from __future__ import annotations

import os
import socket
import struct
import time
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Callable, Optional, TypeVar, Union

from .errors import Error, Gone, Timeout

if TYPE_CHECKING:
    from .machine import Machine

DIRECTORY, READ, GET_PERMS, WATCH, UNWATCH, TRANSACTION_START, TRANSACTION_END = range(1, 8)
WRITE, MKDIR, RM, SET_PERMS, WATCH_EVENT, ERROR = range(11, 17)
DIRECTORY_PART = 22
T = TypeVar("T")
HEADER = struct.Struct("<IIII")
PATIENCE = 30.0


class StoreError(Error):
    """The store answered with an error; code is its name, like "ENOENT"."""

    def __init__(self, path: str, code: str):
        super().__init__("%s: the store answers %s" % (path, code))
        self.code = code


def strings(body: bytes) -> list[str]:
    return [part.decode(errors="replace") for part in body.split(b"\0")[:-1]]


class Store:
    """A connection. Paths that do not begin with / lie below /local/domain/N of its domain. One
    thread at a time. transaction() makes one of what a function asks for."""

    def __init__(self, path: str, patience: float = PATIENCE):
        self.patience = patience
        self._transaction = 0
        self._events: deque[tuple[str, str]] = deque()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise Gone("no store answers at %s: %s" % (path, error.strerror)) from None

    @classmethod
    def of(cls, machine: Machine, domain: int) -> Store:
        """With the rights of a domain. Domain.store() and Machine.store are shorter."""
        return cls(os.fspath(machine.call("store-socket", domain=domain)["socket"]))

    # ---- Messages

    def _take(self, size: int, end: float) -> bytes:
        taken = b""
        while len(taken) < size:
            self._socket.settimeout(max(0.001, end - time.monotonic()))
            try:
                more = self._socket.recv(size - len(taken))
            except socket.timeout:
                # What is missing of a message would be taken for the next.
                if taken:
                    self.close()
                raise Timeout("the store said nothing within %g s" % self.patience) from None
            except OSError as error:
                raise Gone("the store ended: %s" % error.strerror) from None
            if not more:
                raise Gone("the store closed the connection")
            taken += more
        return taken

    def _message(self, end: float) -> tuple[int, bytes]:
        kind, _, _, size = HEADER.unpack(self._take(HEADER.size, end))
        return kind, self._take(size, end)

    def request(self, kind: int, body: bytes, path: str = "") -> bytes:
        """The body of the reply. Events that come meanwhile are kept for event()."""
        end = time.monotonic() + self.patience
        self._socket.settimeout(self.patience)
        try:
            self._socket.sendall(HEADER.pack(kind, 0, self._transaction, len(body)) + body)
        except OSError as error:
            raise Gone("the store ended: %s" % error.strerror) from None
        while True:
            answer, reply = self._message(end)
            if answer == WATCH_EVENT:
                self._keep(reply)
            elif answer == ERROR:
                raise StoreError(path, reply[:-1].decode(errors="replace"))
            else:
                return reply

    def _keep(self, body: bytes) -> None:
        path, token = strings(body)[:2]
        self._events.append((path, token))

    def _path(self, kind: int, path: str) -> bytes:
        return self.request(kind, path.encode() + b"\0", path)

    # ---- Requests

    def read(self, path: str) -> bytes:
        """The value of a node."""
        return self._path(READ, path)

    def write(self, path: str, value: Union[str, bytes]) -> None:
        """Gives a node a value; the node and its parents are made if they are missing."""
        data = value.encode() if isinstance(value, str) else value
        self.request(WRITE, path.encode() + b"\0" + data, path)

    def ls(self, path: str) -> list[str]:
        """The names of the children; of long lists, too."""
        try:
            return strings(self._path(DIRECTORY, path))
        except StoreError as error:
            if error.code != "E2BIG":
                raise
        generation, names = b"", b""
        while True:
            body = b"%s\0%d\0" % (path.encode(), len(names))
            now, _, part = self.request(DIRECTORY_PART, body, path).partition(b"\0")
            if names and now != generation:      # it changed meanwhile: from the beginning
                names = b""
                continue
            generation, names = now, names + part
            if part == b"\0" or part.endswith(b"\0\0"):
                return strings(names[:-1])

    def mkdir(self, path: str) -> None:
        """Makes a node without a value, and its parents."""
        self._path(MKDIR, path)

    def rm(self, path: str) -> None:
        """Removes a node and all below it."""
        self._path(RM, path)

    def perms(self, path: str) -> list[str]:
        """The permissions of a node, such as ["n0", "r1"]."""
        return strings(self._path(GET_PERMS, path))

    def set_perms(self, path: str, *perms: str) -> None:
        """Gives a node these permissions; the first names its owner."""
        body = b"".join(text.encode() + b"\0" for text in (path, *perms))
        self.request(SET_PERMS, body, path)

    def exists(self, path: str) -> bool:
        """Whether there is such a node."""
        try:
            self.read(path)
        except StoreError as error:
            if error.code != "ENOENT":
                raise
            return False
        return True

    # ---- Watches

    def watch(self, path: str, token: str = "") -> None:
        """Asks for events of a node and all below it; the first comes at once."""
        self.request(WATCH, b"%s\0%s\0" % (path.encode(), token.encode()), path)

    def unwatch(self, path: str, token: str = "") -> None:
        """Ends a watch."""
        self.request(UNWATCH, b"%s\0%s\0" % (path.encode(), token.encode()), path)

    def event(self, timeout: Optional[float] = None) -> tuple[str, str]:
        """The next event: a path and a token. Timeout if none comes."""
        end = time.monotonic() + (self.patience if timeout is None else timeout)
        while not self._events:
            kind, body = self._message(end)
            if kind == WATCH_EVENT:
                self._keep(body)
        return self._events.popleft()

    def wait(self, path: str, value: Union[None, str, bytes] = None,
             timeout: Optional[float] = None) -> bytes:
        """Waits until the node is there, with that value if one is given, and returns its value."""
        wanted = value.encode() if isinstance(value, str) else value
        end = time.monotonic() + (self.patience if timeout is None else timeout)
        token = "wait for %s" % path
        self.watch(path, token)
        try:
            while True:
                try:
                    found = self.read(path)
                    if wanted is None or found == wanted:
                        return found
                except StoreError as error:
                    if error.code != "ENOENT":
                        raise
                while self.event(max(0.0, end - time.monotonic()))[1] != token:
                    pass
        finally:
            if self._socket.fileno() >= 0:
                self.unwatch(path, token)

    # ---- Transactions

    def transaction(self, body: Callable[[], T]) -> T:
        """Calls body, whose requests are one transaction, and again while the commit says EAGAIN.
        An exception aborts it."""
        while True:
            self._transaction = int(self.request(TRANSACTION_START, b"\0")[:-1])
            how = b"F\0"
            try:
                result = body()
                how = b"T\0"
            finally:
                try:
                    self.request(TRANSACTION_END, how)
                    how = b""
                except StoreError as error:
                    if error.code != "EAGAIN":
                        raise
                finally:
                    self._transaction = 0
            if not how:
                return result

    # ---- The end

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], value: Optional[BaseException],
                 where: Optional[TracebackType]) -> None:
        self.close()
