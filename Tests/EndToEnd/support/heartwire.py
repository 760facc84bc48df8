"""The proxy under test as a process: configuration in, ports and logs out, and it must end in good order."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time

from . import planted
from .logs import Log
from .paths import binary
from .ports import reserve_port
from .sockets import wait_for_connections


class Heartwire:
    """A running `heartwire`. Everything that it writes lands in `folder`."""

    def __init__(self, folder: pathlib.Path, arguments: list, port: int, host="127.0.0.1", environment=None,
                 wait=True, prefix=(), program=None, **popen):
        self.folder, self.port, self.host = folder, port, host
        self.arguments = [*prefix, str(program or binary()), *map(str, arguments)]
        self.stream_log, self.access_log = Log(folder / "stream.log"), Log(folder / "access.log")
        self.event_log = Log(folder / "events.log")
        self.stdout_path, self.stderr_path = folder / "stdout", folder / "stderr"
        self.expected_to_stop_by_itself = False
        self._finished = False
        self.process = subprocess.Popen(
            self.arguments, stdin=subprocess.DEVNULL, cwd=folder,
            stdout=open(self.stdout_path, "ab"), stderr=open(self.stderr_path, "ab"),
            env={**os.environ, **(environment or {})}, **popen)
        if wait:
            self.wait_until_listening()

    def wait_until_listening(self, timeout=10):
        deadline = time.monotonic() + timeout
        while True:
            code = self.process.poll()
            assert code is None, (
                f"{' '.join(self.arguments)} ended with {code} instead of listening; it said\n{self.stderr()}\n"
                f"{self.configuration()}")
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, f"not listening on {self.host}:{self.port} after {timeout} s"
                time.sleep(0.01)

    def wait_for_connections(self, at_most=0):
        """Waits until the proxy has closed all connections to its port (of IPv4) but so many, so that its limits count no other.

        The harness's own connection of the start is one of them: the proxy may see its end after the test has begun.
        """
        wait_for_connections(self.port, at_most)

    def configuration(self) -> str:
        path = self.folder / "heartwire.conf"
        return path.read_text() if path.exists() else ""

    def stderr(self) -> str:
        return self.stderr_path.read_text(errors="replace")

    def stdout(self) -> str:
        return self.stdout_path.read_text(errors="replace")

    # Signals and the end

    def send_signal(self, number):
        self.process.send_signal(number)

    def pause(self):
        """Stops the proxy until SIGCONT. On return the proxy has really stopped, which takes a moment on a busy machine."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
        deadline = time.monotonic() + 10
        while any((task / "stat").read_text().rpartition(")")[2].split()[0] != "T" for task in tasks.iterdir()):
            assert time.monotonic() < deadline, "the process does not stop"
            time.sleep(0.005)

    def wait(self, timeout=10) -> int:
        """Waits for the process to end by itself; returns its status."""
        self.expected_to_stop_by_itself = True
        return self.process.wait(timeout)

    def stop(self, number=signal.SIGTERM, timeout=15) -> int:
        self.expected_to_stop_by_itself = True
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout)

    def finish(self):
        """The end of the test: stops the proxy if it still runs, then checks its output for what must always hold."""
        if self._finished:
            return
        self._finished = True
        died = self.process.poll()
        if died is None:
            try:
                code = self.stop()
                assert code == 0, f"SIGTERM ended the proxy with {code}, not 0:\n{self.stderr()[-3000:]}"
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("the proxy did not end within 15 s of SIGTERM")
        else:
            assert self.expected_to_stop_by_itself, (
                f"the proxy died with {died} during the test; standard error:\n{self.stderr()[-3000:]}")
        errors = self.stderr()
        assert not re.search(r"(?i)fatal error|precondition|crash|addresssanitizer|trap", errors), (
            f"standard error tells of a crash:\n{errors[-3000:]}")
        self.search_for_tokens()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def search_for_tokens(self):
        """Searches everything that the proxy wrote into files and pipes for planted tokens."""
        for path in self.folder.iterdir():
            if path.is_file() and path.name != "heartwire.conf":
                planted.search(path.name, path.read_bytes())

    def wait_for_words(self, words: str, count=1, timeout=10) -> str:
        """Waits until standard error holds these words so many times; returns all of it."""
        deadline = time.monotonic() + timeout
        while (said := self.stderr()).count(words) < count:
            assert time.monotonic() < deadline, f"{words!r} did not come {count} × within {timeout} s: {said[-2000:]}"
            time.sleep(0.01)
        return said

    # What it uses

    def memory(self) -> dict:
        """Bytes by kind (Rss, Pss, Pss_Anon …) from the kernel's smaps_rollup."""
        text = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return {name: int(size) * 1024 for name, size in re.findall(r"(?m)^(\w+):\s+(\d+) kB$", text)}

    def resident_bytes(self) -> int:
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def processor_seconds(self) -> float:
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _block(name: str, lines) -> str:
    lines = [lines] if isinstance(lines, str) else list(lines)
    text = "\n".join(f"    {line.strip()}" for part in lines for line in part.strip().splitlines())
    return f"{name} {{\n{text}\n}}\n"


def configuration(port: int, folder: pathlib.Path, servers, *, host="127.0.0.1", heartbeat="off", opening="off",
                  route=(), upstream=(), limits="", timeouts="", top="", workers=1, pattern="/*", extra="",
                  grace="3s", drain="0s", listen="", outage="refuse", logs_events=False) -> str:
    """A configuration file: one route to one upstream, with the given lines in each block.

    Heartbeats, the opening comment and the holding of clients are off unless a test wants them, so that bytes can be compared.
    """
    route, upstream = _lines(route), _lines(upstream)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    text = f"workers {workers}\n" + (_block(f"listen {address}", listen) if listen else f"listen {address}\n")
    text += f"stream_log {folder}/stream.log\naccess_log {folder}/access.log\ngrace {grace}\ndrain {drain}\n"
    if logs_events:
        text += f"event_log {folder}/events.log\n"
    if top:
        text += top.strip() + "\n"
    if limits:
        text += _block("limits", limits)
    if timeouts:
        text += _block("timeouts", timeouts)
    if servers:
        text += _block("upstream origin", [*(f"server {server}" for server in servers), *upstream])
        text += _block(f"route {pattern}", ["upstream origin", f"heartbeat {heartbeat}", f"opening {opening}",
                                             f"outage {outage}", *route])
    return text + extra


def _lines(value) -> list:
    return [value] if isinstance(value, str) else list(value)


def start(folder: pathlib.Path, servers=(), *, host="127.0.0.1", environment=None, text=None, prefix=(), port=None,
          program=None, popen=None, **options) -> Heartwire:
    """Writes a configuration and starts `heartwire run` on it. `text` may be a function of (port, folder)."""
    port = port or reserve_port(host if ":" not in host else "::1")
    content = text(port, folder) if text else configuration(port, folder, servers, host=host, **options)
    path = folder / "heartwire.conf"
    path.write_text(content)
    options = {"wait": True, **(popen or {})}
    proxy = Heartwire(folder, ["run", "--config", path], port, host, environment, prefix=prefix, program=program, **options)
    if options["wait"] and re.search(r"(?m)^console ", content):
        # It may be there a moment later than the service.
        proxy.wait_for_words("the console is on")
    return proxy
