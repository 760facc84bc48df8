"""What waits on a stream of HTTP/2, and what never becomes whole. The simulated worlds found these."""

import signal

import h2.errors

from support.http2 import HTTP2Client

BOTH = "protocols h2 http/1.1"


def test_what_comes_while_the_opening_comment_waits_for_a_window_waits_behind_it(stage):
    def script(connection, request):
        # The head and the first event are one read of the proxy's.
        connection.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"9\r\ndata: 0\n\n\r\n9\r\ndata: 1\n\n\r\n")
        connection.wait_until_left(60)

    proxy = stage.heartwire(stage.origin(script), listen=BOTH, opening="on", heartbeat="60s")
    with HTTP2Client(proxy.port, window=0) as client:
        stream = client.request("/")
        client.hold(stream)
        client.wait(lambda: stream.head)
        client.read_for(0.3)
        assert stream.data == b""
        for window in (1, 10, 1000):
            client.h2.increment_flow_control_window(window, stream.number)
            client.flush()
            client.read_for(0.2)
        assert stream.data.startswith(b":") and stream.data.endswith(b"\ndata: 0\n\ndata: 1\n\n"), stream.data


def test_a_stream_that_announced_its_length_is_reset_where_the_proxy_ends_it(stage):
    def script(connection, request):
        connection.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: 1000\r\n\r\nxyz")
        connection.wait_until_left(60)

    proxy = stage.heartwire(stage.origin(script), listen=BOTH, drain="300ms", grace="8s")
    with HTTP2Client(proxy.port) as client:
        stream = client.request("/")
        client.wait(lambda: stream.data == b"xyz")
        proxy.send_signal(signal.SIGTERM)
        client.wait(lambda: stream.ended or stream.reset_code is not None, 20)
        assert not stream.ended and stream.reset_code == h2.errors.ErrorCodes.INTERNAL_ERROR
    assert proxy.wait() == 0


def test_two_streams_that_are_not_read_use_up_a_small_window_of_the_connection_until_one_is_ended(stage):
    """With 64 KiB for the whole connection; of a single stream that is not read the others notice nothing (test_http2.py)."""
    def script(connection, request):
        connection.start_stream()
        while request.target.startswith(b"/unread"):
            connection.chunk(b"data: " + b"x" * 8000 + b"\n\n")
        connection.wait_until_left(60)

    proxy = stage.heartwire(stage.origin(script), listen=BOTH, heartbeat="200ms", timeouts="client_stall 2s")
    with HTTP2Client(proxy.port) as client:
        unread = [client.request(f"/unread{number}") for number in range(2)]
        for stream in unread:
            client.hold(stream)
        other = client.request("/other")
        # To its last byte: what is left of the window may go to the other stream.
        client.wait(lambda: other.head and sum(len(stream.data) for stream in [*unread, other]) == 65_535)
        before = len(other.data)
        client.read_for(1)
        assert len(other.data) == before, "the window is used up, and a heartbeat came"
        client.wait(lambda: any(stream.reset_code is not None for stream in unread), 10)
        ended = next(stream for stream in unread if stream.reset_code is not None)
        # A client gives the bytes of a stream back when the stream ends.
        client.h2.increment_flow_control_window(len(ended.data))
        client.flush()
        client.wait(lambda: len(other.data) > before + 3, 5)
    assert "client_stalled" in {proxy.stream_log.ending(f"/unread{number}")["cause"] for number in range(2)}
