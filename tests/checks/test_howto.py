# SPDX-License-Identifier: MIT
"""docs/howto-checks.md, executed as it is printed."""
import os
import re
import subprocess
from pathlib import Path

import corpus

PAGE = corpus.SOURCE / "docs" / "howto-checks.md"


def blocks(kind):
    return re.findall(r"^```%s\n(.*?)^```" % kind, PAGE.read_text(), re.M | re.S)


def test_the_page_finds_the_leak_as_it_says(tmp_path):
    source, = blocks("c")
    report, = re.findall(r"^```\n(==gntsim==.*?)^```", PAGE.read_text(), re.M | re.S)
    (tmp_path / "leaky.c").write_text(source)
    env = {**os.environ, "PATH": "%s:%s" % (Path(corpus.GNTSIM).parent, os.environ["PATH"])}
    before, checked = [subprocess.run(["sh", "-c", block], cwd=tmp_path, env=env, text=True,
                                      capture_output=True, timeout=corpus.PATIENCE)
                       for block in blocks("sh")]
    assert (before.returncode, before.stderr) == (0, ""), before.stderr
    assert checked.returncode == 99
    # Only the library's own line may be another one.
    printed, said = (re.sub(r"gnttab.c:\d+|libxengnttab.so\S*", "library", text)
                     for text in (report, checked.stderr))
    assert said.startswith(printed), checked.stderr
