"""A client who has nothing to do with the trouble: it asks again and again, and its waiting is measured."""

import threading
import time

from .client import Client, get


class Bystander:
    """In a `with`: requests on connections of its own, and one event stream that has to go on."""

    def __init__(self, port, stream_path="/tick"):
        self.port, self.stream_path = port, stream_path
        self.waits, self.failures, self.longest_silence = [], [], 0.0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask), threading.Thread(target=self._listen)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self):
        while not self._stop.wait(0.02):
            started = time.monotonic()
            try:
                response = get(self.port, "/quick")
                if response.body != b"ok":
                    self.failures.append(f"{response.status} {response.body[:60]!r}")
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))
            self.waits.append(time.monotonic() - started)

    def _listen(self):
        with Client(self.port) as client:
            _, body = client.open_stream(self.stream_path)
            last = time.monotonic()
            while not self._stop.is_set():
                if body.pump(0.05):
                    now = time.monotonic()
                    self.longest_silence, last = max(self.longest_silence, now - last), now
                elif body.ended:
                    self.failures.append("the stream ended")
                    return

    def check(self, longest_wait=0.5, longest_silence=1.0):
        """Everything was answered, and soon."""
        assert not self.failures, self.failures[:5]
        assert len(self.waits) >= 10, "the bystander hardly asked"
        waits = sorted(self.waits)
        print(f"bystander: {len(waits)} requests, median {waits[len(waits) // 2] * 1000:.1f} ms, worst {waits[-1] * 1000:.0f} ms,"
              f" longest silence of its stream {self.longest_silence * 1000:.0f} ms")
        assert waits[-1] < longest_wait, f"a request took {waits[-1]:.2f} s"
        assert self.longest_silence < longest_silence, f"the stream was silent for {self.longest_silence:.2f} s"
