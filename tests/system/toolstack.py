# SPDX-License-Identifier: MIT
"""A toolstack in domain 0: carries out libxenctrl's calls on others' memory, one a line.

A line names a call and its numbers. `&` stands for a 64-bit number that the call returns, `=N` for
the address of one that is N. The answer is `ok RESULT NUMBER...` or `err ERRNO`, as an agent's.

    answer DOM GFN [VERSION VCPU]    answers the next request in the ring at gfn: its numbers
    clear DOM GFN                    a page of zeroes, as that of a ring is at first
"""
import ctypes
import errno
import struct
import sys

SLOTS, SLOT, HEADER = 8, 400, 64
VCPU_PAUSED = 1


class Toolstack:
    def __init__(self):
        self.xc = ctypes.CDLL("libxenctrl.so", use_errno=True)
        self.xc.xc_interface_open.restype = ctypes.c_void_p
        self.handle = ctypes.c_void_p(self.xc.xc_interface_open(None, None, 0))
        self.foreign = ctypes.CDLL("libxenforeignmemory.so.1", use_errno=True)
        self.foreign.xenforeignmemory_open.restype = ctypes.c_void_p
        self.foreign.xenforeignmemory_map.restype = ctypes.c_void_p
        self.maps = ctypes.c_void_p(self.foreign.xenforeignmemory_open(None, 0))
        self.rings = {}

    def call(self, name, words):
        call = getattr(self.xc, name)
        call.restype = ctypes.c_int
        numbers = [ctypes.c_uint64(int(word.lstrip("&=") or "0", 0)) for word in words]
        args = [ctypes.byref(number) if word[0] in "&=" else number
                for word, number in zip(words, numbers)]
        ctypes.set_errno(0)
        result = call(self.handle, *args)
        if result < 0:
            return "err %s" % errno.errorcode.get(ctypes.get_errno(), ctypes.get_errno())
        return " ".join(map(str, ["ok", result, *(number.value for word, number in
                                                  zip(words, numbers) if word == "&")]))

    def page(self, dom, gfn, writable=True):
        """Maps a page of the domain, once."""
        if (dom, gfn) not in self.rings:
            at = self.foreign.xenforeignmemory_map(
                self.maps, ctypes.c_uint32(dom), 3 if writable else 1, ctypes.c_size_t(1),
                ctypes.byref(ctypes.c_uint64(gfn)), ctypes.byref(ctypes.c_int()))
            assert at, ctypes.get_errno()
            self.rings[dom, gfn] = (ctypes.c_ubyte * 4096).from_address(at)
        return self.rings[dom, gfn]

    def answer(self, dom, gfn, version=7, vcpu=0):
        ring = self.page(dom, gfn)
        produced, answered = (struct.unpack_from("<I", ring, at)[0] for at in (0, 8))
        if produced == answered:
            return "ok none"
        slot = HEADER + answered % SLOTS * SLOT
        flags, reason = struct.unpack_from("<2I", ring, slot + 4)
        struct.pack_into("<I", ring, slot, version)
        struct.pack_into("<I", ring, slot + 12, vcpu)
        struct.pack_into("<I", ring, 8, answered + 1)
        return "ok %d %d %d" % (reason, struct.unpack_from("<Q", ring, slot + 24)[0], flags)

    def carry_out(self, name, *words):
        if name == "pid":
            return "ok"
        if name == "answer":
            return self.answer(*map(int, words))
        if name == "clear":
            ctypes.memset(self.page(*map(int, words)), 0, 4096)
            return "ok"
        if name in ("read", "write"):
            dom, gfn, *value = map(int, words)
            page = self.page(dom, gfn, name == "write")
            if value:
                page[0] = value[0]
            return "ok %d" % page[0]
        return self.call(name, words)


if __name__ == "__main__":
    TOOLSTACK = Toolstack()
    for line in sys.stdin:
        print(TOOLSTACK.carry_out(*line.split()), flush=True)
