"""The rules for responses, over a real socket: raw upstream bytes in, 502 or a visibly broken body out."""

import itertools
import time

import pytest

from support.client import Client, get

numbers = itertools.count(1)
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(scope="module")
def table(shared_stage):
    """A proxy whose upstream answers each path with the raw bytes registered for it, then closes."""
    answers = {}

    def handler(connection, request):
        raw, ending = answers[request.target.decode()]
        connection.send(raw)
        if ending == "close":
            connection.close()
        elif ending == "reset":
            time.sleep(0.05)
            connection.reset()
    origin = shared_stage.origin(handler)
    return shared_stage.heartwire(origin, upstream="response_timeout 2s"), origin, answers


BAD = {
    "no HTTP at all": b"hello\r\n\r\n",
    "nothing at all": b"",
    "only a part of the head": OK + b"Content-Le",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "lower case": b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status with letters": b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
    "status 099": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "negative status": b"HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n",
    "two blanks": b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
    "control character in the reason": b"HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "folded field": OK + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "field without a colon": OK + b"nonsense\r\nContent-Length: 0\r\n\r\n",
    "blank before the colon": OK + b"X : a\r\nContent-Length: 0\r\n\r\n",
    "NUL in a value": OK + b"X: a\x00\r\nContent-Length: 0\r\n\r\n",
    "bare CR in a value": OK + b"X: a\rb\r\nContent-Length: 0\r\n\r\n",
    "empty field name": OK + b": a\r\nContent-Length: 0\r\n\r\n",
    "negative length": OK + b"Content-Length: -1\r\n\r\n",
    "length with a plus": OK + b"Content-Length: +1\r\n\r\na",
    "length in hex": OK + b"Content-Length: 0xa\r\n\r\n",
    "empty length": OK + b"Content-Length:\r\n\r\n",
    "contradictory lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "list of lengths": OK + b"Content-Length: 1, 2\r\n\r\nab",
    "length over 64 bits": OK + b"Content-Length: 18446744073709551616\r\n\r\n",
    "both lengths": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": OK + b"Transfer-Encoding: gzip\r\n\r\n",
    "unknown coding before chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "identity and a length": OK + b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok",
    "identity before chunked": OK + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    "chunked from HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a 101 that nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "interim answers without end": b"HTTP/1.1 100 Continue\r\n\r\n" * 2000,
    "a head without end": OK + b"X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 5000,
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_head_becomes_502(table, name):
    proxy, _, answers = table
    path = f"/bad/{next(numbers)}"
    answers[path] = (BAD[name], "close")
    response = get(proxy.port, path)
    assert response.status == 502, response.head
    assert response.complete
    assert b"nonsense" not in response.body
    record = proxy.access_log.access(path)
    assert record["status"] == 502
    assert record["cause"] in ("upstream_protocol_error", "upstream_no_response", "upstream_cut_off"), record


@pytest.mark.parametrize("fields, body", [
    (b"Transfer-Encoding: identity\r\n", b"data: 1\n\n"),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"9\r\ndata: 1\n\n\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked, chunked\r\n", b"9\r\ndata: 1\n\n\r\n0\r\n\r\n"),
])
@pytest.mark.parametrize("kind", [b"text/plain", b"text/event-stream"])
def test_codings_that_have_one_reading_are_taken(table, fields, body, kind):
    proxy, _, answers = table
    path = f"/coding/{next(numbers)}"
    answers[path] = (OK + b"Content-Type: " + kind + b"\r\n" + fields + b"\r\n" + body, "close")
    response = get(proxy.port, path)
    assert response.status == 200 and response.complete
    assert response.body.replace(b":\n\n", b"") == b"data: 1\n\n"
    assert response.values("transfer-encoding") in ([], [b"chunked"])


BROKEN = {
    "a short length": (OK + b"Content-Length: 10\r\n\r\nabc", "close"),
    "a short length, reset": (OK + b"Content-Length: 10\r\n\r\nabc", "reset"),
    "no last chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "close"),
    "no last chunk, reset": (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "reset"),
    "a bad chunk size": (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n", "open"),
    "chunk data too long": (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", "open"),
    "a chunk size over 64 bits": (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10000000000000001\r\na", "open"),
    "chunks with bare LF": (OK + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", "open"),
    "a bad trailer": (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nbad trailer\r\n\r\n", "open"),
    "until close, ended by a reset": (OK + b"\r\nabc", "reset"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_body_is_visible_to_the_client_and_in_the_log(table, name):
    proxy, _, answers = table
    path = f"/broken/{next(numbers)}"
    answers[path] = BROKEN[name]
    with Client(proxy.port) as client:
        client.get(path)
        try:
            response = client.read_response()
        except AssertionError:
            assert client.end is not None, "neither an answer nor an end"
        else:
            assert response.status == 502 or not response.complete, f"taken for complete: {response}"
            if response.status == 200:
                assert b"abc".startswith(response.body[:3])
                client.wait_for_end()
    assert proxy.access_log.access(path)["cause"] in ("upstream_cut_off", "upstream_reset", "upstream_protocol_error")


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_body_is_visible_to_an_http_1_0_client_where_it_can_be(table, name):
    proxy, _, answers = table
    path = f"/broken10/{next(numbers)}"
    answers[path] = BROKEN[name]
    with Client(proxy.port) as client:
        client.get(path, version="1.0")
        try:
            response = client.read_response()
            assert response.status == 502 or not response.complete, f"taken for complete: {response}"
        except AssertionError:
            assert client.end is not None


def test_bytes_behind_a_complete_body_go_to_nobody(table):
    proxy, origin, answers = table
    for extra in (b"extra", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"):
        for head in (OK + b"Content-Length: 2\r\n\r\nok", OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"):
            path = f"/extra/{next(numbers)}"
            answers[path] = (head + extra, "open")
            answers[path + "/next"] = (OK + b"Content-Length: 4\r\n\r\nnext", "open")
            with Client(proxy.port) as client:
                client.get(path)
                assert client.read_response().body == b"ok"
                time.sleep(0.05)
                client.get(path + "/next")
                assert client.read_response().body == b"next"
            carriers = [c for c in origin.connections if any(r.target.decode() == path for r in c.requests)]
            assert len(carriers) == 1 and carriers[0].requests[-1].target.decode() == path, "the connection was used again"


@pytest.mark.parametrize("method, head", [
    ("HEAD", OK + b"Content-Length: 5\r\n\r\n"), ("HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n"),
    ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"), ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\n")])
def test_a_body_where_none_may_be_goes_to_nobody(table, method, head):
    proxy, _, answers = table
    path = f"/nobody/{next(numbers)}"
    answers[path] = (head + b"5\r\nevil!\r\n0\r\n\r\n", "open")
    answers[path + "/next"] = (OK + b"Content-Length: 4\r\n\r\nnext", "open")
    with Client(proxy.port) as client:
        client.send(f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert client.read_response(method).body == b""
        time.sleep(0.05)
        client.get(path + "/next")
        assert client.read_response().body == b"next"


def test_hop_by_hop_fields_and_those_named_by_connection_are_removed(table):
    proxy, _, answers = table
    answers["/hops"] = (OK + b"Connection: X-Secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\n"
                        b"X-Kept: \xff obs\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok", "open")
    response = get(proxy.port, "/hops")
    for name in ("x-secret", "keep-alive", "proxy-connection", "upgrade"):
        assert response.values(name) == [], name
    assert response.value("x-kept") == b"\xff obs"
    assert response.values("set-cookie") == [b"a=1", b"b=2"]
    assert response.body == b"ok"


def test_identical_repeats_of_the_length_are_refused_or_become_one(table):
    proxy, _, answers = table
    answers["/repeat"] = (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", "open")
    response = get(proxy.port, "/repeat")
    assert response.status == 502 or (response.body == b"ok" and response.value("content-length") == b"2")
