# SPDX-License-Identifier: MIT
"""Builds another revision and measures the same rows with both, in turn."""
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path


def must(*command, **more):
    """Output of a command; what it said if it fails."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode:
        sys.exit("bench: %s: exit status %d\n%s" % (" ".join(map(str, command)), done.returncode,
                                                    done.stdout[-4000:]))
    return done.stdout


def wanted(build):
    """What of a build is measured: no tests."""
    for target in json.loads(must("meson", "introspect", "--targets", build)):
        if target["type"] in ("executable", "shared library") and target["build_by_default"]:
            for name in map(Path, target["filename"]):
                if name.relative_to(build).parts[0] not in ("tests", "docs"):
                    yield name.relative_to(build)


def built(top, revision, where):
    """The build directory of a revision of the repository top, below where. Made only once."""
    commit = must("git", "-C", top, "rev-parse", "--verify", "--quiet",
                  revision + "^{commit}").strip()
    place = Path(where).resolve() / commit
    source, build, done = place / "src", place / "build", place / "done"
    if done.exists():
        return build
    shutil.rmtree(place, ignore_errors=True)
    source.mkdir(parents=True)
    print("bench: builds %s in %s" % (commit[:12], place), file=sys.stderr, flush=True)
    must("git", "-C", top, "archive", "--output", place / "src.tar", commit)
    must("tar", "-xf", place / "src.tar", "-C", source)
    # Meson takes ccache where there is one. With this it knows files of other directories again.
    env = {**os.environ, "CCACHE_NOHASHDIR": "1"}
    must("meson", "setup", build, source, env=env)
    must("ninja", "-C", build, *wanted(build), env=env)
    (place / "src.tar").unlink()
    done.touch()
    return build


def figures(part):
    """What each row of a part measured; nothing if the revision cannot do it."""
    try:
        return {row["what"].strip(): row["measured"] for row in part()}
    except (subprocess.SubprocessError, OSError, SystemExit) as failure:
        print("bench: %s" % failure, file=sys.stderr)
        return {}


def alternate(ours, theirs, times):
    """Rows of two lists of parts. Who is first changes each time, so that what drifts hits both."""
    for (name, part), (_, other) in zip(ours, theirs):
        pairs = {}
        for i in range(times):
            if i % 2:
                there, here = figures(other), figures(part)
            else:
                here, there = figures(part), figures(other)
            for what in here.keys() & there.keys():
                pairs.setdefault(what, []).append((here[what], there[what]))
        for what, found in pairs.items():
            numbers = [tuple(float(text.split()[0]) for text in pair) for pair in found]
            ratios = [here / there for here, there in numbers if there]
            here, there = (statistics.median(column) for column in zip(*numbers))
            if ratios:
                yield {"part": name, "what": what, "unit": found[0][0].split()[-1], "this": here,
                       "other": there, "ratio": statistics.median(ratios), "least": min(ratios),
                       "most": max(ratios)}


def show(rows, revision):
    line = "%-46s %12s %12s   %6s   %s"
    print(line % ("what", "this", revision.rstrip("/")[-12:], "ratio", "from .. to"))
    for row in rows:
        print(line % (row["what"], "%.1f %s" % (row["this"], row["unit"]),
                      "%.1f %s" % (row["other"], row["unit"]), "%.2f" % row["ratio"],
                      "%.2f .. %.2f" % (row["least"], row["most"])), flush=True)
