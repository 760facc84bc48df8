"""Routes that ask a service: living streams are asked about again, and end when the service takes its word back."""

import time

import pytest

from support import eventsource, forward_auth
from support.client import Client, get
from support.forward_auth import SESSION, STREAM, reload, silent, stream
from support.http2 import HTTP2Client


@pytest.fixture
def guarded(stage):
    return forward_auth.guarded(stage)


def answering_by(state):
    """A service that answers as `state["answer"]` says: a status, or a function."""
    def service(connection, request):
        answer = state["answer"]
        if callable(answer):
            answer(connection, request)
        else:
            connection.respond(answer, b"", [("Location", "/login")] if answer == 302 else [("X-User", "ann")])
    return service


@pytest.mark.parametrize("answer", [401, 403, 302])
def test_a_stream_ends_when_the_service_refuses_it_and_is_not_opened_again(guarded, answer):
    state = {"answer": 200}
    proxy, asked, origin = guarded(answering_by(state), "cache 0s", "recheck 1s", handler=stream)
    clients = [Client(proxy.port) for _ in range(20)]
    for client in clients:
        client.get("/events", SESSION + STREAM)
    bodies = [client.body(client.read_head()) for client in clients]
    with Client(proxy.port) as other:
        other.get("/events", "Cookie: sid=bob\r\n" + STREAM)
        body = other.body(other.read_head())
        body.wait_for(b"data: hello\n\n")
        opened = len(asked.requests)
        time.sleep(2.2)
        # Twenty streams of one identity are one question, and the other identity is another one.
        assert 2 <= len(asked.requests) - opened <= 8
        assert not any(each.ended for each in bodies)
        state["answer"] = lambda connection, request: connection.respond(
            answer if b"ann" in request.value("cookie") else 200, b"", [("Location", "/login")])
        begun = time.monotonic()
        for each in bodies:
            reading = eventsource.read(each.read_to_end(timeout=5))
            assert each.complete and [event.data for event in reading.events] == ["hello"] and reading.retry is not None
        assert time.monotonic() - begun < 3
        other.receive_once(0.3)
        assert other.end is None
    endings = proxy.stream_log.wait_for(lambda record: record["event"] == "stream_end" and record["cause"] == "revoked", count=20)
    assert {(ending["side"], ending["evidence"]) for ending in endings} == {
        ("proxy", f"ended between two events because the service session answered {answer} when it was asked again")}
    assert get(proxy.port, "/events", SESSION + STREAM).status == (403 if answer == 403 else 401)


def test_a_stream_in_the_middle_of_an_event_that_does_not_end_is_cut(guarded):
    state = {"answer": 200}

    def half(connection, request):
        connection.start_stream()
        connection.chunk(b"data: whole\n\ndata: half")
        connection.wait_until_left(60)

    proxy, *_ = guarded(answering_by(state), "recheck 1s", "cache 0s", handler=half)
    with Client(proxy.port) as client:
        client.get("/events", SESSION + STREAM)
        body = client.body(client.read_head())
        body.wait_for(b"half")
        state["answer"] = 403
        received = body.read_to_end(timeout=6)
        assert not body.complete and [event.data for event in eventsource.read(received).events] == ["whole"]


def test_streams_live_through_a_silence_of_the_service_up_to_the_grace(guarded):
    state = {"answer": 200}
    proxy, asked, origin = guarded(answering_by(state), "recheck 1s", "recheck_grace 3s", "cache 0s", "timeout 300ms", handler=stream)
    with Client(proxy.port) as client:
        client.get("/events", SESSION + STREAM)
        body = client.body(client.read_head())
        body.wait_for(b"data: hello\n\n")
        for _ in range(2):
            state["answer"] = 500
            body.collect(2.5)
            state["answer"] = 200
            body.collect(1.5)
            assert not body.ended
        state["answer"] = silent
        begun = time.monotonic()
        assert eventsource.read(body.read_to_end(timeout=8)).retry is not None
        assert 3 <= time.monotonic() - begun < 6
    ending = proxy.stream_log.ending("/events")
    assert ending["cause"] == "authorization_unavailable"
    assert ending["evidence"] == "ended between two events because the service session has not answered for more than 3 s"


def test_no_stream_begins_when_the_service_was_silent_for_too_long_while_the_server_thought(guarded):
    state = {"answer": 200}

    def slow(connection, request):
        connection.wait_until_left(3)
        stream(connection, request)

    proxy, asked, origin = guarded(
        answering_by(state), "recheck 1s", "recheck_grace 0s", "cache 0s", "timeout 300ms", handler=slow, path="/events",
        more="route /plain {{\n upstream {origin}\n forward_auth session\n outage refuse\n}}\n")
    with Client(proxy.port) as client, Client(proxy.port) as plain:
        client.get("/events", SESSION + STREAM)
        plain.get("/plain", SESSION)
        origin.wait_for_requests(2)
        state["answer"] = 500
        # An EventSource would not come back after any other status.
        head = client.read_head()
        assert head.status == 200
        assert eventsource.read(client.body(head).read_to_end(timeout=3)).retry is not None
        assert plain.read_head().status == 503
    for path in ("/events", "/plain"):
        record = proxy.access_log.access(path)
        assert (record["cause"], record["credential_error"]) == ("authorization_unavailable", "unavailable")
        assert record["evidence"].startswith("the service session has not answered for more than 0 s")


def test_an_opening_that_is_refused_ends_the_streams_of_the_same_question(guarded):
    state = {"answer": 200}
    proxy, *_ = guarded(answering_by(state), "recheck 1h", "cache 0s", handler=stream)
    with Client(proxy.port) as client:
        client.get("/events", SESSION + STREAM)
        body = client.body(client.read_head())
        body.wait_for(b"data: hello\n\n")
        state["answer"] = 403
        assert get(proxy.port, "/events", SESSION).status == 403
        body.read_to_end(timeout=3)


def test_a_recheck_goes_on_through_a_reload_that_changes_the_service(guarded):
    state = {"answer": 200}
    proxy, *_ = guarded(answering_by(state), "recheck 1s", "cache 0s", handler=stream)
    with Client(proxy.port) as client:
        client.get("/events", SESSION + STREAM)
        body = client.body(client.read_head())
        body.wait_for(b"data: hello\n\n")
        reload(proxy, proxy.configuration().replace("recheck 1s", "recheck 2s"))
        state["answer"] = 403
        body.read_to_end(timeout=5)


def test_over_http2_the_stream_ends_and_its_connection_goes_on(guarded):
    state = {"answer": 200}
    proxy, *_ = guarded(answering_by(state), "recheck 1s", "cache 0s", handler=stream)
    with HTTP2Client(proxy.port) as client:
        events = client.request("/events", extra=[(b"cookie", b"sid=ann")])
        client.wait(lambda: b"hello" in events.data)
        state["answer"] = 403
        client.whole(events)
        assert events.ended and events.reset_code is None
        assert client.whole(client.request("/other", extra=[(b"cookie", b"sid=ann")])).status == 403
