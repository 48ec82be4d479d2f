# SPDX-License-Identifier: MIT
"""The demo: two simulated domains, Debian's own Xen libraries, and what happens between them.

./demo calls it with the build directory. It uses the Python package, as a test would."""
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gntsim  # noqa: E402

TIME_LIMIT = 90     # seconds, for everything
GRANTER, MAPPER = 1, 2
ORDER = [2, 0, 3, 1]


class Wrong(Exception):
    """Something did not happen as it must."""


def out_of_time(_signal, _frame):
    raise Wrong("the demo did not end within %d seconds" % TIME_LIMIT)


def tell(text):
    print(textwrap.fill(text, 100, initial_indent="   ", subsequent_indent="   "), flush=True)


def step(number, title):
    print("\n%d. %s" % (number, title), flush=True)


def check(condition, complaint):
    if not condition:
        raise Wrong(complaint)


def start_machine(program):
    try:
        return gntsim.Machine(program=program, clock="real")
    except gntsim.Error:
        print("\nThe simulator did not start. What `gntsim doctor` says:\n", flush=True)
        subprocess.run([program, "doctor"])
        raise Wrong("this host does not allow it yet, see the remedy above") from None


def do(program, command):
    """Sends a command to one of the two programs; its answer."""
    program.send(command)
    return program.readline()


def ctl(machine, *words):
    """Shows what `gntsim ctl` prints; True if it succeeds."""
    done = subprocess.run([machine.program, "ctl", "--dir", machine.dir, *words],
                          stdout=subprocess.PIPE, text=True)
    print(textwrap.indent(done.stdout.rstrip(), "      "), flush=True)
    return done.returncode == 0


def show_pages(text):
    for number, line in enumerate(text.split("|")):
        print("      page %d: \"%s\"" % (number, line), flush=True)


def share_and_map(machine, granter, mapper):
    step(2, "Domain %d shares four pages with domain %d" % (GRANTER, MAPPER))
    words = do(granter, "share 4").split()
    check(words[0] == "refs" and len(words) == 5, "the granter did not share four pages")
    refs = words[1:]
    tell("The granter called xengntshr_share_pages() of Debian's libxengnttab. It got four pages "
         "of memory, and a grant "
         "reference for each: %s. A reference is the number under which the other domain may ask "
         "for the page." % ", ".join(refs))

    step(3, "Domain %d maps them, in shuffled order" % MAPPER)
    shuffled = [refs[i] for i in ORDER]
    check(do(mapper, "map " + " ".join(shuffled)) == "mapped 4",
          "the mapper did not map four pages")
    tell("The mapper called xengnttab_map_domain_grant_refs() with the references %s. The four "
         "pages now lie one after the "
         "other in its memory, in that order, and this is what it reads there:"
         % ", ".join(shuffled))
    seen = do(mapper, "look")
    show_pages(seen)
    check(seen.split("|") == ["written by the granter into page %d" % i for i in ORDER],
          "the mapper sees other pages")
    print()
    check(ctl(machine, "dump", "entries", str(GRANTER)), "the table cannot be shown")
    tell("(That was `gntsim ctl dump entries %d`: the grant table as the hypervisor sees it.)"
         % GRANTER)

    step(4, "It is the same memory: the mapper writes, the granter reads")
    check(do(mapper, "write") == "written", "the mapper could not write")
    seen = do(granter, "look")
    show_pages(seen)
    check(seen.split("|") == ["answered by the mapper at position %d" % ORDER.index(i)
                              for i in range(4)],
          "the granter does not see what the mapper wrote")
    tell("No copy was made and no call was needed for that: both processes have the same page "
         "frames in their page tables.")
    check(do(mapper, "unmap") == "unmapped", "the mapper could not unmap")
    return refs


def page_out(machine, mapper, ref):
    step(5, "A granted page is paged out, and comes back")
    machine.domain(GRANTER).page_out(int(ref))
    before = machine.stats()["mmap_eagain"]
    tell("`gntsim ctl page-out %d %s` took the page behind reference %s away, as a pager does when "
         "memory is short. Now the mapper maps "
         "it. Its domain runs an old kernel (profile legacy), where mmap() fails with EAGAIN in "
         "this case, and the library tries again "
         "every millisecond until it works." % (GRANTER, ref, ref))
    mapper.send("map " + ref)

    def five_tries():
        check(mapper.running, "the mapper gave up")
        tries = machine.stats()["mmap_eagain"] - before
        return tries if tries >= 5 else 0

    tries = machine.eventually(five_tries, "that the mapper tries five times")
    tell("The simulator has refused %d times so far, and the mapper is still inside "
         "xengnttab_map_domain_grant_refs()." % tries)
    machine.domain(GRANTER).page_in(int(ref))
    check(mapper.readline() == "mapped 1", "the mapper did not get the page")
    tries = machine.stats()["mmap_eagain"] - before
    tell("`gntsim ctl page-in %d %s` brought the page back. The library's own loop had tried %d "
         "times in vain; the next time it got "
         "the page, contents and all:" % (GRANTER, ref, tries))
    seen = do(mapper, "look")
    show_pages(seen)
    check(seen.startswith("answered by the mapper"), "the page came back with other contents")
    check(do(mapper, "unmap") == "unmapped", "the mapper could not unmap")


def kill_granter(machine, granter, mapper):
    step(6, "The granter is killed, and the mapper is told")
    word, ref, port = do(granter, "ring").split()
    check(word == "ring", "the granter could not make a ring page")
    check(do(mapper, "ring %s %s" % (ref, port)) == "status 1", "the status byte is not 1")
    tell("The granter shared one more page (reference %s) with an unmap notification: byte 0 of "
         "the page, and event channel %s. "
         "The mapper mapped it and bound the channel. The byte reads 1: the peer is alive."
         % (ref, port))
    mapper.send("wait")
    check(granter.kill() == -signal.SIGKILL, "the granter survived")
    tell("kill -9 %d: the granter is gone and could not say goodbye. Its kernel does it instead."
         % granter.pid)
    check(mapper.readline() == "event, status 0", "the mapper was not told")
    tell("The mapper was waiting for the channel. The event arrived, and the byte reads 0 now. The "
         "page itself is still there: a grant "
         "cannot be taken back from who has it mapped. So the mapper does what a good peer does, "
         "and unmaps it.")
    check(do(mapper, "unmap") == "unmapped", "the mapper could not unmap")
    mapper.close_stdin()
    mapper.check()


def audit(machine):
    step(7, "Nothing is left behind")
    check(ctl(machine, "audit"), "the audit found something")
    # A machine that is reached over a socket hears of a program's end a moment later.
    machine.eventually(lambda: not machine.stats()["open_files"], "that all files are closed", 10)
    check(machine.stats()["mappings"] == 0, "mappings are left: %s" % machine.stats())
    tell("`gntsim ctl audit` compared every reference count with the grant tables, the "
         "mappings and "
         "the event channels of both domains.")


def show(machine, programs):
    granter = machine.domain(GRANTER).spawn([programs / "demo-granter", str(MAPPER)])
    mapper = machine.domain(MAPPER, profile="legacy").spawn([programs / "demo-mapper",
                                                             str(GRANTER)])
    tell("`gntsim serve` simulates a machine with Xen on it. Two ordinary programs were "
         "started in it "
         "with `gntsim exec`: the granter as a process of domain %d, the mapper as one of "
         "domain %d. "
         "They use Debian's libxengnttab1 and libxenevtchn1 as they are, and find a /dev/xen "
         "there. No "
         "Xen, no kernel module, no virtual machine." % (GRANTER, MAPPER))
    refs = share_and_map(machine, granter, mapper)
    page_out(machine, mapper, refs[0])
    kill_granter(machine, granter, mapper)
    audit(machine)


def main():
    build = Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
    signal.signal(signal.SIGALRM, out_of_time)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.alarm(TIME_LIMIT)
    try:
        step(1, "A machine with two domains")
        with start_machine(str(build / "gntsim")) as machine:
            show(machine, build / "scenarios" / "demo")
    except (Wrong, gntsim.Error, OSError, ValueError) as error:
        print("\nThe demo FAILED: %s" % error, file=sys.stderr)
        return 1
    finally:
        signal.alarm(0)
    print("\nDone: all of it behaved as on a real Xen.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
