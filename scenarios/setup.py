# SPDX-License-Identifier: MIT
"""Gives the Python package the version that stands in meson.build, where the project has it."""
import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).resolve().parent


def version():
    """In an archive of the package alone its own description has it."""
    project = HERE.parent / "meson.build"
    if project.exists():
        return re.search(r"^  version: '([^']+)'", project.read_text(), re.M).group(1)
    return re.search(r"^Version: (.*)$", (HERE / "PKG-INFO").read_text(), re.M).group(1)


setup(version=version())
