# SPDX-License-Identifier: MIT
"""Opens pages in a headless Chromium, by the WebDriver protocol of Debian's chromium-driver."""
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import harness

DRIVER = shutil.which("chromedriver")
MISSING = None if DRIVER and shutil.which("chromium") else \
    "no Chromium here: apt-get install chromium chromium-driver"
ARGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--window-size=1280,900", "--host-resolver-rules=MAP * ~NOTFOUND"]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Browser:
    def __init__(self, place):
        self.port = free_port()
        self.session = None
        self.log = open(place / "chromedriver.log", "wb")
        self.process = subprocess.Popen([DRIVER, "--port=%d" % self.port], stdout=self.log,
                                        stderr=self.log, stdin=subprocess.DEVNULL)
        harness.eventually(self.is_ready, "chromedriver answering")
        self.session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": [*ARGS, "--user-data-dir=%s" % (place / "profile")]},
        }}})["sessionId"]

    def is_ready(self):
        try:
            return self.call("GET", "/status")["ready"]
        except OSError:
            return False

    def call(self, method, path, body=None):
        where = "" if self.session is None else "/session/" + self.session
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request("http://127.0.0.1:%d%s%s" % (self.port, where, path), data,
                                         {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=harness.PATIENCE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def open(self, path):
        """Opens a page of gntsim report and waits until it is shown; how many seconds that took."""
        begin = time.monotonic()
        self.call("POST", "/url", {"url": path.as_uri()})
        harness.eventually(lambda: self.run("return !!window.gntsimReport?.ready"),
                           "the page being shown: %s" % self.run(
                               "return document.getElementById('facts')?.textContent"))
        return time.monotonic() - begin

    def run(self, script, *args):
        """What a script returns; a promise is waited for."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(args)})

    def errors(self):
        return [one["message"] for one in self.call("POST", "/se/log", {"type": "browser"})
                if one["level"] == "SEVERE"]

    def press(self, keys):
        self.call("POST", "/actions", {"actions": [{
            "type": "key", "id": "keys", "actions": [
                {"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]}]})

    def click(self, x, y):
        self.call("POST", "/actions", {"actions": [{
            "type": "pointer", "id": "mouse", "actions": [
                {"type": "pointerMove", "x": int(x), "y": int(y), "duration": 0},
                {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]}]})

    def picture(self, path):
        import base64
        path.write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    def close(self):
        try:
            if self.session:
                self.call("DELETE", "")
        finally:
            self.process.terminate()
            self.process.wait()
            self.log.close()
