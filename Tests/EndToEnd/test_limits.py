"""Every limit has a clear answer and a line in the log, and the rest of the proxy does not notice."""

import time

from support.client import Client, get


def answer(connection, request):
    connection.respond(200, b"ok")


def hold(connection, request):
    connection.start_stream()
    connection.chunk(b"data: a\n\n")
    connection.wait_until_left(30)


def test_a_head_that_takes_too_long_is_408(stage):
    proxy = stage.heartwire(stage.origin(answer), timeouts="request_head 700ms")
    with Client(proxy.port) as client:
        started = time.monotonic()
        client.send(b"GET / HTTP/1.1\r\n")
        for _ in range(3):
            time.sleep(0.15)
            client.send(b"X: drip\r\n")
        assert client.read_response().status == 408
        assert 0.5 < time.monotonic() - started < 2.5
        client.wait_for_end()
    assert proxy.access_log.wait_for(lambda r: r.get("status") == 408)


def test_a_connection_that_never_sends_is_closed_without_a_word(stage):
    proxy = stage.heartwire(stage.origin(answer), timeouts="request_head 500ms")
    with Client(proxy.port) as client:
        started = time.monotonic()
        client.wait_for_end(5)
        assert time.monotonic() - started < 3
        assert client.take() == b"" or b" 408 " in client.received


def test_an_idle_kept_alive_connection_is_closed(stage):
    proxy = stage.heartwire(stage.origin(answer), timeouts="keep_alive 500ms")
    with Client(proxy.port) as client:
        client.get()
        client.read_response()
        started = time.monotonic()
        assert client.wait_for_end(5) == "fin"
        assert 0.3 < time.monotonic() - started < 2


def test_a_body_that_stops_coming_is_408(stage):
    proxy = stage.heartwire(stage.origin(answer), timeouts="request_body 600ms")
    with Client(proxy.port) as client:
        client.send(b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        assert client.read_response().status == 408
        client.wait_for_end()


def test_one_address_gets_only_its_share_of_connections(stage):
    proxy = stage.heartwire(stage.origin(hold), limits="connections_per_client 3", heartbeat="5s")
    time.sleep(0.2)  # The harness's own look at the port is counted until the proxy has seen it go.
    held = [Client(proxy.port) for _ in range(3)]
    for client in held:
        _, body = client.open_stream("/held")
        body.wait_for(b"data: a\n\n")
    with Client(proxy.port) as refused:
        refused.get("/refused")
        response = refused.read_response()
        assert response.status in (429, 503)
        refused.wait_for_end()
    records = proxy.access_log.wait_for(lambda r: r.get("cause") == "refused_by_limit")
    assert "client" in records[0]["refused_by"]
    held.pop().close()
    deadline = time.monotonic() + 3
    while True:
        with Client(proxy.port) as again:
            again.get("/again", "Accept: text/event-stream\r\n")
            if again.read_head().status == 200:
                break
        assert time.monotonic() < deadline, "a place that was given back is not given out again"
        time.sleep(0.05)
    for client in held:
        client.close()


def test_connections_in_all_are_limited(stage):
    proxy = stage.heartwire(stage.origin(hold), limits="connections 8", heartbeat="5s")
    time.sleep(0.2)
    clients, refused, shed = [], 0, 0
    for number in range(18):
        client = Client(proxy.port)
        client.get(f"/{number}", "Accept: text/event-stream\r\n")
        clients.append(client)
    for client in clients:
        client.receive_once(2)
        if client.end == "reset":
            shed += 1
            continue
        status = client.read_head().status
        assert status in (200, 503)
        refused += status == 503
    # Four are asked what they want and four are refused without; what goes beyond is closed at once.
    assert refused == 8 and shed == 2
    proxy.access_log.wait_for(lambda r: r.get("cause") == "refused_by_limit")
    assert "the limit connections is reached" in proxy.stderr()
    for client in clients:
        client.close()


def test_many_clients_are_served_while_others_stall(stage):
    def handler(connection, request):
        if request.target == b"/flood":
            connection.start_stream()
            while True:
                connection.chunk(b"data: " + b"x" * 60000 + b"\n\n")
        connection.respond(200, b"ok")
    proxy = stage.heartwire(stage.origin(handler))
    stalled = [Client(proxy.port, receive_buffer=4096) for _ in range(10)]
    for client in stalled:
        client.get("/flood", "Accept: text/event-stream\r\n")
    time.sleep(0.5)
    before = proxy.resident_bytes()
    slowest = 0.0
    for _ in range(50):
        started = time.monotonic()
        assert get(proxy.port, "/quick").body == b"ok"
        slowest = max(slowest, time.monotonic() - started)
    time.sleep(1)
    assert slowest < 0.5, f"a stalled client held others up for {slowest:.2f} s"
    assert proxy.resident_bytes() - before < 8 << 20, "the proxy buffers for stalled clients without bound"
    for client in stalled:
        client.close()
