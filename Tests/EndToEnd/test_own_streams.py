"""A server says in its answer that a stream is for one client, so that nobody else reads it or comes back to it."""

import itertools
import re
import threading
import time

import pytest

from support.client import Client
from support.scripted import Readers, events, last_id, resume, wait_for


def route(share, *more):
    return "\n".join(["history {", "}", "identity cookie who", f"share {share}", *more])


@pytest.mark.parametrize("field", [("Set-Cookie", "a=1"), ("Vary", "Accept, User-Agent"), ("Vary", "*")])
def test_a_server_can_forbid_to_share(stage, field):
    streams = []

    def serve(connection, request):
        connection.start_stream(fields=[field])
        streams.append(connection)
        connection.wait_until_left(60)

    proxy = stage.heartwire(stage.origin(serve), route=route("live"))
    with Readers(proxy) as crowd:
        bodies = [crowd.open() for _ in range(3)]
        wait_for(lambda: len(streams) == 3)
        for number, stream in enumerate(streams):
            stream.chunk(b"data: %d\n\n" % number)
        for body in bodies:
            body.wait_for(b"data: ")
        assert sorted(events(body.data) for body in bodies) == [["0"], ["1"], ["2"]]
    wait_for(lambda: [line["event"] for line in proxy.stream_log.lines()].count("stream_end") == 3)
    ends = [line for line in proxy.stream_log.lines() if line["event"] == "stream_end"]
    assert {line["not_shared_because"] for line in ends} == {"set_cookie" if field[0] == "Set-Cookie" else "vary"}


def test_a_vary_of_what_is_the_same_for_all_forbids_nothing(stage):
    streams = []

    def serve(connection, request):
        connection.start_stream(fields=[("Vary", "Accept-Encoding, Origin, Cookie, X-Tenant")])
        streams.append(connection)
        connection.wait_until_left(60)

    proxy = stage.heartwire(stage.origin(serve), route=route("live", "vary X-Tenant"))
    with Readers(proxy) as crowd:
        bodies = [crowd.open() for _ in range(3)]
        wait_for(lambda: streams)
        streams[0].chunk(b"data: 1\n\n")
        for body in bodies:
            body.wait_for(b"data: 1")
    assert len(streams) == 1


@pytest.mark.parametrize("field", [("Set-Cookie", "sid=1"), ("Vary", "*"), ("Vary", "User-Agent")], ids=str)
def test_a_server_can_forbid_to_share_in_any_response(stage, field):
    streams = []
    numbers = itertools.count(1)

    def serve(connection, _):
        # The two clients are served at the same time, each by a thread: a number that both read from the list could be the same.
        number = next(numbers)
        streams.append(connection)
        connection.start_stream([field] if number > 1 else [])
        connection.chunk(b"data: for %d\n\n" % number)
        connection.wait_until_left(60)

    proxy = stage.heartwire(stage.origin(serve), route=route("live", "mask 10s"))
    with Client(proxy.port) as one, Client(proxy.port) as two:
        bodies = [resume(client, "/s", None, "Cookie: who=me\r\n") for client in (one, two)]
        streams[0].close()
        for body in bodies:
            # Each comes back soon, and gets a stream of its own.
            body.read_to_end()
            assert re.search(rb"(?m)^retry: ?\d+$", body.data) and b"for 2" not in body.data
    with Client(proxy.port) as one, Client(proxy.port) as two:
        bodies = [resume(client, "/s", None, "Cookie: who=me\r\n") for client in (one, two)]
        for body in bodies:
            body.wait_for(b"data: for ")
        first = {events(body.data)[-1] for body in bodies}
        assert len(first) == 2 and not first & {"for 1", "for 2"}


@pytest.mark.parametrize("is_away", [False, True])
def test_nobody_comes_back_to_an_own_stream_whose_next_response_is_for_one_client(stage, is_away):
    asked, streams = [], []
    has_left = threading.Event()

    def serve(connection, request):
        asked.append(request)
        number = len(asked)
        if number == 1:
            # The other client waits meanwhile, and then asks for itself.
            time.sleep(0.5)
        if number == 3 and is_away:
            has_left.wait(10)
        streams.append(connection)
        connection.start_stream([("Set-Cookie", "sid=1")] if number in (1, 3) else [])
        connection.chunk(b"id: %d\ndata: for %d\n\n" % (number, number))
        connection.wait_until_left(60)

    proxy = stage.heartwire(stage.origin(serve), route=route("live", "mask 10s", "resumable on"))
    with Client(proxy.port) as first:
        first.get("/s", "Accept: text/event-stream\r\nCookie: who=me\r\n")
        wait_for(lambda: asked)
        with Client(proxy.port) as other:
            body = resume(other, "/s", None, "Cookie: who=me\r\n")
            body.wait_for(b"data: for 2\n\n")
            streams[1].close()
            wait_for(lambda: len(asked) == 3)
            if not is_away:
                body.wait_for(b"data: for 3\n\n")
            own = last_id(body.data)
        proxy.stream_log.ending("/s")
        has_left.set()
        if is_away:
            time.sleep(0.5)
        with Client(proxy.port) as stranger:
            body = resume(stranger, "/s", own, "Cookie: who=me\r\n")
            body.wait_for(b"data: for 4\n\n")
            assert b"data: for 3" not in body.data
