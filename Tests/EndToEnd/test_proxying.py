"""Ordinary HTTP through the proxy: methods, framings, interim answers, keep-alive, pipelining, HTTP/1.0."""

import threading
import time

import pytest

from support.client import Client, exchange, get
from support.origin import Left
from support.waiting import wait_until


def echo(connection, request):
    connection.respond(200, request.method + b" " + request.target + b" " + request.body)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "M-SEARCH"])
def test_every_method_passes_with_its_body(stage, method):
    proxy = stage.heartwire(stage.origin(echo))
    raw = f"{method} /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".encode()
    assert exchange(proxy.port, raw).body == f"{method} /x abc".encode()


def test_trace_passes_or_is_refused_but_never_leaks_credentials(stage):
    proxy = stage.heartwire(stage.origin(echo))
    assert exchange(proxy.port, b"TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n").status in (200, 405, 501)


@pytest.mark.parametrize("status", [200, 201, 202, 206, 301, 302, 400, 401, 404, 418, 429, 500, 503, 599])
def test_every_status_passes_with_its_reason_and_fields(stage, status):
    def handler(connection, request):
        connection.respond(status, b"body", [("Location", "/elsewhere"), ("X-A", "b"), ("WWW-Authenticate", "Basic")], "Very Own")
    proxy = stage.heartwire(stage.origin(handler))
    response = get(proxy.port)
    assert (response.status, response.reason, response.body) == (status, b"Very Own", b"body")
    assert response.value("location") == b"/elsewhere" and response.value("x-a") == b"b"


@pytest.mark.parametrize("raw, body", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX: y\r\n\r\n", b"hello"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b""),
    (b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello"),
    (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    (b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", b"hello"),
])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("step", [None, 1])
def test_every_framing_of_a_response_passes(stage, raw, body, version, step):
    def handler(connection, request):
        for start in range(0, len(raw), step or len(raw)):
            connection.send(raw[start: start + (step or len(raw))])
        connection.close()
    proxy = stage.heartwire(stage.origin(handler))
    with Client(proxy.port) as client:
        client.get(version=version)
        response = client.read_response()
        assert response.body == body and response.complete
        if version == "1.0":
            assert response.values("transfer-encoding") == []


def test_head_has_the_fields_of_get_and_no_body(stage):
    def handler(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nX-A: b\r\n\r\n")
    proxy = stage.heartwire(stage.origin(handler))
    with Client(proxy.port) as client:
        for _ in range(2):
            client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            response = client.read_response("HEAD")
            assert response.value("content-length") == b"12345" and response.value("x-a") == b"b"


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body_keep_the_connection_in_step(stage, status):
    def handler(connection, request):
        connection.send(b"HTTP/1.1 %d X\r\nETag: \"e\"\r\n\r\n" % status)
    proxy = stage.heartwire(stage.origin(handler))
    with Client(proxy.port) as client:
        for _ in range(3):
            client.get()
            response = client.read_response()
            assert response.status == status and response.value("etag") == b'"e"'


def test_expect_100_continue_is_answered_before_the_body_comes(stage):
    proxy = stage.heartwire(stage.origin(echo))
    with Client(proxy.port) as client:
        client.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.read_head().status == 100
        client.send(b"hello")
        response = client.read_response()
        assert response.body == b"POST /up hello"
        client.get("/next")
        assert client.read_response().body == b"GET /next "


def test_a_final_answer_instead_of_100_continue_passes(stage):
    def handler(connection):
        request = connection.read_request(with_body=False)
        if request.tokens("expect"):
            connection.respond(417, b"no")
        else:
            connection.respond(403, b"no")
        connection.close()
    proxy = stage.heartwire(stage.origin(handler, raw=True))
    with Client(proxy.port) as client:
        client.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        response = client.read_head()
        if response.status == 100:
            response = client.read_head()
        assert response.status in (403, 417)


def test_an_upstream_that_waits_for_100_continue_itself_gets_the_body(stage):
    def handler(connection):
        request = connection.read_request(with_body=False)
        if b"100-continue" in request.tokens("expect"):
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.read_body(request)
        connection.respond(200, request.body)
    proxy = stage.heartwire(stage.origin(handler, raw=True))
    with Client(proxy.port) as client:
        client.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        heads = [client.read_head()]
        assert heads[0].status == 100
        client.send(b"hello")
        response = client.read_response()
        assert response.body == b"hello"


def test_interim_answers_do_not_disturb_the_final_one(stage):
    def handler(connection, request):
        connection.send(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        time.sleep(0.1)
        connection.respond(200, b"final")
    proxy = stage.heartwire(stage.origin(handler))
    with Client(proxy.port) as client:
        for _ in range(2):
            client.get()
            assert client.read_response().body == b"final"
        client.get(version="1.0")
        assert client.read_head().status == 200, "an HTTP/1.0 client must not see interim answers"


def test_connections_are_kept_alive_on_both_sides(stage):
    origin = stage.origin(echo)
    proxy = stage.heartwire(origin)
    with Client(proxy.port) as client:
        for number in range(20):
            client.get(f"/{number}")
            assert client.read_response().body == b"GET /%d " % number
    assert len(origin.connections) == 1, "the upstream connection was not used again"


@pytest.mark.parametrize("version, option, kept", [
    ("1.1", "", True), ("1.1", "Connection: close\r\n", False), ("1.1", "Connection: Keep-Alive, CLOSE\r\n", False),
    ("1.0", "", False), ("1.0", "Connection: keep-alive\r\n", True)])
def test_the_clients_connection_lives_as_long_as_it_asked(stage, version, option, kept):
    proxy = stage.heartwire(stage.origin(echo))
    with Client(proxy.port) as client:
        client.get("/", option, version)
        response = client.read_response()
        assert response.complete
        if kept and b"close" not in response.tokens("connection"):
            client.get("/again", option, version)
            assert client.read_response().body == b"GET /again "
        else:
            assert not kept or version == "1.0", "HTTP/1.1 connections are kept"
            assert client.wait_for_end(2) == "fin"


def test_an_upstream_connection_that_the_server_wants_closed_is_not_used_again(stage):
    def handler(connection, request):
        connection.respond(200, b"ok", [("Connection", "close")])
    origin = stage.origin(handler)
    proxy = stage.heartwire(origin)
    with Client(proxy.port) as client:
        for _ in range(3):
            client.get()
            assert client.read_response().body == b"ok"
    assert len(origin.connections) == 3


def test_pipelined_requests_are_answered_in_order(stage):
    def handler(connection, request):
        time.sleep(0.1 if request.target == b"/slow" else 0)
        echo(connection, request)
    proxy = stage.heartwire(stage.origin(handler))
    with Client(proxy.port) as client:
        client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\nPOST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                    b"HEAD /head HTTP/1.1\r\nHost: a\r\n\r\nPOST /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"1\r\nx\r\n0\r\n\r\nGET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        bodies = [client.read_response(method).body for method in ("GET", "POST", "HEAD", "POST", "GET")]
        assert bodies == [b"GET /slow ", b"POST /body abc", b"", b"POST /chunks x", b"GET /last "]
        assert client.wait_for_end() == "fin"


def test_nothing_is_served_behind_a_request_with_close(stage):
    origin = stage.origin(echo)
    proxy = stage.heartwire(origin)
    with Client(proxy.port) as client:
        client.send(b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_response().body == b"GET /a "
        client.wait_for_end()
    assert [request.target for request in origin.requests] == [b"/a"]


def test_request_body_and_response_body_flow_at_the_same_time(stage):
    """The upstream answers piece by piece while the request is still coming, as an echo service does."""
    def handler(connection):
        request = connection.read_request(with_body=False)
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in connection.stream_body(request, keep=True):
            if piece:
                connection.chunk(piece.upper())
        connection.last_chunk()
    proxy = stage.heartwire(stage.origin(handler, raw=True))
    with Client(proxy.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        body = None
        for number in range(5):
            client.send(b"4\r\npin%d\r\n" % number)
            if body is None:
                body = client.body(client.read_head())
            body.wait_for(b"PIN%d" % number)
        client.send(b"0\r\n\r\n")
        assert body.read_to_end() == b"PIN0PIN1PIN2PIN3PIN4" and body.complete


def test_the_head_reaches_the_client_before_the_first_byte_of_the_body(stage):
    go_on = threading.Event()

    def handler(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n")
        go_on.wait(10)
        connection.send(b"ok")
    proxy = stage.heartwire(stage.origin(handler))
    with Client(proxy.port) as client:
        client.get()
        assert client.read_head(2).status == 200
        go_on.set()


def test_an_early_413_reaches_the_client_while_its_body_is_still_coming(stage):
    def handler(connection):
        connection.read_head()
        connection.respond(413, b"too large", [("Connection", "close")])
        try:
            connection.socket.shutdown(1)
            while True:
                connection.receive_once(10)
        except Left:
            pass
    proxy = stage.heartwire(stage.origin(handler, raw=True))
    with Client(proxy.port) as client:
        client.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 100_000)
        response = client.read_response()
        assert response.status == 413 and response.body == b"too large"
        client.send(b"x" * 300_000)
        client.get("/hidden-in-the-body")
        client.wait_for_end(15)


def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_an_incomplete_request(stage):
    origin = stage.origin(echo)
    proxy = stage.heartwire(origin)
    with Client(proxy.port) as client:
        client.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        origin.wait_for_connections(1)
        time.sleep(0.1)
    record = proxy.access_log.access("/up")
    assert record["cause"] in ("client_closed", "client_reset")
    wait_until(lambda: origin.connections[0].left_how is not None)
    assert origin.requests == []


def test_date_and_error_pages_are_plain_and_say_nothing_of_the_inside(stage):
    from support.ports import reserve_port
    port = reserve_port()
    proxy = stage.heartwire(f"127.0.0.1:{port}")
    response = get(proxy.port)
    assert response.status in (502, 503) and response.complete
    assert str(port).encode() not in response.body and b"127.0.0.1" not in response.body
    assert response.value("content-type").startswith(b"text/plain")
    assert exchange(proxy.port, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD").status == response.status
