"""What waits on a stream of HTTP/2, and what never becomes whole. The simulated worlds found these."""

import signal
import time

import h2.errors

from support.http2 import HTTP2Client

BOTH = "protocols h2 http/1.1"


def test_what_comes_while_other_bytes_wait_for_a_window_waits_behind_them(stage):
    def script(connection, request):
        connection.start_stream()
        for number in range(3):
            connection.chunk(b"data: %d\n\n" % number)
            time.sleep(0.1)
        connection.last_chunk()

    proxy = stage.heartwire(stage.origin(script), listen=BOTH)
    with HTTP2Client(proxy.port, window=0) as client:
        stream = client.request("/")
        client.wait(lambda: stream.head)
        client.read_for(0.6)
        assert stream.data == b""
        # The opening comment alone, then the rest.
        for window in (1, 1, 1000):
            client.h2.increment_flow_control_window(window, stream.number)
            client.flush()
            client.read_for(0.1)
        client.whole(stream)
        events = b"".join(line + b"\n" for line in stream.data.split(b"\n") if line.startswith(b"data: "))
        assert events == b"data: 0\ndata: 1\ndata: 2\n", stream.data


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
