# SPDX-License-Identifier: MIT
"""Loads gntsim's pytest plugin, and starts the backend with a frontend for it."""
from pathlib import Path

import pytest

pytest_plugins = ["gntsim.pytest_plugin"]

BACKEND = Path(__file__).parents[1] / "build" / "backend"


class Frontend:
    """The guest that the backend serves, played by the tests."""

    def __init__(self, domain, backend):
        self.domain = domain
        self.backend = backend

    def grants(self, *values):
        """A page for each value, granted to the backend; the references."""
        refs = []
        for value in values:
            page = self.domain.page()
            self.domain.write(bytes([value]), page=page)
            refs.append(self.domain.grant(to=2, page=page, readonly=True))
        return refs

    def ask(self, refs):
        """Sends a request; the answer."""
        self.backend.send(" ".join(map(str, [self.domain.id, *refs])))
        return self.backend.readline()


@pytest.fixture
def front(gntsim):
    backend = gntsim.domain(2).spawn([BACKEND])
    assert backend.readline() == "ready"
    front = Frontend(gntsim.domain(1), backend)
    yield front
    backend.close_stdin()
    assert backend.wait() == 0
