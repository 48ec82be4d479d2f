# SPDX-License-Identifier: MIT
"""Over a socket the machine answers where its client runs."""
import os

import harness
from test_socket import WRITE, Peer


def test_the_machine_answers_on_the_processor_that_the_peer_names(serve, monkeypatch):
    """And one that it cannot have, or that does not exist, harms nothing."""
    def threads_on(processor):
        return sum(os.sched_getaffinity(int(tid)) == {processor}
                   for tid in os.listdir("/proc/%d/task" % machine.server.pid))

    monkeypatch.setenv("GNTSIM_WAY", "socket")
    machine = serve()
    one = Peer(machine.exec(1, "sh", "-c", "echo $GNTSIM_SOCKET").stdout.strip())
    one.open(b"gntdev")
    last = max(os.sched_getaffinity(0))
    for processor in (last, 1000, 65535, last):
        one.message(WRITE | processor << 16, bytes(8))
        assert one.reply()[0] < 0
    harness.eventually(lambda: threads_on(last), "a thread follows")
    one.close()
