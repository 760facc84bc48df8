"""What a scrape costs the workers: no more with thousands of streams than with none, because no stream is looked at."""

import os
import pathlib
import time

import pytest

from support.client import exchange
from support.ports import reserve_port
from test_idle_streams import SilentOrigin, Watchers

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(180)]

STREAMS = int(os.environ.get("HEARTWIRE_IDLE_STREAMS", "3000"))
SCRAPES = 200


def worker_microseconds(process) -> float:
    """The processor time of all workers so far."""
    tasks = pathlib.Path(f"/proc/{process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks
               if (task / "comm").read_text().startswith("worker")) / 1000


def microseconds_per_scrape(proxy, console) -> tuple:
    """Of the workers, and from the question to the whole answer."""
    before, began = worker_microseconds(proxy.process), time.monotonic()
    for _ in range(SCRAPES):
        answer = exchange(console, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.status == 200
    spent, elapsed = worker_microseconds(proxy.process) - before, time.monotonic() - began
    # The streams' timers are no part of it: they cost the same without scrapes.
    before = worker_microseconds(proxy.process)
    time.sleep(elapsed)
    return (spent - (worker_microseconds(proxy.process) - before)) / SCRAPES, elapsed / SCRAPES * 1e6


def test_a_scrape_costs_a_worker_no_more_with_thousands_of_streams_than_with_none(stage):
    origin = SilentOrigin()
    console = reserve_port()
    proxy = stage.heartwire(origin.address, heartbeat="1h", top=f"console 127.0.0.1:{console}", limits=f"connections {2 * STREAMS}")
    idle = microseconds_per_scrape(proxy, console)
    watchers = Watchers(proxy.port)
    watchers.open(STREAMS)
    watchers.read_until(lambda: min(watchers.events.values()) >= 1, 60)
    busy = microseconds_per_scrape(proxy, console)
    text = exchange(console, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").body
    print(f"a scrape of {len(text)} bytes: {idle[0]:.0f} us of a worker with no stream, {busy[0]:.0f} us with {STREAMS}; "
          f"answered after {idle[1]:.0f} and {busy[1]:.0f} us")
    watchers.close()
    origin.close()
    assert b'heartwire_streams_open{route="/*"' in text and f'}} {STREAMS}\n'.encode() in text
    # A look at each stream would cost 10 ns at the very least.
    assert busy[0] < idle[0] + 0.01 * STREAMS
