"""What clients, servers and logs are told of a kept stream is true, and told once."""

import time

import pytest

from support.client import Client
from support.http2 import HTTP2Client
from support.scripted import Script, events, gaps, last_id, resume, wait_for

MINE = "Cookie: who=me\r\n"


def route(*lines, history="", identity="cookie who"):
    return "\n".join(["history {", history, "}", "identity " + identity, *lines])


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("ids", ["server", "own"])
def test_a_client_that_was_too_slow_is_told_once_what_it_has_missed(stage, ids, workers):
    def event(number):
        return b"%sdata: %d %s\n\n" % (b"id: %d\n" % number if ids == "server" else b"", number, b"y" * 1000)

    script = Script(stage)
    terms = route("share live", "lag close", history="events 300")
    proxy = stage.heartwire(script.origin, route=terms, workers=workers, listen="protocols h2 http/1.1")
    with Client(proxy.port) as fast, HTTP2Client(proxy.port, window=30, connection_window=70_000) as slow:
        body = resume(fast, "/s", None, MINE)
        script.stream(0).chunk(event(1))
        body.wait_for(b"data: 1 ")
        stream = slow.request("/s", extra=[(b"cookie", b"who=me")])
        slow.hold(stream)
        slow.wait(lambda: stream.head)
        wait_for(lambda: len(proxy.stream_log.openings(2)) == 2)
        for number in range(2, 400):
            script.stream(0).chunk(event(number))
        body.wait_for(b"data: 399 ")
        slow.read_for(0.3)
        slow.h2.increment_flow_control_window(1_000_000, stream.number)
        slow.h2.increment_flow_control_window(1_000_000)
        slow.flush()
        slow.whole(stream)
        assert proxy.stream_log.ending("/s")["cause"] == "lagged"
        assert gaps(stream.data) == []
        with Client(proxy.port) as again:
            rest = resume(again, "/s", last_id(stream.data), MINE)
            rest.wait_for(b"data: 399 ")
        told = gaps(rest.data)
        assert [gap["reason"] for gap in told] == ["expired"]
        had = {event.split()[0] for event in events(stream.data) + events(rest.data) if event[0] != "{"}
        assert told[0]["missed"] == 398 - len(had)


@pytest.mark.parametrize("raw, sent", [(b" 5", "5"), (b"5 ", "5"), (b"\ta\tb ", "a\tb"), (b"5", "5")])
def test_an_id_is_found_although_a_field_has_no_blanks_at_its_ends(stage, raw, sent):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route())
    with Client(proxy.port) as client:
        body = resume(client, "/s", None, MINE)
        script.stream(0).chunk(b"id: " + raw + b"\ndata: 1\n\n")
        body.wait_for(b"data: 1\n\n")
    script.stream(0).chunk(b"id: z\ndata: 2\n\n")
    with Client(proxy.port) as client:
        body = resume(client, "/s", sent, MINE)
        body.wait_for(b"data: 2\n\n")
        assert gaps(body.data) == [] and events(body.data) == ["2"]


def test_a_client_of_a_shared_stream_is_not_said_to_go_on_in_another_clients(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("share live"))
    with Client(proxy.port) as one:
        resume(one, "/s", None, MINE)
        with Client(proxy.port) as two:
            body = resume(two, "/s", None, MINE)
            script.stream(0).chunk(b"data: 1\n\n")
            body.wait_for(b"data: 1\n\n")
        proxy.stream_log.endings(1)
        with Client(proxy.port) as two:
            again = resume(two, "/s", last_id(body.data), MINE)
            script.stream(0).chunk(b"data: 2\n\n")
            again.wait_for(b"data: 2\n\n")
            assert gaps(again.data) == []
            first, second, third = proxy.stream_log.openings(3)
        assert "resumed_from" not in third
    end = next(line for line in proxy.stream_log.endings(3) if line["stream"] == third["stream"])
    assert end["shared_with"] == first["stream"] and "replayed" in end and "resumed_from" not in end


def test_fields_of_the_servers_bytes_are_left_out_where_blocks_get_other_ids(stage):
    def serve(connection, request):
        connection.start_stream([("ETag", '"x"'), ("Content-Digest", "sha-256=:AAAA:"), ("Accept-Ranges", "bytes")])
        connection.chunk(b"data: 1\n\n")
        connection.wait_until_left(30)

    proxy = stage.heartwire(stage.origin(serve), route=route())  # without heartbeats, as all routes of these tests
    with Client(proxy.port) as client:
        head, body = client.open_stream("/s", MINE)
        body.wait_for(b"data: 1\n\n")
        assert b"id: hw1." in body.data
        assert head.value("content-digest") is None and head.value("accept-ranges") is None and head.value("etag") == b'W/"x"'


def test_a_server_may_ask_for_a_longer_pause_than_mask_leaves_time_for(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("mask 3s"))
    with Client(proxy.port) as client:
        body = resume(client, "/s", None, MINE)
        script.stream(0).chunk(b"retry: 20000\ndata: 1\n\n")
        body.wait_for(b"data: 1\n\n")
        began = time.monotonic()
        script.stream(0).close()
        script.stream(1).chunk(b"data: 2\n\n")
        assert 1.4 < time.monotonic() - began < 3
        body.wait_for(b"data: 2\n\n")


def test_a_client_is_held_for_all_of_the_time_and_then_sent_back_as_its_server_wants(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("mask 4s"))
    with Client(proxy.port) as client:
        body = resume(client, "/s", None, MINE)
        script.stream(0).chunk(b"retry: 20000\ndata: 1\n\n")
        body.wait_for(b"data: 1\n\n")
        script.origin.stop_listening()
        began = time.monotonic()
        script.stream(0).reset()
        body.read_to_end()
        assert body.complete and 3.9 < time.monotonic() - began < 5.5
    ending = proxy.stream_log.ending("/s")
    assert ending["cause"] == "connection_refused"
    assert 10_000 <= ending["retry_ms"] <= 30_000


def test_a_client_that_is_followed_by_itself_gets_no_half_event_in_good_order(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route(history="ids own"), limits="event 4KiB")
    with Client(proxy.port) as first, Client(proxy.port) as second:
        body = resume(first, "/s", None, MINE)
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1\n\n")
        place = last_id(body.data)
        script.stream(0).chunk(b"data: " + b"x" * 8_000)
        body.wait_for(b"x" * 4_000)
        resume(second, "/s", place, MINE)
        body.read_to_end()
        assert not body.complete
    assert "superseded" in [line["cause"] for line in proxy.stream_log.endings(2)]


def test_a_named_cookie_without_a_value_is_sent_once(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("share live"))
    with Client(proxy.port) as client:
        resume(client, "/s", None, "Cookie: who=; other=x\r\n")
        script.stream(0)
    assert script.requests[0].value("cookie") == b"who=; other=x"
