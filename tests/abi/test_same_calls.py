# SPDX-License-Identifier: MIT
"""Our libxengnttab makes the same device calls as the distribution's and shows its caller the same.

Usage: test_same_calls.py DRIVER OUR_LIBRARY

The driver (driver.c) runs each scenario with fake devices, undisturbed and with every call failing
in every way, and prints all that can be seen from outside. It is run with each library, and the two
texts compared case by case.
"""
import difflib
import os
import subprocess
import sys

driver, ours = sys.argv[1:]
SHOWN = 3       # differing cases printed in full


def run(library_path, leaks):
    env = dict(os.environ)
    env.pop("LD_PRELOAD", None)
    env["LD_LIBRARY_PATH"] = library_path
    # A call without a handle must end in the signal it ends in, and a refused malloc be the
    # caller's matter.
    options = f"handle_segv=0:allocator_may_return_null=1:detect_leaks={int(leaks)}"
    for name in ("ASAN_OPTIONS", "TSAN_OPTIONS"):
        env[name] = ":".join(filter(None, (env.get(name), options)))
    p = subprocess.run([driver], env=env, capture_output=True, text=True, check=False)
    # What the libraries write to stderr is part of the cases: anything else is a sanitizer
    # speaking.
    findings = [l for l in p.stderr.splitlines() if "Sanitizer failed to allocate" not in l]
    if p.returncode or findings:
        sys.exit("\n".join([f"{driver} with LD_LIBRARY_PATH='{library_path}' ended with {p.returncode}"] + findings))
    head, *cases = p.stdout.split("=== ")
    if not cases or not cases[-1].startswith(f"end, {len(cases) - 1} cases"):
        sys.exit("the driver did not come to its end")
    return os.path.realpath(head.split()[1]), [c.partition("\n")[::2] for c in cases[:-1]]


def main():
    # The distribution's library is not built by us: what it may leak is not our finding.
    their_path, theirs = run("", leaks=False)
    our_path, cases = run(os.path.dirname(ours), leaks=True)
    if our_path != os.path.realpath(ours) or their_path == our_path:
        sys.exit(f"compared {our_path} with {their_path}")

    different = 0
    for (their_name, their_text), (name, text) in zip(theirs, cases):
        if (their_name, their_text) == (name, text):
            continue
        different += 1
        if different <= SHOWN:
            print(f"--- differs: {name}" + (f" (the distribution's ran: {their_name})"
                                            if name != their_name else ""))
            print("\n".join(difflib.unified_diff(their_text.splitlines(), text.splitlines(),
                                                 "distribution", "ours", lineterm="", n=30)))
    different += abs(len(theirs) - len(cases))
    print(f"{len(cases) - different} of {len(cases)} cases the same ({their_path})")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
