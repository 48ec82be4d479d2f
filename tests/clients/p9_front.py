# SPDX-License-Identifier: MIT
"""A front end of a shared directory (9pfs): reads a file, and writes what it read into another.

    p9_front.py FILE COPY   -> connected | copied BYTES CRC32 | closed

After a line on standard input it closes the device.
"""
import struct
import sys
import zlib

from front import CONNECTED, INITIALISED, PAGE, Flow, Front

ORDER = 4
MESSAGE = 8192
VERSION, ATTACH, WALK, LOPEN, LCREATE, READ, WRITE, LERROR = 100, 104, 110, 12, 14, 116, 118, 7
OUT_CONS, OUT_PROD, RING_ORDER, REFS = 64, 68, 128, 132     # in the first page
ROOT, FROM, TO = 1, 2, 3
WRITE_ONLY = 1


def text(word):
    return struct.pack("<H", len(word)) + word.encode()


class Directory(Front):
    def __init__(self):
        super().__init__("device/9pfs/0")
        assert self.read(self.backend + "/versions").split(",")[0] == "1"
        page, (ref,) = self.share(1)
        data, refs = self.share(1 << ORDER)
        struct.pack_into("<I%dI" % len(refs), page, RING_ORDER, ORDER, *refs)
        half = PAGE << ORDER >> 1
        self.replies = Flow(data, 0, half, (page, 0), (page, 4))
        self.requests = Flow(data, half, half, (page, OUT_CONS), (page, OUT_PROD))
        for key, value in (("version", 1), ("num-rings", 1), ("ring-ref0", ref),
                           ("event-channel-0", self.port), ("state", INITIALISED)):
            self.write(key, value)
        self.wait_back(CONNECTED)
        self.write("state", CONNECTED)

    def ask(self, kind, body):
        """The body of the reply."""
        message = struct.pack("<IBH", 7 + len(body), kind, 1) + body
        while message:
            message = message[self.requests.put(message):]
            self.notify()
            if message:
                self.wait_event()
        reply = self.replies.take()
        while len(reply) < 4 or len(reply) < struct.unpack_from("<I", reply)[0]:
            self.wait_event()
            reply += self.replies.take()
            self.notify()
        size, answer, _ = struct.unpack_from("<IBH", reply)
        assert (size, answer) == (len(reply), kind + 1), "answer %d: %r" % (answer, reply)
        return reply[7:]

    def copy(self, source, target):
        """How many bytes, and their checksum."""
        self.ask(VERSION, struct.pack("<I", MESSAGE) + text("9P2000.L"))
        self.ask(ATTACH, struct.pack("<II", ROOT, 0xffffffff) + text("") + text("") +
                 struct.pack("<I", 0))
        self.ask(WALK, struct.pack("<IIH", ROOT, FROM, 1) + text(source))
        self.ask(LOPEN, struct.pack("<II", FROM, 0))
        self.ask(WALK, struct.pack("<IIH", ROOT, TO, 0))
        self.ask(LCREATE, struct.pack("<I", TO) + text(target) +
                 struct.pack("<III", WRITE_ONLY, 0o644, 0))
        done, crc = 0, 0
        while True:
            reply = self.ask(READ, struct.pack("<IQI", FROM, done, MESSAGE - 64))
            data = reply[4:]
            if not data:
                return done, crc
            said = self.ask(WRITE, struct.pack("<IQI", TO, done, len(data)) + data)
            assert struct.unpack("<I", said)[0] == len(data)
            done, crc = done + len(data), zlib.crc32(data, crc)


def main():
    directory = Directory()
    print("connected", flush=True)
    print("copied %d %08x" % directory.copy(*sys.argv[1:3]), flush=True)
    sys.stdin.readline()
    directory.close()
    print("closed", flush=True)


if __name__ == "__main__":
    main()
