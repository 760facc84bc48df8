"""What conf/hops.md warns of, seen in the real programs: buffers, compression, HTTP/1.0, names, and WebSockets on their way."""

import contextlib
import threading
import time
import zlib

import pytest
import websockets.exceptions
import websockets.sync.client
import websockets.sync.server

from support.client import Client, get
from support.hops import PROGRAMS
from test_hops import Server, behind, hops, in_front  # noqa: F401 (fixtures)

UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
UNBUFFERED = UNTIL_CLOSED.replace(b"\r\n\r\n", b"\r\nX-Accel-Buffering: no\r\n\r\n")


def arrivals(port, server, accept="Accept: text/event-stream\r\n") -> tuple:
    """Whether the first event came while the server was still silent after it, and the head. Both events come in the end."""
    ended = threading.Event()

    def end():
        ended.set()
        server.say("two")
        server.finish()
    timer = threading.Timer(1.5, end)
    timer.start()
    with Client(port) as client:
        client.get("/events", accept)
        response = client.read_head()
        body = client.body(response)
        inflate = zlib.decompressobj(31).decompress if response.value("content-encoding") == b"gzip" else bytes
        text, taken, flows = b"", 0, None
        while True:
            text += inflate(bytes(body.data[taken:]))
            taken = len(body.data)
            if flows is None and b"data: one" in text:
                flows = not ended.is_set()
            if body.ended:
                break
            body.pump(5)
        assert b"data: one" in text and b"data: two" in text
        return flows, response


@pytest.mark.parametrize("head, change, flows", [
    (UNTIL_CLOSED, {}, True),
    (UNTIL_CLOSED, {"proxy_buffering off;": ""}, False),
    (UNBUFFERED, {"proxy_buffering off;": ""}, True),
    (None, {"proxy_buffering off;": ""}, True),
])
def test_nginx_behind_holds_what_ends_with_its_connection_unless_told_not_to(behind, head, change, flows):
    server = Server(head)
    assert arrivals(behind("nginx", server, change).port, server)[0] is flows


@pytest.mark.parametrize("instead, flows", [("", True), ("proxy_ignore_headers X-Accel-Buffering;", False)])
def test_nginx_in_front_that_asks_in_http_1_0_and_buffers_lets_streams_flow_since_heartwire_says_so(in_front, instead, flows):
    server = Server()
    proxy, hop = in_front("nginx", server, {"proxy_http_version 1.1;": instead})
    seen, response = arrivals(hop.port, server)
    assert seen is flows and response.value("x-accel-buffering") is None


@pytest.mark.parametrize("head, cause", [(UNTIL_CLOSED, "upstream_finished"), (None, "upstream_cut_off")])
def test_a_server_that_breaks_off_is_known_behind_nginx_only_where_it_answers_in_chunks(behind, head, cause):
    """A close-delimited body (the usual answer to HTTP/1.0) has no other end: nginx takes a truncated one for a complete one."""
    server = Server(head)
    proxy = behind("nginx", server)
    with Client(proxy.port) as client:
        _, body = client.open_stream("/events")
        body.wait_for(b"data: one")
        server.break_off()
        body.read_to_end()
    assert proxy.stream_log.ending("/events")["cause"] == cause


@pytest.mark.parametrize("program, change, coding", [
    ("nginx", {"proxy_http_version 1.1;": "gzip on; gzip_min_length 0; gzip_proxied any; gzip_types text/event-stream;"}, b"gzip"),
    ("Apache httpd", {"ProxyTimeout 60": "ProxyTimeout 60\nAddOutputFilterByType DEFLATE text/event-stream"}, b"gzip"),
    ("HAProxy", {"option forwardfor": "option forwardfor\n    option http-buffer-request\n    compression algo gzip\n"
                                      "    compression type text/event-stream"}, None),
    ("Caddy", {"reverse_proxy": "encode gzip\n    reverse_proxy"}, None),
])
def test_compression_in_front_holds_no_event(in_front, program, change, coding):
    """HAProxy and Caddy respect the no-transform that Heartwire sends; the others compress, and flush with each event."""
    server = Server()
    _, hop = in_front(program, server, change, heartbeat="15s")
    flows, response = arrivals(hop.port, server, "Accept: text/event-stream\r\nAccept-Encoding: gzip\r\n")
    assert flows and response.value("content-encoding") == coding


@pytest.mark.parametrize("setting", ["do_stream = false", "do_gzip = true"])
def test_varnish_holds_events_where_it_is_told_to_gather_or_compress_them(in_front, setting):
    server = Server()
    _, hop = in_front("Varnish", server, {"sub vcl_pipe": f"sub vcl_backend_response {{ set beresp.{setting}; }}\nsub vcl_pipe"})
    assert arrivals(hop.port, server, "Accept: text/event-stream\r\nAccept-Encoding: gzip\r\n")[0] is False


@pytest.mark.parametrize("change, late", [({}, False), ({"option http-no-delay": ""}, True)])
def test_haproxy_is_late_with_every_event_unless_told_not_to_gather(in_front, change, late):
    server, delays = Server(), []
    _, hop = in_front("HAProxy", server, change)
    with Client(hop.port) as client:
        _, body = client.open_stream("/events")
        body.wait_for(b"data: one")
        for number in range(7):
            time.sleep(0.1)
            begun = time.monotonic()
            server.say(f"number {number}")
            body.wait_for(b"number %d\n\n" % number)
            delays.append(time.monotonic() - begun)
    assert (sorted(delays)[3] > 0.15) is late, delays


def test_apache_has_a_thread_for_each_stream_and_no_more_clients_than_threads(in_front):
    server = Server()
    _, hop = in_front("Apache httpd", server, {"Listen": "ServerLimit 1\nThreadsPerChild 2\nMaxRequestWorkers 2\nListen"}, heartbeat="300ms")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(hop.port)) for _ in range(3)]
        for client in clients[:2]:
            client.open_stream("/events")
        clients[2].get("/events", "Accept: text/event-stream\r\n")
        clients[2].receive_once(1)
        assert not clients[2].received
        clients[0].close()
        assert clients[2].read_head(5).status == 200


def test_caddys_write_timeout_ends_a_stream_at_its_age_in_spite_of_heartbeats(in_front):
    server = Server()
    proxy, hop = in_front("Caddy", server, heartbeat="300ms", options="servers {\ntimeouts {\nwrite 2s\n}\n}")
    with Client(hop.port) as client:
        begun = time.monotonic()
        _, body = client.open_stream("/events")
        body.read_to_end(8)
        assert 1.5 < time.monotonic() - begun < 5
    assert proxy.stream_log.ending("/events")["side"] == "client"


def test_haproxys_client_timeout_does_not_end_an_idle_response(in_front):
    server = Server()
    _, hop = in_front("HAProxy", server, {"timeout client 50s": "timeout client 1s"})
    with Client(hop.port) as client:
        _, body = client.open_stream("/events")
        body.wait_for(b"data: one")
        body.collect(2.5)
        assert not body.ended


@pytest.mark.parametrize("heartbeat, streams", [("15s", 2), ("off", 1)])
def test_varnish_that_might_cache_gives_each_client_a_stream_of_its_own_only_where_heartwire_says_no_cache(in_front, stage, heartbeat, streams):
    server = Server()
    _, hop = in_front("Varnish", server, {"return (pass)": "return (hash)"}, heartbeat=heartbeat)
    with Client(hop.port) as first, Client(hop.port) as second:
        for client in (first, second):
            client.open_stream("/events")[1].wait_for(b"data: one")
    assert len(stage.origins[0].requests) == streams


@pytest.mark.parametrize("program, change, field, value", [
    ("Caddy", {"trusted_proxies 127.0.0.1": ""}, "x-forwarded-for", b"127.0.0.1"),
    ("Apache httpd", {"ProxyAddHeaders Off": ""}, "x-forwarded-host", b"test.example, test.example"),
])
def test_forwarding_fields_are_lost_or_doubled_without_what_the_page_sets(behind, stage, program, change, field, value):
    server = Server()
    proxy = behind(program, server, change)
    with Client(proxy.port, source="127.0.0.9") as client:
        client.open_stream("/events")
    assert stage.origins[0].requests[0].value(field) == value


def test_caddy_answers_for_a_host_that_it_does_not_know_with_an_empty_200(behind):
    proxy = behind("Caddy", Server(), {"http://:8081": "http://127.0.0.1:8081"})
    response = get(proxy.port)
    assert (response.status, response.body) == (200, b"")


# WebSockets

@contextlib.contextmanager
def echo_server():
    def echo(connection):
        for message in connection:
            connection.send(message)
    server = websockets.sync.server.serve(echo, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()
        thread.join(5)


def connect(port):
    return websockets.sync.client.connect(f"ws://127.0.0.1:{port}/chat", proxy=None, compression=None)


@pytest.mark.parametrize("place", ["in front", "behind"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_websocket_passes_through_the_hop(stage, hops, program, place):
    with echo_server() as target:
        if place == "in front":
            port = hops(program, place, stage.heartwire(f"127.0.0.1:{target}").port).port
        else:
            port = stage.heartwire(f"127.0.0.1:{hops(program, place, target).port}").port
        with connect(port) as chat:
            chat.send("hello")
            assert chat.recv(5) == "hello"


@pytest.mark.parametrize("program, change, arguments", [
    ("nginx", {"proxy_read_timeout 60s": "proxy_read_timeout 2s"}, []),
    ("HAProxy", {"timeout tunnel 1h": "timeout tunnel 2s"}, []),
    ("HAProxy", {"timeout tunnel 1h": "", "timeout server 50s": "timeout server 2s"}, []),
    ("Apache httpd", {"ProxyTimeout 60": "ProxyTimeout 2\n    Timeout 2"}, []),
    ("Varnish", {}, ["-p", "pipe_timeout=2"]),
])
def test_an_idle_websocket_is_cut_by_the_timeout_that_the_page_names(stage, hops, program, change, arguments):
    with echo_server() as target:
        proxy = stage.heartwire(f"127.0.0.1:{target}", heartbeat="500ms")
        hop = hops(program, "in front", proxy.port, change, arguments=arguments)
        with connect(hop.port) as chat:
            chat.send("hello")
            assert chat.recv(5) == "hello"
            begun = time.monotonic()
            with pytest.raises(websockets.exceptions.ConnectionClosed):
                chat.recv(8)
            assert 1.5 < time.monotonic() - begun < 5
