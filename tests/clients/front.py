# SPDX-License-Identifier: MIT
"""What front ends share that run as programs in a domain: the store, shared pages, event channels,
and the handshake with a back end. With Debian's unmodified libraries."""
import ctypes
import mmap
import os
import select

PAGE = mmap.PAGESIZE
INITIALISING, INIT_WAIT, INITIALISED, CONNECTED, CLOSING, CLOSED = range(1, 7)


def library(name, **functions):
    """Functions that return pointers or numbers: "p" or "i"."""
    loaded = ctypes.CDLL(name, use_errno=True)
    for function, kind in functions.items():
        getattr(loaded, function).restype = ctypes.c_void_p if kind == "p" else ctypes.c_int
    return loaded


XS = library("libxenstore.so.4", xs_open="p", xs_read="p", xs_check_watch="p")
SHR = library("libxengnttab.so.1", xengntshr_open="p", xengntshr_share_pages="p")
EVTCHN = library("libxenevtchn.so.1", xenevtchn_open="p")
C = ctypes.CDLL(None)
C.free.argtypes = [ctypes.c_void_p]


class Front:
    def __init__(self, directory):
        self.directory = directory
        self.xs = ctypes.c_void_p(XS.xs_open(0))
        self.shr = ctypes.c_void_p(SHR.xengntshr_open(None, 0))
        self.evtchn = ctypes.c_void_p(EVTCHN.xenevtchn_open(None, 0))
        assert self.xs and self.shr and self.evtchn, "no devices, or no store"
        self.backend = self.read("backend")
        self.backend_id = int(self.read("backend-id"))
        XS.xs_watch(self.xs, (self.backend + "/state").encode(), b"back")
        self.port = EVTCHN.xenevtchn_bind_unbound_port(self.evtchn, self.backend_id)
        assert self.port > 0
        # A front end that was killed left a state behind: the back end closes, and begins again.
        if self.read("state") != str(INITIALISING):
            self.write("state", CLOSING)
            self.write("state", CLOSED)
            self.wait_back(CLOSED, INIT_WAIT, INITIALISING)
            self.write("state", INITIALISING)
        self.wait_back(INIT_WAIT)

    def read(self, path):
        """None: there is no such node. Relative to the device."""
        size = ctypes.c_uint()
        if not path.startswith("/"):
            path = "%s/%s" % (self.directory, path)
        value = XS.xs_read(self.xs, 0, path.encode(), ctypes.byref(size))
        if not value:
            return None
        text = ctypes.string_at(value, size.value).decode()
        C.free(value)
        return text

    def write(self, key, value):
        text = str(value).encode()
        assert XS.xs_write(self.xs, 0, ("%s/%s" % (self.directory, key)).encode(), text, len(text))

    def state_of_back(self):
        return int(self.read(self.backend + "/state") or 0)

    def wait_back(self, *states):
        """Until the back end is in one of these states."""
        while self.state_of_back() not in states:
            select.select([XS.xs_fileno(self.xs)], [], [])
            event = XS.xs_check_watch(self.xs)
            while event:
                C.free(event)
                event = XS.xs_check_watch(self.xs)

    def share(self, count):
        """Pages for the back end: (memory, references)."""
        refs = (ctypes.c_uint32 * count)()
        address = SHR.xengntshr_share_pages(self.shr, self.backend_id, count, refs, 1)
        assert address, os.strerror(ctypes.get_errno())
        return (ctypes.c_uint8 * (count * PAGE)).from_address(address), list(refs)

    def notify(self):
        assert not EVTCHN.xenevtchn_notify(self.evtchn, self.port)

    def wait_event(self, *more):
        """Until the back end has sent an event, or one of the descriptors can be read."""
        fd = EVTCHN.xenevtchn_fd(self.evtchn)
        ready = select.select([fd, *more], [], [])[0]
        if fd in ready:
            EVTCHN.xenevtchn_unmask(self.evtchn, EVTCHN.xenevtchn_pending(self.evtchn))
        return ready

    def close(self):
        self.write("state", CLOSING)
        self.wait_back(CLOSING, CLOSED, INIT_WAIT)
        self.write("state", CLOSED)
        EVTCHN.xenevtchn_unbind(self.evtchn, self.port)


class Flow:
    """One direction of a ring of bytes: its indices are numbers of 32 bits in shared memory, which
    run free."""

    def __init__(self, memory, data, size, cons, prod):
        self.bytes = (ctypes.c_uint8 * size).from_buffer(memory, data)
        self.cons = ctypes.c_uint32.from_buffer(cons[0], cons[1])
        self.prod = ctypes.c_uint32.from_buffer(prod[0], prod[1])
        self.size = size

    def put(self, data):
        """As much as there is room for; how much that was."""
        room = self.size - (self.prod.value - self.cons.value) % (1 << 32)
        data = data[:room]
        for i, byte in enumerate(data):
            self.bytes[(self.prod.value + i) % self.size] = byte
        self.prod.value += len(data)
        return len(data)

    def take(self):
        """All that is there."""
        count = (self.prod.value - self.cons.value) % (1 << 32)
        data = bytes(self.bytes[(self.cons.value + i) % self.size] for i in range(count))
        self.cons.value += count
        return data
