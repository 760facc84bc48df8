"""SIGTERM and SIGINT: nothing new is accepted, exchanges finish, streams end at a boundary, exit status 0."""

import re
import signal
import threading
import time

import pytest

from support import eventsource
from support.client import Client
from support.logs import check_ending


def without_farewell(data) -> bytes:
    """What came before the proxy's final `retry:`, which tells the client when to come back."""
    return re.sub(rb"retry: \d+\n\Z", b"", bytes(data))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_streams_end_with_a_proper_last_chunk_and_the_cause_drained(stage, number):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: a\n\n")
        connection.wait_until_left(20)
    proxy = stage.heartwire(stage.origin(handler), heartbeat="10s", workers=2)
    clients = [Client(proxy.port) for _ in range(6)]
    bodies = []
    for position, client in enumerate(clients):
        _, body = client.open_stream(f"/drained/{position}")
        body.wait_for(b"data: a\n\n")
        bodies.append(body)
    proxy.send_signal(number)
    for body in bodies:
        body.read_to_end(8)
        assert body.complete and without_farewell(body.data) == b"data: a\n\n", "no proper end of the stream"
    assert proxy.wait() == 0
    for position, client in enumerate(clients):
        check_ending(proxy.stream_log.ending(f"/drained/{position}"), "drained")
        client.close()


def test_an_event_that_is_half_sent_is_finished_first(stage):
    go_on = threading.Event()

    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: one\n\nid: 2\ndata: tw")
        go_on.wait(10)
        time.sleep(0.3)
        connection.chunk(b"o\n")
        connection.chunk(b"\ndata: three\n\n")
        connection.wait_until_left(20)
    proxy = stage.heartwire(stage.origin(handler), heartbeat="10s", grace="5s")
    with Client(proxy.port) as client:
        _, body = client.open_stream("/half")
        body.wait_for(b"data: tw")
        proxy.send_signal(signal.SIGTERM)
        go_on.set()
        data = without_farewell(body.read_to_end(8))
        assert body.complete
        assert data in (b"data: one\n\nid: 2\ndata: two\n\n", b"data: one\n\nid: 2\ndata: two\n\ndata: three\n\n")
    assert proxy.wait() == 0
    check_ending(proxy.stream_log.ending("/half"), "drained")


def test_an_event_that_is_never_finished_does_not_hold_the_end_up_beyond_the_grace_period(stage):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: never finished")
        connection.wait_until_left(20)
    proxy = stage.heartwire(stage.origin(handler), heartbeat="10s", grace="1s")
    with Client(proxy.port) as client:
        _, body = client.open_stream("/never")
        body.wait_for(b"data: never")
        started = time.monotonic()
        proxy.send_signal(signal.SIGTERM)
        body.read_to_end(8)
        assert proxy.wait() == 0
        assert time.monotonic() - started < 4
    record = proxy.stream_log.ending("/never")
    assert record["cause"] in ("drained", "grace_expired")
    check_ending(record, record["cause"])


def test_an_ordinary_exchange_finishes_and_new_connections_are_refused(stage):
    answer_now = threading.Event()

    def handler(connection, request):
        answer_now.wait(10)
        connection.respond(200, b"late but whole")
    origin = stage.origin(handler)
    proxy = stage.heartwire(origin, grace="5s")
    with Client(proxy.port) as client:
        client.get("/late")
        origin.wait_for_requests(1)
        proxy.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 3
        while True:
            try:
                Client(proxy.port, timeout=1).close()
            except OSError:
                break
            assert time.monotonic() < deadline, "the proxy still accepts connections after SIGTERM"
            time.sleep(0.05)
        answer_now.set()
        response = client.read_response()
        assert response.body == b"late but whole" and response.complete
        assert b"close" in response.tokens("connection")
        client.wait_for_end()
    assert proxy.wait() == 0


def test_idle_connections_do_not_hold_the_end_up(stage):
    proxy = stage.heartwire(stage.origin(lambda connection, request: connection.respond()), grace="10s")
    with Client(proxy.port) as used, Client(proxy.port) as unused:
        used.get("/")
        used.read_response()
        started = time.monotonic()
        assert proxy.stop() == 0
        assert time.monotonic() - started < 5
        assert used.wait_for_end() == "fin" and unused.wait_for_end() == "fin"


def test_streams_are_ended_one_by_one_each_with_a_retry_of_its_own(stage):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"retry: 4000\ndata: a\n\n")
        connection.wait_until_left(20)
    proxy = stage.heartwire(stage.origin(handler), heartbeat="15s", drain="2s", workers=2)
    clients = [Client(proxy.port) for _ in range(24)]
    bodies = []
    for number, client in enumerate(clients):
        _, body = client.open_stream(f"/staggered/{number}")
        body.wait_for(b"data: a\n\n")
        bodies.append(body)
    proxy.send_signal(signal.SIGTERM)
    started, ends, retries = time.monotonic(), [], []
    for body in bodies:
        body.read_to_end(10)
        assert body.complete
        ends.append(body.pieces[-1][0] - started)
        reading = eventsource.read(bytes(body.data))
        assert [event.data for event in reading.events] == ["a"]
        retries.append(reading.retry)
    for client in clients:
        client.close()
    assert proxy.wait() == 0
    assert all(2000 <= retry <= 6000 for retry in retries) and len(set(retries)) > 15, retries
    print(f"24 streams ended within {max(ends):.2f} s")
    assert 1.0 < max(ends) < 3.0


def test_a_second_signal_ends_it_at_once(stage):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: half an event\n")
        connection.wait_until_left(20)
    proxy = stage.heartwire(stage.origin(handler), heartbeat="15s", grace="30s")
    with Client(proxy.port) as client:
        _, body = client.open_stream("/impatient")
        body.wait_for(b"half an event")
        proxy.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert proxy.process.poll() is None
        started = time.monotonic()
        proxy.send_signal(signal.SIGTERM)
        assert proxy.wait() == 1
        assert time.monotonic() - started < 5
    assert "ending at once" in proxy.stderr()
