"""The rules for requests, over a real socket: what is refused, what passes, and what the upstream received.

A refused request is followed on the same connection by a complete GET /smuggled-behind-…: it must not be served,
and neither that nor the refused request may reach the upstream as a complete request.
"""

import itertools
import time

import pytest

from support.client import Client
from support.origin import Origin

numbers = itertools.count(1)
HOST = b"Host: test.example\r\n"


@pytest.fixture(scope="module")
def table(shared_stage):
    origin = shared_stage.origin(lambda connection, request: connection.respond(200, b"served"))
    return shared_stage.heartwire(origin), origin


def line(text: bytes) -> bytes:
    return text + b"\r\n" + HOST + b"\r\n"


def fields(text: bytes, method=b"GET", body=b"") -> bytes:
    return method + b" /{n} HTTP/1.1\r\n" + HOST + text + b"\r\n" + body


def chunked(body: bytes, extra=b"") -> bytes:
    return fields(b"Transfer-Encoding: chunked\r\n" + extra, b"POST", body)


REFUSED = {
    # The request line
    "version 2.0": (line(b"GET /{n} HTTP/2.0"), {400, 505}),
    "version 1.2": (line(b"GET /{n} HTTP/1.2"), {400, 505}),
    "version 0.9 spelled out": (line(b"GET /{n} HTTP/0.9"), {400, 505}),
    "http/0.9": (b"GET /{n}\r\n", {400}),
    "lower case version": (line(b"GET /{n} http/1.1"), {400, 505}),
    "version with more digits": (line(b"GET /{n} HTTP/1.10"), {400, 505}),
    "version with a leading zero": (line(b"GET /{n} HTTP/01.1"), {400, 505}),
    "blank behind the version": (line(b"GET /{n} HTTP/1.1 "), {400, 505}),
    "two blanks": (line(b"GET  /{n} HTTP/1.1"), {400}),
    "two blanks before the version": (line(b"GET /{n}  HTTP/1.1"), {400}),
    "tab instead of a blank": (line(b"GET\t/{n} HTTP/1.1"), {400}),
    "blank in the target": (line(b"GET /{n} x HTTP/1.1"), {400}),
    "blank before the method": (line(b" GET /{n} HTTP/1.1"), {400}),
    "no target": (line(b"GET HTTP/1.1"), {400}),
    "method that is no token": (line(b"G@T /{n} HTTP/1.1"), {400}),
    "NUL in the target": (line(b"GET /{n}\x00 HTTP/1.1"), {400}),
    "control character in the target": (line(b"GET /{n}\x01 HTTP/1.1"), {400}),
    "DEL in the target": (line(b"GET /{n}\x7f HTTP/1.1"), {400}),
    "bare CR in the target": (line(b"GET /{n}\rX HTTP/1.1"), {400}),
    "fragment in the target": (line(b"GET /{n}#frag HTTP/1.1"), {400}),
    "target without a slash": (line(b"GET {n} HTTP/1.1"), {400}),
    "star with GET": (line(b"GET * HTTP/1.1"), {400}),
    "connect": (b"CONNECT test.example:443 HTTP/1.1\r\n" + HOST + b"\r\n", {400, 405, 501}),
    "connect with a path": (line(b"CONNECT /{n} HTTP/1.1"), {400, 405, 501}),
    "absolute-form with an unknown scheme": (line(b"GET gopher://test.example/{n} HTTP/1.1"), {400}),
    "absolute-form with user info": (line(b"GET http://me@test.example/{n} HTTP/1.1"), {400}),
    "bare LF line ends": (b"GET /{n} HTTP/1.1\nHost: test.example\n\n", {400}),
    "bare LF after the request line": (b"GET /{n} HTTP/1.1\n" + HOST + b"\r\n", {400}),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x55" * 60, {400}),
    "an HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    # Fields
    "field without a colon": (fields(b"nonsense\r\n"), {400}),
    "blank before the colon": (fields(b"Name : x\r\n"), {400}),
    "tab before the colon": (fields(b"Name\t: x\r\n"), {400}),
    "blank before the colon of Content-Length": (fields(b"Content-Length : 3\r\n", b"POST", b"abc"), {400}),
    "empty field name": (fields(b": x\r\n"), {400}),
    "field name that is no token": (fields(b"Na(me: x\r\n"), {400}),
    "field name with raw UTF-8": (fields("Näme: x\r\n".encode()), {400}),
    "folded line": (fields(b"X: a\r\n b\r\n"), {400}),
    "folded line with a tab": (fields(b"X: a\r\n\tb\r\n"), {400}),
    "first line after the request line begins with a blank": (b"GET /{n} HTTP/1.1\r\n Host: x\r\n" + HOST + b"\r\n", {400}),
    "NUL in a value": (fields(b"X: a\x00b\r\n"), {400}),
    "bare CR in a value": (fields(b"X: a\rb\r\n"), {400}),
    "bare LF in a value": (fields(b"X: a\nY: b\r\n"), {400}),
    "CR CR LF": (fields(b"X: a\r\r\n"), {400}),
    "escape character in a value": (fields(b"X: \x1b[0m\r\n"), {400}),
    # Host
    "no Host": (b"GET /{n} HTTP/1.1\r\n\r\n", {400}),
    "two Hosts": (fields(HOST), {400}),
    "two different Hosts": (fields(b"hOST: other.example\r\n"), {400}),
    "Host with a path": (b"GET /{n} HTTP/1.1\r\nHost: a/b\r\n\r\n", {400}),
    "Host with user info": (b"GET /{n} HTTP/1.1\r\nHost: a@b\r\n\r\n", {400}),
    "Host with a blank": (b"GET /{n} HTTP/1.1\r\nHost: a b\r\n\r\n", {400}),
    "Host with a bad port": (b"GET /{n} HTTP/1.1\r\nHost: a:8x\r\n\r\n", {400}),
    "Host with too great a port": (b"GET /{n} HTTP/1.1\r\nHost: a:65536\r\n\r\n", {400}),
    "Host list": (b"GET /{n} HTTP/1.1\r\nHost: a, b\r\n\r\n", {400}),
    "Host with an open bracket": (b"GET /{n} HTTP/1.1\r\nHost: [::1\r\n\r\n", {400}),
    # Content-Length
    "Content-Length with a plus": (fields(b"Content-Length: +3\r\n", b"POST", b"abc"), {400}),
    "Content-Length with a minus": (fields(b"Content-Length: -3\r\n", b"POST", b"abc"), {400}),
    "Content-Length in hex": (fields(b"Content-Length: 0x3\r\n", b"POST", b"abc"), {400}),
    "Content-Length with a blank": (fields(b"Content-Length: 1 3\r\n", b"POST", b"abc"), {400}),
    "Content-Length with an underscore": (fields(b"Content-Length: 1_0\r\n", b"POST", b"0123456789"), {400}),
    "empty Content-Length": (fields(b"Content-Length:\r\n", b"POST"), {400}),
    "list of different lengths": (fields(b"Content-Length: 3, 4\r\n", b"POST", b"abc"), {400}),
    "two different lengths": (fields(b"Content-Length: 3\r\nContent-Length: 4\r\n", b"POST", b"abcd"), {400}),
    "length over 63 bits": (fields(b"Content-Length: 9223372036854775808\r\n", b"POST"), {400, 413}),
    "length over 64 bits": (fields(b"Content-Length: 18446744073709551617\r\n", b"POST", b"a"), {400, 413}),
    "length of a hundred digits": (fields(b"Content-Length: " + b"1" * 100 + b"\r\n", b"POST"), {400, 413}),
    # Transfer-Encoding
    "both lengths": (fields(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"POST", b"0\r\n\r\n"), {400}),
    "both lengths the other way round": (fields(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"POST", b"0\r\n\r\n"), {400}),
    "unknown coding": (fields(b"Transfer-Encoding: gzip\r\n", b"POST"), {400, 501}),
    "unknown coding before chunked": (fields(b"Transfer-Encoding: gzip, chunked\r\n", b"POST", b"0\r\n\r\n"), {400, 501}),
    "chunked is not last": (fields(b"Transfer-Encoding: chunked, gzip\r\n", b"POST", b"0\r\n\r\n"), {400, 501}),
    "chunked twice": (fields(b"Transfer-Encoding: chunked, chunked\r\n", b"POST", b"0\r\n\r\n"), {400, 501}),
    "chunked in two fields": (fields(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"POST", b"0\r\n\r\n"), {400, 501}),
    "identity": (fields(b"Transfer-Encoding: identity\r\n", b"POST"), {400, 501}),
    "empty Transfer-Encoding": (fields(b"Transfer-Encoding:\r\n", b"POST"), {400, 501}),
    "misspelt chunked": (fields(b"Transfer-Encoding: xchunked\r\n", b"POST", b"0\r\n\r\n"), {400, 501}),
    "chunked with a parameter": (fields(b"Transfer-Encoding: chunked;a=b\r\n", b"POST", b"0\r\n\r\n"), {400, 501}),
    "quoted chunked": (fields(b'Transfer-Encoding: "chunked"\r\n', b"POST", b"0\r\n\r\n"), {400, 501}),
    "chunked with a vertical tab": (fields(b"Transfer-Encoding: \x0bchunked\r\n", b"POST", b"0\r\n\r\n"), {400, 501}),
    "chunked with HTTP/1.0": (b"POST /{n} HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400, 501}),
    # Chunks
    "chunk size with 0x": (chunked(b"0x3\r\nabc\r\n0\r\n\r\n"), {400}),
    "chunk size with a plus": (chunked(b"+3\r\nabc\r\n0\r\n\r\n"), {400}),
    "negative chunk size": (chunked(b"-3\r\nabc\r\n0\r\n\r\n"), {400}),
    "blank before the chunk size": (chunked(b" 3\r\nabc\r\n0\r\n\r\n"), {400}),
    "underscore in the chunk size": (chunked(b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n"), {400}),
    "empty chunk size": (chunked(b"\r\nabc\r\n0\r\n\r\n"), {400}),
    "chunk size over 64 bits": (chunked(b"10000000000000003\r\nabc\r\n0\r\n\r\n"), {400, 413}),
    "chunk size of all ones": (chunked(b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n"), {400, 413, None}),
    "chunk line ended by LF": (chunked(b"3\nabc\r\n0\r\n\r\n"), {400}),
    "chunk data ended by LF": (chunked(b"3\r\nabc\n0\r\n\r\n"), {400}),
    "chunk data too long": (chunked(b"3\r\nabcd\r\n0\r\n\r\n"), {400}),
    "NUL in an extension": (chunked(b"3;a=\x00\r\nabc\r\n0\r\n\r\n"), {400}),
    "CR in an extension": (chunked(b"3;a=\rb\r\nabc\r\n0\r\n\r\n"), {400}),
    "LF in an extension": (chunked(b"3;a=\nb\r\nabc\r\n0\r\n\r\n"), {400}),
    "endless extension": (chunked(b"3;" + b"a" * 70000 + b"\r\nabc\r\n0\r\n\r\n"), {400, 413, 431}),
    "trailer without a colon": (chunked(b"3\r\nabc\r\n0\r\nnonsense\r\n\r\n"), {400}),
    "trailers without end": (chunked(b"3\r\nabc\r\n0\r\n" + b"X: y\r\n" * 20000 + b"\r\n"), {400, 413, 431}),
    # Limits
    "target over 8 KiB": (line(b"GET /{n}" + b"a" * 9000 + b" HTTP/1.1"), {414}),
    "head over 16 KiB": (fields(b"X: " + b"a" * 17000 + b"\r\n"), {431}),
    "more than 100 fields": (fields(b"X: a\r\n" * 101), {431}),
    "a very long field name": (fields(b"X" * 20000 + b": a\r\n"), {431}),
    "unknown expectation": (fields(b"Expect: a-miracle\r\nContent-Length: 3\r\n", b"POST", b"abc"), {417}),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("how", ["whole", "bytewise"])
def test_refused(table, name, how):
    raw, statuses = REFUSED[name]
    proxy, origin = table
    marker = b"case-%d" % next(numbers)
    raw = raw.replace(b"{n}", marker)
    follower = b"GET /smuggled-behind-" + marker + b" HTTP/1.1\r\nHost: test.example\r\n\r\n"
    if how == "bytewise" and len(raw) > 400:
        how = "in thirds"
    before = (len(origin.requests), len(origin.errors))
    with Client(proxy.port) as client:
        if how == "whole":
            client.send(raw + follower)
        else:
            step = 1 if how == "bytewise" else len(raw) // 3 + 1
            for start in range(0, len(raw), step):
                client.send(raw[start: start + step])
            client.send(follower)
        if None in statuses:
            client.receive_once(1.0)
            status = client.read_head().status if client._pending else None
        else:
            response = client.read_response()
            status = response.status
            assert status in statuses, f"{status} {response.body[:200]!r}, not one of {statuses}"
            assert b"close" in response.tokens("connection"), "a refusal has to say that the connection closes"
            client.wait_for_end(3)
            assert client.take() == b"", "something followed the refusal"
    assert status in statuses
    time.sleep(0.02)
    assert len(origin.errors) == before[1], origin.errors[before[1]:]
    assert len(origin.requests) == before[0], f"the upstream was served {origin.requests[before[0]:]}"
    assert b"/smuggled-behind-" + marker not in origin.everything_received()


def check(**expected):
    return expected


PASSED = {
    "empty lines before the request line": (b"\r\n\r\n" + line(b"GET /{n} HTTP/1.1"), check(target=b"/{n}")),
    "unknown method keeps its case": (line(b"pRopFind /{n} HTTP/1.1"), check(method=b"pRopFind")),
    "query byte for byte": (line(b"GET /{n}?a=%2f%2F&&b=c+d&%zz='()*;:@!$~ HTTP/1.1"), check(target=b"/{n}?a=%2f%2F&&b=c+d&%zz='()*;:@!$~")),
    "path byte for byte": (line(b"GET /{n}/../%2e%2e//a;b HTTP/1.1"), check(target=b"/{n}/../%2e%2e//a;b")),
    "absolute-form replaces Host": (b"GET http://other.example:81/{n}?q HTTP/1.1\r\nHost: test.example\r\n\r\n",
                                    check(target=b"/{n}?q", host=b"other.example:81")),
    "absolute-form in capitals": (b"GET HTTP://other.example/{n} HTTP/1.1\r\nHost: test.example\r\n\r\n", check(target=b"/{n}", host=b"other.example")),
    "options star": (b"OPTIONS * HTTP/1.1\r\nHost: test.example\r\nX-Case: {n}\r\n\r\n", check(target=b"*", method=b"OPTIONS")),
    "HTTP/1.0 without Host": (b"GET /{n} HTTP/1.0\r\n\r\n", check(target=b"/{n}", version=b"HTTP/1.1")),
    "Host with a port": (b"GET /{n} HTTP/1.1\r\nHost: A.example:8080\r\n\r\n", check(host=b"A.example:8080")),
    "Host in brackets": (b"GET /{n} HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", check(host=b"[2001:db8::1]:80")),
    "Host with an empty port": (b"GET /{n} HTTP/1.1\r\nHost: A.example:\r\n\r\n", check(host=b"A.example", fields={"x-forwarded-host": [b"A.example"]})),
    "absolute-form with an empty port": (b"GET http://A.example:/{n} HTTP/1.1\r\nHost: b\r\n\r\n", check(target=b"/{n}", host=b"A.example")),
    "an id that no field may hold": (fields(b"X-A: 1\r\nLast-Event-ID: a\x01b\x7f\r\nX-B: 2\r\n"),
                                     check(absent=["last-event-id"], fields={"x-a": [b"1"], "x-b": [b"2"]})),
    "no blank after the colon": (fields(b"X-A:b\r\n"), check(fields={"x-a": [b"b"]})),
    "blanks around the value": (fields(b"X-A: \t b c\t \r\n"), check(fields={"x-a": [b"b c"]})),
    "obs-text byte for byte": (fields("Last-Event-ID: žluť🐎".encode() + b"\xff\r\n"), check(fields={"last-event-id": ["žluť🐎".encode() + b"\xff"]})),
    "an id of 255 bytes": (fields(b"Last-Event-ID: " + b"i" * 255 + b"\r\n"), check(fields={"last-event-id": [b"i" * 255]})),
    "an id of 8 KiB": (fields(b"Last-Event-ID: " + b"i" * 8192 + b"\r\n"), check(fields={"last-event-id": [b"i" * 8192]})),
    "repeated fields stay apart and in order": (fields(b"X-A: 1\r\nX-B: 2\r\nX-A: 3\r\n"), check(fields={"x-a": [b"1", b"3"]})),
    "underscores and dots are no aliases": (fields(b"Content_Length: 7\r\nTransfer_Encoding: chunked\r\nHost_: x\r\n"), check(body=b"")),
    "a body with GET is a body": (fields(b"Content-Length: 5\r\n", b"GET", b"GET /"), check(method=b"GET", body=b"GET /")),
    "a body with DELETE is a body": (fields(b"Content-Length: 3\r\n", b"DELETE", b"abc"), check(body=b"abc")),
    "a chunked body with GET": (fields(b"Transfer-Encoding: chunked\r\n", b"GET", b"3\r\nabc\r\n0\r\n\r\n"), check(body=b"abc")),
    "chunked in capitals": (fields(b"Transfer-Encoding: CHUNKED\r\n", b"POST", b"A;x=\"y z\"\r\n0123456789\r\n000\r\n\r\n"), check(body=b"0123456789")),
    "leading zeros in Content-Length": (fields(b"Content-Length: 003\r\n", b"POST", b"abc"), check(body=b"abc")),
    "trailers are not merged": (chunked(b"1\r\na\r\n0\r\nX-Evil: 1\r\nContent-Length: 99\r\n\r\n"), check(body=b"a", absent=["x-evil", "content-length"])),
    "fields named in Connection": (fields(b"Connection: X-One, x-TWO\r\nX-One: 1\r\nX-two: 2\r\nX-three: 3\r\n"),
                                   check(absent=["x-one", "x-two"], fields={"x-three": [b"3"]})),
    "hop-by-hop fields": (fields(b"Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nTrailer: x\r\nProxy-Authorization: x\r\n"),
                          check(absent=["keep-alive", "proxy-connection", "trailer"])),
    "Connection cannot remove Host": (fields(b"Connection: host, close\r\n"), check(host=b"test.example")),
    "Connection cannot remove the length": (fields(b"Connection: content-length\r\nContent-Length: 3\r\n", b"POST", b"abc"), check(body=b"abc")),
    "Connection cannot remove the coding": (fields(b"Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n", b"POST", b"1\r\na\r\n0\r\n\r\n"), check(body=b"a")),
    "Connection cannot remove X-Forwarded-For": (fields(b"Connection: x-forwarded-for, X-Forwarded-Proto\r\n"), check(present=["x-forwarded-for", "x-forwarded-proto"])),
    "an h2c upgrade is not passed on": (fields(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"),
                                        check(absent=["upgrade", "http2-settings"])),
    "an Upgrade without Connection is dropped": (fields(b"Upgrade: websocket\r\n"), check(absent=["upgrade"])),
    "thirty Connection options": (fields(b"Connection: " + b",".join(b"x%d" % n for n in range(30)) + b"\r\n" + b"x7: a\r\n"), check(absent=["x7"])),
}


@pytest.mark.parametrize("name", PASSED)
@pytest.mark.parametrize("how", ["whole", "bytewise"])
def test_passed(table, name, how):
    raw, expected = PASSED[name]
    proxy, origin = table
    marker = b"case-%d" % next(numbers)
    raw = raw.replace(b"{n}", marker)
    before = len(origin.requests)
    with Client(proxy.port) as client:
        if how == "whole":
            client.send(raw)
        else:
            for start in range(0, len(raw), 1 if len(raw) < 400 else 100):
                client.send(raw[start: start + (1 if len(raw) < 400 else 100)])
        response = client.read_response()
        assert (response.status, response.body) == (200, b"served"), response.body
    request = origin.wait_for_requests(before + 1)[before]
    for part in ("method", "target", "version", "body"):
        if part in expected:
            wanted = expected[part]
            assert getattr(request, part) == wanted.replace(b"{n}", marker)
    if "host" in expected:
        assert request.value("host") == expected["host"]
    for field, values in expected.get("fields", {}).items():
        assert request.values(field) == values
    for field in expected.get("absent", ()):
        assert request.values(field) == [], f"{field} reached the upstream"
    for field in expected.get("present", ()):
        assert request.values(field), f"{field} did not reach the upstream"
    assert not set(request.tokens("connection")) - {b"keep-alive", b"close"}


@pytest.mark.parametrize("raw", [
    b"POST /short HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
    b"POST /short HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    b"POST /short HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    b"GET /short HTTP/1.1\r\nHost: a\r\n",
])
def test_a_request_that_ends_too_early_never_reaches_the_upstream_as_complete(table, raw):
    proxy, origin = table
    before = len(origin.requests)
    with Client(proxy.port) as client:
        client.send(raw)
        time.sleep(0.1)
    time.sleep(0.3)
    assert len(origin.requests) == before


def test_three_hundred_requests_on_one_connection_are_served_in_order(table):
    proxy, _ = table
    with Client(proxy.port) as client:
        client.send(b"".join(b"GET /pipelined/%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(300)))
        for _ in range(300):
            assert client.read_response().body == b"served"
    targets = [request.target for request in table[1].requests if request.target.startswith(b"/pipelined/")]
    assert targets == [b"/pipelined/%d" % n for n in range(300)]


def test_many_fields_cost_no_quadratic_time(stage):
    origin = stage.origin(lambda connection, request: connection.respond())
    proxy = stage.heartwire(origin, limits=["request_fields 1000", "request_head 256KiB"])
    raw = (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: " + b",".join(b"y%d" % n for n in range(20000)) + b"\r\n"
           + b"".join(b"x%d: a\r\n" % n for n in range(990)) + b"\r\n")
    before = proxy.processor_seconds()
    with Client(proxy.port) as client:
        client.send(raw)
        assert client.read_response().status in (200, 431)
    assert proxy.processor_seconds() - before < 1
