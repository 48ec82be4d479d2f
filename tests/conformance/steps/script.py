# SPDX-License-Identifier: MIT
"""The building blocks of scripts."""
from textwrap import dedent


def script(*cases):
    return "\n".join(dedent(case).strip("\n") for case in cases) + "\n"


def case(name, text):
    return f"case {name}\n" + dedent(text).strip("\n")
