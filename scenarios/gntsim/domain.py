# SPDX-License-Identifier: MIT
"""A domain: runs programs in it, and lets a test act as its kernel."""
from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence

from .device import Device
from .errors import GrantFailed, NotFound
from .process import Process
from .store import Store

if TYPE_CHECKING:
    from .machine import Machine


def find_command(name: str, env: Optional[Mapping[str, str]],
                 cwd: Optional[str | os.PathLike[str]]) -> str:
    """The program that a command's first word means."""
    path = {**os.environ, **(env or {})}.get("PATH", os.defpath)
    if "/" in name:
        place = os.path.join(os.fspath(cwd) if cwd else os.getcwd(), name)
        if os.path.isfile(place) and os.access(place, os.X_OK):
            return place
        raise NotFound("there is no program %s%s"
                       % (place, ": it is not executable" if os.path.exists(place)
                          else ": build it first?"))
    found = shutil.which(name, path=path)
    if not found:
        raise NotFound("there is no program %s in PATH: write ./%s for one of the current directory"
                       % (name, name))
    return found


class Domain:
    """A domain of a machine, as Machine.domain gives it. int(domain) is its number."""

    def __init__(self, machine: Machine, number: int):
        self.machine = machine
        self.id = number

    def __int__(self) -> int:
        return self.id

    __index__ = __int__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Domain) and (self.machine, self.id) == (other.machine, other.id)

    def __hash__(self) -> int:
        return hash((id(self.machine), self.id))

    def __repr__(self) -> str:
        return "<Domain %d of %s>" % (self.id, self.machine.dir)

    def call(self, verb: str, **arguments: Any) -> Any:
        """Any control verb that has a domain."""
        return self.machine.call(verb, domain=self.id, **arguments)

    def store(self) -> Store:
        """A connection to the store with the rights of this domain; to be closed, or a context
        manager."""
        return Store.of(self.machine, self.id)

    def attach(self, kind: str, *, backend: int | Domain = 0, id: Optional[int] = None,
               type: Optional[str] = None, keys: Optional[Mapping[str, str]] = None) -> Device:
        """Attaches a device as a toolstack does: "vbd", "vif", "console", "9pfs", "vchan". keys
        are values for the store, like {"params": "raw:/disk.img"}."""
        given = {key: str(value) for key, value in (keys or {}).items()}
        return Device(self.machine, self.call("device-attach", kind=kind, backend=int(backend),
                                              id=id, type=type, keys=given))

    def devices(self) -> list[Device]:
        """Its devices, also the console that it was made with."""
        return [Device(self.machine, row) for row in self.call("device-list")]

    # ---- Programs

    def spawn(self, command: Sequence[str | os.PathLike[str]], *, name: Optional[str] = None,
              env: Optional[Mapping[str, str]] = None,
              cwd: Optional[str | os.PathLike[str]] = None) -> Process:
        """Starts a program as a process of this domain."""
        words = [os.fspath(word) for word in command]
        words[0] = find_command(words[0], env, cwd)
        argv = [self.machine.program, "exec", "--dir", self.machine.dir, "--domain", str(self.id)]
        argv += ["--way", self.machine.real_way(self.id)]
        process = Process(self.machine.pump(), [*argv, "--", *words],
                          name or os.path.basename(words[0]), env=env, cwd=cwd)
        process.domain = self.id
        self.machine.processes.append(process)
        return process

    def run(self, command: Sequence[str | os.PathLike[str]], *, timeout: float = 30,
            env: Optional[Mapping[str, str]] = None,
            cwd: Optional[str | os.PathLike[str]] = None) -> str:
        """Runs a program to its end, which must be with exit status 0; what it printed."""
        process = self.spawn(command, env=env, cwd=cwd)
        process.close_stdin()
        return process.check(0, timeout)

    # ---- Its life

    @property
    def info(self) -> dict[str, Any]:
        """Its line of `gntsim ctl domain list`."""
        for row in self.machine.domains():
            if row["domain"] == self.id:
                return row
        raise NotFound("there is no domain %d: it was destroyed" % self.id)

    def destroy(self) -> None:
        """As a hypervisor does: processes killed, mappings gone, nobody notified."""
        self.call("domain-destroy")

    def suspend(self, *, as_id: Optional[int] = None,
                grant_version: Optional[int] = None) -> Domain:
        """Suspends and resumes it, perhaps with another number or grant table version. The domain
        as it is afterwards."""
        now = self.call("domain-suspend", **{"as": as_id, "grant_version": grant_version})
        return Domain(self.machine, now["domain"])

    def limit(self, what: str, value: int) -> None:
        """Sets "grant_frames", "maptrack_frames", "gntalloc", "gntdev", or "privcmd_unrestricted"
        (0 or 1)."""
        self.call("limit", what=what, value=value)

    def page_out(self, ref: int) -> None:
        """Pages out the page that it grants with a reference."""
        self.call("page-out", ref=ref)

    def page_in(self, ref: int) -> None:
        """The pager brings back the page that it grants with a reference."""
        self.call("page-in", ref=ref)

    # ---- Acting as its kernel

    def page(self) -> int:
        """A new page of the domain; its number."""
        return int(self.call("guest-page")["page"])

    def page_and_frame(self) -> tuple[int, int]:
        """The same, and the number of its frame as the domain knows it: for a ring-ref."""
        answer = self.call("guest-page")
        return int(answer["page"]), int(answer["frame"])

    def page_free(self, page: int) -> None:
        """Gives a page of its own back."""
        self.call("guest-page-free", page=page)

    def grant(self, to: int | Domain, page: Optional[int] = None, *, readonly: bool = False) -> int:
        """Grants a page (a new one if none is given) to another domain; the reference."""
        return int(self.call("guest-grant", page=self.page() if page is None else page, to=int(to),
                             readonly=readonly)["ref"])

    def end(self, ref: int) -> bool:
        """Ends a grant. False if it is in use and stays."""
        return bool(self.call("guest-end", ref=ref)["ended"])

    def end_deferred(self, ref: int) -> None:
        """Ends a grant now, or as soon as it is no longer in use."""
        self.call("guest-end-deferred", ref=ref)

    def write(self, data: bytes, *, page: Optional[int] = None, mapping: Optional[int] = None,
              offset: int = 0) -> None:
        """Writes into a page of its own, or into a mapping."""
        self.call("guest-write", page=page, mapping=mapping, offset=offset, hex=data.hex())

    def read(self, size: int, *, page: Optional[int] = None, mapping: Optional[int] = None,
             offset: int = 0) -> bytes:
        """Bytes of a page of its own, or of a mapping."""
        return bytes.fromhex(self.call("guest-read", page=page, mapping=mapping, offset=offset,
                                       size=size)["hex"])

    def map(self, granter: int | Domain, ref: int, *, readonly: bool = False) -> int:
        """Maps another domain's grant; the mapping. GrantFailed, with .status, if the hypervisor
        says no."""
        result = self.call("guest-map", granter=int(granter), ref=ref, readonly=readonly)
        while result.get("pending"):        # its kernel retries: the page is paged out
            time.sleep(0.001)
            result = self.call("guest-mapping", mapping=result["mapping"])
        if "mapping" not in result:
            raise GrantFailed("domain %d mapping reference %d of domain %d"
                              % (self.id, ref, int(granter)), str(result.get("status")))
        return int(result["mapping"])

    def unmap(self, mapping: int) -> None:
        """Ends a mapping. GrantFailed, with .status, if it does not."""
        status = self.call("guest-unmap", mapping=mapping).get("status", "okay")
        if status != "okay":
            raise GrantFailed("domain %d unmapping %d" % (self.id, mapping), status)

    def copy(self, source: dict[str, Any], dest: dict[str, Any], size: int) -> str:
        """GNTTABOP_copy; its status by name. A side is {"page": id, "offset": n} or {"domain": d,
        "ref": r, "offset": n}."""
        return str(self.call("guest-copy", source=source, dest=dest, size=size)["status"])

    def event_alloc(self, remote: int | Domain) -> int:
        """A new event channel for another domain to bind; the port."""
        return int(self.call("guest-event-alloc", remote=int(remote))["port"])

    def event_bind(self, remote: int | Domain, port: int) -> int:
        """Binds to another domain's port; the local port."""
        return int(self.call("guest-event-bind", remote=int(remote), port=port)["port"])

    def event_send(self, port: int) -> None:
        """Notifies the other end of a port."""
        self.call("guest-event-send", port=port)

    def event_pending(self, port: int) -> Any:
        """What has arrived at a port."""
        return self.call("guest-event-pending", port=port)

    def event_close(self, port: int) -> None:
        """Closes a port."""
        self.call("guest-event-close", port=port)

    def entry(self, ref: int, *, flags: Optional[int] = None, to: Optional[int | Domain] = None,
              frame: Optional[int] = None) -> None:
        """Writes a grant entry as it is given: what a hostile guest does."""
        self.call("guest-entry", ref=ref, flags=flags, to=None if to is None else int(to),
                  frame=frame)

    def version(self, version: int) -> Any:
        """Switches the version of its grant table."""
        return self.call("guest-version", version=version)

    def adversary(self, kind: str, **arguments: Any) -> int:
        """Starts a hostile guest in this domain; its number, for the machine's adversary_step and
        adversary_stop."""
        return int(self.call("adversary-start", kind=kind, **arguments)["id"])
