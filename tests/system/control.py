# SPDX-License-Identifier: MIT
"""The control socket, line by line."""
import json
import socket

import harness


class Refused(Exception):
    """The control socket answered with an error."""


class Control:
    """A connection to the control socket; .verb_name(...) is a request."""

    def __init__(self, machine):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(harness.PATIENCE)
        self.socket.connect(str(machine.dir / "control"))
        self.lines = self.socket.makefile("rb")

    def line(self, text):
        self.socket.sendall(text.encode() + b"\n")
        return json.loads(self.lines.readline())

    def call(self, verb, **args):
        reply = self.line(json.dumps({"verb": verb, **args}))
        if "error" in reply:
            raise Refused(reply["error"])
        return reply["result"]

    def __getattr__(self, name):
        return lambda **args: self.call(name.replace("_", "-"), **args)

    def refused(self, verb, **args):
        """The sentence with which a request is refused."""
        reply = self.line(json.dumps({"verb": verb, **args}))
        assert "error" in reply, reply
        return reply["error"]

    def fault(self, at, do, **more):
        return self.call("fault-add", at=at, do=do, **more)["id"]

    def fired(self, rule):
        return next(r["fired"] for r in self.fault_list() if r["id"] == rule)

    def close(self):
        self.lines.close()
        self.socket.close()
