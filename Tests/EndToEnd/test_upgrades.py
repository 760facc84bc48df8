"""Protocol upgrades: a WebSocket passes unchanged between two ends of a real library; refusals stay HTTP."""

import contextlib
import os
import signal
import socket
import threading
import time

import websockets.sync.client
import websockets.sync.server

from support import planted
from support.client import Client


@contextlib.contextmanager
def websocket_server(handler):
    server = websockets.sync.server.serve(handler, "127.0.0.1", 0, max_size=None)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield "127.0.0.1:%d" % server.socket.getsockname()[1]
    finally:
        server.shutdown()
        thread.join(5)


def echo(connection):
    for message in connection:
        connection.send(message)


def connect(proxy, path="/chat", **options):
    return websockets.sync.client.connect(f"ws://127.0.0.1:{proxy.port}{path}", max_size=None, proxy=None, **options)


def test_a_websocket_passes_both_ways(stage):
    with websocket_server(echo) as address:
        proxy = stage.heartwire(address, heartbeat="200ms")
        with connect(proxy) as socket:
            for message in ("hello", "žluť 🐎", b"\x00\xff" * 1000, os.urandom(3_000_000)):
                socket.send(message)
                assert socket.recv(10) == message
            time.sleep(0.7)  # Longer than the heartbeat: nothing may be added to another protocol.
            socket.send("still in step")
            assert socket.recv(10) == "still in step"
    record = proxy.access_log.access("/chat")
    assert record["status"] == 101


def test_no_timeout_but_a_hops_ends_an_idle_websocket(stage):
    with websocket_server(echo) as address:
        proxy = stage.heartwire(
            address, heartbeat="100ms", upstream=["idle_timeout 1s", "stream_silence_timeout 1s", "response_timeout 1500ms"],
            timeouts="request_head 1s\nrequest_body 1s\nkeep_alive 1s\nclient_stall 1s")
        with connect(proxy) as socket:
            time.sleep(2.5)
            socket.send("still here")
            assert socket.recv(10) == "still here"
    record = proxy.access_log.access("/chat")
    assert "cause" not in record and record["request_bytes"] > 10 and record["response_bytes"] > 10


def test_a_shutdown_leaves_a_websocket_its_grace(stage):
    with websocket_server(echo) as address:
        proxy = stage.heartwire(address, grace="2s")
        with connect(proxy) as socket:
            proxy.send_signal(signal.SIGTERM)
            time.sleep(0.4)
            socket.send("not yet")
            assert socket.recv(10) == "not yet"
            try:
                socket.recv(5)
                raise AssertionError("the tunnel outlived its grace")
            except websockets.exceptions.ConnectionClosed:
                pass
        assert proxy.wait() == 0
    assert proxy.access_log.access("/chat")["cause"] == "grace_expired"


def test_the_servers_farewell_reaches_the_client(stage):
    with websocket_server(lambda connection: connection.close(4001, "enough")) as address:
        with connect(stage.heartwire(address)) as socket:
            try:
                socket.recv(5)
                raise AssertionError("the server did not close")
            except websockets.exceptions.ConnectionClosed as closed:
                assert closed.rcvd.code == 4001 and closed.rcvd.reason == "enough"


def test_a_websocket_gets_its_token_bridged_too(stage):
    token, seen = planted.plant(), []

    def handler(connection):
        seen.append((connection.request.path, connection.request.headers.get("Authorization")))
    with websocket_server(handler) as address:
        proxy = stage.heartwire(address, route="bearer_from query access_token")
        with connect(proxy, f"/chat?access_token={token}&a=1"):
            deadline = time.monotonic() + 5
            while not seen and time.monotonic() < deadline:
                time.sleep(0.01)
        assert seen == [("/chat?a=1", f"Bearer {token}")]


UPGRADE = (b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: special/1\r\n"
           b"Sec-WebSocket-Key: x\r\n\r\n")


def test_bytes_on_both_sides_of_a_101_are_neither_lost_nor_early(stage):
    """The server sends behind its 101 in one piece; the client sends behind its request before that."""
    def handler(connection):
        request = connection.read_request()
        assert request.value("upgrade") == b"special/1" and b"upgrade" in request.tokens("connection")
        time.sleep(0.3)
        early = bytes(connection.received[len(request.head):])
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, X-Hop\r\nUpgrade: special/1\r\nX-Hop: 1\r\n\r\nserver first")
        connection.origin.early = early
        while b"client first" not in connection.received:
            connection.receive_once(5)
        connection.send(b"got it")
        connection.close()
    origin = stage.origin(handler, raw=True)
    proxy = stage.heartwire(origin)
    with Client(proxy.port) as client:
        client.send(UPGRADE + b"client first")
        response = client.read_head()
        assert response.status == 101 and response.value("upgrade") == b"special/1"
        assert b"upgrade" in response.tokens("connection")
        assert response.values("x-hop") == [] and b"x-hop" not in response.tokens("connection")
        client.wait_for_end(5)
        assert client.take() == b"server firstgot it"
    assert origin.early == b"", "bytes went to the server before it had accepted the upgrade"


def test_a_refused_upgrade_is_an_ordinary_response(stage):
    origin = stage.origin(lambda connection, request: connection.respond(400, b"no"))
    proxy = stage.heartwire(origin)
    with Client(proxy.port) as client:
        client.send(UPGRADE + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        response = client.read_response()
        assert response.status == 400
        # The bytes behind the request may have been meant for the other protocol: closing is as correct as serving them.
        if b"close" in response.tokens("connection"):
            client.wait_for_end()
            assert [request.target for request in origin.requests] == [b"/up"]
        else:
            assert client.read_response().status == 400
            assert [request.target for request in origin.requests] == [b"/up", b"/next"]


def test_a_200_is_not_taken_for_an_upgrade(stage):
    origin = stage.origin(lambda connection, request: connection.respond(200, b"plain"))
    proxy = stage.heartwire(origin)
    with Client(proxy.port) as client:
        client.send(UPGRADE)
        assert client.read_response().body == b"plain"
        client.send(b"raw bytes that are no request\r\n\r\n")
        assert client.read_response().status == 400
    assert b"raw bytes" not in origin.everything_received()


def test_one_side_closing_ends_the_other(stage):
    gone = threading.Event()

    def handler(connection):
        connection.read_head()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: special/1\r\n\r\n")
        connection.wait_until_left(10)
        gone.set()
    proxy = stage.heartwire(stage.origin(handler, raw=True))
    with Client(proxy.port) as client:
        client.send(UPGRADE)
        assert client.read_head().status == 101
    assert gone.wait(3)


def test_a_side_that_does_not_say_goodbye_is_not_waited_for_and_is_named(stage):
    def handler(connection):
        connection.read_head()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: special/1\r\n\r\n")
        connection.wait_until_left(10)
        time.sleep(5)
    proxy = stage.heartwire(stage.origin(handler, raw=True), timeouts="client_stall 700ms")
    with Client(proxy.port) as client:
        client.send(UPGRADE)
        assert client.read_head().status == 101
        client.socket.shutdown(socket.SHUT_WR)
        client.wait_for_end(4)
    record = proxy.access_log.access("/up")
    assert record["cause"] == "upstream_silent" and "tunnel" in record["evidence"]
