#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The defaults that the program prints are those that docs/operate.md shows, row by row."""
import re

import shell
from shell import ROOT, ShellCase


class TestDefaults(ShellCase):
    def printed(self):
        return self.rectify("config", "--defaults").stdout.strip().split("\n")

    def test_the_manual_has_the_same_table(self):
        text = (ROOT / "docs" / "operate.md").read_text()
        section = text.split("## Defaults\n")[1].split("\n## ")[0]
        shown = [line for line in section.split("\n") if line.startswith("|")]
        self.assertEqual(shown, self.printed())

    def test_every_row_names_its_source(self):
        rows = [re.split(r" *\| *", line.strip("| ")) for line in self.printed()[2:]]
        self.assertGreater(len(rows), 15)
        for row in rows:
            self.assertEqual(len(row), 3, row)
            self.assertTrue(all(row), row)

    def test_what_policy_says_of_them_is_the_same(self):
        """Keys that docs/policy.md gives a default for, too."""
        policy = (ROOT / "docs" / "policy.md").read_text()
        self.assertIn("`guard.breaker.in_a_row` | 3 |", policy)
        rows = dict(line.strip("| ").split(" | ")[:2] for line in self.printed()[2:])
        self.assertEqual(rows["`guard.breaker.in_a_row`"], "3 results")


if __name__ == "__main__":
    shell.main()
