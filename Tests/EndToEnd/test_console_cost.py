"""What the console costs others: how late a bystander's events are while somebody looks at thousands of streams, and while it is scraped.

All moments are of one run, and the phases take turns, so that other work on the machine affects all of them.
"""

import os
import resource
import statistics
import subprocess
import sys
import threading
import time

import pytest

from support.client import Client, exchange
from support.ports import reserve_port
from test_idle_streams import SilentOrigin, Watchers

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(400)]

STREAMS = int(os.environ.get("HEARTWIRE_IDLE_STREAMS", "3000"))
ROUNDS, SECONDS, PAUSE = 4, 3, 0.005

# The bystander: a server and its only client, in a process of their own, so that nothing else here delays its clock. It sends an event
# after each pause, reads it from the proxy, and says how many microseconds that took.
BYSTANDER = """
import socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
client = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
client.sendall(b"GET /bystander HTTP/1.1\\r\\nHost: a\\r\\nAccept: text/event-stream\\r\\n\\r\\n")
server = listener.accept()[0]
server.recv(65536)
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
server.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n7\\r\\n: go\\n\\n\\n\\r\\n")
while b": go" not in client.recv(65536):
    pass
print("ready", flush=True)
while True:
    time.sleep(float(sys.argv[3]))
    began = time.monotonic_ns()
    server.sendall(b"9\\r\\ndata: a\\n\\n\\r\\n")
    while b"data: a" not in client.recv(65536):
        pass
    print(time.monotonic_ns(), (time.monotonic_ns() - began) // 1000, flush=True)
"""


class Bystander:
    """What the process says: the moment of each event, and how long it took."""

    def __init__(self, port, proxy):
        self.process = subprocess.Popen(
            [sys.executable, "-c", BYSTANDER, str(port), str(proxy), str(PAUSE)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        self.events = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            moment, took = line.split()
            self.events.append((int(moment) / 1e9, int(took)))

    def between(self, began, ended):
        return [took for moment, took in self.events if began < moment <= ended]

    def close(self):
        self.process.kill()
        self.process.wait()


class Viewer:
    """Somebody who looks at the page: reads its feed as it comes."""

    def __init__(self, console):
        self.client = Client(console)
        self.client.send(b"GET /feed HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.body = self.client.body(self.client.read_head(10))

    def look(self, seconds):
        self.body.collect(seconds)
        self.body.data.clear()
        self.body.pieces.clear()

    def close(self):
        self.client.close()


class Scraper:
    """A Prometheus in a hurry: ten scrapes a second."""

    def __init__(self, console):
        self.console = console

    def look(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert exchange(self.console, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200
            time.sleep(0.1)

    def close(self):
        pass


class Nobody(Scraper):
    def look(self, seconds):
        time.sleep(seconds)


def test_a_bystanders_events_are_not_late_because_somebody_looks(stage):
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    streams = min(STREAMS, (soft - 500) // 2)
    origin, console, server = SilentOrigin(), reserve_port(), reserve_port()
    proxy = stage.heartwire(
        origin.address, heartbeat="1h", workers=1, top=f"console 127.0.0.1:{console}", limits=f"connections {2 * streams}",
        extra=f"upstream bystander {{\nserver 127.0.0.1:{server}\n}}\nroute /bystander {{\nupstream bystander\n}}\n")
    watchers = Watchers(proxy.port)
    watchers.open(streams)
    bystander = Bystander(server, proxy.port)
    latencies = {Nobody: [], Viewer: [], Scraper: []}
    try:
        for _ in range(ROUNDS):
            for kind, found in latencies.items():
                looking = kind(console)
                began = time.monotonic()
                looking.look(SECONDS)
                found += bystander.between(began, time.monotonic())
                looking.close()
                time.sleep(0.5)
    finally:
        bystander.close()
        watchers.close()
        origin.close()
    figures = {}
    for kind, found in latencies.items():
        assert len(found) > 100
        found.sort()
        figures[kind] = (statistics.median(found), found[len(found) * 99 // 100], found[-1])
    for kind, (median, late, latest) in figures.items():
        print(f"{streams} streams, {kind.__name__.lower()} looks: a bystander's event takes {median:.0f} us in the median, "
              f"{late:.0f} us for one in a hundred, {latest} us at most ({len(latencies[kind])} events)")
    idle = figures[Nobody]
    for kind in (Viewer, Scraper):
        # A look at all streams in one go would be felt: it takes some milliseconds.
        assert figures[kind][0] < 1.5 * idle[0] + 200 and figures[kind][1] < 3 * idle[1] + 5_000, figures
