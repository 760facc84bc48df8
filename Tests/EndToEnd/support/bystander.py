"""An ordinary client beside the trouble: it sends request after request, and its waiting time is measured.

The trouble keeps the whole machine busy, this process and its origin too. So each request through the proxy is followed by the same one
directly to the origin. The test judges how much longer most requests take through the proxy, and that every request is answered. A single
slow request may be the machine's fault."""

import threading
import time

from .client import Client, get


class Bystander:
    """In a `with`: requests on its own connections, through the proxy and directly, and one event stream that must go on."""

    def __init__(self, port, origin, stream_path="/tick"):
        self.port, self.origin_port, self.stream_path = port, origin.port, stream_path
        self.waits, self.waits_past, self.failures, self.longest_silence = [], [], [], 0.0
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
            self.waits.append(self._time(self.port))
            self.waits_past.append(self._time(self.origin_port))

    def _time(self, port):
        started = time.monotonic()
        try:
            response = get(port, "/quick")
            if response.body != b"ok":
                self.failures.append(f"{response.status} {response.body[:60]!r}")
        except (OSError, AssertionError) as error:
            self.failures.append(repr(error))
        return time.monotonic() - started

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

    def check(self, usual_wait=0.5, longest_wait=5.0, longest_silence=2.0):
        """Every request was answered, and nine of ten soon."""
        assert not self.failures, self.failures[:5]
        waits, past = sorted(self.waits), sorted(self.waits_past)
        print(f"bystander: {len(waits)} requests, median {waits[len(waits) // 2] * 1000:.1f} ms (past the proxy {past[len(past) // 2] * 1000:.1f}),"
              f" nine of ten within {share(waits) * 1000:.0f} ms ({share(past) * 1000:.0f}), worst {waits[-1] * 1000:.0f} ms ({past[-1] * 1000:.0f}),"
              f" longest silence of its stream {self.longest_silence * 1000:.0f} ms")
        assert len(waits) >= 5, "the bystander hardly asked"
        assert share(waits) < usual_wait + 2 * share(past), f"a tenth of the requests took more than {share(waits):.2f} s"
        assert waits[-1] < longest_wait + 2 * past[-1], f"a request took {waits[-1]:.2f} s"
        assert self.longest_silence < longest_silence + 2 * past[-1], f"the stream was silent for {self.longest_silence:.2f} s"


def share(waits, tenths=9):
    """Within which time so many tenths of the requests were answered."""
    return waits[min(len(waits) - 1, len(waits) * tenths // 10)]
