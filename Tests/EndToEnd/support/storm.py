"""Clients that connect again and again, so that they hit any moment at which a client is refused or cut off."""

import socket
import threading
import time


class Storm:
    """Threads that each connect, send a request, read the whole answer and start again. Use it in a `with`.

    `failures` holds every unexpected result; `answers` counts the connections that were answered.
    """

    def __init__(self, port, path="/storm", wanted=b"whole", threads=4, pause=0.0):
        self.port, self.wanted, self.pause = port, wanted, pause
        self.request = f"GET {path} HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\n\r\n".encode()
        self.answers, self.failures = 0, []
        self.bodies = set()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self):
        self.started = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        for thread in self._threads:
            thread.join(10)
        self.seconds = time.monotonic() - self.started

    def wait_for(self, answers, timeout=30):
        """Waits until so many more connections were answered."""
        wanted, deadline = self.answers + answers, time.monotonic() + timeout
        while self.answers < wanted:
            assert time.monotonic() < deadline, f"{self.answers} answers after {timeout} s; failures: {self.failures[:5]}"
            time.sleep(0.005)

    def check(self):
        assert self.answers > 0 and not self.failures, (
            f"{len(self.failures)} of {self.answers + len(self.failures)} connections failed: {self.failures[:5]}")

    def _run(self):
        while not self._ending.is_set():
            outcome, body = self._once()
            with self._lock:
                if outcome is None:
                    self.answers += 1
                    self.bodies.add(body)
                else:
                    self.failures.append((round(time.monotonic() - self.started, 3), outcome))
            if self.pause:
                time.sleep(self.pause)

    def _once(self):
        received = b""
        step = "connecting"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
                step = "asking"
                connection.sendall(self.request)
                step = "reading"
                while data := connection.recv(65536):
                    received += data
        except OSError as error:
            return f"{step}: {error!r} after {received!r}", None
        head, _, body = received.partition(b"\r\n\r\n")
        is_whole = head.startswith(b"HTTP/1.1 200 ") and (body in self.wanted if isinstance(self.wanted, tuple) else body == self.wanted)
        return (None, body) if is_whole else (f"read {received!r}", None)
