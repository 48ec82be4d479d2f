# SPDX-License-Identifier: MIT
"""Whatever answers at a control socket, the client says so in one line and fails."""
import contextlib
import json
import socket
import sys
import threading

import pytest

import harness

pytestmark = pytest.mark.needs_no_machine

ODD = {
    "nothing": b"",
    "half a line": b'{"result": {"do',
    "an empty line": b"\n",
    "no JSON": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "bytes": bytes(range(256)).replace(b"\n", b"") + b"\n",
    "a number": b"7\n",
    "null": b"null\n",
    "a list": b"[]\n",
    "no result": b"{}\n",
    "a deep list": b"[" * 100000 + b"\n",
    "an error that is an object": b'{"error": {"a": 1}}\n',
    "an error that is null": b'{"error": null}\n',
    "an error of many lines": b'{"error": "one\\ntwo\\u001b[2J"}\n',
    "a result that is null": b'{"result": null}\n',
    "a result that is a number": b'{"result": 5}\n',
    "a result that is a string": b'{"result": "x"}\n',
    "a list of lists": b'{"result": [[1], null, "x"]}\n',
    "lists where numbers are": b'{"result": {"violations": [], "lines": 3, "points": 7, "total": {}, "entries": 9, "socket": {}, "id": []}}\n',
    "many bytes without a line": b"x" * (8 << 20),
}
VERBS = [("domain", "list"), ("domain", "create", 1), ("dump",), ("audit",), ("stats",),
         ("points",), ("fault", "list"), ("clock",)]


@contextlib.contextmanager
def answers(place, answer):
    """A server at place that answers everything with these bytes and then hangs up."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place / "control"))
    listener.listen(8)

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                if connection.recv(65536):
                    connection.sendall(answer)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def fails_with_one_line(done):
    assert done.returncode in (1, 126, 127), done
    assert done.stderr.startswith("gntsim: ") and done.stderr.count("\n") == 1 and \
        done.stderr.strip().isprintable(), done.stderr


def makes_sense(what, words):
    """One of them is what a machine could have said to these."""
    return what == "lists where numbers are" and \
        words in (("domain", "create", 1), ("stats",), ("clock",))


@pytest.mark.parametrize("what", ODD)
def test_no_odd_answer_crashes_ctl(place, what):
    with answers(place, ODD[what]):
        for words in VERBS:
            for options in ((), ("--json",)):
                done = harness.gntsim("ctl", "--dir", place, *options, *words)
                if options and done.returncode == 0:
                    json.loads(done.stdout)
                elif not makes_sense(what, words):
                    fails_with_one_line(done)


@pytest.mark.parametrize("what", ODD)
def test_no_odd_answer_crashes_exec_or_trace(place, what):
    with answers(place, ODD[what]):
        fails_with_one_line(harness.gntsim("exec", "--dir", place, "--", "true"))
        for options in ((), ("--chrome",)):
            done = harness.gntsim("trace", "--dir", place, *options)
            if not ODD[what].startswith(b'{"result": ') or not ODD[what].endswith(b"\n"):
                fails_with_one_line(done)
            else:
                assert (done.returncode, done.stderr) == (0, "")


def test_events_of_a_live_trace_may_be_anything(place):
    events = b'{"result": {}}\n' + b"".join(answer
                                            for answer in ODD.values() if answer.endswith(b"\n"))
    events += b'{"op": 5}\n{"op": "enter", "call": {}, "args": []}\n{"op": "mmap", "call": 1, "args": {"file": 0}, "time": "x", "domain": {}}\n{"op'
    with answers(place, events):
        done = harness.gntsim("trace", "--dir", place, "--chrome")
    assert done.returncode == 0, done.stderr
    assert "mmap" in str(json.loads(done.stdout))


@pytest.mark.parametrize("what", [*ODD, "numbers where numbers are not"])
def test_no_odd_answer_crashes_python(place, what):
    sys.path.insert(0, str(harness.SOURCE / "scenarios"))
    import gntsim
    answer = ODD.get(what,
                     b'{"result": {"violations": "1", "lines": [1], "events": [7], "next": "x", "id": null, "mode": 3}}\n')
    with answers(place, answer):
        for ask in (lambda m: m.violations(), lambda m: m.domains(), lambda m: m.trace(),
                    lambda m: m.pids(), lambda m: m.real_way(1),
                    lambda m: m.fault(at="mmap", do={"errno": "ENOMEM"}), lambda m: m.clock.now,
                    lambda m: m.faults(), lambda m: m.domain(1)):
            machine = gntsim.Machine.attach(place)
            try:
                ask(machine)
            except gntsim.Error as error:
                assert str(error).isprintable() and len(str(error)) < 1000
            else:
                assert "violations" in str(answer), "nothing was said"
            machine.close()
