# SPDX-License-Identifier: MIT
"""Tests the tools: they see a difference, and libxenstore accepts the test's xenstored."""
import ctypes
import ctypes.util
import os
import pathlib
import tempfile
import threading
import unittest

import compare
import tally
from xenstore import Xenstore

GOLDEN = ["p case=a x=1", "p case=b x=1", "p case=b x=2", "p EXIT=0"]


def judged(printed, listed):
    equal, found = compare.differences("dom0", GOLDEN, printed)
    unlisted, gone = compare.judge("dom0", found, listed)
    return equal, [(d.recorded, d.printed) for d in unlisted], [d.recorded for d in gone]


class Comparison(unittest.TestCase):
    KNOWN = compare.Difference("dom0", "p case=b x=1", "p case=b x=9", "because")

    def test_equal_output_has_no_differences(self):
        self.assertEqual(judged(GOLDEN, []), (4, [], []))

    def test_a_changed_line_is_one_difference(self):
        self.assertEqual(judged([GOLDEN[0], "p case=b x=9", *GOLDEN[2:]], []),
                         (3, [("p case=b x=1", "p case=b x=9")], []))

    def test_a_listed_difference_is_accepted(self):
        self.assertEqual(judged([GOLDEN[0], "p case=b x=9", *GOLDEN[2:]], [self.KNOWN]),
                         (3, [], []))

    def test_a_listed_difference_may_not_become_another(self):
        self.assertEqual(judged([GOLDEN[0], "p case=b x=8", *GOLDEN[2:]], [self.KNOWN]),
                         (3, [("p case=b x=1", "p case=b x=8")], ["p case=b x=1"]))

    def test_a_listed_difference_that_is_gone_is_reported(self):
        self.assertEqual(judged(GOLDEN, [self.KNOWN]), (4, [], ["p case=b x=1"]))

    def test_a_missing_line_does_not_shift_the_others(self):
        self.assertEqual(judged(GOLDEN[1:], []), (3, [("p case=a x=1", compare.MISSING)], []))

    def test_an_additional_line_is_a_difference(self):
        self.assertEqual(judged([*GOLDEN, "p case=c"], []),
                         (4, [(compare.MISSING, "p case=c")], []))

    def test_another_order_is_a_difference(self):
        self.assertEqual(len(judged([GOLDEN[1], GOLDEN[0], *GOLDEN[2:]], [])[1]), 1)

    def test_a_program_that_prints_nothing_is_all_differences(self):
        self.assertEqual(judged([], [])[0], 0)
        self.assertEqual(len(judged([], [])[1]), 4)

    def test_the_list_needs_a_reason_and_no_duplicates(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as f:
            for bad in ("dom0 | a b | c\n", "dom0 | a b | c | \n",
                        "dom0 | a b | c | why\ndom0 | a b | c | why else\n"):
                f.seek(0)
                f.truncate()
                f.write(bad)
                f.flush()
                with self.assertRaises(compare.ListError):
                    compare.read_list(f.name)


class Counting(unittest.TestCase):
    """What real-xen check says in the end."""
    FILES = {"golden-domu.txt": ["U:p case=a x=1", "x02 case=a x=1"],
             "steps/x10_share.txt": ["x10 case=a x=1"], "steps/y10_gntdev0.txt": ["y10 case=a x=1"],
             "steps/z90_random.txt": ["z90 case=a x=1"],
             "map.txt": ["# Recorded", "sequence s", "s.1 who=A op=map rc=0"],
             "libgnttab.txt": ["p case=a x=1"]}

    def counted(self, changed=None, now=()):
        counts = tally.Tally()
        found = [d for file, lines in self.FILES.items()
                 for d in counts.add(file, lines, now if file == changed else lines)]
        return [line.split()[-4:-1] for line in counts.lines()], [(d.recorded, d.printed) for d in found], counts.differences

    def test_every_observation_is_of_one_kind(self):
        self.assertEqual(self.counted(), ([["2", "of", "2"], ["1", "of", "1"], ["2", "of", "2"],
                                           ["1", "of", "1"], ["1", "of", "1"]], [], 0))

    def test_a_line_that_differs_is_shown_and_not_counted_as_equal(self):
        lines, found, differences = self.counted("map.txt",
                                                 ["# Recorded later", "sequence s",
                                                  "s.1 who=A op=map rc=-1"])
        self.assertEqual(lines[3], ["0", "of", "1"])
        self.assertEqual(found, [("s.1 who=A op=map rc=0", "s.1 who=A op=map rc=-1")])
        self.assertEqual(differences, 1)

    def test_what_is_kept_of_another_version_is_read_again(self):
        counts = tally.Tally()
        for file, lines in self.FILES.items():
            counts.add(file, lines, lines if file != "libgnttab.txt" else ["p case=a x=2"])
        with tempfile.TemporaryDirectory() as d:
            path = pathlib.Path(d) / "other.txt"
            path.write_text(counts.text({"xen": "5", "linux": "7: x"}))
            versions, read, found = tally.read(path)
        self.assertEqual(versions, {"xen": "5", "linux": "7: x"})
        self.assertEqual((read["one domain"], read["libgnttab"]), ((2, 2), (0, 1)))
        self.assertEqual(found, [compare.Difference("libgnttab.txt", "p case=a x=1",
                                                    "p case=a x=2")])

    def test_a_line_more_is_a_difference(self):
        self.assertEqual(self.counted("golden-domu.txt",
                                      [*self.FILES["golden-domu.txt"], "x02 case=b"])[1:],
                         ([(compare.MISSING, "x02 case=b")], 1))


class Client:
    """libxenstore itself, through ctypes. One process can have only one XENSTORED_PATH at a
    time."""
    lib = ctypes.CDLL(ctypes.util.find_library("xenstore"), use_errno=True)
    libc = ctypes.CDLL(None)
    lib.xs_open.restype = lib.xs_read.restype = lib.xs_directory.restype = lib.xs_read_watch.restype = ctypes.c_void_p
    lib.xs_get_domain_path.restype = lib.xs_get_permissions.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]

    class Permission(ctypes.Structure):
        _fields_ = [("id", ctypes.c_uint), ("perms", ctypes.c_int)]

    def __init__(self, store, domid):
        os.environ["XENSTORED_PATH"] = store.socket(domid)
        self.h = ctypes.c_void_p(self.lib.xs_open(0))
        assert self.h

    def close(self):
        self.lib.xs_close(self.h)

    def result(self, pointer, convert):
        if not pointer:
            return os.strerror(ctypes.get_errno())
        value = convert(pointer)
        self.libc.free(pointer)
        return value

    def outcome(self, ok):
        return True if ok & 0xFF else os.strerror(ctypes.get_errno())

    def read(self, path, t=0):
        n = ctypes.c_uint()
        return self.result(self.lib.xs_read(self.h, t, path.encode(), ctypes.byref(n)),
                           lambda p: ctypes.string_at(p, n.value))

    def write(self, path, value, t=0):
        return self.outcome(self.lib.xs_write(self.h, t, path.encode(), value, len(value)))

    def mkdir(self, path):
        return self.outcome(self.lib.xs_mkdir(self.h, 0, path.encode()))

    def rm(self, path, t=0):
        return self.outcome(self.lib.xs_rm(self.h, t, path.encode()))

    def directory(self, path):
        n = ctypes.c_uint()
        return self.result(self.lib.xs_directory(self.h, 0, path.encode(), ctypes.byref(n)),
                           lambda p: [ctypes.cast(p, ctypes.POINTER(ctypes.c_char_p))[i].decode()
                                      for i in range(n.value)])

    def start(self):
        return self.lib.xs_transaction_start(self.h)

    def end(self, t, abort=False):
        return self.outcome(self.lib.xs_transaction_end(self.h, t, abort))

    def perms(self, path):
        n = ctypes.c_uint()
        return self.result(self.lib.xs_get_permissions(self.h, 0, path.encode(), ctypes.byref(n)),
                           lambda p: [(e.id, e.perms)
                                      for e in ctypes.cast(p,
                                                           ctypes.POINTER(self.Permission))[:n.value]])

    def set_perms(self, path, *perms):
        array = (self.Permission * len(perms))(*perms)
        set_permissions = self.lib.xs_set_permissions
        return self.outcome(set_permissions(self.h, 0, path.encode(), array, len(perms)))

    def watch(self, path, token):
        return self.outcome(self.lib.xs_watch(self.h, path.encode(), token.encode()))

    def unwatch(self, path, token):
        return self.outcome(self.lib.xs_unwatch(self.h, path.encode(), token.encode()))

    def event(self):
        n = ctypes.c_uint()
        return self.result(self.lib.xs_read_watch(self.h, ctypes.byref(n)),
                           lambda p: tuple(ctypes.cast(p,
                                                       ctypes.POINTER(ctypes.c_char_p))[i].decode()
                                           for i in range(2)))

    def domain_path(self, domid):
        return self.result(self.lib.xs_get_domain_path(self.h, domid),
                           lambda p: ctypes.string_at(p).decode())


class Store(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        store = Xenstore(self.directory.name, [0, 1, 2])
        store.__enter__()
        self.addCleanup(store.__exit__)
        self.dom0, self.dom1, self.dom2 = (Client(store, d) for d in range(3))
        for client in (self.dom0, self.dom1, self.dom2):
            self.addCleanup(client.close)

    def test_values_and_directories(self):
        self.assertEqual(self.dom0.write("/a/b/c", b"x\0y"), True)
        self.assertEqual(self.dom0.read("/a/b/c"), b"x\0y")
        self.assertEqual(self.dom0.read("/a/b"), b"")
        self.assertEqual(self.dom0.mkdir("/a/d"), True)
        self.assertEqual(self.dom0.mkdir("/a/b/c"), True)
        self.assertEqual(self.dom0.read("/a/b/c"), b"x\0y")
        self.assertEqual(self.dom0.directory("/a"), ["b", "d"])
        self.assertEqual(self.dom0.directory("/a/b/c"), [])
        self.assertEqual(self.dom0.rm("/a/b"), True)
        self.assertEqual(self.dom0.directory("/a"), ["d"])

    def test_errors(self):
        self.assertEqual(self.dom0.read("/nothing"), "No such file or directory")
        self.assertEqual(self.dom0.directory("/nothing"), "No such file or directory")
        self.assertEqual(self.dom0.rm("/nothing"), True)
        self.assertEqual(self.dom0.rm("/nothing/below"), "No such file or directory")
        self.assertEqual(self.dom0.rm("/"), "Invalid argument")
        self.assertEqual(self.dom0.read("/a//b"), "Invalid argument")
        self.assertEqual(self.dom0.read("/a b"), "Invalid argument")
        self.assertEqual(self.dom0.write("/big", b"x" * 4200), "Argument list too long")

    def test_relative_paths_begin_at_the_domains_home(self):
        self.assertEqual(self.dom1.read("domid"), b"1")
        self.assertEqual(self.dom2.read("domid"), b"2")
        self.assertEqual(self.dom1.write("data/x", b"1"), True)
        self.assertEqual(self.dom0.read("/local/domain/1/data/x"), b"1")
        self.assertEqual(self.dom1.domain_path(7), "/local/domain/7")

    def test_a_domain_sees_its_own_nodes_and_those_it_is_given(self):
        self.assertEqual(self.dom1.write("/local/domain/2/data/x", b""), "Permission denied")
        self.assertEqual(self.dom1.write("data/x", b"secret"), True)
        self.assertEqual(self.dom1.perms("data/x"), [(1, 0)])
        self.assertEqual(self.dom2.read("/local/domain/1/data/x"), "Permission denied")
        self.assertEqual(self.dom2.set_perms("/local/domain/1/data/x", (2, 3)), "Permission denied")
        self.assertEqual(self.dom1.set_perms("data/x", (1, 0), (2, 1)), True)
        self.assertEqual(self.dom2.read("/local/domain/1/data/x"), b"secret")
        self.assertEqual(self.dom2.write("/local/domain/1/data/x", b""), "Permission denied")
        self.assertEqual(self.dom0.write("/local/domain/1/data/x", b"any"), True)

    def test_a_transaction_is_seen_whole_or_not_at_all(self):
        t = self.dom0.start()
        self.assertEqual(self.dom0.write("/t/x", b"1", t), True)
        self.assertEqual(self.dom0.read("/t/x", t), b"1")
        self.assertEqual(self.dom0.read("/t/x"), "No such file or directory")
        self.assertEqual(self.dom0.end(t), True)
        self.assertEqual(self.dom0.read("/t/x"), b"1")
        t = self.dom0.start()
        self.assertEqual(self.dom0.rm("/t", t), True)
        self.assertEqual(self.dom0.end(t, abort=True), True)
        self.assertEqual(self.dom0.read("/t/x"), b"1")
        self.assertEqual(self.dom0.end(t), "No such file or directory")

    def test_a_transaction_that_was_overtaken_is_to_be_tried_again(self):
        t = self.dom0.start()
        self.assertEqual(self.dom0.write("/t", b"mine", t), True)
        self.assertEqual(self.dom1.write("data/other", b"1"), True)
        self.assertEqual(self.dom0.end(t), "Resource temporarily unavailable")
        self.assertEqual(self.dom0.read("/t"), "No such file or directory")

    def test_watches_fire_for_the_node_and_what_is_below(self):
        self.assertEqual(self.dom1.watch("data", "token"), True)
        self.assertEqual(self.dom1.event(), ("data", "token"))
        self.assertEqual(self.dom1.watch("data", "token"), "File exists")
        self.assertEqual(self.dom0.write("/local/domain/1/data/a/b", b""), True)
        self.assertEqual(self.dom1.event(), ("data/a/b", "token"))
        t = self.dom0.start()
        self.assertEqual(self.dom0.write("/local/domain/1/data/c", b"", t), True)
        self.assertEqual(self.dom0.end(t), True)
        self.assertEqual(self.dom1.event(), ("data/c", "token"))
        self.assertEqual(self.dom0.rm("/local/domain/1"), True)
        self.assertEqual(self.dom1.event(), ("data", "token"))
        self.assertEqual(self.dom1.unwatch("data", "token"), True)
        self.assertEqual(self.dom1.unwatch("data", "token"), "No such file or directory")

    def test_several_clients_at_once(self):
        clients = [self.dom0, self.dom1, self.dom2]
        wrong = []

        def work(client, name):
            for i in range(200):
                client.write("data/" + name, b"%d" % i)
                if client.read("data/" + name) != b"%d" % i:
                    wrong.append(name)

        threads = [threading.Thread(target=work, args=(c, f"n{i}")) for i, c in enumerate(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
