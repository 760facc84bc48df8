"""The same events with and without the proxy: random streams, random splits, heartbeats at their fastest.

An EventSource parser that follows the standard exactly reads the proxy's bytes and the
origin's bytes; the results must be equal. HEARTWIRE_SEED repeats a run.
"""

import random
import threading
import time

import pytest

from support import eventsource, streams
from support.client import Client

STREAMS = 48


def plan(seed, number):
    """One stream: its pieces, the pause before each (some longer than a heartbeat), and its framing."""
    chance = random.Random(seed * 1000 + number)
    stream = streams.random_stream(chance, chance.randrange(1, 40))
    pieces = streams.random_split(chance, stream, 9)
    pauses = [chance.choice((0, 0, 0.005, 0.13, 0.26)) for _ in pieces]
    return pieces, pauses, chance.choice(("chunked", "chunked", "length", "close"))


@pytest.mark.parametrize("kind", ["comment", "event beat", "both beat"])
def test_random_streams_are_read_the_same_with_and_without_the_proxy(stage, kind):
    seed = streams.seed()

    def handler(connection, request):
        pieces, pauses, framing = plan(seed, int(request.target.rsplit(b"/")[-1]))
        field = {"chunked": b"Transfer-Encoding: chunked\r\n", "close": b"",
                 "length": b"Content-Length: %d\r\n" % sum(map(len, pieces))}[framing]
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + field + b"\r\n")
        for piece, pause in zip(pieces, pauses):
            time.sleep(pause)
            connection.chunk(piece) if framing == "chunked" else connection.send(piece)
        if framing == "chunked":
            connection.last_chunk()
        elif framing == "close":
            connection.close()

    proxy = stage.heartwire(stage.origin(handler), heartbeat=f"100ms {kind}", opening="on", workers=2)
    failures, woven = [], []

    def watch(number):
        try:
            with Client(proxy.port) as client:
                _, body = client.open_stream(f"/stream/{number}")
                received = body.read_to_end(30)
                assert body.complete, "the stream did not end as its framing says"
            sent = b"".join(plan(seed, number)[0])
            direct = eventsource.read(sent).without("beat")
            through = eventsource.read(received).without("beat")
            assert through.essence() == direct.essence(), f"sent {sent!r}\nreceived {received!r}"
            woven.append(len(received) - len(sent))
            record = proxy.stream_log.ending(f"/stream/{number}")
            assert record["events"] == len(direct.events), f"the log counts {record['events']} of {len(direct.events)}"
            assert record["cause"] == "upstream_finished", record
        except Exception as failure:
            failures.append(f"stream {number}: {failure!r}")

    threads = [threading.Thread(target=watch, args=(number,)) for number in range(STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, f"HEARTWIRE_SEED={seed}\n" + "\n".join(failures[:4])
    assert sum(extra > 3 for extra in woven) > STREAMS // 4, "hardly any stream was woven: this run proved nothing"


def test_a_stream_without_heartbeats_passes_byte_for_byte(stage):
    seed = streams.seed()
    chance = random.Random(seed)
    stream = b"".join(streams.random_stream(chance, 50) for _ in range(40))
    pieces = streams.random_split(chance, stream, 200)

    def handler(connection, request):
        connection.start_stream()
        for piece in pieces:
            connection.chunk(piece)
        connection.last_chunk()
    proxy = stage.heartwire(stage.origin(handler))
    with Client(proxy.port) as client:
        _, body = client.open_stream()
        assert body.read_to_end() == stream, f"HEARTWIRE_SEED={seed}"
        assert body.complete


def test_each_piece_is_passed_on_as_it_comes(stage):
    latencies = []
    has_come = threading.Semaphore(0)

    def handler(connection, request):
        connection.start_stream()
        for _ in range(30):
            connection.chunk(b"data: %.6f\n\n" % time.monotonic())
            # The next one is sent when this one has come, so that none can wait for another.
            assert has_come.acquire(timeout=10), "a piece was held back until the next one"
            time.sleep(0.02)
        connection.last_chunk()
    proxy = stage.heartwire(stage.origin(handler), heartbeat="10s")
    with Client(proxy.port) as client:
        _, body = client.open_stream()
        for number in range(1, 31):
            body.wait_for(lambda data: data.count(b"\n\n") == number)
            moment, piece = body.pieces[-1]
            latencies += [moment - float(event.data) for event in eventsource.read(piece).events]
            has_come.release()
        body.read_to_end()
    assert len(latencies) == 30
    # A third of them at least come at once, on a busy machine too: whatever waits for a timer or for an acknowledgement is always late.
    assert sorted(latencies)[10] < 0.01, f"latencies {sorted(latencies)}"
