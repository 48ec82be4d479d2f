# SPDX-License-Identifier: MIT
"""A front end of a console: says on it what comes on standard input, and prints what comes over it.

    console_front.py ID   -> connected | whatever comes | closed
"""
import os
import sys

from front import CONNECTED, INITIALISED, Flow, Front

IN, OUT, INDICES = 1024, 2048, 3072     # sizes, and where the indices are


class Console(Front):
    def __init__(self, number):
        super().__init__("device/console/" + number)
        page, (ref,) = self.share(1)
        self.input = Flow(page, 0, IN, (page, INDICES), (page, INDICES + 4))
        self.output = Flow(page, IN, OUT, (page, INDICES + 8), (page, INDICES + 12))
        for key, value in (("ring-ref", ref), ("port", self.port), ("state", INITIALISED)):
            self.write(key, value)
        self.wait_back(CONNECTED)
        self.write("state", CONNECTED)

    def serve(self):
        """Until standard input ends."""
        while True:
            ready = self.wait_event(0)
            data = self.input.take()
            if data:
                self.notify()
                os.write(1, data)
            if 0 not in ready:
                continue
            said = os.read(0, OUT)
            if not said:
                return
            while said:
                said = said[self.output.put(said):]
                self.notify()
                if said:
                    self.wait_event()


def main():
    console = Console(sys.argv[1])
    print("connected", flush=True)
    console.serve()
    console.close()
    print("closed", flush=True)


if __name__ == "__main__":
    main()
