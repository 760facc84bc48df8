"""What a stream of HTTP/2 costs: memory of idle ones, and instructions of the path of an event and of a heartbeat.

The instructions are counted as in test_instructions.py: the difference of two runs under callgrind.
"""

import os
import shutil
import time

import pytest

from support.http2 import HTTP2Client
from support.tls import tls_block
from test_idle_streams import SilentOrigin
from test_instructions import FEW, MANY, instructions

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(300)]

BOTH = "protocols h2 http/1.1"
# The committed figures; see test_instructions.py.
FIGURES = {"event": 3_140, "heartbeat": 3_390}
MARGIN = 1.06


def open_streams(port, connections, streams):
    opened = []
    for _ in range(connections):
        client = HTTP2Client(port, secured=True)
        asked = [client.request("/idle", flush=False) for _ in range(streams)]
        client.flush()
        client.wait(lambda: all(stream.data.endswith(b"data: a\n\n") for stream in asked), 30)
        opened.append(client)
    return opened


@pytest.mark.parametrize("connections, streams, most", [(30, 100, 1024), (250, 6, 3584)])
def test_memory_of_idle_streams_that_share_tls_connections(stage, identity, connections, streams, most):
    origin = SilentOrigin()
    proxy = stage.heartwire(origin.address, heartbeat="60s", listen=tls_block(identity, listen=BOTH), limits="log_queue 64KiB")
    before_all = open_streams(proxy.port, 2, streams)
    time.sleep(1)
    before = proxy.memory()["Pss_Anon"]
    opened = open_streams(proxy.port, connections, streams)
    time.sleep(1)
    each = (proxy.memory()["Pss_Anon"] - before) / (connections * streams)
    print(f"memory per idle stream over HTTP/2 and TLS: {each:.0f} bytes ({connections} connections, {streams} streams on each)")
    assert each <= most
    for client in before_all + opened:
        client.close()


def server(connection, request):
    connection.start_stream()
    if request.target == b"/idle":
        connection.wait_until_left(120)
    for number in range(100_000):
        connection.origin.go_on.acquire()
        connection.chunk(b"data: " + b"x" * 192 + b"\n\n")


def events(proxy, origin, count) -> int:
    with HTTP2Client(proxy.port) as client:
        stream = client.request("/events")
        for number in range(count):
            origin.go_on.release()
            client.wait(lambda: stream.data.count(b"\n\n") == number + 1, 30)
    return proxy.stream_log.ending("/events", 60)["events"]


def heartbeats(proxy, origin, count) -> int:
    with HTTP2Client(proxy.port) as client:
        stream = client.request("/idle")
        client.wait(lambda: stream.data.count(b":\n\n") >= count, 120)
    return proxy.stream_log.ending("/idle", 60)["heartbeats"]


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed (Tests/run installs it)")
@pytest.mark.skipif("HEARTWIRE_SANITIZED" in os.environ, reason="counts of a sanitized build mean nothing")
@pytest.mark.parametrize("what, work, options", [
    ("event", events, {"heartbeat": "1h"}),
    ("heartbeat", heartbeats, {"heartbeat": "100ms"}),
])
def test_instructions_over_http2(stage, what, work, options):
    runs = [instructions(stage, work, count, handler=server, listen=BOTH, **options) for count in (FEW, MANY)]
    each = (runs[1][0] - runs[0][0]) / (runs[1][1] - runs[0][1])
    print(f"instructions per {what} over HTTP/2: {each:.0f} (committed: {FIGURES[what]})")
    assert each <= FIGURES[what] * MARGIN
