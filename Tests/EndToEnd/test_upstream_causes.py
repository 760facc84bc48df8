"""Why streams end, seen from the upstream's side, and what a client gets when no stream ever began."""

import socket
import time

import pytest

from support.client import Client, get
from support.logs import CAUSES, check_ending
from support.ports import reserve_port
from support.sockets import wait_until_read

EVENT_STREAM = "Accept: text/event-stream\r\n"


def run_stream(stage, handler, path, **options):
    """Runs one stream to its end; returns its log record, the body and how the client's connection ended."""
    proxy = stage.heartwire(stage.origin(handler), heartbeat="10s", **options)
    with Client(proxy.port) as client:
        _, body = client.open_stream(path)
        body.read_to_end(8)
        return proxy.stream_log.ending(path), body, client


def test_a_last_chunk_is_upstream_finished(stage):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"id: 9\ndata: a\n\n")
        connection.last_chunk()
    record, body, client = run_stream(stage, handler, "/finished")
    check_ending(record, "upstream_finished")
    assert body.complete and client.end is None, "the client's connection can be used again"
    assert record["events"] == 1 and record["last_event_id"] == "9"


def test_a_full_content_length_is_upstream_finished(stage):
    def handler(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\ndata: a\n\n")
    record, body, _ = run_stream(stage, handler, "/length")
    check_ending(record, "upstream_finished")
    assert body.complete


def test_a_body_that_ends_with_the_connection_is_upstream_finished(stage):
    def handler(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n")
        connection.close()
    record, body, _ = run_stream(stage, handler, "/close")
    check_ending(record, "upstream_finished")
    assert body.complete and bytes(body.data) == b"data: a\n\n"


@pytest.mark.parametrize("cut", [b"ff\r\ndata: half", b"9\r\ndata: a\n\n", b"9\r\ndata: a\n\n\r\n", b"9", b"0\r\n"])
def test_a_close_before_the_last_chunk_is_upstream_cut_off_and_visible_to_the_client(stage, cut):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: 0\n\n")
        connection.send(cut)
        connection.close()
    record, body, client = run_stream(stage, handler, "/cut")
    check_ending(record, "upstream_cut_off")
    assert not body.complete and client.end is not None
    assert b"data: 0\n\n" in body.data


def test_a_short_content_length_is_upstream_cut_off_and_visible_to_the_client(stage):
    def handler(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 100\r\n\r\ndata: a\n\n")
        connection.close()
    record, body, client = run_stream(stage, handler, "/short")
    check_ending(record, "upstream_cut_off")
    assert not body.complete and client.end is not None


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_a_reset_by_the_upstream_is_upstream_reset_and_visible_to_the_client(stage, framing):
    def handler(connection, request):
        if framing == "chunked":
            connection.start_stream()
            connection.chunk(b"data: a\n\n")
        else:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n")
        wait_until_read(connection.socket)  # A reset destroys what was not read yet.
        connection.reset()
    record, body, client = run_stream(stage, handler, "/upstream-reset")
    check_ending(record, "upstream_reset")
    assert not body.complete and client.end is not None


@pytest.mark.parametrize("bad", [b"zz\r\n", b"5\r\nhelloXX", b"-5\r\n", b"11111111111111111\r\n", b"5\nhello\n"])
def test_a_bad_chunk_is_upstream_protocol_error_and_visible_to_the_client(stage, bad):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: a\n\n")
        connection.send(bad)
        connection.wait_until_left()
    record, body, _ = run_stream(stage, handler, "/bad-chunk")
    check_ending(record, "upstream_protocol_error")
    assert not body.complete


def test_a_silence_over_the_limit_is_upstream_silent(stage):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: a\n\n")
        connection.wait_until_left(20)
    started = time.monotonic()
    record, body, _ = run_stream(stage, handler, "/silent", upstream="stream_silence_timeout 700ms")
    assert 0.6 < time.monotonic() - started < 3
    check_ending(record, "upstream_silent")
    assert record["longest_upstream_silence_ms"] >= 600


def test_an_event_stream_may_be_silent_for_longer_than_the_idle_timeout_of_ordinary_responses(stage):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: a\n\n")
        time.sleep(1.5)
        connection.chunk(b"data: b\n\n")
        connection.last_chunk()
    record, body, _ = run_stream(stage, handler, "/patient", upstream="idle_timeout 500ms")
    check_ending(record, "upstream_finished")
    assert body.complete


# No stream began: the client gets a status, the log a cause.


def failure(proxy, path) -> dict:
    """The one record of an exchange that failed, in whichever log it stands."""
    def is_it(record):
        return record.get("path") == path and record["event"] in ("access", "stream_end")
    deadline = time.monotonic() + 5
    while True:
        found = [r for log in (proxy.access_log, proxy.stream_log) for r in log.records() if is_it(r)]
        if found or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    assert len(found) == 1, f"{len(found)} records for one exchange: {found}"
    assert found[0]["cause"] in CAUSES
    return found[0]


def test_a_refused_connection_is_connection_refused_and_502(stage):
    proxy = stage.heartwire(f"127.0.0.1:{reserve_port()}")
    response = get(proxy.port, "/refused", EVENT_STREAM)
    assert response.status in (502, 503)
    record = failure(proxy, "/refused")
    assert record["cause"] == "connection_refused" and record["status"] == response.status


def test_a_server_that_does_not_accept_is_connect_timeout_and_504(stage):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        time.sleep(0.1)
        proxy = stage.heartwire(f"127.0.0.1:{full.getsockname()[1]}", upstream="connect_timeout 500ms")
        started = time.monotonic()
        response = get(proxy.port, "/blackhole", EVENT_STREAM)
        assert 0.4 < time.monotonic() - started < 3
        assert response.status in (502, 503, 504)
        assert failure(proxy, "/blackhole")["cause"] == "connect_timeout"
        for filler in fillers:
            filler.close()


def test_a_server_that_never_answers_is_response_timeout_and_504(stage):
    proxy = stage.heartwire(
        stage.origin(lambda connection, request: connection.wait_until_left(20)), upstream="response_timeout 500ms")
    started = time.monotonic()
    response = get(proxy.port, "/mute", EVENT_STREAM)
    assert 0.4 < time.monotonic() - started < 3
    assert response.status == 504
    assert failure(proxy, "/mute")["cause"] == "response_timeout"


def test_a_name_that_does_not_exist_is_name_not_resolved(stage):
    proxy = stage.heartwire("nowhere.invalid:80", upstream="connect_timeout 5s")
    response = get(proxy.port, "/nameless", EVENT_STREAM, timeout=20)
    assert response.status in (502, 503, 504)
    assert failure(proxy, "/nameless")["cause"] == "name_not_resolved"


def test_nonsense_instead_of_a_head_is_upstream_protocol_error_and_502(stage):
    def handler(connection, request):
        connection.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        connection.wait_until_left()
    proxy = stage.heartwire(stage.origin(handler))
    assert get(proxy.port, "/ssh", EVENT_STREAM).status == 502
    assert failure(proxy, "/ssh")["cause"] == "upstream_protocol_error"


@pytest.mark.parametrize("how, cause", [("close", "upstream_no_response"), ("reset", "upstream_reset")])
def test_an_upstream_that_leaves_without_an_answer_is_502_with_its_own_cause(stage, how, cause):
    proxy = stage.heartwire(stage.origin(lambda connection, request: getattr(connection, how)()))
    assert get(proxy.port, "/left", EVENT_STREAM).status == 502
    assert failure(proxy, "/left")["cause"] == cause


def test_an_ordinary_response_cut_off_has_its_cause_in_the_access_log(stage):
    def handler(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
        connection.close()
    proxy = stage.heartwire(stage.origin(handler))
    response = get(proxy.port, "/page")
    assert response.body == b"only this" and not response.complete
    assert failure(proxy, "/page")["cause"] == "upstream_cut_off"
