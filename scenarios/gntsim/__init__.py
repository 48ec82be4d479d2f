# SPDX-License-Identifier: MIT
"""Drives gntsim, Xen grant tables without Xen, from Python.

    import gntsim

    with gntsim.Machine() as machine:
        front, back = machine.domain(1), machine.domain(2)
        ref = front.grant(to=back)
        program = back.spawn(["./backend", str(ref)])
        machine.fault(at="mmap", device="gntdev", do={"errno": "ENOMEM"})
        program.check(1)
        machine.audit()
"""
from .control import Control
from .device import Device
from .domain import Domain
from .errors import AuditFailed, Ended, Error, Gone, GrantFailed, NotFound, Refused, Timeout
from .faults import Clock, Rule
from .machine import PAGE_SIZE, Machine, find_program
from .process import Process
from .store import Store, StoreError
from .trace import Event
from .units import nanoseconds

__all__ = ["AuditFailed", "Clock", "Control", "Device", "Domain", "Ended", "Error", "Event", "Gone",
           "GrantFailed", "Machine", "NotFound",
           "PAGE_SIZE", "Process", "Refused", "Rule", "Store", "StoreError",
           "Timeout", "find_program", "nanoseconds"]
