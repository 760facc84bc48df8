"""HTTP/2 towards clients that attack, that are slow, or that do everything at the worst moment; most of it was found by attacks."""

import signal
import socket
import time

import pytest
from hpack import Encoder
from hyperframe.frame import GoAwayFrame, HeadersFrame

from support import eventsource
from support.client import Client, exchange, get
from support.http2 import HTTP2Client
from support.logs import check_ending
from support.ports import reserve_port
from test_http2 import BOTH, CODES, hello, idle


# Limits and floods


def test_a_stream_above_the_limit_is_refused_and_may_be_sent_again(stage):
    proxy = stage.heartwire(stage.origin(idle), listen=BOTH, limits="streams_per_connection 5", heartbeat="200ms")
    with HTTP2Client(proxy.port) as client:
        client.h2.remote_settings.acknowledge()
        streams = [client.request(f"/s{number}", flush=False) for number in range(6)]
        client.flush()
        client.wait(lambda: streams[5].reset_code is not None)
        assert streams[5].reset_code == CODES.REFUSED_STREAM
        client.wait(lambda: all(stream.data for stream in streams[:5]))


def test_resets_in_quick_succession_end_the_connection_and_no_other(stage):
    proxy = stage.heartwire(stage.origin(idle), listen=BOTH, heartbeat="200ms")
    with HTTP2Client(proxy.port) as bystander, HTTP2Client(proxy.port) as attacker:
        kept = bystander.request("/kept")
        bystander.wait(lambda: kept.head)
        for number in range(3000):
            stream = attacker.request(f"/a{number}", flush=False)
            attacker.h2.reset_stream(stream.number, CODES.CANCEL)
            if number % 50 == 0:
                try:
                    attacker.flush()
                except OSError:
                    break
        attacker.read_for(3)
        assert attacker.closed and attacker.goaways[-1][1] == CODES.ENHANCE_YOUR_CALM
        before = len(kept.data)
        bystander.read_for(0.6)
        assert len(kept.data) > before
    proxy.wait_for_words("behaves like an attacker")


def test_a_request_that_is_reset_in_its_own_packet_costs_its_server_no_connection(stage):
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = stage.heartwire("127.0.0.1:%d" % server.getsockname()[1], listen=BOTH)
        with HTTP2Client(proxy.port) as client:
            client.wait(lambda: client.h2.remote_settings.max_concurrent_streams == 256)
            for number in range(50):
                stream = client.request(f"/gone{number}", flush=False)
                client.h2.reset_stream(stream.number, CODES.CANCEL)
            client.request("/kept")
            server.settimeout(5)
            with server.accept()[0] as connection:
                connection.settimeout(5)
                assert connection.recv(65536).startswith(b"GET /kept ")
                server.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    server.accept()
    requests = proxy.access_log.wait_for(lambda record: record["path"].startswith("/gone"), count=50)
    assert {(record["cause"], record["route"], record.get("attempts")) for record in requests} == {("client_closed", "/*", 0)}


def test_a_tab_that_closes_cancels_a_hundred_streams_at_once_and_is_no_attacker(stage):
    proxy = stage.heartwire(stage.origin(idle), listen=BOTH)
    with HTTP2Client(proxy.port) as client:
        for _ in range(5):
            streams = [client.request("/x", flush=False) for _ in range(100)]
            client.flush()
            client.wait(lambda: sum(1 for stream in streams if stream.head) > 50)
            for stream in streams:
                client.h2.reset_stream(stream.number, CODES.CANCEL)
            client.flush()
            time.sleep(0.1)
        last = client.request("/last")
        client.wait(lambda: last.head)
        assert not client.goaways


# What attacks and a review found


@pytest.mark.parametrize("opening", ["on", "off"])
def test_nothing_is_lost_where_the_window_opens_late(stage, opening):
    def script(connection, request):
        connection.start_stream()
        for number in range(50):
            connection.chunk(b"data: %d\n\n" % number)
        connection.last_chunk()

    proxy = stage.heartwire(stage.origin(script), listen=BOTH, heartbeat="10s", opening=opening)
    with HTTP2Client(proxy.port, window=0) as client:
        stream = client.request("/x")
        client.wait(lambda: stream.head)
        client.read_for(0.4)
        assert stream.data == b"" and not stream.ended
        for room in (1, 7, 100, 10_000):
            if not stream.ended:
                client.h2.increment_flow_control_window(room, stream.number)
            client.flush()
            client.read_for(0.1)
        client.whole(stream)
        assert [event.data for event in eventsource.read(stream.data).events] == [str(number) for number in range(50)]


def test_a_request_whose_first_bytes_come_alone_and_the_rest_at_once(stage):
    proxy = stage.heartwire(stage.origin(hello), listen=BOTH)
    for first, rest in ((b"P", b"OST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\nConnection: close\r\n\r\n" + b"x" * 200_000),
                        (b"PRI * HTTP", b"/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\x08\6\0\0\0\0\0" + b"12345678" * 1)):
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
            client.sendall(first)
            time.sleep(0.2)
            client.sendall(rest + (b"\0\0\x08\6\0\0\0\0\0" + b"12345678") * 500 * (first != b"P"))
            assert client.recv(65536)
    assert proxy.process.poll() is None


def test_heads_that_nobody_reads_are_bounded(stage):
    def script(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Long: " + b"y" * 4000 + b"\r\n\r\n")

    proxy = stage.heartwire(stage.origin(script), listen=BOTH)
    with HTTP2Client(proxy.port) as warm:
        warm.whole(warm.request("/x", method=b"HEAD", accept=None))
    before = proxy.memory()["Pss_Anon"]
    client = HTTP2Client(proxy.port, receive_buffer=4096)
    client.receive_once()
    client.socket.settimeout(0.5)
    # The library would not send above the limit of streams, so frames are made beside it.
    encoder = Encoder()
    encoder.header_table_size = 0
    for number in range(3000):
        block = encoder.encode(client.fields("/x", method=b"HEAD", accept=None))
        frame = HeadersFrame(1 + 2 * number, block, flags=["END_HEADERS", "END_STREAM"])
        try:
            client.socket.sendall(frame.serialize())
        except OSError:
            break
        if number % 50 == 49:
            time.sleep(0.02)
    grown = proxy.memory()["Pss_Anon"] - before
    client.close()
    assert grown < 6_000_000, f"3,000 unread heads of 4 KB made the proxy {grown} bytes larger"


def test_a_page_in_place_of_a_websocket_does_not_look_like_one(stage):
    proxy = stage.heartwire(stage.origin(hello), listen=BOTH)
    with HTTP2Client(proxy.port) as client:
        client.receive_once()
        fields = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"http"), (b":authority", b"test.example"),
                  (b":path", b"/chat"), (b"sec-websocket-version", b"13")]
        stream = client.request(fields=fields, end=False)
        client.wait(lambda: stream.head)
        assert stream.status == 502
    with HTTP2Client(proxy.port) as client:
        client.receive_once()
        assert client.whole(client.request(fields=fields, end=True)).status == 502


def test_the_end_is_in_order_also_on_a_connection_that_was_told_to_leave(stage):
    proxy = stage.heartwire(stage.origin(idle), listen=BOTH, heartbeat="200ms", drain="1s", grace="8s")
    with HTTP2Client(proxy.port) as client:
        stream = client.request("/x")
        client.wait(lambda: stream.data)
        # Frames of an unknown type, more than any client sends: three quarters of what is tolerated.
        for _ in range(40):
            client.socket.sendall(b"\0\0\0\xee\0\0\0\0\0" * 50)
            client.read_for(0.02)
            if client.goaways:
                break
        assert client.goaways and client.goaways[0][1] == CODES.NO_ERROR
        before = len(stream.data)
        client.read_for(0.5)
        assert len(stream.data) > before, "the stream goes on"
        proxy.send_signal(signal.SIGTERM)
        client.whole(stream)
        assert stream.ended and stream.data.count(b"retry: ") == 1
        client.wait(lambda: client.closed)
    assert proxy.wait() == 0
    check_ending(proxy.stream_log.ending("/x"), "drained")


def test_a_body_that_stops_is_refused_although_nothing_else_of_its_connection_has_a_deadline(stage):
    def handler(connection):
        request = connection.read_request(with_body=False)
        if request.target == b"/idle":
            connection.start_stream()
        connection.wait_until_left(60)

    proxy = stage.heartwire(stage.origin(handler, raw=True), listen=BOTH, timeouts="request_body 1s\nrequest_head 500ms")
    with HTTP2Client(proxy.port) as client:
        idle_stream = client.request("/idle")
        client.wait(lambda: idle_stream.head)
        client.read_for(1)
        stream = client.request("/upload", method=b"POST", end=False, accept=None)
        client.send(stream, b"x" * 10)
        client.wait(lambda: stream.head, 5)
        assert stream.status == 408


def test_twenty_uploads_that_wait_for_their_servers_do_not_wait_for_each_other(stage):
    def handler(connection):
        request = connection.read_request(with_body=False)
        if request.target.startswith(b"/slow"):
            time.sleep(6)
        for _ in connection.stream_body(request, keep=True):
            pass
        connection.respond(200, b"taken")
        connection.close()

    proxy = stage.heartwire(stage.origin(handler, raw=True), listen=BOTH)
    with HTTP2Client(proxy.port) as client:
        slow = [client.request(f"/slow{number}", method=b"POST", end=False, accept=None) for number in range(20)]
        for stream in slow:
            client.send(stream, b"x" * 60_000)
        quick = client.request("/quick", method=b"POST", end=False, accept=None)
        began = time.monotonic()
        client.send(quick, b"x" * 60_000, end=True)
        assert client.whole(quick).data == b"taken" and time.monotonic() - began < 5
        for stream in slow:
            client.send(stream, b"", end=True)
        for stream in slow:
            assert client.whole(stream).data == b"taken"


# Heads that come slowly


def test_the_first_byte_of_a_request_and_then_silence_is_answered(stage):
    proxy = stage.heartwire(stage.origin(hello), listen=BOTH, timeouts="request_head 300ms")
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
        client.sendall(b"P")
        assert client.recv(65536).startswith(b"HTTP/1.1 408 ")


def test_a_field_block_that_does_not_end_ends_its_connection_with_a_word(stage):
    proxy = stage.heartwire(stage.origin(idle), listen=BOTH, timeouts="request_head 500ms")
    with HTTP2Client(proxy.port) as client:
        stream = client.request("/events")
        client.wait(lambda: stream.head)
        block = HeadersFrame(3)
        block.data = b"\x82"
        client.socket.sendall(block.serialize())  # Without END_HEADERS.
        client.wait(lambda: client.closed)
        assert client.goaways[-1][:2] == (3, CODES.NO_ERROR)
    check_ending(proxy.stream_log.ending("/events"), "request_timeout")


def wait_for_metric(port, name, value, seconds=10):
    deadline = time.monotonic() + seconds
    while f"{name} {value}\n" not in exchange(port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").body.decode():
        assert time.monotonic() < deadline, f"{name} is not {value}"
        time.sleep(0.02)


def test_the_beginning_of_a_frame_waits_no_longer_when_its_connection_ends(stage):
    port = reserve_port()
    proxy = stage.heartwire(stage.origin(idle), listen=BOTH, top=f"console 127.0.0.1:{port}\n")
    with HTTP2Client(proxy.port) as client:
        leaving = GoAwayFrame(0, additional_data=b"I leave, since my page is closed.").serialize()
        client.socket.sendall(leaving[:29])
        wait_for_metric(port, "heartwire_pending_bytes", 20)
        client.socket.sendall(leaving[29:])
        # The connection lingers for two seconds.
        wait_for_metric(port, "heartwire_pending_bytes", 0, seconds=1)


def test_a_connection_that_has_all_its_streams_is_counted(stage):
    port = reserve_port()
    proxy = stage.heartwire(stage.origin(idle), listen=BOTH, limits="streams_per_connection 3", top=f"console 127.0.0.1:{port}\n")

    def wait_for_full(count):
        wait_for_metric(port, "heartwire_connections_full", count)

    with HTTP2Client(proxy.port) as client, HTTP2Client(proxy.port) as other:
        streams = [client.request(f"/s{number}") for number in range(3)]
        lonely = other.request("/s")
        client.wait(lambda: all(stream.head for stream in streams))
        other.wait(lambda: lonely.head)
        wait_for_full(1)
        client.reset(streams[0])
        wait_for_full(0)
        streams.append(client.request("/s3"))
        wait_for_full(1)
    wait_for_full(0)


def test_streams_count_for_the_limit_of_connections_as_the_descriptors_that_they_need(stage):
    """The first stream of a connection costs nothing more, each further one half a connection; one above the limit is answered 503."""
    proxy = stage.heartwire(stage.origin(idle), listen=BOTH, limits="connections 20", heartbeat="200ms")
    for turn in range(3):
        with HTTP2Client(proxy.port) as client:
            client.receive_once()
            streams = [client.request(f"/t{turn}s{number}", flush=False) for number in range(60)]
            client.flush()
            client.wait(lambda: all(stream.head for stream in streams))
            assert [stream.status for stream in streams] == [200] * 39 + [503] * 21
            record = proxy.access_log.wait_for(lambda record: record.get("status") == 503)[0]
            assert record["cause"] == "refused_by_limit" and "connections" in record["evidence"]
            # Another client is answered too, and not left waiting.
            assert get(proxy.port, "/other").status == 503
            for stream in streams[:3]:
                client.reset(stream)
            for number in range(3):
                again = client.request(f"/t{turn}again{number}")
                client.wait(lambda: again.head)
                assert again.status == 200
            before = len(streams[30].data)
            client.wait(lambda: len(streams[30].data) > before, 5, "a heartbeat beside refused streams")
        for number in range(3, 39):
            proxy.stream_log.ending(f"/t{turn}s{number}")
    with Client(proxy.port) as client:
        response, _ = client.open_stream("/afterwards")
        assert response.status == 200


def test_one_client_with_many_streams_does_not_use_up_the_descriptors(stage):
    proxy = stage.heartwire(stage.origin(idle), listen=BOTH, heartbeat="200ms", prefix=("prlimit", "--nofile=200:200"))
    with HTTP2Client(proxy.port) as client:
        client.receive_once()
        streams = [client.request(f"/s{number}", flush=False) for number in range(250)]
        client.flush()
        client.wait(lambda: all(stream.head for stream in streams))
        statuses = [stream.status for stream in streams]
        assert 100 < statuses.count(200) < 200 and statuses.count(503) == 250 - statuses.count(200)
        assert get(proxy.port, "/other").status == 503
    assert "Too many open files" not in proxy.stderr()
