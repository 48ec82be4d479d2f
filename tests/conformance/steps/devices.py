# SPDX-License-Identifier: MIT
"""Records and checks, for real-xen, the programs of a build: the scripts and the probes. The build
is $GNTSIM_BUILD, or build in the top of the tree, and is made when it is missing."""
import os
import subprocess
from types import SimpleNamespace

import real
from debs import need
from vm import VmError

TOP = real.CONFORMANCE.parents[1]
BUILD = TOP / (os.environ.get("GNTSIM_BUILD") or "build")


def build(*targets):
    """The programs, and further targets, as the source has them now."""
    need("meson", "ninja", "gcc")
    print(f"real-xen: building the programs in {BUILD}", flush=True)
    targets = [*(f"tests/conformance/{name}" for name in (*real.PROBES, "agent", *real.CROSS)),
               *(f"tests/conformance/steps/{name}" for name in ("actor", "conduct", "remote")),
               "libgnttab/libxengnttab.so.1.2", *targets]
    done = subprocess.run([TOP / "tools/build", BUILD], stdin=subprocess.DEVNULL,
                          env=os.environ | {"TARGETS": " ".join(targets)}, check=False)
    if done.returncode:
        raise VmError("the programs cannot be built; tools/install-deps build installs what "
                      "that needs")


def arguments(work, rest=()):
    return SimpleNamespace(build=BUILD, work=work, rest=list(rest), check=True)


def text(results):
    return {name: "".join(line + "\n" for line in lines) for name, lines in results.items()}


def scripts_of(kinds):
    """The scripts whose names begin so (see steps/README.md)."""
    names = [name for name in real.scripts.SCRIPTS if name[0] in kinds]
    return SimpleNamespace(HERE=real.CONFORMANCE, build=build, domus=lambda: real.domus(names),
                           files=lambda work: real.steps_files(arguments(work), names),
                           record=lambda guest: text(real.play_scripts(guest, names)))


keep_versions = real.keep_versions
probes = SimpleNamespace(HERE=real.CONFORMANCE, build=build, domus=real.probes_domus,
                         files=lambda work: real.probes_files(arguments(work)),
                         record=lambda guest: text(real.play_probes(guest)))
library = SimpleNamespace(HERE=real.CONFORMANCE, build=build, domus=lambda: [],
                          files=lambda work: real.library_files(arguments(work)),
                          record=lambda guest: text(real.play_library(guest)))


def fuzz(boot, work, seeds, steps, output):
    """Random scripts, compared with a real Xen: (observations, seeds that differ, versions). boot:
    as of a Vm."""
    given = arguments(work)
    with boot([], real.fuzz_files(given, *seeds, steps)) as guest:
        return *real.play_fuzz(guest, given, *seeds, steps, output), guest.versions
