# SPDX-License-Identifier: MIT
"""Our libraries have every symbol and version that a program linked with the distribution's may
need.

Usage: test_symbols.py OUR_LIBXENGNTTAB OUR_LIBXENEVTCHN [test...]
"""
import ctypes.util
import glob
import os
import sys
import unittest

from elf import Library

# What a sanitizer, a coverage build or the compiler adds is nobody's interface.
TOOLING = tuple("lib" + n for n in ("asan", "ubsan", "tsan", "gcc_s", "clang_rt", "m.so"))

# The calls that programs interpose when they test against the real library.
DEVICE_CALLS = {"xengnttab": {"open", "close", "ioctl", "mmap", "munmap", "usleep"}, "xenevtchn": {"close", "ioctl", "read", "write"}}

ours = {"xengnttab": sys.argv.pop(1), "xenevtchn": sys.argv.pop(1)}


def distribution_library(library):
    name = ctypes.util.find_library(library) or sys.exit("the distribution's lib%s is not installed" % library)
    for directory in ("/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/lib64"):
        path = os.path.join(directory, name)
        if os.path.exists(path):
            return os.path.realpath(path)
    return sys.exit(f"{name} is not where libraries are")


class SameSymbols:
    maxDiff = None
    name = None

    @classmethod
    def setUpClass(cls):
        cls.theirs_path = distribution_library(cls.name)
        cls.ours, cls.theirs = Library(ours[cls.name]), Library(cls.theirs_path)

    def test_the_reader_reads(self):
        self.assertEqual(self.theirs.soname, "lib%s.so.1" % self.name)
        self.assertEqual(self.theirs.exported[self.example], ("VERS_1.1", "FUNC", "GLOBAL", True))
        self.assertEqual(self.theirs.imported["xtl_logger_destroy"], "VERS_1.0 of libxentoollog.so.1")
        self.assertGreaterEqual(len(self.theirs.exported), 12)

    def test_they_are_two_libraries(self):
        self.assertNotEqual(os.path.realpath(ours[self.name]), self.theirs_path)

    def test_soname_is_the_same(self):
        self.assertEqual(self.ours.soname, self.theirs.soname)

    def test_file_is_found_under_the_soname(self):
        self.assertEqual(os.path.basename(os.path.realpath(ours[self.name])), os.path.basename(self.theirs_path))
        links = [os.path.basename(p) for p in glob.glob(os.path.join(os.path.dirname(ours[self.name]), "lib%s.so*" % self.name))
                 if os.path.islink(p)]
        self.assertIn("lib%s.so.1" % self.name, links)

    def test_version_nodes_and_their_parents_are_the_same(self):
        self.assertEqual(self.ours.version_defs, self.theirs.version_defs)

    def test_exported_symbols_have_the_same_version_type_and_binding(self):
        self.assertEqual(self.ours.exported, self.theirs.exported)

    def test_needed_libraries_are_the_same(self):
        needed = [n for n in self.ours.needed if not n.startswith(TOOLING)]
        self.assertEqual(needed, self.theirs.needed)

    def test_what_is_taken_from_xens_libraries_is_the_same(self):
        def of_xen(library):
            return {n: v for n, v in library.imported.items() if v and " of libxen" in v}
        self.assertEqual(of_xen(self.ours), of_xen(self.theirs))

    def test_device_calls_have_the_same_names(self):
        self.assertLessEqual(DEVICE_CALLS[self.name], set(self.theirs.imported))
        self.assertLessEqual(DEVICE_CALLS[self.name], set(self.ours.imported))
        self.assertFalse({"open64", "mmap64"} & set(self.ours.imported))


class Gnttab(SameSymbols, unittest.TestCase):
    name, example = "xengnttab", "xengnttab_grant_copy"


class Evtchn(SameSymbols, unittest.TestCase):
    name, example = "xenevtchn", "xenevtchn_restrict"


if __name__ == "__main__":
    unittest.main()
