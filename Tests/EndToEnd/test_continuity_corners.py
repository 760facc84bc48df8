"""Corners of continued streams that a review found: what is lost, glued together or kept where two things happen at once."""

import contextlib
import pathlib
import socket
import threading
import time

import pytest

from support.client import Client
from support.origin import Left
from support.scripted import Script, events, gaps, last_id, resume, wait_for
from test_fetched_tokens import Issuer, machine  # noqa: F401

MINE = "Cookie: who=me\r\n"


def route(*lines, history="", identity="cookie who"):
    return "\n".join(["history {", history, "}", "identity " + identity, *lines])


def test_clients_share_again_when_a_stream_was_left(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("share live", history="away 1s"))
    with Client(proxy.port) as client:
        body = resume(client, "/s", None, MINE)
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
    script.stream(0).wait_until_gone(5)
    with Client(proxy.port) as first, Client(proxy.port) as second, Client(proxy.port) as third:
        bodies = [resume(client, "/s", None, MINE) for client in (first, second, third)]
        script.stream(1).chunk(b"data: 2\n\n")
        for body in bodies:
            body.wait_for(b"data: 2")
    assert len(script.requests) == 2


def test_a_shared_request_has_no_id_so_an_unknown_one_is_a_gap(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("share live", "resumable on"))
    with Client(proxy.port) as client:
        body = resume(client, "/s", "3", MINE)
        script.stream(0).chunk(b"id: 9\ndata: 9\n\n")
        body.wait_for(b"data: 9")
        assert script.requests[0].value("last-event-id") is None
        assert [gap["reason"] for gap in gaps(body.data)] == ["unknown"]


def test_a_response_is_not_replaced_in_the_middle_of_an_event(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("mask 10s", "recycle 2s overlap"))
    with Client(proxy.port) as client:
        body = resume(client, "/s", None, MINE)
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        script.stream(0).chunk(b"data: ha")
        script.stream(1)
        time.sleep(0.6)
        script.stream(0).chunk(b"lf\n\n")
        body.wait_for(b"data: half")
        script.stream(1).chunk(b"data: 2\n\n")
        body.wait_for(b"data: 2")


@pytest.mark.parametrize("manner", ["overlap", "break"])
def test_a_slow_client_loses_nothing_when_its_servers_response_is_old(stage, manner):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("mask 10s", f"recycle 2s {manner}"))
    with Client(proxy.port, receive_buffer=4096) as client:
        body = resume(client, "/s", None, MINE)
        stream = script.stream(0)
        pad = b"x" * 1000

        def send():
            for number in range(1, 4001):
                stream.chunk(b"id: %d\ndata: %d %s\n\n" % (number, number, pad))

        sender = threading.Thread(target=send)
        sender.start()
        # The client takes nothing until the response is older than it should become.
        time.sleep(3)
        body.wait_for(b"data: 4000 ", timeout=30)
        sender.join(5)
        script.stream(1).chunk(b"data: end\n\n")
        body.wait_for(b"data: end")
        got = [text.split()[0] for text in events(body.data) if text[0] != "{"]
        assert got == [str(number) for number in range(1, 4001)] + ["end"]


def test_a_server_that_does_not_answer_is_waited_for_no_longer_than_mask_says(stage):
    streams = []

    def serve(connection, request):
        streams.append(connection)
        if len(streams) == 1:
            connection.start_stream()
        connection.wait_until_left(60)

    proxy = stage.heartwire(stage.origin(serve), route=route("mask 2s"))
    with Client(proxy.port) as client:
        body = resume(client, "/s", None, MINE)
        wait_for(lambda: streams)
        streams[0].chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        streams[0].close()
        began = time.monotonic()
        assert b"retry: " in body.read_to_end()
        assert 1.5 < time.monotonic() - began < 5
    assert "told to come back" in proxy.stream_log.ending("/s")["evidence"]


@pytest.mark.parametrize("when", ["in the overlap", "while the next one is asked for"])
def test_an_event_that_was_begun_in_parts_is_never_glued_to_another(stage, when):
    streams = []

    def serve(connection, request):
        streams.append(connection)
        if len(streams) == 2 and when != "in the overlap":
            time.sleep(1.5)
        with contextlib.suppress(OSError, Left):
            connection.start_stream()
            connection.wait_until_left(60)

    proxy = stage.heartwire(stage.origin(serve), route=route("mask 10s", "recycle 2s overlap"), limits="event 1KiB")
    with Client(proxy.port) as client:
        body = resume(client, "/s", None, MINE)
        wait_for(lambda: streams)
        streams[0].chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        streams[0].chunk(b"data: " + b"y" * 3000 + b"\ndata: more\n")
        body.wait_for(b"more")
        wait_for(lambda: len(streams) == 2)
        time.sleep(0.4)
        streams[0].reset()
        time.sleep(0.4)
        with contextlib.suppress(OSError, Left):
            streams[1].chunk(b"event: other\ndata: 2\n\n")
        assert body.client.wait_for_end() and not body.complete
        assert b"data: 2" not in body.data and b"stream_gap" not in body.data


@pytest.mark.parametrize("workers", [1, 4])
def test_a_large_event_does_not_wait_for_a_slow_client_of_a_shared_stream(stage, workers):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("share live"), limits="event 4KiB", workers=workers)

    def memory():
        return int(pathlib.Path(f"/proc/{proxy.process.pid}/statm").read_text().split()[1]) * 4096

    with contextlib.ExitStack() as stack:
        fast = stack.enter_context(Client(proxy.port))
        body = resume(fast, "/s", None, MINE)
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        for _ in range(6):
            resume(stack.enter_context(Client(proxy.port, receive_buffer=4096)), "/s", None, MINE)
        done = threading.Event()

        def drain():
            fast.socket.settimeout(0.2)
            while not done.is_set():
                with contextlib.suppress(socket.timeout):
                    fast.socket.recv(1 << 20)

        reader = threading.Thread(target=drain)
        reader.start()
        before = memory()
        line = b"data: " + b"z" * 50_000 + b"\n"
        for _ in range(800):
            script.stream(0).chunk(line)
        grown = memory() - before
        done.set()
        reader.join()
        assert grown < 25_000_000
        endings = proxy.stream_log.endings(6)
        assert {ending["cause"] for ending in endings} == {"lagged"}


@pytest.mark.parametrize("share", ["share live", "share off"])
@pytest.mark.parametrize("isChunked", [True, False])
def test_a_gap_at_the_start_leaves_the_servers_first_bytes_alone(stage, share, isChunked):
    def serve(connection, request):
        body = b"".join(b"data: %d\n\n" % number for number in range(1, 30))
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        if isChunked:
            connection.send(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(body), body))
        else:
            connection.send(head + b"\r\n" + body)
        connection.wait_until_left(30)

    proxy = stage.heartwire(stage.origin(serve), route=route(share))
    with Client(proxy.port) as client:
        body = resume(client, "/s", "nonsense", MINE)
        body.wait_for(b"data: 29\n")
        assert [gap["reason"] for gap in gaps(body.data)] == ["unknown"]
        assert [text for text in events(body.data) if text[0] != "{"] == [str(number) for number in range(1, 30)]


def test_nobody_comes_back_to_a_stream_that_its_server_has_for_one_client(stage):
    streams = []

    def serve(connection, request):
        streams.append(connection)
        connection.start_stream([("Set-Cookie", f"sid={len(streams)}")])
        for event in range(1, 4):
            connection.chunk(b"id: %d\ndata: secret-%d-%d\n\n" % (event, len(streams), event))
        connection.wait_until_left(30)

    proxy = stage.heartwire(stage.origin(serve), route=route("share replay 5", identity="public"), workers=3)
    with Client(proxy.port) as client:
        resume(client, "/s").wait_for(b"secret-1-3")
    proxy.stream_log.ending("/s")
    with Client(proxy.port) as stranger:
        body = resume(stranger, "/s", "1")
        body.wait_for(b"secret-2-3")
        assert b"secret-1" not in body.data


def test_a_field_that_is_not_sent_tells_streams_apart_as_none(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("share live", "vary X-Tenant", identity="public"))
    with Client(proxy.port) as first, Client(proxy.port) as second:
        resume(first, "/s", None, "X-Tenant: x\r\nConnection: X-Tenant\r\n")
        script.stream(0)
        resume(second, "/s", None, "X-Tenant: x\r\n")
        script.stream(1)
    assert [request.value("x-tenant") for request in script.requests] == [None, b"x"]


@pytest.mark.parametrize("size", [60_000, 100_000, 900_000, 1_200_000])
@pytest.mark.parametrize("share", ["share off", "share live"])
def test_an_event_may_be_larger_than_the_workers_buffer(stage, size, share):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route(share))
    with Client(proxy.port) as client:
        body = resume(client, "/s", None, MINE)
        script.stream(0).chunk(b"data: " + b"x" * size + b"\n\ndata: end\n\n")
        body.wait_for(b"data: end")
        assert [len(text) for text in events(body.data)] == [size, 3]
        place = last_id(bytes(body.data).partition(b"data: end")[0])
        with Client(proxy.port) as late:
            body = resume(late, "/s", place, MINE)
            script.stream(0).chunk(b"data: more\n\n")
            body.wait_for(b"data: more")


def test_what_a_late_client_gets_first_may_be_larger_than_the_workers_buffer(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("share latest"))
    with Client(proxy.port) as first, Client(proxy.port) as second:
        body = resume(first, "/s", None, MINE)
        for number in range(30):
            script.stream(0).chunk(b"event: t%d\ndata: " % number + b"x" * 4_000 + b"\n\n")
        script.stream(0).chunk(b"data: end\n\n")
        body.wait_for(b"data: end")
        body = resume(second, "/s", None, MINE)
        body.wait_for(b"data: end")
        assert len(events(body.data)) == 31


def test_a_kept_stream_has_another_length_than_its_servers_response(stage):
    def serve(connection, request):
        text = b": comment\n\ndata: 1\n\n" * 5
        connection.respond(200, text, [("Content-Type", "text/event-stream")])

    proxy = stage.heartwire(stage.origin(serve), route=route())
    with Client(proxy.port) as client:
        body = resume(client, "/s", None, MINE)
        assert len(events(body.read_to_end())) == 5 and body.complete


@pytest.mark.parametrize("share", ["share live", "share off"])
def test_a_request_that_is_sent_again_with_another_token_opens_the_stream(machine, share):
    def serve(connection, request):
        if request.value("authorization") == b"Bearer token-1":
            return connection.respond(401, b"no")
        connection.start_stream()
        connection.chunk(b"data: 1\n\n")
        connection.wait_until_left(30)

    proxy, _, _ = machine(Issuer(), serve, lines=["history {", "}", "identity cookie who", share])
    with Client(proxy.port) as first, Client(proxy.port) as second:
        for client in (first, second):
            resume(client, "/s", None, MINE).collect(0.2)
