"""HAProxy and Caddy in front of Heartwire that speak HTTP/2 to it, with the lines of conf/hops.md. (nginx, httpd and Varnish cannot.)"""

import threading
import time

import pytest
import websockets.exceptions
import websockets.sync.client
import websockets.sync.server

from support.client import Client, get
from support.hops import Hop, blocks
from support.tls import tls_block
from test_hops import SHORT_IN_FRONT, Server
from test_http2 import BOTH, hello

LINES = {"HAProxy": "server heartwire 127.0.0.1:8080", "Caddy": "reverse_proxy 127.0.0.1:8080"}
CADDY_SHORT = "reverse_proxy h2c://127.0.0.1:8080 {\ntransport http {\nversions h2c\nread_timeout 2s\n}\n}"


def page_line(program) -> str:
    """The line of the page that makes the hop speak HTTP/2 to Heartwire."""
    language = program.lower()
    return next(text.strip() for found, text in blocks(program, "in front")[1:] if found == language)


def over_http2(program) -> dict:
    return {LINES[program]: page_line(program)}


def short(program) -> dict:
    """The same with the hop's timeout of 2 s."""
    return {**over_http2(program), **SHORT_IN_FRONT[program]} if program == "HAProxy" else {LINES["Caddy"]: CADDY_SHORT}


@pytest.fixture
def in_front(stage):
    """client → hop → Heartwire over HTTP/2 → server."""
    started = []

    def start(program, server, change, listen=BOTH, heartbeat="off", top="trusted_proxies 127.0.0.1"):
        proxy = stage.heartwire(stage.origin(server), listen=listen, heartbeat=heartbeat, top=top, workers=2)
        started.append(Hop(program, "in front", proxy.port, stage.new_folder(), change))
        return proxy, started[-1]
    yield start
    for hop in started:
        hop.close()


@pytest.mark.parametrize("program", LINES)
def test_heartbeats_carry_a_stream_past_the_hops_timeout_and_a_client_that_leaves_is_noticed(in_front, stage, program):
    server = Server()
    proxy, hop = in_front(program, server, short(program), heartbeat="500ms")
    with Client(hop.port, source="127.0.0.9") as client:
        _, body = client.open_stream("/events")
        body.wait_for(b"data: one\n\n")
        body.collect(3.5)
        assert not body.ended, f"{program} cut the stream in spite of heartbeats: {hop.said()}"
        server.say("two")
        body.wait_for(b"data: two\n\n")
    assert server.left.wait(5), f"{program} did not tell that its client left"
    record = proxy.stream_log.ending("/events")
    assert record["http"] == "2" and record["client_forwarded"] == "127.0.0.9" and record["evidence"] == "RST_STREAM(CANCEL) received"
    request = stage.origins[0].requests[0]
    assert request.value("via") is not None and request.value("x-forwarded-proto") == b"http"


@pytest.mark.parametrize("program", LINES)
def test_a_silence_is_cut_as_the_page_says(in_front, program):
    server = Server()
    proxy, hop = in_front(program, server, short(program))
    with Client(hop.port) as client:
        _, body = client.open_stream("/events")
        body.wait_for(b"data: one\n\n")
        body.read_to_end(10)
    record = proxy.stream_log.ending("/events")
    assert record["cause"] == "client_closed" and 1650 <= record["longest_client_silence_ms"] <= 6000
    # Caddy ends the connection, and sometimes says so to its streams before.
    assert record["evidence"] == "RST_STREAM(CANCEL) received" or program == "Caddy" and record["evidence"] == "FIN received", record
    assert server.left.wait(5)


def test_caddys_timeout_is_restarted_by_any_stream_and_ends_all_of_them(in_front):
    def server(connection, request):
        connection.start_stream()
        for number in range(8 if request.target == b"/talks" else 1):
            connection.chunk(b"data: %d\n\n" % number)
            time.sleep(0.5)
        connection.wait_until_left(30)

    proxy, hop = in_front("Caddy", server, short("Caddy"))
    with Client(hop.port) as talks, Client(hop.port) as silent:
        bodies = [client.open_stream(path)[1] for client, path in ((talks, "/talks"), (silent, "/silent"))]
        began = time.monotonic()
        for body in bodies:
            body.read_to_end(15)
        assert time.monotonic() - began > 4.5, "the silent stream was cut beside one that talks"
    ends = [proxy.stream_log.ending(path) for path in ("/talks", "/silent")]
    assert ends[0]["connection"] == ends[1]["connection"] and {record["cause"] for record in ends} == {"client_closed"}
    # Both end in one moment: that is the connection's end, and no timer of a stream.
    assert abs(ends[0]["client_silence_at_end_ms"] - 2000) < 1500 and ends[1]["client_silence_at_end_ms"] > 4000
    assert ends[1]["longest_client_silence_ms"] > 4000


def test_a_browser_that_does_not_read_stops_no_other_browser_behind_the_same_hop(in_front):
    """With HTTP/2 between them a hop may put streams of several clients on one connection."""
    def server(connection, request):
        connection.start_stream()
        if request.target == b"/unread":
            while True:
                connection.chunk(b"data: " + b"x" * 8000 + b"\n\n")
        connection.wait_until_left(60)

    for program in LINES:
        proxy, hop = in_front(program, server, over_http2(program), heartbeat="300ms")
        with Client(hop.port, receive_buffer=4096) as unread, Client(hop.port) as first, Client(hop.port) as second:
            unread.get("/unread", "Accept: text/event-stream\r\n")
            bodies = [client.open_stream(f"/{name}")[1] for name, client in (("first", first), ("second", second))]
            for body in bodies:
                body.collect(2.5)
                assert body.data.count(b":") >= 5, f"{program}: {len(body.data)} bytes in 2.5 s beside a client that does not read"
        ends = [proxy.stream_log.ending(path) for path in ("/first", "/second")]
        assert [record["http"] for record in ends] == ["2", "2"]


CADDY_TLS = "reverse_proxy https://127.0.0.1:8080 {\ntransport http {\ntls_insecure_skip_verify\n}\n}"


@pytest.mark.parametrize("program, change, listen, version", [
    ("HAProxy", {}, BOTH, None), ("HAProxy", "the page's", BOTH, "2"),
    ("HAProxy", {LINES["HAProxy"]: f"{LINES['HAProxy']} ssl verify none alpn h2"}, "tls", "2"),
    ("Caddy", {}, BOTH, None), ("Caddy", {LINES["Caddy"]: CADDY_TLS}, "tls", None), ("Caddy", "the page's", BOTH, "none")],
    ids=["HAProxy", "HAProxy-h2c", "HAProxy-tls", "Caddy", "Caddy-tls", "Caddy-h2c"])
def test_a_websocket_passes_everywhere_but_through_caddys_h2c(stage, identity, program, change, listen, version):
    def echo(connection):
        for message in connection:
            connection.send(f"echo of {message}")

    server = websockets.sync.server.serve(echo, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever).start()
    proxy = stage.heartwire(f"127.0.0.1:{server.socket.getsockname()[1]}", listen=tls_block(identity) if listen == "tls" else listen,
                            top="trusted_proxies 127.0.0.1")
    hop = Hop(program, "in front", proxy.port, stage.new_folder(), over_http2(program) if change == "the page's" else change)
    address = f"ws://127.0.0.1:{hop.port}/chat"
    try:
        if version == "none":
            with pytest.raises(websockets.exceptions.InvalidStatus, match="502"):
                websockets.sync.client.connect(address, proxy=None, compression=None)
            return
        with websockets.sync.client.connect(address, proxy=None, compression=None) as client:
            client.send("hello")
            assert client.recv(timeout=10) == "echo of hello"
        assert proxy.access_log.access("/chat").get("http") == version
    finally:
        hop.close()
        server.shutdown()


@pytest.mark.parametrize("options", ["ssl verify none alpn h2", "ssl verify none alpn http/1.1", "ssl verify none"])
def test_haproxy_speaks_to_a_tls_address_as_its_alpn_says(in_front, stage, identity, options):
    proxy, hop = in_front("HAProxy", hello, {LINES["HAProxy"]: f"{LINES['HAProxy']} {options}"}, listen=tls_block(identity))
    response = get(hop.port, "/x")
    assert response.status == 200 and response.body == b"hello"
    via = stage.origins[0].requests[0].value("via")
    assert via.startswith(b"2 " if "h2" in options else b"1.1 "), via


def test_haproxy_says_https_on_every_connection_without_tls_and_has_to_be_trusted(in_front):
    proxy, hop = in_front("HAProxy", hello, over_http2("HAProxy"), top="")
    response = get(hop.port, "/x")
    assert response.status == 421
    record = proxy.access_log.wait_for(lambda record: record["status"] == 421)[0]
    assert "trusted proxy" in record["evidence"]


def test_a_hop_that_speaks_http2_to_an_address_that_does_not_gets_an_answer_that_says_so(in_front):
    proxy, hop = in_front("HAProxy", hello, over_http2("HAProxy"), listen="")
    assert get(hop.port, "/x").status in (502, 503)
    assert "HTTP/2" in proxy.access_log.wait_for(lambda record: record.get("cause") == "client_protocol_error")[0]["evidence"]
