"""Requests of HTTP/2 on their way down to HTTP/1.1, and responses on their way up, attacked with raw frames.

What the server saw is compared byte by byte. Of a request that is refused it saw nothing, and the connection goes on.
"""

import itertools
import select
import time

import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

from support.frames import RawConnection, block, data, get, headers, integer, literal, post, request, reset, window_update

HOST = b"test.example"
HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
EVIL = b"x\r\nX-Evil: 1\r\n\r\nGET /evil HTTP/1.1\r\nHost: evil\r\n\r\n"


class Table:
    """The proxy, and the server behind it whose received bytes are taken case by case."""

    def __init__(self, stage):
        self.answers, self.taken = {}, {}
        self.origin = stage.origin(self.serve, raw=True)
        self.proxy = stage.heartwire(self.origin, listen="protocols h2", timeouts="request_body 20s", upstream="response_timeout 20s")

    def serve(self, connection):
        while not connection.closed:
            request = connection.read_request(with_body=False)
            raw, ending = self.answers.get(request.target, (None, None))
            if raw is None:
                connection.read_body(request)
                connection.respond(200, b"" if request.method == b"HEAD" else b"served")
                continue
            connection.send(raw)
            if ending == "close":
                connection.close()
            elif ending == "reset":
                time.sleep(0.02)
                connection.reset()
            elif ending == "never":
                connection.wait_until_left(20)
                return

    def seen(self) -> bytes:
        """What the server received since the last call. Those of its connections are in `grown` on which something came."""
        for _ in range(2):
            self._let_the_server_read()
            time.sleep(0.001)
        new, self.grown = b"", []
        for connection in list(self.origin.connections):
            octets = bytes(connection.received)
            if len(octets) > self.taken.get(connection.number, 0):
                new += octets[self.taken.get(connection.number, 0):]
                self.taken[connection.number] = len(octets)
                self.grown.append(connection)
        return new

    def _let_the_server_read(self):
        deadline = time.monotonic() + 5
        while True:
            waiting = [connection.socket for connection in list(self.origin.connections) if not (connection.closed or connection.left_how)]
            try:
                if not select.select([self.origin.listener, *waiting], [], [], 0)[0]:
                    return
            except ValueError:
                pass  # Closed between the two lines.
            assert time.monotonic() < deadline, "the server does not read"
            time.sleep(0.001)


@pytest.fixture(scope="module")
def table(shared_stage):
    return Table(shared_stage)


numbers = itertools.count(1)


def upstream(method=b"GET", path=b"/x", host=HOST, fields=b"", body=b"", framing=b"") -> bytes:
    """What the server has to see."""
    return (method + b" " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n" + fields
            + b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: " + host + b"\r\nVia: 2 heartwire\r\n"
            + framing + b"\r\n" + body)


def check_alive(table, client):
    """Another stream of the connection works, and between this and the last look the server saw this request and nothing else."""
    path = b"/after-%d" % next(numbers)
    assert client.ask(1_000_001, path) == b"served"
    assert table.seen() == upstream(path=path)


CHUNKED = b"Transfer-Encoding: chunked\r\n"
FIVE = upstream(b"POST", framing=b"Content-Length: 5\r\n", body=b"hello")
THREE = upstream(b"POST", framing=b"Content-Length: 3\r\n", body=b"abc")
PATH = b"/a/../%2e%2E//b;c?d=e&&f='()*:@!$~,+%0d%0aX:%20y%00"


PASSED = {
    "a plain request": (get(1), upstream()),
    "pseudo-fields in any order": (headers(1, block(*reversed(request()))), upstream()),
    "a method in any letters": (get(1, method=b"pRopFind"), upstream(b"pRopFind")),
    "a path as it is": (get(1, PATH), upstream(path=PATH)),
    "OPTIONS *": (get(1, b"*", method=b"OPTIONS"), upstream(b"OPTIONS", b"*")),
    "the authority is Host, and replaces one that means the same": (
        headers(1, block(*request(authority=b"A.example:80"), (b"host", b"a.EXAMPLE"))), upstream(host=b"A.example:80")),
    "Host without an authority": (headers(1, block(*request(authority=None), (b"host", b"b.example:81"))), upstream(host=b"b.example:81")),
    "an authority in brackets": (headers(1, block(*request(authority=b"[2001:db8::1]:8080"))), upstream(host=b"[2001:db8::1]:8080")),
    "a scheme in capitals": (headers(1, block(*request(scheme=b"HTTP"))), upstream()),
    "fields in their order": (get(1, b"/x", (b"b", b"1"), (b"a", b"2"), (b"b", b"3")), upstream(fields=b"b: 1\r\na: 2\r\nb: 3\r\n")),
    "values as they are": (
        get(1, b"/x", (b"a", b"x \t y"), (b"b", b""), (b"c", b"\xff\x80"), (b"d", b'"q", :\\')),
        upstream(fields=b'a: x \t y\r\nb: \r\nc: \xff\x80\r\nd: "q", :\\\r\n')),
    "every character of a token": (get(1, b"/x", (b"!#$%&'*+-.^_`|~09az", b"1")), upstream(fields=b"!#$%&'*+-.^_`|~09az: 1\r\n")),
    "names that only look like others": (
        get(1, b"/x", (b"content_length", b"7"), (b"transfer_encoding", b"chunked"), (b"connection_", b"x")),
        upstream(fields=b"content_length: 7\r\ntransfer_encoding: chunked\r\nconnection_: x\r\n")),
    "cookies are joined where the first stands": (
        get(1, b"/x", (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2"), (b"cookie", b""), (b"z", b"w"), (b"cookie", b"c=3")),
        upstream(fields=b"cookie: a=1; b=2; c=3\r\nx: y\r\nz: w\r\n")),
    "te goes no further": (get(1, b"/x", (b"te", b"trailers")), upstream()),
    "http2-settings and the like go no further": (
        get(1, b"/x", (b"http2-settings", b"AAMAAABk"), (b"a", b"b")), upstream(fields=b"a: b\r\n")),
    "a priority goes on": (get(1, b"/x", (b"priority", b"u=1, i")), upstream(fields=b"priority: u=1, i\r\n")),
    "a field that is never indexed": (
        headers(1, block(*request()) + literal(b"a", b"b", 0x10)), upstream(fields=b"a: b\r\n")),
    "a field out of the table, twice": (
        headers(1, block(*request()) + literal(b"a", b"b", 0x40) + b"\xbe\xbe"), upstream(fields=b"a: b\r\na: b\r\na: b\r\n")),
    "GET without a body": (get(1, b"/x", (b"content-length", b"0")), upstream(framing=b"Content-Length: 0\r\n")),
    "POST without a body": (get(1, method=b"POST"), upstream(b"POST")),
    "a body of a known length": (
        post(1, b"/x", (b"content-length", b"5")) + data(1, b"he", pad=9) + data(1, b"llo", end=True), FIVE),
    "a body of a known length whose end comes alone": (
        post(1, b"/x", (b"content-length", b"5")) + data(1, b"hello") + data(1, end=True), FIVE),
    "a length with zeros in front": (post(1, b"/x", (b"content-length", b"005")) + data(1, b"hello", end=True), FIVE),
    "a body of an unknown length": (post(1) + data(1, b"hello", end=True), upstream(b"POST", framing=CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n")),
    "a body that looks like a request": (
        post(1) + data(1, b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n", end=True),
        upstream(b"POST", framing=CHUNKED, body=b"17\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n\r\n0\r\n\r\n")),
    "an empty body of an unknown length": (post(1) + data(1, end=True), upstream(b"POST", framing=CHUNKED, body=b"0\r\n\r\n")),
    "a GET with a body": (get(1, end=False) + data(1, b"abc", end=True), upstream(framing=CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n")),
    "trailers do nothing": (
        post(1) + data(1, b"abc")
        + headers(1, block((b"content-length", b"99"), (b"host", b"evil"), (b"authorization", b"x"), (b"cookie", b"a=b"))),
        upstream(b"POST", framing=CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n")),
    "trailers behind a known length": (
        post(1, b"/x", (b"content-length", b"3")) + data(1, b"abc") + headers(1, block((b"a", b"b"))), THREE),
    "X-Forwarded of a stranger": (
        get(1, b"/x", (b"x-forwarded-for", b"1.2.3.4"), (b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"evil"), (b"via", b"2 other")),
        upstream().replace(b"Via: 2 heartwire", b"Via: 2 other\r\nVia: 2 heartwire")),
    "an expectation": (
        post(1, b"/x", (b"expect", b"100-continue"), (b"content-length", b"3")) + data(1, b"abc", end=True),
        upstream(b"POST", framing=b"Expect: 100-continue\r\nContent-Length: 3\r\n", body=b"abc")),
    "an id with a control character": (get(1, b"/x", (b"last-event-id", b"a\x01b"), (b"a", b"b")), upstream(fields=b"a: b\r\n")),
}


@pytest.mark.parametrize("name", PASSED)
def test_a_request_goes_down_byte_by_byte(table, name):
    octets, expected = PASSED[name]
    with RawConnection(table.proxy.port) as client:
        client.send(octets)
        client.wait(lambda: client.is_whole(1))
        assert client.status(1) == 200, client.heads
        seen = table.seen()
        assert seen == expected, seen.decode("latin-1")
        check_alive(table, client)


# Requests that are refused


def fields(*extra, **pseudo) -> bytes:
    return headers(1, block(*request(**pseudo), *extra))


def huffman(octets) -> bytes:
    encoded = HUFFMAN.encode(octets)
    return integer(len(encoded), first=0x80) + encoded


def bytes_in(template, octets) -> list:
    return [(octet, template.replace(b"?", bytes([octet]))) for octet in octets]


NO_NAME = [*range(0x21), *range(0x41, 0x5b), *range(0x7f, 0x100), *b'"(),/:;<=>?@[\\]{}']

MALFORMED = {
    # Pseudo-fields (8.3)
    **{f"no {name.decode()}": headers(1, block(*[field for field in request() if field[0] != name]))
       for name in (b":method", b":scheme", b":path")},
    **{f"{name.decode()} twice": fields((name, value)) for name, value in request()},
    "two paths that differ": fields((b":path", b"/y")),
    **{f"a field before {name.decode()}": headers(1, block(*[field for field in request() if field[0] != name], (b"a", b"b"), (name, value)))
       for name, value in request()},
    **{f"the pseudo-field {name!r}": fields((name, b"x"))
       for name in (b":status", b":PATH", b":Method", b":", b":path ", b"::path", b":unknown")},
    "no pseudo-field at all": headers(1, block((b"a", b"b"))),
    "no field at all": headers(1, b""),
    # Names and values (8.2.1)
    "an empty name": fields((b"", b"x")),
    **{f"0x{octet:02x} in a name": fields((name, b"x")) for octet, name in bytes_in(b"a?b", NO_NAME)},
    **{f"0x{octet:02x} in front of a name": fields((name, b"x")) for octet, name in bytes_in(b"?a", b"\0\t\n\r A\x80")},
    **{f"0x{octet:02x} behind a name": fields((name, b"x")) for octet, name in bytes_in(b"a?", b"\0\t\n\r :A\x80")},
    **{f"0x{octet:02x} in a value": fields((b"a", value)) for octet, value in bytes_in(b"x?y", b"\0\n\r")},
    **{f"0x{octet:02x} in front of a value": fields((b"a", value)) for octet, value in bytes_in(b"?x", b"\0\n\r\t ")},
    **{f"0x{octet:02x} behind a value": fields((b"a", value)) for octet, value in bytes_in(b"x?", b"\0\n\r\t ")},
    "a blank alone": fields((b"a", b" ")),
    **{f"a second request in {name}": fields(**{name: EVIL}) for name in ("method", "scheme", "authority", "path")},
    "a second request in a value": fields((b"a", EVIL)), "a second request in a cookie": fields((b"cookie", EVIL)),
    "a second request in a name": fields((b"a: " + EVIL.lower(), b"b")), "a second request in Host": fields((b"host", EVIL), authority=None),
    "a second request in Huffman text": headers(1, block(*request()) + b"\0\1a" + huffman(EVIL)),
    "a capital in Huffman text": headers(1, block(*request()) + b"\0" + huffman(b"Abc") + b"\1x"),
    # Fields of a connection (8.2.2)
    **{f"{name.decode()}: {value.decode()}": fields((name, value)) for name, value in (
        (b"connection", b"close"), (b"connection", b"a"), (b"connection", b""), (b"proxy-connection", b"keep-alive"),
        (b"keep-alive", b"timeout=5"),
        (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"identity"), (b"upgrade", b"websocket"), (b"te", b"gzip"),
        (b"te", b"trailers, gzip"), (b"te", b""))},
    "te twice": fields((b"te", b"trailers"), (b"te", b"trailers")),
    "chunked before a body": post(1, b"/x", (b"transfer-encoding", b"chunked")) + data(1, b"0\r\n\r\n" + EVIL, end=True),
    # Lengths (8.1.1)
    **{f"the length {length!r}": post(1, b"/x", (b"content-length", length)) + data(1, b"abc", end=True)
       for length in (b"+3", b"-3", b"0x3", b"3,3", b"3.0", b"", b"3 3", b"9223372036854775808", b"36893488147419103235", b"\xd9\xa3")},
    "two lengths": fields((b"content-length", b"0"), (b"content-length", b"0")),
    "a length and no body": fields((b"content-length", b"3")),
    # Hosts (8.3.1), CONNECT (8.5), :protocol (RFC 8441)
    "another Host": fields((b"host", b"evil.example")), "another port in Host": fields((b"host", b"test.example:81")),
    "the other scheme's port in Host": fields((b"host", b"test.example:443")),
    "PRI": fields(method=b"PRI"), "CONNECT with a path": fields(method=b"CONNECT"),
    "CONNECT with a scheme": fields(method=b"CONNECT", path=None),
    "CONNECT without an authority": fields(method=b"CONNECT", scheme=None, path=None, authority=None),
    ":protocol with GET": headers(1, block(*request(), (b":protocol", b"websocket"))),
    ":protocol twice": headers(1, block(*request(method=b"CONNECT"), (b":protocol", b"websocket"), (b":protocol", b"websocket")), end=False),
    "a tunnel without a path": headers(1, block(*request(method=b"CONNECT", path=None), (b":protocol", b"websocket")), end=False),
    "a tunnel with a length": headers(1, block(*request(method=b"CONNECT"), (b":protocol", b"websocket"), (b"content-length", b"5")), end=False),
}

REFUSED = {
    **{f"the authority {host!r}": (fields(authority=host), {400}) for host in (
        b"", b"user@test.example", b"user:secret@test.example", b"a b", b"a/b", b"a?b", b"a#b", b"a\\b", b"a,b",
        b"a:x", b"a:80:80", b"[::1", b"a\tb")},
    **{f"the path {path!r}": (fields(path=path), {400}) for path in (
        b"", b"x", b"http://test.example/", b"https://evil.example/x", b"*", b"/a b", b"/a\tb", b"/a#b",
        b"/\x7f", b"/\x01", b"?x", b"/a\x0bb")},
    **{f"the method {method!r}": (fields(method=method), {400})
       for method in (b"", b"G T", b"GET /evil HTTP/1.1", b"G@T", b"G\xc3\xa9T", b"GET:")},
    "https without TLS": (fields(scheme=b"https"), {400, 421}), "another scheme": (fields(scheme=b"ftp"), {400, 421}),
    "an empty scheme": (fields(scheme=b""), {400, 421}),
    "a scheme with a slash": (fields(scheme=b"http://evil.example/?"), {400, 421}),
    "neither an authority nor Host": (fields(authority=None), {400}),
    "two Hosts": (fields((b"host", HOST), (b"host", HOST), authority=None), {400}),
    "two Hosts beside an authority": (fields((b"host", HOST), (b"host", HOST)), {400}),
    "a bad Host": (fields((b"host", b"a/b"), authority=None), {400}),
    **{f"0x{octet:02x} in a value": (fields((b"a", value)), {400}) for octet, value in bytes_in(b"x?y", b"\x01\x0b\x1b\x7f")},
    "CONNECT": (fields(method=b"CONNECT", scheme=None, path=None), {405, 501}),
    "a tunnel of another protocol": (headers(1, block(*request(method=b"CONNECT"), (b":protocol", b"connect-udp")), end=False), {400, 405, 501}),
    "an expectation that nobody knows": (fields((b"expect", b"a-miracle")), {417}),
}


def check_refused(table, octets, pieces, check):
    with RawConnection(table.proxy.port) as client:
        client.send(octets, pieces)
        client.wait(lambda: client.has_ended(1))
        check(client)
        check_alive(table, client)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_reset_and_the_server_sees_nothing(table, name):
    def check(client):
        assert client.outcome() == [("reset", 1, "PROTOCOL_ERROR")] and not client.heads

    for pieces in (None, 1):
        check_refused(table, MALFORMED[name], pieces, check)


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_no_server_may_see_is_answered(table, name):
    def check(client):
        assert client.status(1) in REFUSED[name][1], client.heads
        assert client.outcome() in ([], [("reset", 1, "NO_ERROR")])

    for pieces in (None, 1):
        check_refused(table, REFUSED[name][0], pieces, check)


def test_a_field_that_was_refused_once_is_refused_out_of_the_table_too(table):
    for evil in (literal(b"a", b"x\r\ny: z", 0x40), literal(b"Upper", b"x", 0x40), literal(b"connection", b"close", 0x40)):
        with RawConnection(table.proxy.port) as client:
            client.send(headers(1, block(*request()) + evil))
            for stream in (3, 5):
                client.send(headers(stream, block(*request()) + b"\xbe"))
            # Its name with another value.
            client.send(headers(7, block(*request()) + b"\x7e\1x"))
            client.wait(lambda: client.has_ended(7))
            bad = (1, 3, 5) if evil[2:3] == b"a" else (1, 3, 5, 7)
            assert client.outcome() == [("reset", stream, "PROTOCOL_ERROR") for stream in bad]
            assert table.seen() == (upstream(fields=b"a: x\r\n") if 7 not in bad else b"")
            check_alive(table, client)


# Bodies that are not what was said


def unfinished(*pieces, length=None, trailers=None, ends=True) -> list:
    """The frames of a request for a path that is not answered before its end."""
    frames_of_body = [data(1, piece, end=ends and trailers is None and at == len(pieces) - 1) for at, piece in enumerate(pieces)]
    fields_of_length = [] if length is None else [(b"content-length", length)]
    return [post(1, b"/hold", *fields_of_length), *frames_of_body, *([] if trailers is None else [headers(1, block(*trailers), end=ends)])]


BROKEN_OFF = {
    "too little": (unfinished(b"abc", length=b"10"), b""),
    "too little, then trailers": (unfinished(b"abc", length=b"10", trailers=[(b"a", b"b")]), b"abc"),
    "nothing": (unfinished(b"", length=b"10"), b""),
    "too much": (unfinished(b"abcd", length=b"3"), b""),
    "too much in a second frame": (unfinished(b"abc", EVIL, length=b"3"), b"abc"),
    "too much in a frame that does not end": (unfinished(b"ab", EVIL, length=b"3", ends=False), b"ab"),
    "a body although none was announced": (unfinished(EVIL, length=b"0"), b""),
    "bad trailers": (unfinished(b"abc", trailers=[(b"A", b"b")]), b"3\r\nabc\r\n"),
    "a line end in trailers": (unfinished(b"abc", trailers=[(b"a", EVIL)]), b"3\r\nabc\r\n"),
    "a pseudo-field in trailers": (unfinished(b"abc", trailers=[(b":path", b"/evil")]), b"3\r\nabc\r\n"),
    "a field of a connection in trailers": (unfinished(b"abc", trailers=[(b"transfer-encoding", b"chunked")]), b"3\r\nabc\r\n"),
    "trailers that do not end": (unfinished(b"abc", trailers=[(b"a", b"b")], ends=False), b"3\r\nabc\r\n"),
    "a reset": ([*unfinished(b"abc", ends=False), reset(1)], b"3\r\nabc\r\n"),
    "a fault of the stream": ([*unfinished(b"abc", length=b"10", ends=False), window_update(1, 0)], b"abc"),
}


@pytest.mark.parametrize("name", BROKEN_OFF)
@pytest.mark.parametrize("how", ["at once", "frame by frame"])
def test_a_body_that_breaks_off_is_never_whole_and_its_connection_is_not_used_again(table, name, how):
    octets, most = BROKEN_OFF[name]
    table.answers[b"/hold"] = (b"", "never")
    with RawConnection(table.proxy.port) as client:
        seen, broken = b"", []
        for step in [b"".join(octets)] if how == "at once" else octets:
            client.send(step)
            assert client.is_alive()
            seen += table.seen()
            broken += table.grown
        assert client.outcome() == ([] if name == "a reset" else [("reset", 1, "PROTOCOL_ERROR")]) and not client.heads
        head, _, body = seen.partition(b"\r\n\r\n")
        assert most.startswith(body) and b"evil" not in seen.lower() and (not seen or head.startswith(b"POST /hold HTTP/1.1\r\n")), seen
        assert body == most or how == "at once"
        for connection in broken:
            connection.wait_until_gone()
        check_alive(table, client)
        assert not set(broken) & set(table.grown)
