# SPDX-License-Identifier: MIT
"""A control socket that answers what a test tells it to."""
import json
import os
import socket
import threading


class Fake:
    """Answers each request with answer(request), which returns bytes, an object to send as JSON, or
    None to hang up."""

    def __init__(self, directory, answer):
        self.directory = str(directory)
        self.requests = []
        self._answer = answer
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(os.path.join(self.directory, "control"))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as file:
                for line in file:
                    self.requests.append(json.loads(line))
                    answer = self._answer(self.requests[-1])
                    if answer is None:
                        break
                    file.write(answer if isinstance(answer, bytes)
                               else json.dumps(answer).encode() + b"\n")
                    file.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
