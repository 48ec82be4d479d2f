# SPDX-License-Identifier: MIT
"""Module parameters, as a program of a domain finds them below /sys/module."""
import pytest

import harness
from control import Control

PARAMETERS = {"xen_gntdev/parameters/limit": "65536", "xen_gntalloc/parameters/limit": "1024",
              "grant_table/parameters/free_per_iteration": "10"}


def shell(machine, domain, command):
    return machine.exec(domain, "sh", "-c", command)


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_is_read_written_and_the_domains_own(machine, name):
    path = "/sys/module/" + name
    assert shell(machine, 1, "cat " + path).stdout == PARAMETERS[name] + "\n"
    assert shell(machine, 1, "echo 7 > %s" % path).returncode == 0
    assert shell(machine, 1, "cat " + path).stdout == "7\n"
    assert shell(machine, 2, "cat " + path).stdout == PARAMETERS[name] + "\n"


@pytest.mark.parametrize("value,error", [("x", "Invalid argument"), ("", "Invalid argument"),
                                         ("99999999999999999999", "range"),
                                         ("123456789012345678901234567890123", "Invalid argument"),
                                         ("9999999999", "range")])
def test_what_is_no_value_is_refused(machine, value, error):
    done = shell(machine, 1, "/bin/echo '%s' > /sys/module/xen_gntalloc/parameters/limit" % value)
    assert done.returncode and error in done.stderr
    assert shell(machine, 1, "cat /sys/module/xen_gntalloc/parameters/limit").stdout == "1024\n"


def test_the_directories_can_be_listed(machine):
    done = shell(machine, 1, "for m in xen_gntdev xen_gntalloc grant_table; do ls /sys/module/$m "
                 "/sys/module/$m/parameters; done; ls /dev/xen")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split().count("limit") == 2 and \
        done.stdout.split().count("free_per_iteration") == 1
    assert done.stdout.split()[-6:] == \
        harness.DEVICES
    done = shell(machine, 1, "stat -c %F /dev/xen /dev/xen/gntdev "
                 "/sys/module/xen_gntdev/parameters/limit; cat "
                 "/sys/module/xen_gntdev/parameters/none")
    assert done.stdout.splitlines()[0] == "directory"
    assert "No such file" in done.stderr


def test_a_dead_domains_parameters_are_gone(machine):
    holder = machine.popen(1, "sh", "-c", "exec 3< /sys/module/xen_gntdev/parameters/limit; echo "
                           "ready; sleep 1000", stdout=-1, text=True)
    assert holder.stdout.readline() == "ready\n"
    machine.must("domain", "destroy", 1)
    holder.wait(60)
    machine.must("domain", "create", 1)
    assert shell(machine, 1, "cat /sys/module/xen_gntdev/parameters/limit").stdout == "65536\n"


def test_privcmd_is_unrestricted_where_its_kernel_was_booted_so(machine):
    control = Control(machine)
    path = "/sys/module/xen_privcmd/parameters/unrestricted"
    probe = "0 %s %s" % (0x305000, "00" * 48)
    control.domain_create(domain=1)
    control.domain_create(domain=2, privcmd_unrestricted=1)
    assert [shell(machine, domain, "cat " + path).stdout for domain in (1, 2)] == ["N\n", "Y\n"]
    assert shell(machine, 1, "echo 1 > " + path).returncode != 0, "not once it runs"
    restricted, free = machine.new(1), machine.new(2)
    for agent, answer in ((restricted, "EPERM"), (free, "ENOSYS")):
        assert agent.error("ioctl", agent.open("privcmd"), *probe.split()[1:]) == answer
    # A test may change it all the same, for what is opened then.
    control.limit(domain=1, what="privcmd_unrestricted", value=1)
    assert restricted.error("ioctl", restricted.open("privcmd"), *probe.split()[1:]) == "ENOSYS"
    assert "not a possible value" in control.refused("limit", domain=1, what="privcmd_unrestricted",
                                                     value=2)
    assert shell(machine, 1, "cat " + path).stdout == "Y\n"
    control.close()


def test_the_limit_acts_at_once(machine):
    agent = machine.new(1)
    assert shell(machine, 1, "echo 3 > /sys/module/xen_gntalloc/parameters/limit").returncode == 0
    assert agent.error("share", 4, 2, "rw") == "ENOSPC"
    agent.share(3, 2)
