# SPDX-License-Identifier: MIT
"""Random scripts of device calls, as far as that works without a real Xen."""
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
        self.assertEqual(fuzz.script(7).splitlines()[:real.HEAD], ["case seed7", "actor a 0", "actor b 0"])

    def test_batches_are_all_the_seeds_once(self):
        for count in (1, real.BATCH, real.BATCH + 1, 3 * real.BATCH):
            with self.subTest(count):
                self.assertEqual([seed for seeds in real.batches(1000, count) for seed in seeds], list(range(1000, 1000 + count)))


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
        for wanted in ([steps[-1]], [steps[0], steps[-1]], [steps[5], steps[17], steps[18], steps[30]]):
            with self.subTest(wanted):
                self.assertEqual(self.shrunk(*wanted), self.SCRIPT[:real.HEAD] + wanted)

    def test_the_head_stays(self):
        self.assertEqual(self.shrunk(), self.SCRIPT[:real.HEAD])


if __name__ == "__main__":
    unittest.main()
