"""Responses of HTTP/1.1 on their way up to HTTP/2: what a server sends byte by byte, and the frames that come of it."""

import re

import pytest

from support.frames import (
    DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, RawConnection, block, data, get, headers, post, request, reset, window_update)
from test_http2_downgrade import EVIL, check_alive, numbers, table, upstream  # noqa: F401 (a fixture)


def response(*lines, body=b"", status=b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


LENGTH_2 = b"Content-Length: 2"
CODED = b"Transfer-Encoding: chunked"
WHOLE, CUT = [], [("reset", 1, "INTERNAL_ERROR")]

# What the server sends, how its connection goes on; status, fields, body and end for the client.
UPWARDS = {
    "names in lower case, values trimmed, in their order": (
        response(b"X-B:  \t1 2 \t", b"X-A:3", LENGTH_2, b"x-b: 4", body=b"ok"), "open", 200,
        [(b"x-b", b"1 2"), (b"x-a", b"3"), (b"x-b", b"4"), (b"content-length", b"2")], b"ok", WHOLE),
    "hop-by-hop fields": (
        response(b"Connection: keep-alive", b"Keep-Alive: timeout=5", b"Proxy-Connection: x", b"TE: trailers",
                 b"Upgrade: h2c", b"X: y", LENGTH_2, body=b"ok"),
        "open", 200, [(b"x", b"y"), (b"content-length", b"2")], b"ok", WHOLE),
    "fields that Connection names": (
        response(b"Connection: X-One, x-TWO, content-length", b"X-One: 1", b"x-two: 2", b"X-Three: 3", LENGTH_2, body=b"ok"),
        "open", 200, [(b"x-three", b"3"), (b"content-length", b"2")], b"ok", WHOLE),
    "the coding": (response(CODED, b"Trailer: X", body=b"2\r\nok\r\n0\r\nX: y\r\n\r\n"), "open", 200, [], b"ok", WHOLE),
    "cookies are never joined": (
        response(b"Set-Cookie: a=1", b"Set-Cookie: b=2", LENGTH_2, body=b"ok"), "open", 200,
        [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"content-length", b"2")], b"ok", WHOLE),
    "bytes over 0x7f, an empty value": (
        response(b"X: \xff\x80", b"Y:", LENGTH_2, body=b"ok"), "open", 200,
        [(b"x", b"\xff\x80"), (b"y", b""), (b"content-length", b"2")], b"ok", WHOLE),
    "an unusual status": (response(LENGTH_2, body=b"ok", status=b"299 "), "open", 299, [(b"content-length", b"2")], b"ok", WHOLE),
    "a body up to the end of its connection": (response(body=b"ok"), "close", 200, [], b"ok", WHOLE),
    "an empty body": (response(b"Content-Length: 0"), "open", 200, [(b"content-length", b"0")], b"", WHOLE),
    "204": (response(b"X: y", status=b"204 No"), "open", 204, [(b"x", b"y")], b"", WHOLE),
    "304 with a length": (response(LENGTH_2, status=b"304 No"), "open", 304, None, b"", WHOLE),
    "interim answers": (
        response(b"Link: </a>", status=b"103 Early") + response(b"Connection: x-a", b"X-A: 1", b"X-B: 2", status=b"103 Early")
        + response(LENGTH_2, body=b"ok"), "open", 200, [(b"content-length", b"2")], b"ok", WHOLE),
    # Cut
    "a length that is not reached": (response(b"Content-Length: 5", body=b"abc"), "close", 200, None, b"abc", CUT),
    "a length that is not reached, reset": (response(b"Content-Length: 5", body=b"abc"), "reset", 200, None, b"abc", CUT),
    "no body at all": (response(b"Content-Length: 5"), "close", 200, None, b"", CUT),
    "no last chunk": (response(CODED, body=b"3\r\nabc\r\n"), "close", 200, None, b"abc", CUT),
    "no end behind the last chunk": (response(CODED, body=b"3\r\nabc\r\n0\r\n"), "close", 200, None, b"abc", CUT),
    "a bad chunk": (response(CODED, body=b"3\r\nabc\r\nxyz\r\n"), "open", 200, None, b"abc", CUT),
    "a body up to a reset": (response(body=b"abc"), "reset", 200, None, b"abc", CUT),
    "an event stream that is cut": (
        response(b"Content-Type: text/event-stream", CODED, body=b"9\r\ndata: 1\n\n\r\n"), "close", 200, None, b"data: 1\n\n", CUT),
    # 502
    **{name: (raw, "close", 502, None, None, WHOLE) for name, raw in {
        "101 that nobody asked for": response(b"Connection: Upgrade", b"Upgrade: websocket", status=b"101 Switching"),
        "a pseudo-field": response(b":status: 200", LENGTH_2, body=b"ok"), "another pseudo-field": response(b":path: /", LENGTH_2, body=b"ok"),
        "an empty name": response(b": x", LENGTH_2, body=b"ok"), "a blank in a name": response(b"a b: x", LENGTH_2, body=b"ok"),
        "a byte over 0x7f in a name": response(b"\xc3\xa4: x", LENGTH_2, body=b"ok"),
        "NUL in a name": response(b"a\0b: x", LENGTH_2, body=b"ok"), "NUL in a value": response(b"a: x\0y", LENGTH_2, body=b"ok"),
        "CR in a value": response(b"a: x\ry", LENGTH_2, body=b"ok"), "CR in a name": response(b"a\rb: y", LENGTH_2, body=b"ok"),
        "LF in a value": response(b"a: x\ny", LENGTH_2, body=b"ok"), "a folded line": response(b"a: x", b" y", LENGTH_2, body=b"ok"),
        "a negative length": response(b"Content-Length: -2", body=b"ok"), "two lengths": response(LENGTH_2, b"Content-Length: 3", body=b"ok"),
        "a length and a coding": response(LENGTH_2, CODED, body=b"0\r\n\r\n"),
        "a status of two digits": response(LENGTH_2, body=b"ok", status=b"20 OK"),
        "a bad interim answer": response(b":status: 103", status=b"103 Early") + response(LENGTH_2, body=b"ok"), "no HTTP": b"hello\r\n\r\n",
        "nothing": b"",
    }.items()},
}
OURS = {b"date", b"via", b"server"}


@pytest.mark.parametrize("name", UPWARDS)
def test_a_response_goes_up(table, name):
    raw, ending, status, fields_expected, body, end = UPWARDS[name]
    path = b"/up-%d" % next(numbers)
    table.answers[path] = (raw, ending)
    with RawConnection(table.proxy.port) as client:
        client.send(get(1, path))
        client.wait(lambda: client.has_ended(1))
        assert client.is_alive()
        *interim, head = client.heads[1]
        assert client.outcome() == end and client.is_whole(1) == (end == WHOLE)
        assert client.status(1) == status and [name for name, _ in head].count(b":status") == 1
        if fields_expected is not None:
            assert [field for field in head[1:] if field[0] not in OURS] == fields_expected
        if body is not None:
            assert client.bodies.get(1, b"") == body
        if name == "interim answers":
            assert [[field for field in head if field[0] not in OURS] for head in interim] == [
                [(b":status", b"103"), (b"link", b"</a>")], [(b":status", b"103"), (b"x-b", b"2")]]
        else:
            assert not interim
        if body == b"" and end == WHOLE:
            # HEADERS with END_STREAM, and no empty DATA behind it.
            assert [(kind, flags) for kind, flags, stream, _ in client.frames if stream == 1] == [(HEADERS, END_STREAM | END_HEADERS)]
        # A second time where the server closed a kept connection without a word.
        assert table.seen() in [upstream(path=path) * times for times in ((1, 2) if raw == b"" else (1,))]
        check_alive(table, client)


@pytest.mark.parametrize("raw", [response(b"Content-Length: 5"), response(CODED), response(b"Content-Type: text/event-stream", CODED)])
def test_the_answer_to_head_ends_with_its_head(table, raw):
    path = b"/up-%d" % next(numbers)
    table.answers[path] = (raw, "open")
    with RawConnection(table.proxy.port) as client:
        client.send(get(1, path, method=b"HEAD"))
        client.wait(lambda: client.has_ended(1))
        assert client.is_alive() and [f[:2] for f in client.frames if f[2] == 1] == [(HEADERS, END_STREAM | END_HEADERS)]
        assert dict(client.heads[1][0]).get(b"content-length") == (b"5" if b"Length" in raw else None)
        assert table.seen() == upstream(b"HEAD", path)


@pytest.mark.parametrize("fields_of_length", [[], [(b"content-length", b"100000")]])
def test_an_early_answer_is_whole_before_the_request_is_stopped(table, fields_of_length):
    path = b"/up-%d" % next(numbers)
    table.answers[path] = (response(LENGTH_2, body=b"no", status=b"403 Forbidden"), "open")
    with RawConnection(table.proxy.port) as client:
        client.send(post(1, path, *fields_of_length) + data(1, b"x" * 100))
        client.wait(lambda: client.outcome())
        ours = [frame for frame in client.frames if frame[2] == 1]
        assert [kind for kind, *_ in ours] == [HEADERS, DATA, RST_STREAM] and ours[1][1:] == (END_STREAM, 1, b"no")
        assert client.outcome() == [("reset", 1, "NO_ERROR")] and client.status(1) == 403
        # What was on its way is no fault.
        client.send(data(1, b"x" * 1000) + data(1, b"", end=True) + window_update(1, 1))
        assert client.is_alive() and len(client.outcome()) == 1
        table.seen()
        for connection in table.grown:
            connection.wait_until_gone()
        check_alive(table, client)


def test_a_websocket_goes_down_as_an_upgrade_and_its_answer_comes_up_without_one(table):
    table.answers[b"/chat"] = (
        response(b"Upgrade: websocket", b"Connection: Upgrade, X-Hop", b"X-Hop: 1", b"Sec-WebSocket-Accept: x", b"Sec-WebSocket-Protocol: chat",
                 status=b"101 Switching")
        + b"from the server", "never")
    with RawConnection(table.proxy.port) as client:
        client.send(headers(1, block(
            *request(b"/chat", b"CONNECT"), (b":protocol", b"websocket"), (b"sec-websocket-version", b"13"),
            (b"sec-websocket-key", b"chosen")), end=False))
        client.wait(lambda: client.bodies.get(1) == b"from the server")
        head = client.heads[1][0]
        assert head[0] == (b":status", b"200") and {name for name, _ in head[1:]} - OURS == {b"sec-websocket-protocol"}
        client.send(data(1, b"from the client") + data(1, EVIL))
        assert client.is_alive()
        seen = table.seen()
        head, _, tunnelled = seen.partition(b"\r\n\r\n")
        key = re.search(rb"\r\nsec-websocket-key: ([A-Za-z0-9+/]{22}==)\r\n", head)[1]
        assert head + b"\r\n\r\n" == upstream(
            path=b"/chat", fields=b"sec-websocket-key: " + key + b"\r\nsec-websocket-version: 13\r\n",
            framing=b"Connection: upgrade\r\nUpgrade: websocket\r\n"), head.decode()
        assert tunnelled == b"from the client" + EVIL
        client.send(reset(1))
        for connection in table.grown:
            connection.wait_until_gone()
        check_alive(table, client)


@pytest.mark.parametrize("is_last", [True, False])
def test_a_tunnel_has_no_trailers(table, is_last):
    table.answers[b"/chat"] = (response(b"Upgrade: websocket", b"Connection: Upgrade", status=b"101 Switching"), "never")
    with RawConnection(table.proxy.port) as client:
        client.send(headers(1, block(*request(b"/chat", b"CONNECT"), (b":protocol", b"websocket")), end=False))
        client.wait(lambda: client.status(1))
        client.send(headers(1, block((b"a", b"b")), end=is_last))
        assert client.is_alive() and client.outcome() == [("reset", 1, "PROTOCOL_ERROR")]
        assert table.seen().count(b"\r\n\r\n") == 1
        for connection in table.grown:
            connection.wait_until_gone()
        check_alive(table, client)
