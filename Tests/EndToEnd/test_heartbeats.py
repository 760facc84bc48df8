"""Heartbeats in time: how often, of which kind, and on which responses at all."""

import gzip
import time

import pytest

from support import eventsource
from support.client import Client

INTERVAL = 0.3
# The interval plus a tick of the timer wheel and the scheduling of a busy two-core machine.
LATEST = INTERVAL + 1


def silent_stream(fields=(), content_type="text/event-stream", first=b""):
    """A handler that opens an event stream, sends `first` and is then silent."""
    def handler(connection, request):
        connection.start_stream(fields, content_type)
        if first:
            connection.chunk(first)
        connection.wait_until_left(60)
    return handler


def test_a_silent_stream_gets_a_comment_every_interval(stage):
    proxy = stage.heartwire(stage.origin(silent_stream(first=b"data: a\n\n")), heartbeat="300ms")
    with Client(proxy.port) as client:
        started = time.monotonic()
        response, body = client.open_stream()
        assert response.status == 200
        body.wait_for(b"data: a\n\n")
        body.wait_for(lambda data: data.count(b":\n\n") >= 5, timeout=8)
        times = [moment for moment, piece in body.pieces]
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        assert bytes(body.data) == b"data: a\n\n" + b":\n\n" * 5
        assert all(gap <= LATEST for gap in gaps), f"silent for too long: {gaps}"
        # A heartbeat may be seen late and the next one in time; what is too early is early when counted from the beginning.
        since = [moment - started for moment in times]
        assert all(moment >= number * (INTERVAL - 0.05) for number, moment in enumerate(since)), f"heartbeats too often: {since}"


def test_the_default_opening_comment_follows_the_head_at_once(stage):
    proxy = stage.heartwire(stage.origin(silent_stream()), heartbeat="10s", opening="on")
    with Client(proxy.port) as client:
        started = time.monotonic()
        _, body = client.open_stream()
        assert body.wait_for(b":\n\n") == b":\n\n"
        assert time.monotonic() - started < 5


def test_without_opening_nothing_precedes_the_upstream(stage):
    proxy = stage.heartwire(stage.origin(silent_stream(first=b"data: a\n\n")), heartbeat="10s", opening="off")
    with Client(proxy.port) as client:
        _, body = client.open_stream()
        body.wait_for(b"data: a\n\n")
        body.collect(0.4)
        assert body.data == b"data: a\n\n"


def test_a_talking_stream_gets_no_heartbeat(stage):
    def handler(connection, request):
        connection.start_stream()
        for number in range(25):
            connection.chunk(b"data: %d\n\n" % number)
            time.sleep(0.1)
        connection.last_chunk()
    proxy = stage.heartwire(stage.origin(handler), heartbeat="2s")
    with Client(proxy.port) as client:
        _, body = client.open_stream()
        assert body.read_to_end() == b"".join(b"data: %d\n\n" % number for number in range(25))
        assert body.complete


def test_heartbeats_off_means_none(stage):
    proxy = stage.heartwire(stage.origin(silent_stream(first=b"data: a\n\n")), heartbeat="off")
    with Client(proxy.port) as client:
        _, body = client.open_stream()
        body.wait_for(b"data: a\n\n")
        body.collect(1.0)
        assert body.data == b"data: a\n\n"


@pytest.mark.parametrize("kind, names, comments", [
    ("comment", [], True), ("event", ["heartbeat"], False), ("both", ["heartbeat"], True)])
def test_the_heartbeat_is_of_the_kind_that_the_route_says(stage, kind, names, comments):
    name = "" if kind == "comment" else " heartbeat"
    proxy = stage.heartwire(stage.origin(silent_stream(first=b"id: 4\ndata: a\n\n")), heartbeat=f"200ms {kind}{name}")
    with Client(proxy.port) as client:
        _, body = client.open_stream()
        body.wait_for(lambda data: data.count(b"event: heartbeat\n" if names else b":\n") >= 3)
        reading = eventsource.read(bytes(body.data))
    beats = [event for event in reading.events if event.type == "heartbeat"]
    assert [event.data for event in reading.events if event.type != "heartbeat"] == ["a"]
    assert (len(beats) >= 2) == bool(names), reading
    assert (len(reading.comments) >= 2) == comments, reading
    assert all(beat.id == "4" for beat in beats), "a heartbeat must not touch the last event id"


@pytest.mark.parametrize("content_type", [
    "text/event-stream", "text/event-stream; charset=utf-8", "Text/Event-Stream ; charset=UTF-8", "TEXT/EVENT-STREAM"])
def test_every_spelling_of_the_media_type_is_an_event_stream(stage, content_type):
    proxy = stage.heartwire(stage.origin(silent_stream(content_type=content_type)), heartbeat="200ms")
    with Client(proxy.port) as client:
        _, body = client.open_stream()
        body.wait_for(b":\n\n")


@pytest.mark.parametrize("content_type", ["text/plain", "text/event-streams", "application/text/event-stream", ""])
def test_other_media_types_get_no_heartbeat(stage, content_type):
    proxy = stage.heartwire(stage.origin(silent_stream(content_type=content_type)), heartbeat="150ms", opening="on")
    with Client(proxy.port) as client:
        _, body = client.open_stream()
        body.collect(0.6)
        assert body.data == b""


@pytest.mark.parametrize("status", [201, 206, 404, 500, 503])
def test_other_statuses_get_no_heartbeat(stage, status):
    def handler(connection, request):
        connection.send(b"HTTP/1.1 %d Other\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                        % status)
        connection.wait_until_left(60)
    proxy = stage.heartwire(stage.origin(handler), heartbeat="150ms", opening="on")
    with Client(proxy.port) as client:
        response, body = client.open_stream()
        assert response.status == status
        body.collect(0.6)
        assert body.data == b""


def test_head_and_204_get_no_heartbeat_and_the_connection_goes_on(stage):
    def handler(connection, request):
        status = b"204 No Content" if request.method == b"GET" else b"200 OK"
        connection.send(b"HTTP/1.1 " + status + b"\r\nContent-Type: text/event-stream\r\n\r\n")
    proxy = stage.heartwire(stage.origin(handler), heartbeat="150ms", opening="on")
    with Client(proxy.port) as client:
        for method, status in (("HEAD", 200), ("GET", 204), ("HEAD", 200)):
            client.send(f"{method} / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n".encode())
            response = client.read_response(method)
            assert (response.status, response.body) == (status, b"")
            client.receive_once(0.5)
            assert client.take() == b"", "bytes after a response without a body"


def test_a_stream_with_a_content_length_is_reframed(stage):
    halves = (b"data: first\n\n", b"data: second\n\n")

    def handler(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n"
                        % len(b"".join(halves)))
        connection.send(halves[0])
        time.sleep(0.9)
        connection.send(halves[1])
    proxy = stage.heartwire(stage.origin(handler), heartbeat="300ms")
    with Client(proxy.port) as client:
        response, body = client.open_stream()
        assert response.value("content-length") is None
        assert response.value("transfer-encoding") == b"chunked"
        data = body.read_to_end()
        assert body.complete and data.startswith(halves[0]) and data.endswith(halves[1])
        assert data.replace(b":\n\n", b"") == b"".join(halves) and data.count(b":\n\n") >= 2


@pytest.mark.parametrize("upstream_framing", ["chunked", "length", "close"])
def test_an_http_1_0_client_gets_a_woven_stream_that_ends_with_the_connection(stage, upstream_framing):
    def handler(connection, request):
        field = {"chunked": b"Transfer-Encoding: chunked\r\n", "length": b"Content-Length: 18\r\n", "close": b""}
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + field[upstream_framing] + b"\r\n")
        send = connection.chunk if upstream_framing == "chunked" else connection.send
        send(b"data: a\n\n")
        time.sleep(0.8)
        send(b"data: b\n\n")
        if upstream_framing == "chunked":
            connection.last_chunk()
        connection.close()
    proxy = stage.heartwire(stage.origin(handler), heartbeat="300ms", opening="on")
    with Client(proxy.port) as client:
        response, body = client.open_stream(version="1.0")
        assert not response.values("transfer-encoding") and not response.values("content-length")
        data = body.read_to_end()
        assert client.end == "fin"
        assert data.startswith(b":\n\ndata: a\n\n:\n\n") and data.endswith(b"data: b\n\n")
        assert data.replace(b":\n\n", b"") == b"data: a\n\ndata: b\n\n"


def test_a_compressed_stream_passes_unchanged_and_the_log_says_so(stage):
    packed = gzip.compress(b"data: a\n\ndata: b\n\n")

    def handler(connection, request):
        connection.start_stream([("Content-Encoding", "gzip")])
        connection.chunk(packed[:10])
        time.sleep(0.7)
        connection.chunk(packed[10:])
        connection.last_chunk()
    proxy = stage.heartwire(stage.origin(handler), heartbeat="150ms", opening="on")
    with Client(proxy.port) as client:
        response, body = client.open_stream("/packed", "Accept-Encoding: gzip\r\n")
        assert response.value("content-encoding") == b"gzip"
        assert body.read_to_end() == packed and body.complete
    record = proxy.stream_log.ending("/packed")
    assert record["woven"] is False and "compress" in str(record["not_woven_because"])
    assert record["heartbeats"] == 0


def test_identity_is_asked_of_the_upstream_for_an_event_stream(stage):
    origin = stage.origin(lambda connection, request: connection.respond(200, b"ok"))
    proxy = stage.heartwire(origin, heartbeat="1s")
    with Client(proxy.port) as client:
        client.get("/", "Accept: text/event-stream\r\nAccept-Encoding: gzip, br\r\n")
        client.read_response()
        client.get("/", "Accept: text/html\r\nAccept-Encoding: gzip, br\r\n")
        client.read_response()
    stream, page = origin.wait_for_requests(2)
    assert stream.tokens("accept-encoding") in ([b"identity"], [])
    assert page.value("accept-encoding") == b"gzip, br"


def test_the_next_hop_is_told_not_to_buffer_or_cache(stage):
    fields = [("Cache-Control", "max-age=60"), ("X-Accel-Buffering", "yes")]
    proxy = stage.heartwire(stage.origin(silent_stream(fields)), heartbeat="1s")
    with Client(proxy.port) as client:
        response, _ = client.open_stream()
        assert {b"no-cache", b"no-transform"} <= set(response.tokens("cache-control"))
        assert response.value("x-accel-buffering") == b"no"


def test_the_default_heartbeat_is_on_without_a_word_in_the_configuration(stage):
    origin = stage.origin(silent_stream())

    def text(port, folder):
        return (f"listen 127.0.0.1:{port}\nstream_log {folder}/stream.log\n"
                f"upstream origin {{\n    server {origin.address}\n}}\nroute /* {{\n    upstream origin\n}}\n")
    proxy = stage.heartwire(text=text)
    with Client(proxy.port) as client:
        _, body = client.open_stream()
        body.wait_for(b":\n\n")
        before = len(body.data)
        body.wait_for(lambda data: len(data) > before, timeout=20)
        gap = body.pieces[-1][0] - body.pieces[0][0]
        assert 13.5 < gap < 18, f"the default heartbeat came after {gap:.1f} s"


def test_heartbeats_do_not_hide_a_silent_upstream(stage):
    proxy = stage.heartwire(stage.origin(silent_stream(first=b"data: a\n\n")), heartbeat="150ms",
                            upstream="stream_silence_timeout 1s")
    with Client(proxy.port) as client:
        started = time.monotonic()
        _, body = client.open_stream("/quiet")
        body.read_to_end()
        assert 0.8 < time.monotonic() - started < 5
        assert b":\n\n" in body.data
    assert proxy.stream_log.ending("/quiet")["cause"] == "upstream_silent"
