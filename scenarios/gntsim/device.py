# SPDX-License-Identifier: MIT
"""A device that a toolstack attached to a domain, as Domain.attach gives it."""
from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Optional

from .errors import Timeout
from .store import PATIENCE, Store, StoreError

if TYPE_CHECKING:
    from .machine import Machine

CLOSE_PATIENCE = 10.0       # as long as libxl waits for a back end to close


class Device:
    """Its kind, id, and the paths frontend and backend in the store."""

    def __init__(self, machine: Machine, row: dict[str, Any]):
        self.machine = machine
        self.domain: int = row["domain"]
        self.kind: str = row["kind"]
        self.id: int = row["id"]
        self.frontend: str = row["frontend"]
        self.backend: str = row["backend"]

    def __repr__(self) -> str:
        return "<%s %d of domain %d>" % (self.kind, self.id, self.domain)

    def row(self) -> Optional[dict[str, Any]]:
        """As `gntsim ctl device list` shows it now; None: it is detached."""
        for row in self.machine.call("device-list", domain=self.domain):
            if (row["kind"], row["id"]) == (self.kind, self.id):
                return dict(row)
        return None

    def _is(self, state: str) -> bool:
        row = self.row()
        if row is None or state == "gone":
            return row is None and state == "gone"
        if state == "connected":
            return bool(row["connected"])
        return bool(row["front"] == row["back"] == state)

    def _watch(self, store: Store) -> None:
        for path in filter(None, (self.frontend, self.backend)):
            store.watch(path, self.kind)

    def wait(self, state: str = "connected", timeout: Optional[float] = None) -> None:
        """Waits until both ends are in this state ("connected", "closed", "initwait" …), or
        until the device is "gone"."""
        end = time.monotonic() + (PATIENCE if timeout is None else timeout)
        with Store.of(self.machine, 0) as store:
            self._watch(store)
            while not self._is(state):
                left = end - time.monotonic()
                try:
                    if left <= 0:
                        raise Timeout("")
                    store.event(left)
                except Timeout:
                    raise Timeout("%r is not %s: %s" % (self, state, self.row())) from None

    def detach(self, *, force: bool = False, timeout: float = CLOSE_PATIENCE) -> None:
        """Lets the back end close the device, and removes its nodes; by force when the time is
        over, as libxl does."""
        end = time.monotonic() + timeout
        with Store.of(self.machine, 0) as store:
            with contextlib.suppress(StoreError):
                self._watch(store)
            while not self._ask(force):
                try:
                    store.event(max(0.001, end - time.monotonic()))
                except Timeout:
                    force = True

    def _ask(self, force: bool) -> bool:
        return bool(self.machine.call("device-detach", domain=self.domain, kind=self.kind,
                                      id=self.id, force=force)["gone"])
