# SPDX-License-Identifier: MIT
"""Tests the tools that ask a real Xen, as far as that works without one. argv[1]: hv-steps for the
model."""
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE), str(HERE.parent / "vm")]

import hypercalls
import vm
from debs import VmError

HV_STEPS = sys.argv.pop(1)


def model(*arguments):
    return hypercalls.on_model(HV_STEPS, *arguments)


class Lists(unittest.TestCase):
    def test_a_seed_is_always_the_same_list(self):
        once = model("--print", "--seeds", 7, 1, 50)
        self.assertEqual(once, model("--print", "--seeds", 7, 1, 50))
        self.assertNotEqual(once[1:], model("--print", "--seeds", 8, 1, 50)[1:])

    def test_a_printed_list_does_what_the_seed_did(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("\n".join(model("--print", "--seeds", 7, 2, 200)) + "\n")
            file.flush()
            self.assertEqual(model(file.name), model("--seeds", 7, 2, 200))

    def test_a_subset_is_some_of_the_lines(self):
        lines = model("--print", "--seeds", 7, 1, 50)
        self.assertEqual(model("--print", "--subset", 7, 50, "0-2,5"), lines[:4] + lines[6:7])

    def test_digests_tell_what_was_printed_apart(self):
        found = hypercalls.digests(model("--digest", "--seeds", 1, 3, 50))
        self.assertEqual(sorted(found), [1, 2, 3])
        self.assertEqual(len(set(found.values())), 3)

    def test_a_list_with_a_mistake_is_refused(self):
        for text in ("sequence x\nA nonsense\n", "sequence x\nA map dom=Q\n", "sequence x\nA map nothing=1\n", "sequence x\nA peek elsewhere\n"):
            with self.subTest(text), tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
                file.write(text)
                file.flush()
                done = subprocess.run([HV_STEPS, file.name], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn(b"hv-steps: ", done.stderr)


class Shrinking(unittest.TestCase):
    @staticmethod
    def wrong(*arguments):
        """A machine that gives out other handles."""
        return [l.replace(" handle=0 ", " handle=9 ") for l in model(*arguments)]

    def seed_that_differs(self):
        return next(seed for seed in range(1, 100) if model("--seeds", seed, 1, 100) != self.wrong("--seeds", seed, 1, 100))

    def test_what_is_left_still_differs_and_nothing_can_go(self):
        seed = self.seed_that_differs()
        lines, (_, ours, theirs) = hypercalls.Shrinker(model, self.wrong, seed, 100).shrink()
        self.assertIn(" handle=0 ", ours)
        self.assertIn(" handle=9 ", theirs)
        self.assertLess(len(lines), 6)      # a grant, a mapping, perhaps the version it needs
        for left_out in range(len(lines)):
            with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
                file.write("\n".join(["sequence x", *lines[:left_out], *lines[left_out + 1:]]) + "\n")
                file.flush()
                self.assertEqual(model(file.name), self.wrong(file.name))

    def test_equal_machines_give_nothing(self):
        self.assertIsNone(hypercalls.Shrinker(model, model, 1, 50).shrink())

    def test_ranges_name_exactly_the_numbers(self):
        self.assertEqual(hypercalls.ranges_of([0, 1, 2, 5, 7, 8]), "0-2,5,7-8")


class Record(unittest.TestCase):
    def test_every_list_is_recorded_with_its_versions(self):
        for path in hypercalls.lists():
            head = (HERE / "record" / path.name).read_text(encoding="utf-8").splitlines()[:2]
            self.assertRegex(head[1], r"^# Recorded on Xen 4\.\d+\S* with Linux \d+\.\S+ \S+, in QEMU")

    def test_there_are_enough_steps(self):
        self.assertGreaterEqual(sum(len(hypercalls.steps_of(hypercalls.recorded(p.stem))) for p in hypercalls.lists()), 2000)


class Machine(unittest.TestCase):
    def test_without_qemu_it_says_what_to_install(self):
        with tempfile.TemporaryDirectory() as cache:
            done = subprocess.run([sys.executable, HERE.parent / "real-xen", "--cache", cache, "run", "true"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PATH": "/nowhere"}, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"qemu-system-x86", done.stderr)
            self.assertIn(b"install-deps build conformance", done.stderr)
            self.assertEqual(list(Path(cache).glob("run.*")), [])

    def test_what_a_killed_run_left_is_removed_by_the_next(self):
        with tempfile.TemporaryDirectory() as cache:
            cache = Path(cache)
            (cache / "run.old").mkdir()
            (cache / "run.old" / "big").write_text("x")
            work = vm.Work(cache)
            self.assertFalse((cache / "run.old").exists())
            other = vm.Work(cache)          # not what is in use
            self.assertTrue(work.path.exists())
            other.remove()
            work.remove()
            self.assertEqual(list(cache.iterdir()), [])

    def test_a_package_that_is_not_there_is_named(self):
        with tempfile.TemporaryDirectory() as cache:
            with self.assertRaisesRegex(VmError, "gntsim-no-such-package"):
                vm.Debs(cache).get("gntsim-no-such-package")


if __name__ == "__main__":
    unittest.main()
