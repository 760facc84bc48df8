"""A raw client: it sends the test's bytes, and keeps what it receives with the time of arrival."""

import socket
import struct
import time

from .http_text import BodyDecoder, framing, parse_response


class Body:
    """A response body on its way: decoded bytes and the moment at which each piece came."""

    def __init__(self, client, decoder):
        self.client, self.decoder = client, decoder
        self.data = bytearray()
        self.pieces = []  # (monotonic seconds, decoded bytes)
        self._take(client.take())

    @property
    def complete(self) -> bool:
        """True when the body ended as its framing says it must; until-close bodies end with FIN."""
        return self.decoder.complete or (self.decoder.kind == "close" and self.client.end == "fin")

    @property
    def ended(self) -> bool:
        return self.complete or self.client.end is not None

    def _take(self, raw: bytes):
        decoded = self.decoder.feed(raw) if raw else b""
        if decoded:
            self.data += decoded
            self.pieces.append((time.monotonic(), decoded))
        if self.decoder.complete and self.decoder.rest:
            self.client.give_back(self.decoder.rest)
            self.decoder.rest = b""

    def pump(self, timeout: float) -> bool:
        """Receives once; False when nothing came in time or the body has ended."""
        if self.ended:
            return False
        got = self.client.receive_once(timeout)
        self._take(self.client.take())
        return got

    def collect(self, seconds: float):
        """Takes everything that comes within that time (or until the end) into `data`."""
        deadline = time.monotonic() + seconds
        while not self.ended and (left := deadline - time.monotonic()) > 0:
            self.pump(left)

    def wait_for(self, wanted, timeout: float = 15) -> bytes:
        """Receives until `wanted` (bytes, or a predicate on all bytes so far) is there."""
        is_there = wanted if callable(wanted) else (lambda data: wanted in data)
        deadline = time.monotonic() + timeout
        while not is_there(self.data):
            left = deadline - time.monotonic()
            assert left > 0 and not self.ended, (
                f"{wanted!r} did not come within {timeout} s; the body so far"
                f" ({'ended by ' + str(self.client.end) if self.ended else 'open'}) is {bytes(self.data[-400:])!r}")
            self.pump(left)
        return bytes(self.data)

    def read_to_end(self, timeout: float = 20) -> bytes:
        deadline = time.monotonic() + timeout
        while not self.ended:
            left = deadline - time.monotonic()
            assert left > 0, f"the body did not end within {timeout} s; so far {bytes(self.data[-400:])!r}"
            self.pump(left)
        return bytes(self.data)


class Client:
    """One connection to the proxy. Use it in a `with`."""

    def __init__(self, port, host="127.0.0.1", receive_buffer=None, timeout=15, source=None):
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.socket.bind((source, 0))
        self.socket.settimeout(timeout)
        self.end = None  # 'fin' or 'reset' once the proxy has closed.
        try:
            self.socket.connect((host, port))
        except ConnectionResetError:
            # The handshake was complete, and the proxy reset the connection before this process looked. (A refused one is another error.)
            self.end = "reset"
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.keep_bytes = True
        self._pending = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data: bytes):
        """Sends everything; a proxy that has already closed is no failure of the client."""
        try:
            self.socket.settimeout(30)
            self.socket.sendall(data)
        except (ConnectionError, BrokenPipeError):
            pass

    def get(self, path="/", fields="", version="1.1"):
        self.send(f"GET {path} HTTP/{version}\r\nHost: test.example\r\n{fields}\r\n".encode())

    def receive_once(self, timeout: float) -> bool:
        if self.end is not None:
            return False
        self.socket.settimeout(max(timeout, 0.0005))
        try:
            data = self.socket.recv(1 << 20)
        except (socket.timeout, BlockingIOError):
            return False
        except ConnectionError:
            self.end = "reset"
            return False
        if not data:
            self.end = "fin"
            return False
        if self.keep_bytes:
            self.received += data
        self._pending += data
        return True

    def take(self) -> bytes:
        data = bytes(self._pending)
        self._pending.clear()
        return data

    def give_back(self, data: bytes):
        self._pending[:0] = data

    def read_head(self, timeout: float = 15):
        """The next response head, an interim one too."""
        deadline = time.monotonic() + timeout
        while (end := self._pending.find(b"\r\n\r\n")) < 0:
            left = deadline - time.monotonic()
            assert left > 0, f"no response head within {timeout} s; so far {bytes(self._pending)!r}"
            assert self.end is None, f"the proxy closed ({self.end}) before a response head: {bytes(self._pending)!r}"
            self.receive_once(left)
        head = bytes(self._pending[: end + 4])
        del self._pending[: end + 4]
        return parse_response(head)

    def body(self, response, method="GET") -> Body:
        """The body that follows this head, by RFC 9112 section 6.3."""
        if method == "HEAD" or response.status in (204, 304) or response.status < 200:
            return Body(self, BodyDecoder("none"))
        kind, length = framing(response)
        return Body(self, BodyDecoder("close" if kind == "none" else kind, length))

    def read_response(self, method="GET", timeout: float = 20):
        """The next final response with its whole body; `complete` says whether it ended in good order."""
        response = self.read_head(timeout)
        while response.status < 200 and response.status != 101:
            response = self.read_head(timeout)
        body = self.body(response, method)
        response.body = body.read_to_end(timeout)
        response.complete = body.complete
        return response

    def open_stream(self, path="/", fields="", version="1.1", timeout: float = 15):
        """Asks for an event stream; returns the head and the live body."""
        self.get(path, "Accept: text/event-stream\r\n" + fields, version)
        response = self.read_head(timeout)
        return response, self.body(response)

    def wait_for_end(self, timeout: float = 15) -> str:
        """Waits until the proxy closes; returns 'fin' or 'reset'."""
        deadline = time.monotonic() + timeout
        while self.end is None:
            left = deadline - time.monotonic()
            assert left > 0, f"the proxy did not close within {timeout} s; pending {bytes(self._pending[-300:])!r}"
            self.receive_once(left)
        return self.end

    def close(self):
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def exchange(port, raw: bytes, method="GET", timeout: float = 20, host="127.0.0.1"):
    """One request on a connection of its own; returns the whole response."""
    with Client(port, host=host) as client:
        client.send(raw)
        return client.read_response(method, timeout)


def get(port, path="/", fields="", **options):
    """GET with a Host field on a connection of its own."""
    raw = f"GET {path} HTTP/1.1\r\nHost: test.example\r\n{fields}\r\n".encode()
    return exchange(port, raw, **options)
