# SPDX-License-Identifier: MIT
"""The control socket: sends one line of JSON to the machine and reads one back."""
from __future__ import annotations

import json
import os
import re
import socket
import struct
import threading
import time
from typing import Any

from .errors import Gone, NotFound, Refused, Timeout

MAX_PATH = 107      # bytes of a socket's path, without the end of the string


MAX_ANSWER = 1 << 30

# What the answers to the verbs that this package uses are made of, as far as it looks. A list has
# elements of one kind.
SHAPES: dict[str, Any] = {
    "adversary-list": [{"id": int}], "adversary-start": {"id": int}, "adversary-step": {"id": int},
    "adversary-stop": {"id": int}, "audit": {"violations": int, "lines": [str]},
    "clock": {"now": int}, "clock-advance": {"now": int},
    "domain-list": [{"domain": int, "profile": str}], "dump": dict, "enter": dict,
    "fault-add": {"id": int}, "fault-list": [{"id": int}],
    "guest-copy": {"status": str}, "guest-end": {"ended": bool}, "guest-event-alloc": {"port": int},
    "guest-event-bind": {"port": int},
    "guest-grant": {"ref": int}, "guest-map": dict, "guest-mapping": dict,
    "guest-page": {"page": int, "frame": int}, "guest-read": {"hex": str},
    "guest-unmap": dict, "paused": [{"id": int, "rule": int}], "points": dict,
    "processes": [{"process": int, "pid": int}], "stats": dict,
    "trace-read": {"events": [dict], "next": int},
}


def fits(value: Any, shape: Any) -> bool:
    """Whether a value has the shape of SHAPES."""
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(element, shape[0]) for element in value)
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(key in value and fits(value[key], part)
                                               for key, part in shape.items())
    return isinstance(value, shape) and not (shape is int and isinstance(value, bool))


class Control:
    """A connection to a machine's control socket. May be used by several threads, one request at a
    time."""

    def __init__(self, directory: str | os.PathLike[str], timeout: float = 60):
        self.path = os.path.join(os.fspath(directory), "control")
        self.timeout = timeout
        self._lock = threading.Lock()
        self._buffer = bytearray()
        if len(os.fsencode(self.path)) > MAX_PATH:
            raise NotFound("the path %s is too long for a socket (%d bytes at most): use a "
                           "directory with a shorter name"
                           % (self.path, MAX_PATH))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(self.path)
        except OSError as error:
            self._socket.close()
            raise NotFound("no machine answers at %s: %s (start one with `gntsim serve --dir %s`)"
                           % (self.path, error.strerror, os.fspath(directory))) from None
        peer = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        user = struct.unpack("3i", peer)[1]
        if user not in (os.geteuid(), 0):
            self._socket.close()
            raise Refused("connect", "the machine at %s is served by another user, %d: use it as "
                          "that user" % (self.path, user))

    def call(self, verb: str, **arguments: Any) -> Any:
        """The result of a verb. Arguments that are None are left out; Refused if the machine
        refuses."""
        request = {"verb": verb, **{key: value
                                    for key, value in arguments.items() if value is not None}}
        with self._lock:
            if self._socket.fileno() < 0:
                raise Gone("%s: the connection to the machine is closed" % verb)
            try:
                self._socket.settimeout(self.timeout)
                self._socket.sendall(json.dumps(request).encode() + b"\n")
                line = self._line()
            except socket.timeout:
                self.close()
                raise Timeout("%s: the machine did not answer within %g s; `gntsim doctor` says "
                              "what this host lacks, `--verbose` what "
                              "the machine did" % (verb, self.timeout)) from None
            except OSError as error:
                self.close()
                raise Gone("%s: the machine at %s ended (%s)"
                           % (verb, self.path, error.strerror or error)) from None
        try:
            reply = json.loads(line)
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict) or not ("result" in reply or "error" in reply):
            raise Gone("%s: what answers at %s is no gntsim machine: %r"
                       % (verb, self.path, line[:80]))
        if "error" in reply:
            raise Refused(verb, re.sub(r"[\x00-\x1f\x7f]", " ", str(reply["error"])))
        if verb in SHAPES and not fits(reply["result"], SHAPES[verb]):
            raise Gone("%s: what answers at %s is no gntsim machine: %r"
                       % (verb, self.path, line[:80]))
        return reply["result"]

    def _line(self) -> bytes:
        end = time.monotonic() + self.timeout
        seen = 0
        while True:
            at = self._buffer.find(b"\n", seen)
            if at >= 0:
                line = bytes(self._buffer[:at])
                del self._buffer[:at + 1]
                return line
            seen = len(self._buffer)
            if seen > MAX_ANSWER:
                raise OSError("it answers without end")
            self._socket.settimeout(max(0.001, end - time.monotonic()))
            more = self._socket.recv(1 << 20)
            if not more:
                raise OSError("connection closed")
            self._buffer += more

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()
