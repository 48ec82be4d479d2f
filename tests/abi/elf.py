# SPDX-License-Identifier: MIT
"""Reads what a shared library shows the dynamic linker (ELF64, little endian), with Python
alone."""
import struct

DT_NEEDED, DT_STRTAB, DT_SYMTAB, DT_HASH, DT_GNU_HASH, DT_SONAME = 1, 5, 6, 4, 0x6FFFFEF5, 14
DT_VERSYM, DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM = (
    0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF)
SHT_DYNSYM = 11
TYPES = {0: "NOTYPE", 1: "OBJECT", 2: "FUNC"}
BINDS = {0: "LOCAL", 1: "GLOBAL", 2: "WEAK"}


class Library:
    """soname, needed, version_defs {node: parents}, exported {name: (version, type, bind, default)}, imported."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path} is not a 64-bit little-endian ELF file")
        self._headers()
        self.needed = [self._string(v) for t, v in self.dynamic if t == DT_NEEDED]
        self.soname = next((self._string(v) for t, v in self.dynamic if t == DT_SONAME), None)
        self._versions()
        self._symbols()

    def _unpack(self, fmt, offset):
        return struct.unpack_from("<" + fmt, self.data, offset)

    def _headers(self):
        phoff, shoff = self._unpack("QQ", 32)
        phentsize, phnum, shentsize, shnum = self._unpack("HHHH", 54)
        self.loads, dynamic = [], None
        for i in range(phnum):
            kind, _, offset, vaddr, _, filesz = self._unpack("IIQQQQ", phoff + i * phentsize)
            if kind == 1:
                self.loads.append((vaddr, offset, filesz))
            elif kind == 2:
                dynamic = (offset, filesz)
        self.dynamic = []
        for offset in range(dynamic[0], sum(dynamic), 16):
            tag, value = self._unpack("QQ", offset)
            if tag == 0:
                break
            self.dynamic.append((tag, value))
        self.tags = dict(self.dynamic)
        self.symbol_count = 0
        for i in range(shnum):
            _, kind, _, _, _, size, _, _, _, entsize = self._unpack("IIQQQQIIQQ", shoff + i * shentsize)
            if kind == SHT_DYNSYM:
                self.symbol_count = size // entsize

    def _offset(self, address):
        for vaddr, offset, size in self.loads:
            if vaddr <= address < vaddr + size:
                return address - vaddr + offset
        raise ValueError(f"address {address:#x} is not in the file")

    def _string(self, index):
        start = self._offset(self.tags[DT_STRTAB]) + index
        return self.data[start:self.data.index(b"\0", start)].decode()

    def _versions(self):
        self.version_defs, self._version_names = {}, {}
        offset = self._offset(self.tags[DT_VERDEF]) if DT_VERDEF in self.tags else None
        for _ in range(self.tags.get(DT_VERDEFNUM, 0)):
            _, flags, index, count, _, aux, following = self._unpack("HHHHIII", offset)
            names, at = [], offset + aux
            for _ in range(count):
                name, step = self._unpack("II", at)
                names.append(self._string(name))
                at += step
            if not flags & 1:       # the base node is the library itself
                self._version_names[index] = names[0]
                self.version_defs[names[0]] = names[1:]
            offset += following
        offset = self._offset(self.tags[DT_VERNEED]) if DT_VERNEED in self.tags else None
        for _ in range(self.tags.get(DT_VERNEEDNUM, 0)):
            _, count, library, aux, following = self._unpack("HHIII", offset)
            at = offset + aux
            for _ in range(count):
                _, _, index, name, step = self._unpack("IHHII", at)
                self._version_names[index] = f"{self._string(name)} of {self._string(library)}"
                at += step
            offset += following

    def _symbols(self):
        self.exported, self.imported = {}, {}
        for i in range(1, self.symbol_count):
            name, info, _, section, _, _ = self._unpack("IBBHQQ", self._offset(self.tags[DT_SYMTAB]) + i * 24)
            index, = self._unpack("H", self._offset(self.tags[DT_VERSYM]) + i * 2)
            version = self._version_names.get(index & 0x7FFF)
            if section == 0:
                self.imported[self._string(name)] = version
            else:
                self.exported[self._string(name)] = (
                    version, TYPES.get(info & 15, info & 15), BINDS.get(info >> 4, info >> 4), not index & 0x8000)
