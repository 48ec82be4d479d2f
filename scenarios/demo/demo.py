# SPDX-License-Identifier: MIT
"""The demo: two simulated domains, Debian's own Xen libraries, and what happens between them. Called by ./demo."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time

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


class Program:
    """One of the two programs, running as a process of a simulated domain."""

    def __init__(self, machine, domain, profile, *command):
        self.name = os.path.basename(command[0])
        more = ["--profile", profile] if profile else []
        self.process = subprocess.Popen(
            [machine.gntsim, "exec", "--dir", machine.dir, "--domain", str(domain), *more, "--", *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        machine.programs.append(self)

    def start(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        check(line.endswith("\n"), "%s ended instead of answering" % self.name)
        return line.rstrip("\n")

    def do(self, command):
        self.start(command)
        return self.answer()

    def end(self):
        self.process.stdin.close()
        check(self.process.wait() == 0, "%s failed" % self.name)


class Machine:
    """A simulated machine: `gntsim serve` in a directory of its own."""

    def __init__(self, gntsim):
        self.gntsim = gntsim
        self.programs = []
        # The machine makes and removes it, and ends with us.
        self.dir = os.path.join(tempfile.gettempdir(), "gntsim-demo.%d" % os.getpid())
        self.server = subprocess.Popen([gntsim, "serve", "--dir", self.dir, "--owner", str(os.getpid())], stdout=subprocess.PIPE, text=True)
        line = self.server.stdout.readline()
        if not line.startswith("gntsim: ready"):
            print("\nThe simulator did not start. What `gntsim doctor` says:\n", flush=True)
            subprocess.run([gntsim, "doctor"])
            raise Wrong("this host does not allow it yet, see the remedy above")

    def ctl(self, *words):
        done = subprocess.run([self.gntsim, "ctl", "--dir", self.dir, *words], stdout=subprocess.PIPE, text=True)
        return done.returncode, done.stdout

    def must(self, *words):
        status, text = self.ctl(*words)
        check(status == 0, "`gntsim ctl %s` failed: %s" % (" ".join(words), text.strip()))
        return text

    def stats(self):
        return json.loads(self.must("--json", "stats"))

    def close(self):
        for program in self.programs:
            if program.process.poll() is None:
                program.process.kill()
        self.server.terminate()
        try:
            for process in (*(program.process for program in self.programs), self.server):
                process.wait(10)
        except subprocess.TimeoutExpired:
            self.server.kill()
        shutil.rmtree(self.dir, ignore_errors=True)      # of a server that was killed


def show_pages(text):
    for number, line in enumerate(text.split("|")):
        print("      page %d: \"%s\"" % (number, line), flush=True)


def share_and_map(machine, granter, mapper):
    step(2, "Domain %d shares four pages with domain %d" % (GRANTER, MAPPER))
    words = granter.do("share 4").split()
    check(words[0] == "refs" and len(words) == 5, "the granter did not share four pages")
    refs = words[1:]
    tell("The granter called xengntshr_share_pages() of Debian's libxengnttab. It got four pages of memory, and a grant "
         "reference for each: %s. A reference is the number under which the other domain may ask for the page." % ", ".join(refs))

    step(3, "Domain %d maps them, in shuffled order" % MAPPER)
    shuffled = [refs[i] for i in ORDER]
    check(mapper.do("map " + " ".join(shuffled)) == "mapped 4", "the mapper did not map four pages")
    tell("The mapper called xengnttab_map_domain_grant_refs() with the references %s. The four pages now lie one after the "
         "other in its memory, in that order, and this is what it reads there:" % ", ".join(shuffled))
    seen = mapper.do("look")
    show_pages(seen)
    check(seen.split("|") == ["written by the granter into page %d" % i for i in ORDER], "the mapper sees other pages")
    print()
    print(textwrap.indent(machine.must("dump", "entries", str(GRANTER)).rstrip(), "      "), flush=True)
    tell("(That was `gntsim ctl dump entries %d`: the grant table as the hypervisor sees it.)" % GRANTER)

    step(4, "It is the same memory: the mapper writes, the granter reads")
    check(mapper.do("write") == "written", "the mapper could not write")
    seen = granter.do("look")
    show_pages(seen)
    check(seen.split("|") == ["answered by the mapper at position %d" % ORDER.index(i) for i in range(4)],
          "the granter does not see what the mapper wrote")
    tell("No copy was made and no call was needed for that: both processes have the same page frames in their page tables.")
    check(mapper.do("unmap") == "unmapped", "the mapper could not unmap")
    return refs


def page_out(machine, mapper, ref):
    step(5, "A granted page is paged out, and comes back")
    machine.must("page-out", str(GRANTER), ref)
    before = machine.stats()["mmap_eagain"]
    tell("`gntsim ctl page-out %d %s` took the page behind reference %s away, as a pager does when memory is short. Now the mapper maps "
         "it. Its domain runs an old kernel (profile legacy), where mmap() fails with EAGAIN in this case, and the library tries again "
         "every millisecond until it works." % (GRANTER, ref, ref))
    mapper.start("map " + ref)
    tries = 0
    while tries < 5:
        check(mapper.process.poll() is None, "the mapper gave up")
        tries = machine.stats()["mmap_eagain"] - before
        time.sleep(0.01)
    tell("The simulator has refused %d times so far, and the mapper is still inside xengnttab_map_domain_grant_refs()." % tries)
    machine.must("page-in", str(GRANTER), ref)
    check(mapper.answer() == "mapped 1", "the mapper did not get the page")
    tries = machine.stats()["mmap_eagain"] - before
    tell("`gntsim ctl page-in %d %s` brought the page back. The library's own loop had tried %d times in vain; the next time it got "
         "the page, contents and all:" % (GRANTER, ref, tries))
    seen = mapper.do("look")
    show_pages(seen)
    check(seen.startswith("answered by the mapper"), "the page came back with other contents")
    check(mapper.do("unmap") == "unmapped", "the mapper could not unmap")


def kill_granter(machine, granter, mapper):
    step(6, "The granter is killed, and the mapper is told")
    word, ref, port = granter.do("ring").split()
    check(word == "ring", "the granter could not make a ring page")
    check(mapper.do("ring %s %s" % (ref, port)) == "status 1", "the status byte is not 1")
    tell("The granter shared one more page (reference %s) with an unmap notification: byte 0 of the page, and event channel %s. "
         "The mapper mapped it and bound the channel. The byte reads 1: the peer is alive." % (ref, port))
    mapper.start("wait")
    granter.process.send_signal(signal.SIGKILL)
    check(granter.process.wait() == -signal.SIGKILL, "the granter survived")
    tell("kill -9 %d: the granter is gone and could not say goodbye. Its kernel does it instead." % granter.process.pid)
    check(mapper.answer() == "event, status 0", "the mapper was not told")
    tell("The mapper was waiting for the channel. The event arrived, and the byte reads 0 now. The page itself is still there: a grant "
         "cannot be taken back from who has it mapped. So the mapper does what a good peer does, and unmaps it.")
    check(mapper.do("unmap") == "unmapped", "the mapper could not unmap")
    mapper.end()


def audit(machine):
    step(7, "Nothing is left behind")
    end = time.monotonic() + 10
    status, text = machine.ctl("audit")
    print(textwrap.indent(text.rstrip(), "      "), flush=True)
    check(status == 0, "the audit found something")
    # A machine that is reached over a socket hears of a program's end a moment later.
    while machine.stats()["open_files"] and time.monotonic() < end:
        time.sleep(0.01)
    left = machine.stats()
    check(left["mappings"] == 0 and left["open_files"] == 0, "mappings or open files are left: %s" % left)
    tell("`gntsim ctl audit` compared every reference count with the grant tables, the mappings and the event channels of both domains.")


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
    programs = os.path.join(build, "scenarios", "demo")
    signal.signal(signal.SIGALRM, out_of_time)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.alarm(TIME_LIMIT)
    machine = None
    try:
        step(1, "A machine with two domains")
        machine = Machine(os.path.join(build, "gntsim"))
        granter = Program(machine, GRANTER, None, os.path.join(programs, "demo-granter"), str(MAPPER))
        mapper = Program(machine, MAPPER, "legacy", os.path.join(programs, "demo-mapper"), str(GRANTER))
        tell("`gntsim serve` simulates a machine with Xen on it. Two ordinary programs were started in it with `gntsim exec`: the granter as a "
             "process of domain %d, the mapper as one of domain %d. They use Debian's libxengnttab1 and libxenevtchn1 as they are, and "
             "find a /dev/xen there. No Xen, no kernel module, no virtual machine." % (GRANTER, MAPPER))
        refs = share_and_map(machine, granter, mapper)
        page_out(machine, mapper, refs[0])
        kill_granter(machine, granter, mapper)
        audit(machine)
    except (Wrong, OSError, ValueError) as error:
        print("\nThe demo FAILED: %s" % error, file=sys.stderr)
        return 1
    finally:
        signal.alarm(0)
        if machine:
            machine.close()
    print("\nDone: all of it behaved as on a real Xen.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
