"""Headless Chromium through its DevTools protocol: open a page, evaluate an expression, take a picture."""

import base64
import json
import pathlib
import shutil
import subprocess
import time
import urllib.request

from websockets.sync.client import connect


def find_chromium() -> str | None:
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if path := shutil.which(name):
            return path
    return None


class Browser:
    """One browser with one page."""

    def __init__(self, profile: pathlib.Path, *options):
        program = find_chromium()
        assert program, "Chromium is not installed (Tests/run installs it)"
        self.profile, self.messages, self._number = profile, [], 0
        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-sync",
             "--no-proxy-server", "--window-size=1280,900", "--remote-debugging-port=0",
             f"--user-data-dir={profile}", *options, "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(profile / "chromium.stderr", "wb"))
        try:
            self.socket = connect(self._page_address(), max_size=None, open_timeout=30, compression=None, proxy=None)
        except BaseException:
            self.close()
            raise
        self.call("Page.enable")
        self.call("Runtime.enable")
        self.call("Network.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _page_address(self) -> str:
        port_file, deadline = self.profile / "DevToolsActivePort", time.monotonic() + 60
        while not port_file.exists() or not port_file.read_text().strip():
            assert self.process.poll() is None, (
                "Chromium ended: " + (self.profile / "chromium.stderr").read_text(errors="replace")[-2000:])
            assert time.monotonic() < deadline, "Chromium opened no DevTools port within 60 s"
            time.sleep(0.1)
        port = port_file.read_text().split()[0]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.monotonic() < deadline:
            with opener.open(f"http://127.0.0.1:{port}/json/list", timeout=20) as answer:
                pages = [page for page in json.load(answer) if page["type"] == "page"]
            if pages:
                return pages[0]["webSocketDebuggerUrl"]
            time.sleep(0.1)
        raise AssertionError("Chromium has no page")

    def call(self, method: str, timeout: float = 30, **parameters) -> dict:
        """One DevTools command and its result; events that come meanwhile are kept in `messages`."""
        self._number += 1
        self.socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        deadline = time.monotonic() + timeout
        while True:
            message = json.loads(self.socket.recv(timeout=max(0.1, deadline - time.monotonic())))
            if message.get("id") == self._number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self.messages.append(message)

    def open(self, address: str):
        result = self.call("Page.navigate", url=address)
        assert not result.get("errorText"), f"{address}: {result['errorText']}"

    def evaluate(self, expression: str):
        """The value of a JavaScript expression; a promise is awaited."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def wait_for(self, expression: str, timeout: float):
        """Waits until the expression is truthy; returns its value."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                if value := self.evaluate(expression):
                    return value
            except AssertionError as problem:
                # The page is just being replaced by another one, which may fulfil it.
                if "navigated" not in str(problem) and "context" not in str(problem):
                    raise
            assert time.monotonic() < deadline, f"{expression} did not come true within {timeout} s"
            time.sleep(0.05)

    def page_errors(self) -> list:
        """Uncaught exceptions that the page threw so far."""
        return [m["params"]["exceptionDetails"] for m in self.messages if m.get("method") == "Runtime.exceptionThrown"]

    def screenshot(self, path: pathlib.Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self):
        try:
            self.call("Browser.close", timeout=3)
        except Exception:  # It may have gone already; the process is ended below either way.
            pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
