# SPDX-License-Identifier: MIT
"""The Python package's connection to a control socket, as the tests of whole processes use it."""
import json

import gntsim
from gntsim import Refused  # noqa: F401 (tests take it from here)


class Control(gntsim.Control):
    """.verb_name(...) is a request; so is line(TEXT), whatever the text is."""

    def __init__(self, machine):
        super().__init__(machine.dir)

    def line(self, text):
        self._socket.sendall(text.encode() + b"\n")
        return self.told()

    def told(self):
        """The next line that comes, asked for or not."""
        return json.loads(self._line())

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
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
