# SPDX-License-Identifier: MIT
"""For real-xen: the scripts, and the probes with our library, as suites that it records and checks. The programs are those of a build:
$GNTSIM_BUILD, or build in the top of the tree."""
import os
from pathlib import Path
from types import SimpleNamespace

import real
from vm import VmError

BUILD = Path(os.environ.get("GNTSIM_BUILD") or real.CONFORMANCE.parents[1] / "build")


def arguments(work, rest=()):
    if not (BUILD / "tests/conformance/steps/actor").exists():
        raise VmError(f"no programs in {BUILD}: build first (meson setup build && ninja -C build), or name the build with GNTSIM_BUILD")
    return SimpleNamespace(build=BUILD, work=work, rest=list(rest), check=True)


def text(results):
    return {name: "".join(line + "\n" for line in lines) for name, lines in results.items()}


scripts = SimpleNamespace(HERE=real.CONFORMANCE, domus=lambda: real.domus(real.scripts.SCRIPTS),
                          files=lambda work: real.steps_files(arguments(work), real.scripts.SCRIPTS),
                          record=lambda guest: text(real.play_scripts(guest, real.scripts.SCRIPTS)))
library = SimpleNamespace(HERE=real.CONFORMANCE, domus=lambda: [], files=lambda work: real.library_files(arguments(work)),
                          record=lambda guest: text(real.play_library(guest)))
