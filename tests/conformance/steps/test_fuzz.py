# SPDX-License-Identifier: MIT
"""Tests the random scripts of device calls, as far as that works without a real Xen."""
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE)]

import fuzz
import real


class Scripts(unittest.TestCase):
    def test_a_seed_is_always_the_same_script(self):
        self.assertEqual(fuzz.script(7), fuzz.script(7))
        self.assertNotEqual(fuzz.script(7).splitlines()[1:], fuzz.script(8).splitlines()[1:])

    def test_the_head_names_the_case_and_its_actors(self):
        self.assertEqual(fuzz.script(7).splitlines()[:real.HEAD],
                         ["case seed7", "actor a 0", "actor b 0"])

    def test_batches_are_all_the_seeds_once(self):
        for count in (1, real.BATCH, real.BATCH + 1, 3 * real.BATCH):
            with self.subTest(count):
                self.assertEqual([seed for seeds in real.batches(1000, count) for seed in seeds],
                                 list(range(1000, 1000 + count)))


class Fake(real.Both):
    """Two machines that print the lines of a script, but for one that fails and one that says
    something else."""

    def __init__(self, failing=None, other=None):
        self.failing, self.other = failing, other

    def here(self, name, text):
        if self.failing and f"case {self.failing}\n" in text:
            raise AssertionError("an audit")
        return self.lines(name, text)

    def there(self, path):
        seeds = range(int(Path(path).stem.removeprefix("fuzz")), 1004)
        return [l + "!" if self.other and f"case={self.other} " in l else l
                for l in self.lines(Path(path).stem, fuzz.scripts(seeds))]

    @staticmethod
    def lines(name, text):
        found = []
        for line in text.splitlines():
            case = line.removeprefix("case ") if line.startswith("case ") else case
            found.append(f"{name} case={case} {line}")
        return found


class Batches(unittest.TestCase):
    SEEDS = range(1000, 1004)

    def differing(self, **machines):
        return [name for name, (there, here) in Fake(**machines).batch(self.SEEDS, 40).items()
                if there != here]

    def test_equal_machines_do_not_differ(self):
        self.assertEqual(self.differing(), [])

    def test_the_seed_that_is_answered_otherwise_differs(self):
        self.assertEqual(self.differing(other="seed1002"), ["seed1002"])

    def test_the_seed_that_breaks_the_simulator_differs_and_no_other(self):
        self.assertEqual(self.differing(failing="seed1001"), ["seed1001"])


class Shrinking(unittest.TestCase):
    SCRIPT = fuzz.script(7).splitlines()

    def shrunk(self, *wanted):
        """With machines that differ in scripts that have all of these lines, in this order."""
        def differs(lines):
            rest = iter(lines)
            return all(line in rest for line in wanted)
        self.assertTrue(differs(self.SCRIPT))
        return real.shrink(list(self.SCRIPT), differs)

    def test_nothing_is_left_but_what_matters(self):
        steps = self.SCRIPT[real.HEAD:]
        for wanted in ([steps[-1]], [steps[0], steps[-1]],
                       [steps[5], steps[17], steps[18], steps[30]]):
            with self.subTest(wanted):
                self.assertEqual(self.shrunk(*wanted), self.SCRIPT[:real.HEAD] + wanted)

    def test_the_head_stays(self):
        self.assertEqual(self.shrunk(), self.SCRIPT[:real.HEAD])


if __name__ == "__main__":
    unittest.main()
