"""What is kept of streams has limits; past them the oldest goes, and a client that misses it is told."""

import pathlib
import re
import socket

import pytest

from support.client import Client
from support.scripted import Script, events, gaps, last_id, resume, wait_for
from support.sockets import wait_until_read

from test_publishing import KEY, Published


def limits(*lines):
    return "\n".join(["limits {", *lines, "}"])


def leave_one_after_another(stage, script, proxy, count):
    """Clients that read one event each and leave; the ids with which they may come back."""
    ids = []
    for number in range(count):
        with Client(proxy.port) as client:
            body = resume(client, f"/{number}")
            script.stream(number).chunk(b"data: 1\n\n")
            body.wait_for(b"data: 1")
            ids.append(last_id(body.data))
        proxy.stream_log.ending(f"/{number}")
    return ids


def test_of_too_many_streams_whose_clients_are_away_those_go_that_wait_longest(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route="history {\naway 30s\n}", workers=1, top=limits("kept_streams 2"))
    ids = leave_one_after_another(stage, script, proxy, 4)
    for number in range(2):
        assert script.stream(number).wait_until_gone(5)
    for number in range(2, 4):
        script.stream(number).chunk(b"data: 2\n\n")
        with Client(proxy.port) as client:
            body = resume(client, f"/{number}", ids[number])
            body.wait_for(b"data: 2")
            assert gaps(body.data) == []
    with Client(proxy.port) as client:
        body = resume(client, "/0", ids[0])
        body.wait_for(b"stream_gap")
        assert gaps(body.data) == [{"reason": "unknown", "certain": False, "missed": None}]
    assert len(script.requests) == 5


def test_of_all_histories_that_are_too_large_those_lose_first_whose_clients_are_away(stage):
    """A mebibyte holds the two histories of 290 KiB that are read, and one and a half of the two whose clients have left."""
    script = Script(stage)
    proxy = stage.heartwire(
        script.origin, route="history {\nsize 512KiB\naway 1m\n}", workers=1, top=limits("history 1MiB", "event 64KiB"))
    pieces = [b"data: %d %s\n\n" % (number, b"x" * 1_000) for number in range(250)]
    ids = leave_one_after_another(stage, script, proxy, 2)
    clients = [Client(proxy.port) for _ in range(2)]
    try:
        readers = [resume(client, f"/read/{number}") for number, client in enumerate(clients)]
        for number in range(4):
            for piece in pieces:
                script.stream(number).chunk(piece)
            wait_until_read(script.stream(number).socket)
        for body in readers:
            data = body.wait_for(b"data: 249 ")
            assert [event.split()[0] for event in events(data)] == [str(number) for number in range(250)] and not gaps(data)
        found = []
        for number in range(2):
            with Client(proxy.port) as client:
                body = resume(client, f"/{number}", ids[number])
                data = body.wait_for(b"data: 249 ")
                kept = [event.split()[0] for event in events(data) if event[0] != "{"]
                found.append([(gap["reason"], gap["certain"], gap["missed"] + len(kept)) for gap in gaps(data)])
                assert kept == [str(number) for number in range(250 - len(kept), 250)]
        # The one who was left first misses some, and is told how many.
        assert found == [[("expired", True, 250)], []]
    finally:
        for client in clients:
            client.close()


@pytest.mark.timeout(180)
def test_of_too_many_idempotency_keys_the_oldest_are_forgotten(stage):
    published = Published(stage)
    with Client(published.proxy.port) as client, socket.create_connection(("127.0.0.1", published.port)) as publisher:
        body = resume(client, "/s")
        published.script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1\n\n")
        answers = publisher.makefile("rb")

        def publish(first, last, route="/*", data=b"a"):
            head = f"POST /publish?route={route} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(data)}\r\n"
            for start in range(first, last, 100):
                some = range(start, min(start + 100, last))
                publisher.sendall(b"".join(f"{head}Idempotency-Key: {number}\r\n\r\n".encode() + data for number in some))
                for _ in some:
                    assert answers.readline().startswith(b"HTTP/1.1 200")
                    length = 0
                    while (line := answers.readline()) != b"\r\n":
                        if line.lower().startswith(b"content-length:"):
                            length = int(line.split(b":")[1])
                    answers.read(length)

        publish(0, 10_000)
        # All are remembered.
        publish(0, 1, data=b"again")
        publish(9_999, 10_000, data=b"again")
        # One more, and the oldest is not.
        publish(10_000, 10_001, data=b"more")
        publish(0, 1, data=b"forgotten")
        publish(2, 3, data=b"again")
        published.publish(body=b"end")
        data = body.wait_for(b"data: end\n\n")
        assert [event for event in events(data) if event != "a"] == ["1", "more", "forgotten", "end"]
        assert events(data).count("a") == 10_000


def test_a_stream_whose_server_is_gone_takes_no_place_of_one_that_goes_on(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route="history {\naway 30s\n}", workers=1, top=limits("kept_streams 1"))
    (place,) = leave_one_after_another(stage, script, proxy, 1)
    with Client(proxy.port) as client:
        body = resume(client, "/over")
        script.stream(1).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1\n\n")
        script.stream(1).last_chunk()
        body.read_to_end()
    proxy.stream_log.ending("/over")
    with Client(proxy.port) as client:
        body = resume(client, "/0", place)
        script.stream(0).chunk(b"data: 2\n\n")
        body.wait_for(b"data: 2\n\n")
        assert gaps(body.data) == []


def test_a_quiet_stream_whose_client_is_away_outlives_a_busy_one_that_fills_the_limit(stage):
    script = Script(stage)
    history = "history {\nsize 1MiB\nevents 100000\naway 30s\n}"
    proxy = stage.heartwire(script.origin, route=history, workers=1, top=limits("history 1MiB", "event 64KiB"))
    with Client(proxy.port) as client:
        resume(client, "/0")
        script.stream(0).chunk(b": nothing yet\n\n")
    proxy.stream_log.ending("/0")
    with Client(proxy.port) as busy:
        body = resume(busy, "/busy")
        for _ in range(300):
            script.stream(1).chunk(b"data: " + b"x" * 5_000 + b"\n\n")
        script.stream(1).chunk(b"data: end\n\n")
        body.wait_for(b"data: end\n\n")
        assert script.stream(0).left_how is None


def test_streams_that_are_forgotten_give_their_memory_back(stage):
    events = b"".join(b"id: %d\ndata: %s\n\n" % (number, b"x" * 4000) for number in range(50))

    def serve(connection, request):
        connection.start_stream()
        connection.chunk(events + b"data: end\n\n")
        connection.wait_until_left(100)

    proxy = stage.heartwire(
        stage.origin(serve), workers=1, route="history {\n}", top=limits("kept_streams 20", "history 8MiB"))

    def leave(count):
        for number in range(count):
            with Client(proxy.port) as client:
                resume(client, f"/{number}").wait_for(b"data: end")

    leave(60)
    before = resident_kilobytes(proxy)
    leave(150)
    # Each of them had 200 KiB.
    assert resident_kilobytes(proxy) - before < 8_000


def resident_kilobytes(proxy):
    status = pathlib.Path(f"/proc/{proxy.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])
