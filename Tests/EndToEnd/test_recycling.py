"""A server's response is replaced by the next one, which is opened first: what both say comes once."""

import threading
import time

import pytest

from support.client import Client
from support.origin import Left
from support.scripted import Script, events, gaps, resume, wait_for

OVERLAP = "history {\n}\nmask 10s\nrecycle 2s overlap"


class Broadcast:
    """A server that sends the same events to all of its streams, at its own pace."""

    def __init__(self, stage, event, greeting=b""):
        self.event, self.greeting = event, greeting
        self.streams, self.lock, self.sent = [], threading.Lock(), 0
        self.stopped = threading.Event()
        self.origin = stage.origin(self.serve)
        self.opened = 0

    def serve(self, connection, request):
        with self.lock:
            connection.start_stream()
            if self.greeting:
                connection.chunk(self.greeting)
            self.streams.append(connection)
            self.opened += 1
        connection.wait_until_left(60)
        with self.lock:
            self.streams.remove(connection)

    def run(self, seconds, pause):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self.lock:
                self.sent += 1
                for stream in self.streams:
                    try:
                        stream.chunk(self.event(self.sent))
                    except (OSError, Left):
                        pass
            time.sleep(pause)


@pytest.mark.parametrize("kind", ["without ids", "with ids"])
@pytest.mark.parametrize("pause", [0.005, 0.4])
def test_what_both_responses_say_comes_once(stage, kind, pause):
    event = (lambda n: b"id: %d\ndata: %d\n\n" % (n, n)) if kind == "with ids" else (lambda n: b"data: %d\n\n" % n)
    server = Broadcast(stage, event, greeting=b"event: hello\ndata: hi\n\n")
    proxy = stage.heartwire(server.origin, route=OVERLAP + "\ngreeting hello")
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        wait_for(lambda: server.opened == 1)
        reader = threading.Thread(target=lambda: body.wait_for(b"data: end"))
        reader.start()
        server.run(5, pause)
        wait_for(lambda: len(server.streams) == 1)
        with server.lock:
            server.streams[0].chunk(b"data: end\n\n")
        reader.join(10)
        assert server.opened >= 3
        assert events(body.data) == ["hi"] + [str(n) for n in range(1, server.sent + 1)] + ["end"]
    ending = proxy.stream_log.ending("/s")
    assert ending["recycled"] >= 2 and ending["gaps"] == 0 and "masked" not in ending


def test_a_quiet_stream_is_replaced_unseen(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=OVERLAP)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        script.stream(1)
        script.stream(0).wait_until_left(5)
        script.stream(1).chunk(b"data: 2\n\n")
        body.wait_for(b"data: 2")
        assert events(body.data) == ["1", "2"] and not gaps(body.data)


def test_the_old_response_is_read_on_while_the_next_one_cannot_be_had(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=OVERLAP)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        script.origin.stop_listening()
        time.sleep(3)
        script.stream(0).chunk(b"data: 2\n\n")
        body.wait_for(b"data: 2")
        script.origin.listen_again()
        script.stream(1)
        script.stream(0).wait_until_left(5)
        script.stream(1).chunk(b"data: 3\n\n")
        body.wait_for(b"data: 3")
        assert events(body.data) == ["1", "2", "3"] and not gaps(body.data)


def test_the_old_response_ends_in_the_overlap(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=OVERLAP)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        script.stream(1)
        for number in (0, 1):
            script.stream(number).chunk(b"data: 2\n\n")
        script.stream(0).last_chunk()
        script.stream(1).chunk(b"data: 3\n\n")
        body.wait_for(b"data: 3")
        assert events(body.data) == ["1", "2", "3"] and not gaps(body.data)


@pytest.mark.parametrize("has_id", [False, True])
def test_a_response_that_was_asked_for_without_an_id_may_begin_behind_what_is_missing(stage, has_id):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=OVERLAP + "\nresumable on")
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"id: 1\ndata: 1\n\n" if has_id else b": nothing yet\n\n")
        # The old one is late, and its first event comes when the next one has begun behind others.
        script.stream(1).chunk(b"id: 9\ndata: 9\n\n")
        if not has_id:
            script.stream(0).chunk(b"id: 1\ndata: 1\n\n")
        body.wait_for(b"data: 9")
        assert [request.value("last-event-id") for request in script.requests[:2]] == [None, b"1" if has_id else None]
        assert [gap["reason"] for gap in gaps(body.data)] == ([] if has_id else ["upstream"])


def test_what_breaks_in_the_overlap_may_have_had_more_to_say(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=OVERLAP)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        # This one is on its way when the old response breaks, and the new one begins behind it.
        script.stream(0).chunk(b"data: 2\n")
        script.stream(1)
        time.sleep(0.5)
        script.stream(0).reset()
        time.sleep(0.5)
        script.stream(1).chunk(b"data: 3\n\n")
        body.wait_for(b"data: 3")
        (gap,) = gaps(body.data)
        assert gap["reason"] == "upstream" and not gap["certain"]
        assert [event for event in events(body.data) if event.isdigit()] == ["1", "3"]
    assert proxy.stream_log.ending("/s")["gaps"] == 1


def test_an_event_above_the_limit_comes_once_too(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=OVERLAP, limits="event 1KiB")
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(1)
        for number in (0, 1):
            for event in (b"1", b"2" + 4_000 * b"x", b"3"):
                script.stream(number).chunk(b"data: %s\n\n" % event)
        script.stream(0).wait_until_left(5)
        script.stream(1).chunk(b"data: 4\n\n")
        body.wait_for(b"data: 4")
        assert [event[0] for event in events(body.data)] == ["1", "2", "3", "4"] and not gaps(body.data)


@pytest.mark.parametrize("status", [401, 503])
def test_another_answer_leaves_the_old_response_alone(stage, status):
    streams = []

    def serve(connection, request):
        streams.append(connection)
        if len(streams) > 1:
            return connection.respond(status, b"no")
        connection.start_stream()
        connection.wait_until_left(60)

    proxy = stage.heartwire(stage.origin(serve), route=OVERLAP)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        wait_for(lambda: len(streams) > 1)
        streams[0].chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        body.collect(1)
        streams[0].chunk(b"data: 2\n\n")
        body.wait_for(b"data: 2")
        assert events(body.data) == ["1", "2"] and not body.ended


def test_comments_of_the_next_response_do_not_keep_the_old_one(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=OVERLAP)
    with Client(proxy.port) as client:
        resume(client, "/s")
        script.stream(0).chunk(b"data: 1\n\n")
        new = script.stream(1)
        began = time.monotonic()
        left = threading.Thread(target=script.stream(0).wait_until_left, args=(15,))
        left.start()
        while left.is_alive():
            new.chunk(b": ping\n\n")
            time.sleep(0.05)
        assert 1 < time.monotonic() - began < 4
