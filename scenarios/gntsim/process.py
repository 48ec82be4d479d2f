# SPDX-License-Identifier: MIT
"""Programs that run in a domain. Their output is read all the time, so that none of them ever waits
for us, and they are waited for as soon as they end, so that no zombie is left."""
from __future__ import annotations

import os
import re
import selectors
import signal
import socket
import subprocess
import threading
import time
from typing import Any, Callable, Mapping, Optional, Sequence

from .errors import Ended, Error, NotFound, Timeout

PATIENCE = 30.0     # seconds of real time that something may take unless the caller says otherwise


def describe_exit(status: int) -> str:
    """A return code as subprocess gives it, for people."""
    if status >= 0:
        return "exit status %d" % status
    try:
        return signal.Signals(-status).name
    except ValueError:
        return "signal %d" % -status


class Pump:
    """A thread that reads what the programs print and notices their ends."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._todo: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="gntsim programs", daemon=True)
        self._thread.start()

    def do(self, action: Callable[[], None]) -> None:
        """Has the thread execute it."""
        with self._lock:
            self._todo.append(action)
        self._waker.send(b"x")

    def watch(self, fd: int, ready: Callable[[], None]) -> None:
        self.do(lambda: void(self._selector.register(fd, selectors.EVENT_READ, ready)))

    def forget(self, fd: int) -> None:
        """Only from within the thread."""
        try:
            self._selector.unregister(fd)
        except KeyError:
            pass

    def _run(self) -> None:
        while not self._stop:
            for key, _ in self._selector.select():
                if key.fileobj is self._wake:
                    self._wake.recv(4096)
                    with self._lock:
                        todo, self._todo = self._todo, []
                    for action in todo:
                        action()
                else:
                    key.data()

    def close(self) -> None:
        def stop() -> None:
            self._stop = True
        self.do(stop)
        self._thread.join()
        self._selector.close()
        self._wake.close()
        self._waker.close()


def ends(popen: subprocess.Popen[bytes], timeout: float) -> bool:
    """Waits until it has ended, and says whether it has. Popen.wait with a timeout would look now
    and then, and sleep up to 50 ms in between."""
    if popen.poll() is not None:
        return True
    pidfd = os.pidfd_open(popen.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(pidfd, selectors.EVENT_READ)
            if not selector.select(timeout):
                return False
    finally:
        os.close(pidfd)
    popen.wait()
    return True


def void(_: Any) -> None:
    pass


class Stream:
    """What a program has printed to one of its outputs."""

    def __init__(self, pipe: Any):
        self.pipe = pipe
        self.data = b""
        self.seen = 0           # as far as an expect has looked
        self.open = True
        os.set_blocking(pipe.fileno(), False)

    def drain(self) -> None:
        while self.open:
            try:
                more = os.read(self.pipe.fileno(), 65536)
            except BlockingIOError:
                return
            except OSError:
                more = b""
            if not more:
                self.open = False
            self.data += more

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace")


class Process:
    """A program in a domain, as Domain.spawn makes it."""

    def __init__(self, pump: Pump, argv: Sequence[str], name: str, *,
                 env: Optional[Mapping[str, str]] = None,
                 cwd: Optional[str | os.PathLike[str]] = None):
        self.name = name
        self.domain = -1        # its domain's number
        self.returncode: Optional[int] = None
        self._pump = pump
        self._changed = threading.Condition()
        try:
            self._popen = subprocess.Popen(list(argv), stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                           env=None if env is None else {**os.environ, **env},
                                           cwd=cwd, bufsize=0)
        except OSError as error:
            raise NotFound("cannot start %s: %s"
                           % (error.filename or argv[0], error.strerror)) from None
        except ValueError as error:
            raise Error("cannot start %r: %s" % (list(argv), error)) from None
        self.pid = self._popen.pid
        self._streams = {"stdout": Stream(self._popen.stdout), "stderr": Stream(self._popen.stderr)}
        self._pidfd = os.pidfd_open(self.pid)
        for stream in self._streams.values():
            pump.watch(stream.pipe.fileno(),
                       lambda stream=stream: self._readable(stream))  # type: ignore[misc]
        pump.watch(self._pidfd, self._ended)

    # ---- In the pump's thread.

    def _readable(self, stream: Stream) -> None:
        with self._changed:
            stream.drain()
            if not stream.open:
                self._pump.forget(stream.pipe.fileno())
            self._changed.notify_all()

    def _ended(self) -> None:
        self._pump.forget(self._pidfd)
        with self._changed:
            for stream in self._streams.values():
                stream.drain()
            self.returncode = self._popen.wait()
            self._changed.notify_all()

    def _close(self) -> None:
        with self._changed:
            for stream in self._streams.values():
                self._pump.forget(stream.pipe.fileno())
                stream.drain()
                stream.open = False
                stream.pipe.close()
            self._pump.forget(self._pidfd)
            os.close(self._pidfd)

    # ---- In the caller's.

    @property
    def stdout(self) -> str:
        """All that it has printed so far."""
        with self._changed:
            return self._streams["stdout"].text

    @property
    def stderr(self) -> str:
        """All that it has printed to standard error so far."""
        with self._changed:
            return self._streams["stderr"].text

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.returncode is None

    def send(self, line: str | bytes) -> None:
        """A line to its standard input."""
        data = line if isinstance(line, bytes) else line.encode()
        assert self._popen.stdin
        try:
            self._popen.stdin.write(data if data.endswith(b"\n") else data + b"\n")
        except (BrokenPipeError, ValueError):
            # the pipes of a program that dies go before it can be waited for
            with self._changed:
                self._changed.wait_for(lambda: self.returncode is not None, 2)
            raise Ended("%s reads no more input%s" % (self.name, self._state())) from None

    def close_stdin(self) -> None:
        """The end of its standard input."""
        assert self._popen.stdin
        self._popen.stdin.close()

    def expect(self, pattern: str, timeout: float = PATIENCE, stream: str = "stdout",
               unless: Optional[str] = None) -> re.Match[str]:
        """Waits until it prints what the regular expression matches, after the lines that the last
        expect has seen: the rest of a line is not left behind. With unless: fails as soon as that
        matches either of its outputs."""
        regex = re.compile(pattern, re.M)
        source = self._streams[stream]
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                text = source.data[source.seen:].decode(errors="replace")
                match = regex.search(text)
                # A match at the very end may grow with what comes next: give that a moment.
                if match and (match.end() < len(text) or text.endswith("\n")
                              or self.returncode is not None
                              or not self._changed.wait(0.1)):
                    end_of_line = text.find("\n", match.end() - match[0].endswith("\n"))
                    looked_at = text[:end_of_line + 1] if end_of_line >= 0 else text[:match.end()]
                    source.seen += len(looked_at.encode(errors="replace"))
                    return match
                if match:
                    continue
                for other in self._streams.values() if unless else ():
                    if re.search(unless or "", other.data[other.seen:].decode(errors="replace"),
                                 re.M):
                        raise Ended("%s printed what matches %r%s"
                                    % (self.name, unless, self._state()))
                if self.returncode is not None:
                    raise Ended("%s ended without printing %r%s"
                                % (self.name, pattern, self._state()))
                if not self._changed.wait(max(0.0,
                                              end - time.monotonic())) and time.monotonic() >= end:
                    raise Timeout("%s did not print %r within %g s%s"
                                  % (self.name, pattern, timeout, self._state()))

    def readline(self, timeout: float = PATIENCE) -> str:
        """The next line that it prints."""
        return self.expect(r"\A(.*)\n", timeout).group(1)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its return code: the exit status, or minus the number of the signal that killed it."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.returncode is not None, timeout):
                raise Timeout("%s did not end within %g s%s" % (self.name, timeout, self._state()))
            assert self.returncode is not None
            return self.returncode

    def check(self, status: int = 0, timeout: float = PATIENCE) -> str:
        """Waits for it, fails unless it ended with that return code; what it printed."""
        if self.wait(timeout) != status:
            raise Ended("%s was expected to end with %s%s"
                        % (self.name, describe_exit(status), self._state()))
        return self.stdout

    def signal(self, number: int) -> None:
        """Sends a signal; nothing happens if it has ended."""
        self._popen.send_signal(number)

    def kill(self, timeout: float = PATIENCE) -> int:
        """SIGKILL, and waits for the end."""
        self.signal(signal.SIGKILL)
        return self.wait(timeout)

    def _state(self) -> str:
        """How it is and what it said last, to end a message with."""
        return (" (still running)" if self.returncode is None else " (%s)"
                % describe_exit(self.returncode)) + self.last_words()

    def last_words(self) -> str:
        """The last lines of what it printed, to end a message with."""
        text = ""
        for name, stream in self._streams.items():
            if stream.data:
                last = stream.text[-1000:].splitlines()[-8:]
                text += "\n  its %s ends with: %s" % (name, "\n    ".join(last))
        return text

    def close(self) -> None:
        """Kills it if it still runs, and lets go of everything."""
        if self._popen.returncode is None:
            self.signal(signal.SIGKILL)
        try:
            self.wait(PATIENCE)
        finally:
            done = threading.Event()

            def close() -> None:
                self._close()
                done.set()
            self._pump.do(close)
            done.wait()
            try:
                self.close_stdin()
            except BrokenPipeError:
                pass

    def __repr__(self) -> str:
        return "<Process %s pid %d%s>" % (self.name, self.pid,
                                          "" if self.running else " " +
                                          describe_exit(self.returncode or 0))
