"""HTTP/1.1 messages as text, parsed strictly and independently of Heartwire.

Used on both ends: by the scripted origin for what the proxy sent, by the raw client for what it answered.
Everything that is not clearly valid raises `Malformed`, so that errors of the proxy are found.
"""

import dataclasses
import re

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")


class Malformed(Exception):
    """The peer sent something that is not valid HTTP/1.1."""


@dataclasses.dataclass
class Message:
    """What requests and responses share."""
    fields: list
    body: bytes = b""

    def values(self, name: str) -> list:
        """All values of a field, in order."""
        wanted = name.lower().encode()
        return [value for field, value in self.fields if field.lower() == wanted]

    def value(self, name: str):
        """The one value of a field, or None. More than one is a failure of the test."""
        found = self.values(name)
        assert len(found) <= 1, f"{name} came {len(found)} times: {found}"
        return found[0] if found else None

    def tokens(self, name: str) -> list:
        """The members of a comma separated field, lower case."""
        return [part.strip().lower() for value in self.values(name) for part in value.split(b",") if part.strip()]


@dataclasses.dataclass
class Request(Message):
    method: bytes = b""
    target: bytes = b""
    version: bytes = b""
    head: bytes = b""
    trailers: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Response(Message):
    status: int = 0
    reason: bytes = b""
    version: bytes = b""
    head: bytes = b""
    complete: bool = False


def parse_fields(lines: list) -> list:
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.match(name):
            raise Malformed(f"field line {line!r}")
        value = value.strip(b" \t")
        if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise Malformed(f"control character in field line {line!r}")
        fields.append((name, value))
    return fields


def _lines(head: bytes) -> list:
    if not head.endswith(b"\r\n\r\n"):
        raise Malformed("a head without its end")
    lines = head[:-4].split(b"\r\n")
    for line in lines:
        if b"\r" in line or b"\n" in line:
            raise Malformed(f"bare CR or LF in {line!r}")
    return lines


def parse_request(head: bytes) -> Request:
    """Parses one request head, its final blank line included."""
    first, *rest = _lines(head)
    match = re.match(rb"(\S+) (\S+) (HTTP/1\.[01])\Z", first)
    if not match or not TOKEN.match(match[1]) or re.search(rb"[\x00-\x20\x7f]", match[2]):
        raise Malformed(f"request line {first!r}")
    request = Request(
        fields=parse_fields(rest), method=match[1], target=match[2], version=match[3], head=head)
    if len(request.values("host")) != 1:
        raise Malformed(f"{len(request.values('host'))} Host fields in {head!r}")
    return request


def parse_response(head: bytes) -> Response:
    """Parses one response head, its final blank line included."""
    first, *rest = _lines(head)
    match = re.match(rb"(HTTP/1\.[01]) (\d{3}) ([^\x00-\x08\x0a-\x1f\x7f]*)\Z", first)
    if not match:
        raise Malformed(f"status line {first!r}")
    return Response(
        fields=parse_fields(rest), version=match[1], status=int(match[2]), reason=match[3], head=head)


def framing(message: Message):
    """('none', 0), ('length', n) or ('chunked', 0); ambiguity is malformed (RFC 9112, 6.3)."""
    lengths, codings = message.values("content-length"), message.values("transfer-encoding")
    if lengths and codings:
        raise Malformed(f"both Content-Length {lengths} and Transfer-Encoding {codings}")
    if codings:
        if codings != [b"chunked"]:
            raise Malformed(f"Transfer-Encoding {codings}")
        return ("chunked", 0)
    if lengths:
        if len(lengths) != 1 or not re.match(rb"\d+\Z", lengths[0]):
            raise Malformed(f"Content-Length {lengths}")
        return ("length", int(lengths[0]))
    return ("none", 0)


class BodyDecoder:
    """Decodes a body piece by piece. `feed` returns the decoded bytes; `rest` is what came behind the end."""

    def __init__(self, kind: str, length: int = 0):
        self.kind, self.remaining = kind, length
        self.complete = kind == "none" or (kind == "length" and length == 0)
        self.rest = b""
        self.trailers = []
        self.chunk_sizes = []
        self._buffer = bytearray()
        self._state = "size"

    def feed(self, data: bytes) -> bytes:
        if self.complete:
            self.rest += data
            return b""
        if self.kind == "close":
            return data
        if self.kind == "length":
            taken = data[: self.remaining]
            self.remaining -= len(taken)
            self.complete = self.remaining == 0
            self.rest += data[len(taken):]
            return taken
        self._buffer += data
        return self._chunks()

    def _chunks(self) -> bytes:
        decoded = bytearray()
        while not self.complete:
            if self._state == "data":
                if not self.remaining:
                    if len(self._buffer) < 2:
                        break
                    if self._buffer[:2] != b"\r\n":
                        raise Malformed(f"chunk data is followed by {bytes(self._buffer[:2])!r}")
                    del self._buffer[:2]
                    self._state = "size"
                    continue
                if not self._buffer:
                    break
                taken = self._buffer[: self.remaining]
                del self._buffer[: len(taken)]
                self.remaining -= len(taken)
                decoded += taken
                continue
            end = self._buffer.find(b"\n")
            if end < 0:
                break
            line = bytes(self._buffer[: end + 1])
            del self._buffer[: end + 1]
            if not line.endswith(b"\r\n"):
                raise Malformed(f"chunk line {line!r}")
            self._line(line[:-2])
        if self.complete:
            self.rest += bytes(self._buffer)
            self._buffer.clear()
        return bytes(decoded)

    def _line(self, line: bytes):
        if self._state == "trailers":
            if line:
                self.trailers += parse_fields([line])
            else:
                self.complete = True
            return
        size = line.split(b";")[0]
        if not re.match(rb"[0-9A-Fa-f]{1,16}\Z", size):
            raise Malformed(f"chunk size line {line!r}")
        self.remaining = int(size, 16)
        self.chunk_sizes.append(self.remaining)
        self._state = "data" if self.remaining else "trailers"
