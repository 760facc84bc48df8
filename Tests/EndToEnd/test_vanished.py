"""Peers that vanish without FIN or RST, in a network namespace whose link is taken down.

Needs root and iproute2; otherwise these tests are skipped and say so.
"""

import json
import subprocess
import sys
import time

import pytest

from support import namespaces
from support.client import Client
from support.logs import check_ending

reason = namespaces.why_not()
pytestmark = pytest.mark.skipif(reason is not None, reason=f"nobody can be made to vanish here: {reason}")

# A client in its own process inside the namespace: asks for the stream, reports the first event, then reads on.
WATCHER = """
import socket, sys, time
client = socket.create_connection((sys.argv[1], int(sys.argv[2])))
client.sendall(f"GET {sys.argv[3]} HTTP/1.1\\r\\nHost: a\\r\\nAccept: text/event-stream\\r\\n\\r\\n".encode())
seen = b""
while b"data: a" not in seen:
    seen += client.recv(65536)
print("there", flush=True)
while client.recv(65536):
    pass
"""


def first_event_then_silence(connection, request):
    connection.start_stream()
    connection.chunk(b"data: a\n\n")
    connection.wait_until_left(110)


def test_a_client_whose_network_goes_away_is_client_vanished(stage):
    with namespaces.Namespace() as space:
        proxy = stage.heartwire(stage.origin(first_event_then_silence), host=space.outside, heartbeat="300ms",
                                timeouts="client_stall 3s")
        watcher = space.popen([sys.executable, "-c", WATCHER, space.outside, str(proxy.port), "/vanished"],
                              stdout=subprocess.PIPE)
        try:
            assert watcher.stdout.readline() == b"there\n"
            time.sleep(0.7)
            space.cut()
            cut_at = time.monotonic()
            record = proxy.stream_log.ending("/vanished", timeout=60)
            took = time.monotonic() - cut_at
        finally:
            watcher.kill()
            watcher.wait()
    check_ending(record, "client_vanished")
    assert took < 30, f"a client that vanished was noticed after {took:.0f} s"
    # The kernel's view must show what happened: sent, sent again, not acknowledged.
    view, flat = record["tcp"], json.dumps(record["tcp"])
    assert view["retransmits"] > 0 and view["unacknowledged_bytes"] > 0, flat
    assert view["since_last_ack_ms"] >= 1000, flat
    print(f"noticed after {took:.1f} s: {record['evidence']} {flat}")


# An origin in its own process inside the namespace: one event, then silence.
LEGACY = """
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listening", flush=True)
peer, _ = listener.accept()
seen = b""
while b"\\r\\n\\r\\n" not in seen:
    seen += peer.recv(65536)
peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"
             b"9\\r\\ndata: a\\n\\n\\r\\n")
while peer.recv(65536):
    pass
"""


def test_an_upstream_whose_network_goes_away_ends_with_a_cause_of_its_own(stage):
    with namespaces.Namespace() as space:
        server = space.popen([sys.executable, "-c", LEGACY, space.inside, "8000"], stdout=subprocess.PIPE)
        try:
            assert server.stdout.readline() == b"listening\n"
            proxy = stage.heartwire(f"{space.inside}:8000", heartbeat="300ms", upstream="stream_silence_timeout 2s")
            with Client(proxy.port) as client:
                _, body = client.open_stream("/lost")
                body.wait_for(b"data: a\n\n")
                space.cut()
                body.read_to_end(20)
                assert not body.complete
        finally:
            server.kill()
            server.wait()
    record = proxy.stream_log.ending("/lost")
    assert record["cause"] in ("upstream_silent", "upstream_vanished"), record
    check_ending(record, record["cause"])
