"""HTTP/2 byte by byte: frames and field blocks that a library would refuse to write, and a client that says what came back."""

import socket
import ssl
import time

import hpack

from .http2 import CONTEXT

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
PRIORITY_UPDATE = 16
END_STREAM = ACK = 1
END_HEADERS, PADDED, HAS_PRIORITY = 4, 8, 32
CODES = ("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR",
         "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED")


# Frames


def frame(kind, stream=0, payload=b"", flags=0, length=None) -> bytes:
    """A frame; `length` may be a lie."""
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def number(value) -> bytes:
    return value.to_bytes(4, "big")


def settings(*entries, stream=0, flags=0) -> bytes:
    return frame(SETTINGS, stream, b"".join(name.to_bytes(2, "big") + number(value) for name, value in entries), flags)


def data(stream, payload=b"", end=False, pad=None) -> bytes:
    return frame(DATA, stream, *padded(payload, pad, END_STREAM * end))


def padded(payload, pad, flags):
    """The payload and flags of a frame with so much padding; None for a frame without padding."""
    return (payload, flags) if pad is None else (bytes([pad]) + payload + bytes(pad), flags | PADDED)


def headers(stream, block, end=True, whole=True, pad=None, priority=b"") -> bytes:
    flags = END_STREAM * end | END_HEADERS * whole | HAS_PRIORITY * bool(priority)
    return frame(HEADERS, stream, *padded(priority + block, pad, flags))


def continuation(stream, block=b"", whole=True) -> bytes:
    return frame(CONTINUATION, stream, block, END_HEADERS * whole)


def reset(stream, code=8) -> bytes:
    return frame(RST_STREAM, stream, number(code))


def window_update(stream, increment) -> bytes:
    return frame(WINDOW_UPDATE, stream, number(increment))


def ping(octets=b"12345678", flags=0) -> bytes:
    return frame(PING, 0, octets, flags)


# Field blocks. Nothing is put into the table, and no text is compressed, unless a test writes the octets itself.


def integer(value, prefix=7, first=0) -> bytes:
    most = (1 << prefix) - 1
    if value < most:
        return bytes([first | value])
    rest, value = bytearray([first | most]), value - most
    while value >= 128:
        rest.append(value & 127 | 128)
        value >>= 7
    return bytes(rest) + bytes([value])


def text(octets) -> bytes:
    return integer(len(octets)) + octets


def literal(name, value, first=0x00) -> bytes:
    """A field as it is: not indexed; never indexed with `first` 0x10; put into the table with 0x40."""
    return bytes([first]) + text(name) + text(value)


def block(*fields) -> bytes:
    return b"".join(literal(name, value) for name, value in fields)


def request(path=b"/x", method=b"GET", scheme=b"http", authority=b"test.example") -> list:
    """The pseudo-fields of a request; what is None is left out."""
    pairs = ((b":method", method), (b":scheme", scheme), (b":authority", authority), (b":path", path))
    return [(name, value) for name, value in pairs if value is not None]


def get(stream, path=b"/x", *fields, end=True, method=b"GET") -> bytes:
    return headers(stream, block(*request(path, method), *fields), end)


def post(stream, path=b"/x", *fields) -> bytes:
    """The head of a request whose body follows."""
    return get(stream, path, *fields, end=False, method=b"POST")


class RawConnection:
    """A connection on which a test sends whatever it likes. What came stands in `frames`: (type, flags, stream, payload)."""

    def __init__(self, port, start=PREFACE + settings(), secured=False):
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = CONTEXT.wrap_socket(plain, server_hostname="localhost") if secured else plain
        self.frames, self.end, self.partial, self.pings = [], None, b"", 0
        self.decoder = hpack.Decoder()
        self.heads, self.bodies = {}, {}  # By stream: lists of fields, the payload of DATA.
        self.send(start)

    def send(self, octets, pieces=None):
        """Sends all of it, or in pieces of that size. The other side may have closed already."""
        try:
            for start in range(0, len(octets), pieces or max(len(octets), 1)):
                self.socket.sendall(octets[start: start + pieces] if pieces else octets)
        except OSError:
            pass

    def receive_once(self, timeout) -> bool:
        if self.end:
            return False
        self.socket.settimeout(timeout)
        try:
            octets = self.socket.recv(262144)
        except (socket.timeout, ssl.SSLWantReadError):
            return False
        except OSError as error:
            self.end = type(error).__name__
            return False
        if not octets:
            self.end = "fin"
        self.partial += octets
        while len(self.partial) >= 9 and len(self.partial) >= (size := 9 + int.from_bytes(self.partial[:3], "big")):
            self._take(self.partial[:size])
            self.partial = self.partial[size:]
        return True

    def _take(self, octets):
        kind, flags, stream, payload = octets[3], octets[4], int.from_bytes(octets[5:9], "big"), octets[9:]
        assert len(payload) <= 16_384 and stream < 1 << 31 and (stream == 0 or stream % 2 == 1), octets[:9]
        self.frames.append((kind, flags, stream, payload))
        if kind == HEADERS:
            assert flags & END_HEADERS, "the proxy's heads are short"
            self.heads.setdefault(stream, []).append(self.decoder.decode(payload, raw=True))
        elif kind == DATA:
            self.bodies[stream] = self.bodies.get(stream, b"") + payload

    def wait(self, condition, timeout=10, what="what was waited for"):
        deadline = time.monotonic() + timeout
        while not (found := condition()):
            remaining = deadline - time.monotonic()
            assert remaining > 0 and not self.end, f"{what} did not come ({self.end}): {self.outcome()} {self.frames[-6:]}"
            self.receive_once(remaining)
        return found

    def wait_for_end(self, timeout=10):
        deadline = time.monotonic() + timeout
        while not self.end and (remaining := deadline - time.monotonic()) > 0:
            self.receive_once(remaining)
        return self.end

    # What came

    def outcome(self) -> list:
        """All resets and GOAWAYs in their order: ("reset", stream, code) and ("goaway", last stream, code)."""
        found = []
        for kind, _, stream, payload in self.frames:
            if kind == RST_STREAM:
                found.append(("reset", stream, CODES[int.from_bytes(payload, "big")]))
            elif kind == GOAWAY:
                found.append(("goaway", int.from_bytes(payload[:4], "big"), CODES[int.from_bytes(payload[4:8], "big")]))
        return found

    def has_ended(self, stream) -> bool:
        return any(f[2] == stream and (f[0] == RST_STREAM or f[0] in (DATA, HEADERS) and f[1] & END_STREAM) for f in self.frames)

    def is_whole(self, stream) -> bool:
        return any(f[2] == stream and f[0] in (DATA, HEADERS) and f[1] & END_STREAM for f in self.frames)

    def status(self, stream) -> int:
        """The status of the final answer; None before it came."""
        found = [int(dict(head)[b":status"]) for head in self.heads.get(stream, ())]
        return next((status for status in found if status >= 200), None)

    # Steps of a test

    def is_alive(self) -> bool:
        """Sends PING and reads up to its answer or the end. What was sent before has been read by the proxy then."""
        self.pings += 1
        octets = b"alive" + self.pings.to_bytes(3, "big")
        self.send(ping(octets))
        answer = (PING, ACK, 0, octets)
        deadline = time.monotonic() + 10
        while answer not in self.frames and not self.end:
            assert time.monotonic() < deadline, f"neither an answer to PING nor an end: {self.frames[-6:]}"
            self.receive_once(deadline - time.monotonic())
        return answer in self.frames

    def ask(self, stream, path=b"/alive") -> bytes:
        """A whole request on that stream; returns the body of its answer."""
        self.send(get(stream, path))
        self.wait(lambda: self.has_ended(stream), what=f"the answer on stream {stream}")
        assert self.is_whole(stream) and self.status(stream) == 200, (self.outcome(), self.heads.get(stream))
        return self.bodies.get(stream, b"")

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
