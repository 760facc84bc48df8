"""HTTP/2 towards clients: many streams on one connection, each as if it had one of its own."""

import shutil
import signal
import socket
import subprocess
import time

import h2.errors
import httpx
import pytest

from support import eventsource
from support.http2 import HTTP2Client
from support.logs import check_ending
from support.sockets import wait_until_read
from support.tls import tls_block
from support.waiting import wait_until

BOTH = "protocols h2 http/1.1"
CODES = h2.errors.ErrorCodes


def idle(connection, request):
    connection.start_stream()
    connection.wait_until_left(60)


def hello(connection, request):
    connection.respond(200, b"hello", [("Content-Type", "text/plain"), ("X-Mixed-Case", "kept")])


# Real clients


def test_curl_and_httpx_choose_http2_in_the_handshake_and_a_client_of_http1_keeps_its_own(stage, authority, identity):
    proxy = stage.heartwire(stage.origin(hello), listen=tls_block(identity))
    url = f"https://localhost:{proxy.port}/x"
    common = ["curl", "-sS", "--noproxy", "*", "--cacert", str(authority.certificate), "-o", "/dev/null",
              "-w", "%{http_version} %{http_code}"]
    assert subprocess.check_output([*common, url], timeout=20) == b"2 200"
    assert subprocess.check_output([*common, "--http1.1", url], timeout=20) == b"1.1 200"
    with httpx.Client(http2=True, verify=str(authority.certificate), trust_env=False) as client:
        response = client.get(url)
        assert response.http_version == "HTTP/2" and response.text == "hello" and response.headers["x-mixed-case"] == "kept"


def test_without_tls_the_first_bytes_tell_the_protocol(stage):
    proxy = stage.heartwire(stage.origin(hello), listen=BOTH)
    common = ["curl", "-sS", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", f"http://127.0.0.1:{proxy.port}/x"]
    assert subprocess.check_output([*common, "--http2-prior-knowledge"], timeout=20) == b"2 200"
    assert subprocess.check_output(common, timeout=20) == b"1.1 200"
    # "Upgrade: h2c" is no longer part of the standard, and is ignored.
    assert subprocess.check_output([*common, "--http2"], timeout=20) == b"1.1 200"
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        for piece in (b"P", b"RI", b"NT /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):
            client.sendall(piece)
            time.sleep(0.05)
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 200 ")


@pytest.mark.skipif(not shutil.which("h2load"), reason="h2load is not installed")
def test_h2load_gets_every_answer(stage, identity):
    proxy = stage.heartwire(stage.origin(hello), listen=tls_block(identity, listen=BOTH))
    said = subprocess.run(["h2load", "-n", "2000", "-c", "4", "-m", "50", f"https://127.0.0.1:{proxy.port}/"],
                          capture_output=True, text=True, timeout=60).stdout
    assert "2000 succeeded, 0 failed, 0 errored" in said and "2000 2xx" in said, said


# Streams


@pytest.mark.parametrize("secured", [False, True])
def test_a_hundred_streams_share_a_connection_and_each_has_its_events_and_heartbeats(stage, identity, secured):
    def script(connection, request):
        connection.start_stream()
        connection.chunk(b"id: 1\ndata: first of " + request.target + b"\n\n")
        time.sleep(1.2)
        connection.chunk(b"data: last\n\n")
        connection.last_chunk()

    listen = tls_block(identity, listen=BOTH) if secured else BOTH
    proxy = stage.heartwire(stage.origin(script), listen=listen, heartbeat="300ms", opening="on")
    with HTTP2Client(proxy.port, secured) as client:
        streams = [client.request(f"/s{number}", flush=False) for number in range(100)]
        client.flush()
        for stream in streams:
            client.whole(stream, 20)
    for number, stream in enumerate(streams):
        reading = eventsource.read(stream.data)
        assert stream.status == 200 and stream.reset_code is None
        assert [event.data for event in reading.events] == [f"first of /s{number}", "last"] and len(reading.comments) >= 3
    record = proxy.stream_log.ending("/s42")
    check_ending(record, "upstream_finished")
    assert record["http"] == "2" and record["connection"] == 1 and record["heartbeats"] >= 2


def test_heartbeats_that_fall_due_together_leave_in_one_write(stage):
    proxy = stage.heartwire(stage.origin(idle), listen=BOTH, heartbeat="500ms")
    with HTTP2Client(proxy.port) as client:
        streams = [client.request(f"/s{number}", flush=False) for number in range(50)]
        client.flush()
        client.wait(lambda: all(stream.head for stream in streams))
        client.read_for(1)
        client.reads_sizes.clear()
        before = sum(len(stream.arrivals) for stream in streams)
        client.read_for(2)
        beats = sum(len(stream.arrivals) for stream in streams) - before
        assert beats >= 150, f"{beats} heartbeats in 2 s"
        assert len(client.reads_sizes) <= beats / 3, f"{len(client.reads_sizes)} reads for {beats} heartbeats"


@pytest.mark.parametrize("held", ["stream", "small connection"])
def test_a_stream_that_is_not_read_stops_its_own_server_and_no_other_stream(stage, held):
    sent = {"/slow": 0}

    def script(connection, request):
        connection.start_stream()
        if request.target == b"/slow":
            while True:
                connection.chunk(b"data: " + b"x" * 8000 + b"\n\n")
                sent["/slow"] += 8000
        for number in range(200):
            connection.chunk(b"data: %d\n\n" % number)
            time.sleep(0.01)
        connection.last_chunk()

    proxy = stage.heartwire(stage.origin(script), listen=BOTH)
    with HTTP2Client(proxy.port, connection_window=None if held == "small connection" else 10_000_000) as client:
        slow = client.request("/slow")
        client.hold(slow)
        client.wait(lambda: len(slow.data) >= 32_000)
        quick = client.request("/quick")
        client.whole(quick, 20)
        assert quick.data.count(b"data: ") == 200
        gaps = [b[0] - a[0] for a, b in zip(quick.arrivals, quick.arrivals[1:])]
        assert max(gaps) < 1, f"the quick stream stood still for {max(gaps)} s"

        def stands_still():
            before = sent["/slow"]
            time.sleep(0.5)
            return sent["/slow"] == before
        wait_until(stands_still)
        assert sent["/slow"] < 20_000_000, "the slow stream's server is not slowed down"


def test_a_stream_that_is_cancelled_frees_its_server_at_once_and_the_others_go_on(stage):
    origin = stage.origin(idle)
    proxy = stage.heartwire(origin, listen=BOTH, heartbeat="200ms")
    with HTTP2Client(proxy.port) as client:
        streams = [client.request(f"/s{number}") for number in range(3)]
        client.wait(lambda: all(stream.head for stream in streams))
        client.reset(streams[1])
        connections = {c.requests[0].target.decode(): c for c in origin.wait_for_connections(3)}
        assert connections["/s1"].wait_until_left(2) if connections["/s1"].left_how is None else True
        check_ending(record := proxy.stream_log.ending("/s1"), "client_closed")
        assert record["evidence"] == "RST_STREAM(CANCEL) received"
        before = len(streams[2].data)
        client.read_for(1)
        assert len(streams[2].data) > before and connections["/s2"].left_how is None
    for path in ("/s0", "/s2"):
        record = proxy.stream_log.ending(path)
        check_ending(record, "client_closed")
        assert record["evidence"] == "FIN received"


def test_a_stall_ends_one_stream_only(stage):
    def script(connection, request):
        connection.start_stream()
        while True:
            connection.chunk(b"data: " + b"x" * (20_000 if request.target == b"/slow" else 1) + b"\n\n")
            time.sleep(0.02)

    proxy = stage.heartwire(stage.origin(script), listen=BOTH, timeouts="client_stall 1s")
    with HTTP2Client(proxy.port, connection_window=10_000_000) as client:
        slow, quick = client.request("/slow"), client.request("/quick")
        client.hold(slow)
        client.wait(lambda: slow.reset_code is not None, 10)
        assert slow.reset_code == CODES.CANCEL
        before = len(quick.data)
        client.read_for(0.5)
        assert len(quick.data) > before
    check_ending(proxy.stream_log.ending("/slow"), "client_stalled")


# Ends


def test_what_is_cut_is_never_ended_in_good_order(stage):
    def script(connection, request):
        if request.target == b"/length":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nContent-Type: text/plain\r\n\r\nonly this")
        else:
            connection.start_stream()
            connection.chunk(b"data: a\n\n")
        wait_until_read(connection.socket)  # A reset destroys what was not read yet.
        connection.close() if request.target != b"/reset" else connection.reset()

    proxy = stage.heartwire(stage.origin(script), listen=BOTH)
    with HTTP2Client(proxy.port) as client:
        for path in ("/length", "/chunked", "/reset"):
            stream = client.whole(client.request(path))
            assert stream.status == 200 and not stream.ended and stream.reset_code == CODES.INTERNAL_ERROR, path
        assert client.whole(client.request("/length")).data == b"only this"


def test_answers_without_a_body_end_with_their_head(stage):
    def script(connection, request):
        status = {b"/204": 204, b"/304": 304}.get(request.target, 200)
        connection.send(f"HTTP/1.1 {status} X\r\n{'Content-Length: 5' if status == 200 else 'X-A: b'}\r\n\r\n".encode())

    proxy = stage.heartwire(stage.origin(script), listen=BOTH)
    with HTTP2Client(proxy.port) as client:
        for path, method, status in (("/204", b"GET", 204), ("/304", b"GET", 304), ("/head", b"HEAD", 200)):
            stream = client.whole(client.request(path, method=method, accept=None))
            assert (stream.status, stream.data, stream.ended) == (status, b"", True)
            assert stream.field(b"content-length") == (b"5" if status == 200 else None)


def test_the_end_comes_in_two_steps_and_each_stream_ends_between_two_events_with_a_time_to_come_back(stage):
    def script(connection, request):
        if request.target == b"/late":
            return hello(connection, request)
        connection.start_stream()
        connection.chunk(b"retry: 4000\ndata: a\n\n")
        connection.wait_until_left(20)

    proxy = stage.heartwire(stage.origin(script), listen=BOTH, drain="2s", grace="8s", heartbeat="10s")
    with HTTP2Client(proxy.port) as client:
        streams = [client.request(f"/s{number}") for number in range(4)]
        client.wait(lambda: all(stream.data for stream in streams))
        proxy.send_signal(signal.SIGTERM)
        client.wait(lambda: client.goaways)
        assert client.goaways[0][:2] == (2 ** 31 - 1, CODES.NO_ERROR)
        for stream in streams:
            client.whole(stream)
            assert stream.ended and stream.reset_code is None
            reading = eventsource.read(stream.data)
            assert [event.data for event in reading.events] == ["a"] and stream.data.count(b"retry: ") == 2
        moments = [stream.arrivals[-1][0] for stream in streams]
        assert max(moments) - min(moments) > 0.02, "all streams ended in the same instant"
        client.wait(lambda: client.closed == "fin" or len(client.goaways) > 1)
        assert client.goaways[-1][:2] == (7, CODES.NO_ERROR)
        client.wait(lambda: client.closed)
    assert proxy.wait() == 0
    check_ending(proxy.stream_log.ending("/s1"), "drained")


def test_an_idle_connection_is_told_goodbye(stage):
    proxy = stage.heartwire(stage.origin(hello), listen=BOTH, timeouts="keep_alive 500ms")
    with HTTP2Client(proxy.port) as client:
        client.whole(client.request("/x", accept=None))
        client.wait(lambda: client.closed == "fin", 5)
        assert client.goaways == [(1, CODES.NO_ERROR, None)] or client.goaways[0][:2] == (1, CODES.NO_ERROR)


# Requests


def test_bodies_pass_both_ways_with_backpressure(stage):
    received = {}

    def script(connection, request):
        total = 0
        for piece in connection.stream_body(request, keep=True):
            total += len(piece)
            if request.target == b"/slow" and total < 400_000:
                time.sleep(0.01)
        received[request.target.decode()] = total
        connection.respond(200, b"y" * 3_000_000)

    def handler(connection):
        script(connection, connection.read_request(with_body=False))
        connection.close()

    proxy = stage.heartwire(stage.origin(handler, raw=True), listen=BOTH)
    with HTTP2Client(proxy.port) as client:
        for path, length in (("/known", True), ("/unknown", False), ("/slow", True)):
            extra = [(b"content-length", b"2000000")] if length else []
            stream = client.request(path, method=b"POST", end=False, extra=extra, accept=None)
            client.send(stream, b"x" * 2_000_000, end=True)
            assert client.whole(stream, 20).data == b"y" * 3_000_000 and received[path] == 2_000_000


@pytest.mark.parametrize("sent, ends", [(b"x" * 11, True), (b"x" * 9, True), (b"x" * 11, False)])
def test_a_body_of_another_length_than_announced_is_malformed(stage, sent, ends):
    origin = stage.origin(hello)
    proxy = stage.heartwire(origin, listen=BOTH)
    with HTTP2Client(proxy.port) as client:
        other = client.request("/other", accept=None)
        stream = client.request("/bad", method=b"POST", end=False, extra=[(b"content-length", b"10")], accept=None)
        client.send(stream, sent, end=ends)
        assert client.whole(stream).reset_code == CODES.PROTOCOL_ERROR
        assert client.whole(other).data == b"hello"
        assert client.whole(client.request("/next", accept=None)).data == b"hello"
    assert [request.target for request in origin.requests if request.target == b"/bad"] == []
    record = proxy.access_log.access("/bad")
    assert record["cause"] == "client_protocol_error" and "PROTOCOL_ERROR" in record["evidence"]


USUAL = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"test.example"), (b":path", b"/x")]


@pytest.mark.parametrize("fields", [
    USUAL[:3], USUAL + [(b":path", b"/y")], USUAL[1:], USUAL + [(b":protocol2", b"x")], [(b"a", b"b")] + USUAL,
    USUAL + [(b"Upper", b"x")], USUAL + [(b"a\r\nb", b"x")], USUAL + [(b"a", b"x\r\ny: z")], USUAL + [(b"a", b"x\0")],
    USUAL + [(b"connection", b"close")], USUAL + [(b"transfer-encoding", b"chunked")], USUAL + [(b"te", b"gzip")],
    USUAL + [(b"upgrade", b"websocket")], USUAL + [(b"", b"x")], USUAL + [(b"a b", b"x")], USUAL + [(b"host", b"other.example")],
])
def test_a_malformed_request_is_reset_and_nothing_of_it_goes_on(stage, fields):
    origin = stage.origin(hello)
    proxy = stage.heartwire(origin, listen=BOTH)
    with HTTP2Client(proxy.port) as client:
        stream = client.whole(client.request(fields=fields))
        assert stream.head is None and stream.reset_code == CODES.PROTOCOL_ERROR
        assert client.whole(client.request("/good", accept=None)).data == b"hello"
    assert [request.target for request in origin.requests] == [b"/good"]
    records = proxy.access_log.wait_for(lambda record: record.get("cause") == "client_protocol_error")
    assert records[0]["status"] == 400 and records[0]["evidence"].startswith("a malformed request: ")


def test_cookies_are_joined_and_what_hops_add_is_added(stage):
    origin = stage.origin(hello)
    proxy = stage.heartwire(origin, listen=BOTH)
    with HTTP2Client(proxy.port) as client:
        extra = [(b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2"), (b"te", b"trailers")]
        client.whole(client.request("/x", accept=None, extra=extra))
    received = origin.everything_received()
    assert received.startswith(b"GET /x HTTP/1.1\r\nHost: test.example\r\n")
    assert b"\r\ncookie: a=1; b=2\r\n" in received and b"Via: 2 heartwire\r\n" in received
    assert b"X-Forwarded-Proto: http\r\n" in received and b"te:" not in received.lower().replace(b"date:", b"")


def test_a_token_of_the_url_becomes_authorization(stage):
    from support import planted
    token = planted.plant()
    origin = stage.origin(idle)
    proxy = stage.heartwire(origin, listen=BOTH, route="bearer_from query access_token")
    with HTTP2Client(proxy.port) as client:
        stream = client.request(f"/x?access_token={token}&a=b")
        client.wait(lambda: stream.head)
        assert stream.field(b"referrer-policy")
    assert f"GET /x?a=b HTTP/1.1\r\n".encode() in origin.everything_received()
    assert f"Authorization: Bearer {token}\r\n".encode() in origin.everything_received()


def test_interim_answers_pass(stage):
    def handler(connection):
        request = connection.read_request(with_body=False)
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        if request.target == b"/body":
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.read_body(request)
        connection.respond(200, b"hello")

    proxy = stage.heartwire(stage.origin(handler, raw=True), listen=BOTH)
    with HTTP2Client(proxy.port) as client:
        stream = client.whole(client.request("/x", accept=None))
        assert [dict(head)[b":status"] for head in stream.interim] == [b"103"] and stream.data == b"hello"
    with HTTP2Client(proxy.port) as client:
        stream = client.request("/body", method=b"POST", end=False, extra=[(b"expect", b"100-continue")], accept=None)
        client.wait(lambda: any(dict(head)[b":status"] == b"100" for head in stream.interim))
        client.send(stream, b"x" * 10, end=True)
        assert client.whole(stream).data == b"hello"


def test_an_event_source_is_held_while_its_server_is_away_and_joined_when_it_is_back(stage):
    def script(connection, request):
        connection.start_stream()
        connection.chunk(b"data: back\n\n")
        connection.wait_until_left(20)

    origin = stage.origin(script)
    origin.stop_listening()
    proxy = stage.heartwire(origin, listen=BOTH, heartbeat="200ms", outage="retry 20s", upstream="failure_cooldown 200ms")
    with HTTP2Client(proxy.port) as client:
        stream = client.request("/x")
        client.wait(lambda: stream.head and len(stream.data) > 3)
        assert stream.status == 200
        origin.listen_again()
        client.wait(lambda: b"data: back\n\n" in stream.data, 15)


def test_a_websocket_passes_on_a_stream(stage):
    def handler(connection):
        head = connection.read_head()
        assert b"GET /chat HTTP/1.1\r\n" in head and b"upgrade: websocket" in head.lower() and b"sec-websocket-key: " in head.lower()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n")
        connection.keep = connection.receive_once(10)
        connection.send(b"echo " + connection.keep)
        connection.wait_until_left(10)

    proxy = stage.heartwire(stage.origin(handler, raw=True), listen=BOTH)
    with HTTP2Client(proxy.port) as client:
        client.receive_once()
        fields = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"http"), (b":authority", b"test.example"),
                  (b":path", b"/chat"), (b"sec-websocket-version", b"13")]
        stream = client.request(fields=fields, end=False)
        client.wait(lambda: stream.head)
        assert stream.status == 200 and stream.field(b"sec-websocket-accept") is None and stream.field(b"upgrade") is None
        client.send(stream, b"hello")
        client.wait(lambda: stream.data == b"echo hello")
        client.send(stream, b"", end=True)
        client.whole(stream)
    assert proxy.access_log.access("/chat")["status"] == 101
