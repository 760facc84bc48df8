"""Why streams end, seen from the client's side: a client leaves in each way, and the log must have that cause."""

import threading
import time

import pytest

from support.client import Client
from support.logs import check_ending
from support.origin import Left


def test_a_client_that_closes_is_client_closed_and_the_upstream_is_told_within_a_second(stage):
    left = {}

    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"id: 41\ndata: a\n\n")
        connection.wait_until_left(20)
        left["at"] = time.monotonic()
    proxy = stage.heartwire(stage.origin(handler), heartbeat="10s", opening="on")
    with Client(proxy.port) as client:
        _, body = client.open_stream("/closed")
        body.wait_for(b"data: a\n\n")
        time.sleep(0.3)
    gone = time.monotonic()
    record = proxy.stream_log.ending("/closed")
    check_ending(record, "client_closed")
    assert "FIN" in record["evidence"]
    assert record["events"] == 1 and record["last_event_id"] == "41"
    deadline = time.monotonic() + 5
    while "at" not in left and time.monotonic() < deadline:
        time.sleep(0.01)
    # Only a heartbeat, after ten seconds, would show it to a proxy that does not look.
    assert left["at"] - gone < 5, f"the upstream saw an idle stream's client leave only after {left['at'] - gone:.1f} s"


def test_a_client_that_resets_is_client_reset(stage):
    done = threading.Event()

    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: a\n\n")
        connection.wait_until_left(20)
        done.set()
    proxy = stage.heartwire(stage.origin(handler), heartbeat="10s")
    client = Client(proxy.port)
    _, body = client.open_stream("/reset")
    body.wait_for(b"data: a\n\n")
    client.reset()
    check_ending(proxy.stream_log.ending("/reset"), "client_reset")
    assert done.wait(1), "the upstream was not told within a second"


def test_a_client_that_leaves_with_unread_bytes_behind_is_blamed_and_nobody_else(stage):
    def handler(connection, request):
        connection.start_stream()
        while True:
            connection.chunk(b"data: " + b"x" * 500 + b"\n\n")
            time.sleep(0.002)
    proxy = stage.heartwire(stage.origin(handler))
    with Client(proxy.port) as client:
        client.open_stream("/busy")
        time.sleep(0.3)
    record = proxy.stream_log.ending("/busy")
    assert record["cause"] in ("client_closed", "client_reset"), record
    check_ending(record, record["cause"])


def test_a_client_that_reads_nothing_is_client_stalled_and_its_upstream_is_let_go(stage):
    freed = threading.Event()

    def handler(connection, request):
        connection.start_stream()
        try:
            while True:
                connection.chunk(b"data: " + b"x" * 65000 + b"\n\n")
        except Left:
            freed.set()
            raise
    proxy = stage.heartwire(stage.origin(handler), timeouts="client_stall 1s")
    with Client(proxy.port, receive_buffer=4096) as client:
        client.get("/stalled", "Accept: text/event-stream\r\n")
        started = time.monotonic()
        record = proxy.stream_log.ending("/stalled", timeout=10)
        assert 0.9 < time.monotonic() - started < 6
        check_ending(record, "client_stalled")
        assert freed.wait(3), "the upstream of a stalled client was kept"


def test_a_slow_but_living_client_is_not_stalled(stage):
    total = 6_000_000

    def handler(connection, request):
        connection.start_stream()
        event = b"data: " + b"x" * 9992 + b"\n\n"
        for _ in range(total // len(event)):
            connection.chunk(event)
        connection.last_chunk()
    proxy = stage.heartwire(stage.origin(handler), timeouts="client_stall 1s")
    with Client(proxy.port, receive_buffer=65536) as client:
        _, body = client.open_stream("/slow")
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            body.pump(0.1)
            time.sleep(0.05)
        assert len(body.read_to_end(30)) == total and body.complete
    check_ending(proxy.stream_log.ending("/slow"), "upstream_finished")


def test_bytes_after_the_request_do_not_disturb_a_stream(stage):
    """A client may pipeline behind a stream: its bytes wait, and the stream goes on."""
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: a\n\n")
        time.sleep(0.5)
        connection.chunk(b"data: b\n\n")
        connection.last_chunk()
    proxy = stage.heartwire(stage.origin(handler), heartbeat="10s")
    with Client(proxy.port) as client:
        client.send(b"GET /one HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"
                    b"GET /two HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
        for _ in range(2):
            response = client.read_response()
            assert response.complete and response.body == b"data: a\n\ndata: b\n\n"
    check_ending(proxy.stream_log.ending("/one"), "upstream_finished")
    check_ending(proxy.stream_log.ending("/two"), "upstream_finished")


def test_a_client_that_closes_before_the_upstream_answers_ends_the_upstream_exchange_at_once(stage):
    told = threading.Event()

    def handler(connection, request):
        connection.wait_until_left(20)
        told.set()
    origin = stage.origin(handler)
    proxy = stage.heartwire(origin)
    with Client(proxy.port) as client:
        client.get("/early", "Accept: text/event-stream\r\n")
        origin.wait_for_requests(1)
    assert told.wait(1), "the upstream was not told within a second"
    record = proxy.access_log.access("/early")
    assert record["cause"] in ("client_closed", "client_reset")


def test_three_hundred_leaving_clients_leak_nothing(stage):
    def handler(connection, request):
        connection.start_stream()
        connection.wait_until_left(20)
    origin = stage.origin(handler)
    proxy = stage.heartwire(origin, heartbeat="10s")
    # When it has served somebody, its start has opened everything.
    with Client(proxy.port) as client:
        client.open_stream("/first")
    proxy.stream_log.ending("/first")
    proxy.wait_for_connections()
    descriptors = proxy.descriptors()
    for _ in range(10):
        clients = [Client(proxy.port) for _ in range(30)]
        for client in clients:
            client.get("/many", "Accept: text/event-stream\r\n")
        for client in clients:
            assert client.read_head().status == 200
            client.close()
    deadline = time.monotonic() + 15
    while proxy.descriptors() > descriptors + 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert proxy.descriptors() <= descriptors + 2, f"{proxy.descriptors() - descriptors} descriptors leaked"
    endings = proxy.stream_log.endings(301)
    assert len(endings) == 301 and all(r["cause"].startswith("client_") for r in endings)
