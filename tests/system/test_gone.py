# SPDX-License-Identifier: MIT
"""Pages leave a mapping by other means than a munmap of all of it. Other tests here make calls that
no device mapping allows, or run programs that allow themselves few calls. gone.c, single.c,
contended.c, prompt.c and boxed.c say how."""
import subprocess

import pytest

import harness

ALL, WITHOUT_SECOND = (0, 1, 2, 3), (0, 2, 3)

# What gone.c is to do: the answer, and which pages stay mapped. The second one's byte is cleared
# when its grant is unmapped.
REFUSED = {"grow": "EFAULT", "move": "EFAULT", "dontunmap": "EINVAL", "free": "EINVAL",
           "remove": "ENODEV", "guard": "EINVAL", "rearrange": "EINVAL"}
TAKES = {"munmap": WITHOUT_SECOND, "munmap-all": (), "anonymous": WITHOUT_SECOND,
         "anonymous-all": (), "file": WITHOUT_SECOND,
         "gntdev": (*WITHOUT_SECOND, 5), "mremap-onto": WITHOUT_SECOND, "shrink": (0,),
         "shmat": WITHOUT_SECOND, "mprotect": WITHOUT_SECOND,
         "dontneed": WITHOUT_SECOND}
# What the server is not told of in the midst of a program's libraries (docs/reference.md).
UNSEEN = ["mprotect"]


def check(machine, compiled, where, how, who, answer, left):
    machine.must("domain", "create", 1)
    process = machine.popen(1, compiled("gone"), where, how, who, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    refs = [int(word) for word in process.stdout.readline().split()[1:]]
    assert process.stdout.readline() == "answer %s byte %d page 42\n" % (answer, 1 in left)
    mapped = {refs.index(row["ref"]) for row in machine.json("dump", "maptrack", 1)["maptrack"]}
    assert mapped == set(left)
    machine.audit()
    process.stdin.close()
    assert process.wait(harness.PATIENCE) == 0
    machine.quiet()


@pytest.mark.parametrize("how", REFUSED)
@pytest.mark.parametrize("where", ["window", "fixed"])
def test_what_no_device_mapping_allows_is_refused_and_changes_nothing(machine, compiled, where,
                                                                      how):
    check(machine, compiled, where, how, "main", REFUSED[how], ALL)


@pytest.mark.parametrize("where,how", [(where, how) for where in ("window", "fixed", "reserved")
                                       for how in TAKES
                                       if (where, how) not in [("reserved", how)
                                                               for how in UNSEEN]])
def test_a_page_that_leaves_a_pv_mapping_is_unmapped_at_once(machine, compiled, where, how):
    check(machine, compiled, where, how, "main", "ok", TAKES[how])


@pytest.mark.parametrize("notify", [[], ["notify"]])
@pytest.mark.parametrize("how", ["munmap", "dontneed", "over"])
def test_the_only_page_of_a_pv_mapping_is_unmapped_at_once(machine, compiled, how, notify):
    if notify:
        machine.slow()
    machine.must("domain", "create", 1)
    process = machine.popen(1, compiled("single"), how, *notify, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "byte %d\n" % (0 if notify else 42)
    assert machine.json("dump", "maptrack", 1)["maptrack"] == []
    machine.audit()
    process.stdin.close()
    assert process.wait(harness.PATIENCE) == 0
    machine.quiet()


def test_a_mapping_ends_at_once_also_if_the_server_is_slow(machine, compiled):
    machine.slow()
    assert machine.out(1, compiled("prompt"), 200) == "late 0\n"
    machine.quiet()


@pytest.mark.parametrize("how", ["munmap", "anonymous-all", "mremap-onto", "shrink", "dontneed"])
@pytest.mark.parametrize("who", ["thread", "vfork", "clone"])
def test_whoever_shares_the_memory_can_take_a_page_away(machine, compiled, who, how):
    check(machine, compiled, "window", how, who, "ok", TAKES[how])


@pytest.mark.parametrize("profile", ["pv", "pvh"])
@pytest.mark.parametrize("how", ["munmap", "madvise", "mmap", "mremap"])
def test_a_thread_maps_where_another_one_takes_pages_away(machine, compiled, how, profile):
    done = machine.exec(1, compiled("contended"), how, 1000, profile=profile)
    assert (done.returncode, done.stdout) == (0, "done\n"), done
    machine.audit()
    machine.quiet()


def test_what_a_process_advises_itself_by_its_descriptor_is_seen(machine, compiled):
    machine.must("domain", "create", 1)
    process = machine.popen(1, compiled("gone"), "window", "process-madvise", "main",
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    refs = [int(word) for word in process.stdout.readline().split()[1:]]
    # since Linux 6.13
    left = WITHOUT_SECOND if process.stdout.readline().startswith("answer ok") else ALL
    harness.eventually(lambda: {refs.index(row["ref"])
                                for row in machine.json("dump", "maptrack",
                                                        1)["maptrack"]} == set(left), "unmapped")
    process.stdin.close()
    assert process.wait(harness.PATIENCE) == 0
    machine.quiet()


@pytest.mark.parametrize("profile", ["pv", "pvh"])
@pytest.mark.parametrize("answer", ["errno", "kill"])
@pytest.mark.parametrize("threads", [1, 4])
def test_a_program_that_locked_itself_in_maps_by_the_calls_that_it_makes_itself(machine, compiled, threads, answer, profile):
    done = machine.exec(1, compiled("boxed"), threads, answer, profile=profile)
    assert (done.returncode, done.stdout) == (0, "done"), done
    machine.quiet()
