"""A server that drops is asked again behind its clients' backs: they see no end, and a gap where something may be missing."""

import time

import pytest

from support.client import Client
from support.scripted import Script, events, gaps, last_id, resume, wait_for

RESUMABLE = "history {\n}\nmask 10s\nresumable on"
PLAIN = "history {\n}\nmask 10s"


@pytest.fixture(params=["end", "cut", "reset"])
def drop(request):
    """How the server's response ends."""

    def drop(stream):
        if request.param == "end":
            stream.last_chunk()
        elif request.param == "cut":
            stream.close()
        else:
            stream.reset()

    return drop


def sent_ids(script):
    return [request.value("last-event-id") for request in script.requests]


def test_a_server_that_can_go_on_is_asked_for_what_follows_and_the_client_sees_nothing(stage, drop):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=RESUMABLE)
    with Client(proxy.port) as client:
        body = resume(client, "/s?a=1", fields="Cookie: who=me\r\nX-Mine: 1\r\n")
        # What has no blank line yet is dropped with the response, as a browser would.
        script.stream(0).chunk(b"id: 1\ndata: 1\n\nid: 2\ndata: half\n")
        body.wait_for(b"data: 1")
        drop(script.stream(0))
        script.stream(1).chunk(b"id: 2\ndata: 2\n\n")
        body.wait_for(b"data: 2")
        assert events(body.data) == ["1", "2"] and not gaps(body.data) and not body.ended
        assert sent_ids(script) == [None, b"1"]
        first, second = script.requests
        assert second.target == first.target == b"/s?a=1"
        for name in ("cookie", "x-mine", "host", "via", "accept-encoding"):
            assert second.value(name) == first.value(name), name
    ending = proxy.stream_log.ending("/s")
    assert ending["masked"] == 1 and ending["gaps"] == 0 and ending["cause"] == "client_closed"


@pytest.mark.parametrize("how", ["mask 10s", "mask 10s\nrecycle 1s overlap", "mask 10s\nmerge all"])
@pytest.mark.parametrize("says", [b"", b": hello\n\n", b"data: no id\n\n", b"id\n\n"])
def test_a_server_that_drops_before_its_first_block_is_asked_for_what_follows_its_clients_id(stage, how, says):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=f"history {{\n}}\n{how}")
    with Client(proxy.port) as client:
        resume(client, "/s", "7", "Cookie: who=me\r\n")
        script.stream(0).chunk(says or b": \n\n")
        if "recycle" not in how:
            script.stream(0).last_chunk()
            script.stream(0).close()
        script.stream(1)
    # By the standard the first block without an id makes the empty one the last one.
    assert sent_ids(script) == [b"7", None if says.startswith((b"id", b"data")) else b"7"]


def test_a_server_without_ids_cannot_go_on_though_its_client_brought_one(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=RESUMABLE)
    with Client(proxy.port) as client:
        body = resume(client, "/s", "7", "Cookie: who=me\r\n")
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        script.stream(0).close()
        script.stream(1).chunk(b"data: 5\n\n")
        body.wait_for(b"data: 5")
    assert [gap["reason"] for gap in gaps(body.data)] == ["upstream"]


def test_a_gap_stands_where_a_server_cannot_go_on(stage, drop):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=PLAIN)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        drop(script.stream(0))
        script.stream(1).chunk(b"data: 2\n\n")
        body.wait_for(b"data: 2")
        assert [text for text in events(body.data) if text[0] != "{"] == ["1", "2"]
        assert gaps(body.data) == [{"reason": "upstream", "certain": False, "missed": None}]
        assert body.data.index(b"stream_gap") < body.data.index(b"data: 2")
        # The id of the gap is a place: a client that comes back with it has missed nothing.
        place = last_id(bytes(body.data).partition(b"data: 2")[0].rpartition(b"id: ")[0])
    proxy.stream_log.ending("/s")
    with Client(proxy.port) as client:
        body = resume(client, "/s", place)
        body.wait_for(b"data: 2")
        assert events(body.data) == ["2"]
    lines = [line for line in proxy.stream_log.lines() if line["event"] == "stream_gap"]
    assert [line["reason"] for line in lines] == ["upstream"]


def test_what_a_server_says_again_is_left_out(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=RESUMABLE + "\ngreeting hello")
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"event: hello\ndata: connected\n\nid: 1\ndata: 1\n\nid: 2\ndata: 2\n\n")
        body.wait_for(b"data: 2")
        script.stream(0).close()
        script.stream(1).chunk(b"event: hello\ndata: connected\n\nid: 1\ndata: 1\n\nid: 2\ndata: 2\n\nid: 3\ndata: 3\n\n")
        body.wait_for(b"data: 3")
        # Only what stands at a response's start is a greeting.
        script.stream(1).chunk(b"event: hello\ndata: again\n\n")
        body.wait_for(b"again")
        assert events(body.data) == ["connected", "1", "2", "3", "again"] and not gaps(body.data)


def test_a_server_that_counts_from_1_again_loses_nothing(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=PLAIN)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"id: 1\ndata: a\n\nid: 2\ndata: b\n\n")
        body.wait_for(b"data: b")
        script.stream(0).close()
        script.stream(1).chunk(b"id: 1\ndata: c\n\nid: 2\ndata: d\n\n")
        body.wait_for(b"data: d")
        assert [text for text in events(body.data) if text[0] != "{"] == ["a", "b", "c", "d"]


def test_heartbeats_go_on_and_an_outage_within_the_time_is_not_seen(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=RESUMABLE, heartbeat="1s")
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"id: 1\ndata: 1\n\n")
        body.wait_for(b"data: 1")
        script.origin.stop_listening()
        script.stream(0).reset()
        known = len(body.data)
        body.collect(2.5)
        assert body.data[known:].count(b":") >= 2 and not body.ended
        script.origin.listen_again()
        script.stream(1, timeout=8).chunk(b"id: 2\ndata: 2\n\n")
        body.wait_for(b"data: 2")
        assert events(body.data) == ["1", "2"] and not gaps(body.data)
    assert proxy.stream_log.ending("/s")["masked_ms"] >= 2_000


def test_after_the_time_the_client_is_told_to_come_back(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route="history {\n}\nmask 2s\nresumable on")
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"id: 1\ndata: 1\n\n")
        body.wait_for(b"data: 1")
        script.origin.stop_listening()
        script.stream(0).reset()
        data = body.read_to_end(timeout=5)
        assert body.complete and b"retry: " in data
        ending = proxy.stream_log.ending("/s")
        assert ending["cause"] == "connection_refused" and "the server was asked again for" in ending["evidence"]
    script.origin.listen_again()
    with Client(proxy.port) as client:
        body = resume(client, "/s", "1")
        script.stream(1).chunk(b"id: 2\ndata: 2\n\n")
        body.wait_for(b"data: 2")
        assert events(body.data) == ["2"] and not gaps(body.data)
    assert sent_ids(script) == [None, b"1"]


@pytest.mark.parametrize("status", [401, 403, 404, 204, 200])
def test_another_answer_than_the_stream_is_the_clients(stage, status):
    streams = []

    def serve(connection, request):
        if not streams:
            connection.start_stream()
            streams.append(connection)
            return connection.wait_until_left(60)
        streams.append(connection)
        connection.respond(status, b"" if status == 204 else b"no", fields=[("Content-Type", "text/plain")])

    origin = stage.origin(serve)
    proxy = stage.heartwire(origin, route=RESUMABLE)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        wait_for(lambda: streams)
        streams[0].chunk(b"id: 1\ndata: 1\n\n")
        body.wait_for(b"data: 1")
        streams[0].close()
        data = body.read_to_end()
        assert body.complete
        retry = int(data.rpartition(b"retry: ")[2].split()[0])
        assert 1 <= retry <= 3_000
    ending = proxy.stream_log.ending("/s")
    assert ending["cause"] == "sent_back" and str(status) in ending["evidence"]
    with Client(proxy.port) as client:
        head, _ = client.open_stream("/s", "Last-Event-ID: 1\r\n")
        assert head.status == status


def test_an_outage_answer_is_waited_for(stage):
    answers = []

    def serve(connection, request):
        answers.append(connection)
        if len(answers) in (2, 3):
            return connection.respond(500 if len(answers) == 2 else 503, b"later")
        connection.start_stream()
        connection.chunk(b"id: %d\ndata: %d\n\n" % (len(answers), len(answers)))
        connection.wait_until_left(60)

    proxy = stage.heartwire(stage.origin(serve), route=RESUMABLE)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        body.wait_for(b"data: 1")
        answers[0].close()
        body.wait_for(b"data: 4", timeout=10)
        assert events(body.data) == ["1", "4"]


def test_a_server_that_drops_while_the_client_is_away_is_asked_again_too(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=RESUMABLE, workers=2)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"id: 1\ndata: 1\n\n")
        body.wait_for(b"data: 1")
    proxy.stream_log.ending("/s")
    script.stream(0).close()
    script.stream(1).chunk(b"id: 2\ndata: 2\n\n")
    for number in range(2, 6):
        with Client(proxy.port) as client:
            body = resume(client, "/s", "1")
            body.wait_for(b"data: 2")
            assert events(body.data) == ["2"] and not gaps(body.data)
        # With a server's ids nobody takes a stream over that is read.
        wait_for(lambda: [line["event"] for line in proxy.stream_log.lines()].count("stream_end") == number)
    assert sent_ids(script) == [None, b"1"]


def test_a_page_that_refetches_is_sent_back_where_something_may_be_missing(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=PLAIN + "\ngap reconnect")
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"id: 1\ndata: 1\n\n")
        body.wait_for(b"data: 1")
        script.stream(0).close()
        script.stream(1)
        data = body.read_to_end()
        assert body.complete and b"retry: " in data and b"stream_gap" not in data
    with Client(proxy.port) as client:
        body = resume(client, "/s", "1")
        script.stream(1).chunk(b"id: 2\ndata: 2\n\n")
        body.wait_for(b"data: 2")
        assert events(body.data) == ["2"]
    assert len(script.requests) == 2


def test_a_servers_retry_is_the_least_pause(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=RESUMABLE)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"retry: 1500\nid: 1\ndata: 1\n\n")
        body.wait_for(b"data: 1")
        dropped = time.monotonic()
        script.stream(0).close()
        script.stream(1)
        assert time.monotonic() - dropped >= 1.4
        script.stream(1).chunk(b"id: 2\ndata: 2\n\n")
        body.wait_for(b"data: 2")


def test_a_shutdown_does_not_wait_for_a_server_that_dropped(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=RESUMABLE)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"id: 1\ndata: 1\n\n")
        body.wait_for(b"data: 1")
        script.origin.stop_listening()
        script.stream(0).reset()
        time.sleep(0.3)
        began = time.monotonic()
        proxy.process.terminate()
        body.read_to_end()
        assert proxy.wait() == 0
        assert time.monotonic() - began < 5
        assert proxy.stream_log.ending("/s")["cause"] == "drained"


def test_a_response_is_replaced_before_its_age_behind_an_event(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=RESUMABLE + "\nrecycle 2s break")
    with Client(proxy.port) as client:
        opened = time.monotonic()
        body = resume(client, "/s")
        script.stream(0).chunk(b"id: 1\ndata: 1\n\nid: 2\nda")
        body.wait_for(b"data: 1")
        time.sleep(1.75)
        # The response is old enough and waits for the end of its event.
        script.stream(0).chunk(b"ta: 2\n\n")
        script.stream(0).wait_until_left(2)
        assert time.monotonic() - opened < 2.5
        script.stream(1).chunk(b"id: 3\ndata: 3\n\n")
        body.wait_for(b"data: 3")
        assert events(body.data) == ["1", "2", "3"] and not gaps(body.data)
        assert sent_ids(script) == [None, b"2"]
    ending = proxy.stream_log.ending("/s")
    assert ending["recycled"] == 1 and "masked" not in ending and ending["gaps"] == 0


def test_a_response_that_cannot_be_replaced_at_once_is_masked(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=PLAIN + "\nrecycle 1s break")
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        script.origin.stop_listening()
        script.stream(0).wait_until_left(2)
        time.sleep(0.5)
        script.origin.listen_again()
        script.stream(1).chunk(b"data: 2\n\n")
        body.wait_for(b"data: 2")
        assert [gap["reason"] for gap in gaps(body.data)] == ["upstream"]
    ending = proxy.stream_log.ending("/s")
    assert ending["masked"] == 1 and "recycled" not in ending


def test_responses_that_are_soon_over_are_asked_for_again_within_the_time(stage):
    answers = []

    def serve(connection, request):
        answers.append(connection)
        connection.start_stream()
        connection.chunk(b"id: %d\ndata: %d\n\n" % (len(answers), len(answers)))
        time.sleep(0.2)
        connection.last_chunk()
        connection.wait_until_left(60)

    proxy = stage.heartwire(stage.origin(serve), route="history {\n}\nmask 3s\nresumable on")
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        body.wait_for(b"data: 5\n", timeout=30)
        assert events(body.data) == ["1", "2", "3", "4", "5"] and not body.ended


@pytest.mark.parametrize("digits", [b"9223372036854775807", b"99999999999999999999999"])
@pytest.mark.parametrize("manner", ["mask 10s", "merge all"])
def test_a_server_may_ask_for_any_pause(stage, digits, manner):
    one, two = Script(stage), Script(stage)
    proxy = stage.heartwire(one.origin, two.origin, route="history {\n}\n" + manner)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        wait_for(lambda: one.streams or two.streams)
        script = one if one.streams else two
        script.stream(0).chunk(b"retry: %s\ndata: 1\n\n" % digits)
        body.wait_for(b"data: 1")
        script.stream(0).close()
        wait_for(lambda: script.stream(0).wait_until_gone(5))
    with Client(proxy.port) as client:
        resume(client, "/other")
