"""What a browser's `EventSource` does, for examples that are checked without a browser: Python's standard library only.

It comes back when its connection ends or breaks, with the id of the last whole event, and takes events apart as the standard says
(WHATWG HTML, 9.2). Two things are other than in browsers: it comes back sooner, and it gives up after a time.
"""

import http.client
import time
import typing
import urllib.parse


class Event(typing.NamedTuple):
    type: str
    data: str
    id: str


class Refused(Exception):
    """The answer was no event stream: a browser would not come back."""


class EventSource:
    def __init__(self, url: str, *, fields: dict | None = None, retry=0.3, limit=60.0, last_event_id=""):
        """`fields` go out with each request; `retry` is the pause before coming back; after `limit` seconds it is a TimeoutError."""
        self.address = urllib.parse.urlsplit(url)
        self.fields, self.retry, self.limit = fields or {}, retry, limit
        self.last_event_id = last_event_id
        self.connections = 0

    def events(self, connections=1 << 30):
        """Yields events, and None whenever a connection has ended or broken; ends after so many connections."""
        deadline = time.monotonic() + self.limit
        while self.connections < connections:
            if self.connections:
                time.sleep(self.retry)
            self.connections += 1
            yield from self._one_connection(deadline)
            yield None

    def _one_connection(self, deadline: float):
        connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=20)
        target = self.address.path + ("?" + self.address.query if self.address.query else "")
        resume = {"Last-Event-ID": self.last_event_id} if self.last_event_id else {}
        parser = Parser(self.last_event_id)
        try:
            connection.request("GET", target, headers={"Accept": "text/event-stream", **self.fields, **resume})
            response = connection.getresponse()
            if response.status != 200 or not response.getheader("Content-Type", "").startswith("text/event-stream"):
                raise Refused(f"{response.status} {response.getheader('Content-Type')}")
            while piece := response.read1(65536):
                for event in parser.feed(piece):
                    self.last_event_id = parser.last_event_id
                    yield event
                self.last_event_id = parser.last_event_id
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not at its end after {self.limit} s; the last event id is {self.last_event_id!r}")
        except (OSError, http.client.HTTPException) as problem:
            if isinstance(problem, TimeoutError) or time.monotonic() > deadline:
                raise
        finally:
            connection.close()


class Parser:
    """Events out of pieces of any size. A byte order mark, which no example sends, is not looked for."""

    def __init__(self, last_event_id: str):
        self.last_event_id = self._id = last_event_id
        self._rest, self._type, self._data = b"", "", []

    def feed(self, piece: bytes):
        lines = (self._rest + piece).replace(b"\r\n", b"\n").split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            field, _, value = line.decode("utf-8", "replace").partition(":")
            value = value.removeprefix(" ")
            if not line:
                self.last_event_id = self._id
                if self._data:
                    yield Event(self._type or "message", "\n".join(self._data), self._id)
                self._type, self._data = "", []
            elif field == "data":
                self._data.append(value)
            elif field == "event":
                self._type = value
            elif field == "id":
                self._id = value
