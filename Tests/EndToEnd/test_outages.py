"""An outage or a limit does not stop an EventSource: it is held, then gets its server's stream or is told to come back."""

import re
import time

import pytest

from support.client import Client, get
from support.ports import reserve_port
from support.waiting import wait_until


def stream(connection, request):
    connection.start_stream()
    connection.chunk(b"id: 1\ndata: hello\n\n")
    connection.wait_until_left(30)


def retry_of(body: bytes) -> int:
    found = re.findall(rb"(?m)^retry: ?(\d+)$", body)
    assert len(found) == 1, body
    return int(found[0])


def test_a_client_is_held_until_its_server_is_there(stage):
    origin = stage.origin(stream)
    origin.stop_listening()
    proxy = stage.heartwire(origin, outage="retry 20s", heartbeat="300ms", opening="on", upstream="failure_cooldown 200ms")
    with Client(proxy.port) as client:
        head, body = client.open_stream("/held")
        assert head.status == 200 and head.value("content-type") == b"text/event-stream"
        body.wait_for(lambda data: data.count(b":\n\n") >= 3)
        origin.listen_again()
        body.wait_for(b"id: 1\ndata: hello\n\n", timeout=10)
        assert body.data.replace(b":\n\n", b"") == b"id: 1\ndata: hello\n\n"
    opening = proxy.stream_log.opening("/held")
    assert opening["held_because"] == "connection_refused" and opening["status"] == 200
    assert "refused" in opening["held_evidence"].lower()
    ending = proxy.stream_log.ending("/held")
    assert ending["cause"] == "client_closed" and ending["events"] == 1
    assert ending["held_ms"] >= 600 and ending["heartbeats"] >= 2


def test_after_its_time_a_held_client_is_told_to_come_back(stage):
    proxy = stage.heartwire(f"127.0.0.1:{reserve_port()}", outage="retry 1500ms", heartbeat="300ms", opening="on")
    with Client(proxy.port) as client:
        started = time.monotonic()
        head, body = client.open_stream("/gone")
        body.read_to_end()
        assert body.complete and head.status == 200
        assert time.monotonic() - started < 3
        assert 1000 <= retry_of(body.data) <= 5000
        # The connection goes on.
        client.get("/plain")
        assert client.read_response().status == 502
    ending = proxy.stream_log.ending("/gone")
    assert ending["cause"] == "connection_refused" and "told to come back" in ending["evidence"]
    assert ending["errno"] == "ECONNREFUSED"


def test_a_server_in_trouble_is_waited_past(stage):
    answers = iter([503, 502, 504])

    def recovering(connection, request):
        status = next(answers, None)
        if status is None:
            return stream(connection, request)
        connection.respond(status, b"sorry")
    proxy = stage.heartwire(stage.origin(recovering), outage="retry 20s", heartbeat="300ms", opening="on")
    with Client(proxy.port) as client:
        head, body = client.open_stream("/trouble")
        assert head.status == 200
        body.wait_for(b"data: hello", timeout=10)
        assert b"sorry" not in body.data
    assert proxy.stream_log.opening("/trouble")["held_because"] == "upstream_unavailable"
    proxy.stream_log.ending("/trouble")


def test_what_is_no_outage_passes_as_it_is(stage):
    def refusing(connection, request):
        connection.respond(int(request.target.rpartition(b"/")[2]), b"no")
    proxy = stage.heartwire(stage.origin(refusing), outage="retry 20s")
    for status in (400, 401, 403, 404, 410, 429, 500, 501):
        response = get(proxy.port, f"/{status}", "Accept: text/event-stream\r\n")
        assert response.status == status and response.body == b"no"


def test_an_early_answer_is_followed_by_the_stream_or_by_an_event(stage):
    def slow(connection, request):
        time.sleep(3)
        if request.target == b"/missing":
            return connection.respond(404, b"no")
        stream(connection, request)
    proxy = stage.heartwire(
        stage.origin(slow), outage="retry 20s", heartbeat="200ms", opening="on", route=["early 300ms event trouble"])
    with Client(proxy.port) as client:
        started = time.monotonic()
        head, body = client.open_stream("/slow")
        assert head.status == 200 and time.monotonic() - started < 2.9
        body.wait_for(b"data: hello")
    assert proxy.stream_log.opening("/slow")["held_because"] == "early"
    with Client(proxy.port) as client:
        _, body = client.open_stream("/missing")
        body.read_to_end()
        assert b'event: trouble\ndata: {"status":404,"cause":"sent_back"}\n\n' in body.data
        retry_of(body.data)
    ending = proxy.stream_log.ending("/missing")
    assert ending["cause"] == "sent_back" and "404" in ending["evidence"]


def test_an_eventsource_above_the_limit_is_told_to_come_back(stage):
    proxy = stage.heartwire(stage.origin(stream), outage="retry 20s", limits="connections 4")
    proxy.wait_for_connections()
    served = [Client(proxy.port) for _ in range(4)]
    for client in served:
        client.open_stream("/served")[1].wait_for(b"hello")
    with Client(proxy.port) as late:
        head, body = late.open_stream("/late")
        assert head.status == 200
        body.read_to_end()
        assert 3500 <= retry_of(body.data) <= 13_000
        late.wait_for_end()
    record = proxy.access_log.access("/late")
    assert record["status"] == 200 and record["refused_by"] == "connections"
    with Client(proxy.port) as other:
        other.get("/other")
        assert other.read_response().status == 503
    served.pop().close()
    proxy.wait_for_connections(3)
    with Client(proxy.port) as again:
        again.open_stream("/again")[1].wait_for(b"hello")
    for client in served:
        client.close()


def test_many_held_clients_are_all_served_when_their_server_is_back(stage):
    origin = stage.origin(stream)
    origin.stop_listening()
    proxy = stage.heartwire(origin, outage="retry 20s", heartbeat="1s", opening="on")
    clients = [Client(proxy.port) for _ in range(300)]
    for client in clients:
        client.get("/held", "Accept: text/event-stream\r\n")
    bodies = [client.body(client.read_head()) for client in clients]
    time.sleep(2)
    origin.listen_again()
    deadline = time.monotonic() + 15
    for body in bodies:
        body.wait_for(b"hello", timeout=max(deadline - time.monotonic(), 0.01))
    for client in clients:
        client.close()


def test_clients_that_leave_while_held_leave_nothing(stage):
    proxy = stage.heartwire(f"127.0.0.1:{reserve_port()}", outage="retry 20s", heartbeat="1s")
    get(proxy.port, "/")
    before = proxy.descriptors()
    for number in range(30):
        with Client(proxy.port) as client:
            client.open_stream(f"/{number}")
    for number in range(30):
        assert proxy.stream_log.ending(f"/{number}")["cause"] == "client_closed"
    wait_until(lambda: proxy.descriptors() <= before)


def test_sigterm_sends_held_clients_away_at_once(stage):
    proxy = stage.heartwire(f"127.0.0.1:{reserve_port()}", outage="retry 20s", heartbeat="1s")
    with Client(proxy.port) as client:
        _, body = client.open_stream("/held")
        time.sleep(0.3)
        started = time.monotonic()
        assert proxy.stop() == 0 and time.monotonic() - started < 8
        body.read_to_end()
        assert body.complete
        retry_of(body.data)
    assert proxy.stream_log.ending("/held")["cause"] == "drained"


@pytest.mark.parametrize("answer, reason", [
    (b"HTTP/1.1 200 OK\nContent-Type: text/event-stream\n\ndata: 1\n\n", "bare line feed"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "invalid Content-Length"),
    (b"hello\r\n\r\n", "malformed status line"),
    (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000, "head too large"),
])
def test_a_server_that_breaks_the_rules_every_time_does_not_look_healthy(stage, answer, reason):
    def breaking(connection, request):
        connection.send(answer)
        connection.wait_until_left(5)
    origin = stage.origin(breaking)
    proxy = stage.heartwire(origin, outage="retry 20s", heartbeat="300ms", opening="on")
    response = get(proxy.port, "/broken", "Accept: text/event-stream\r\n")
    assert response.status == 502 and reason.encode() in response.body
    assert len(origin.requests) == 2
    record = proxy.access_log.access("/broken")
    assert record["cause"] == "upstream_protocol_error" and reason in record["evidence"]


def test_which_answers_are_an_outage_is_the_routes_choice(stage):
    def answering(connection, request):
        connection.respond(int(request.target.rpartition(b"/")[2]), b"no")
    proxy = stage.heartwire(stage.origin(answering), outage="retry 20s", heartbeat="300ms", route=["outage_answers 429 520-527"])
    for status in (429, 520, 527):
        with Client(proxy.port) as client:
            head, _ = client.open_stream(f"/{status}")
            assert head.status == 200
        opening = proxy.stream_log.opening(f"/{status}")
        assert opening["held_because"] == "upstream_unavailable" and opening["held_evidence"] == f"the server answered {status}"
        proxy.stream_log.ending(f"/{status}")
    for status in (500, 502, 503, 530):
        assert get(proxy.port, f"/{status}", "Accept: text/event-stream\r\n").status == status
