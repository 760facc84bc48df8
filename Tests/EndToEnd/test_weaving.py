"""Where a heartbeat may stand: stalls at every kind of place in a stream, byte for byte."""

import threading

import pytest

from support import eventsource
from support.client import Client


def stalling(pieces, resume, framing="chunked"):
    """Sends the first piece, waits for the test, sends the next one, and so on; then ends the stream."""
    def handler(connection, request):
        connection.start_stream()
        for number, piece in enumerate(pieces):
            if number:
                assert resume[number - 1].wait(20)
            if piece:
                connection.chunk(piece)
        connection.last_chunk()
    return handler


def stall(stage, first, second, opening="off", heartbeat="200ms", beats=2):
    """Runs a stream that stalls between two pieces until heartbeats came, or until it is clear that none do."""
    resume = [threading.Event()]
    proxy = stage.heartwire(stage.origin(stalling([first, second], resume)), heartbeat=heartbeat, opening=opening)
    with Client(proxy.port) as client:
        _, body = client.open_stream("/stall")
        if beats:
            body.wait_for(lambda data: data.count(b":\n") - (1 if opening == "on" else 0) >= beats, timeout=5)
        else:
            body.collect(0.8)
        stalled = bytes(body.data)
        resume[0].set()
        whole = body.read_to_end()
        assert body.complete
    assert eventsource.read(whole).essence() == eventsource.read(first + second).essence()
    return stalled, whole[len(stalled):], proxy


def test_inside_an_event_after_a_complete_line_a_bare_comment_line_stands(stage):
    stalled, rest, _ = stall(stage, b"id: 1\ndata: half\n", b"data: rest\n\n")
    assert stalled.startswith(b"id: 1\ndata: half\n:\n:\n") and b"\n\n" not in stalled
    assert rest.endswith(b"data: rest\n\n")


def test_inside_a_line_nothing_stands_and_the_log_says_why(stage):
    stalled, rest, proxy = stall(stage, b"data: a\n\ndata: in the mid", b"dle of a line\n\n", beats=0)
    assert stalled == b"data: a\n\ndata: in the mid"
    assert rest == b"dle of a line\n\n"
    assert proxy.stream_log.ending("/stall")["heartbeats"] == 0


def test_a_stream_that_ends_while_stalled_inside_a_line_is_marked_mid_line(stage):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"data: a\n\ndata: in the mid")
        connection.wait_until_left(20)
    proxy = stage.heartwire(stage.origin(handler), heartbeat="150ms")
    with Client(proxy.port) as client:
        _, body = client.open_stream("/mid")
        body.collect(0.6)
    assert proxy.stream_log.ending("/mid")["mid_line"] is True


def test_a_lone_cr_has_ended_its_line_and_is_passed_on_at_once(stage):
    stalled, rest, _ = stall(stage, b"data: a\r", b"data: b\r\r")
    assert stalled.startswith(b"data: a\r:\n")
    assert rest.replace(b":\n", b"") == b"data: b\r\r"


def test_the_lf_of_a_crlf_that_a_heartbeat_split_is_swallowed(stage):
    stalled, rest, _ = stall(stage, b"data: a\r", b"\ndata: b\r\n\r\n")
    assert stalled.startswith(b"data: a\r:\n")
    assert rest.replace(b":\n", b"") == b"data: b\r\n\r\n"


def test_the_lf_after_a_cr_passes_when_no_heartbeat_came_between(stage):
    resume = [threading.Event()]
    proxy = stage.heartwire(stage.origin(stalling([b"data: a\r\n\r", b"\ndata: b\n\n"], resume)), heartbeat="10s")
    with Client(proxy.port) as client:
        _, body = client.open_stream()
        body.wait_for(b"data: a\r\n\r")
        resume[0].set()
        assert body.read_to_end() == b"data: a\r\n\r\ndata: b\n\n"


def test_a_byte_order_mark_stays_when_nothing_was_sent_before_it(stage):
    resume = [threading.Event(), threading.Event()]
    origin = stage.origin(stalling([b"\xef", b"\xbb\xbfdata: a", b"\n\n"], resume))
    proxy = stage.heartwire(origin, heartbeat="10s", opening="off")
    with Client(proxy.port) as client:
        _, body = client.open_stream()
        body.collect(0.2)
        resume[0].set()
        resume[1].set()
        assert body.read_to_end() == b"\xef\xbb\xbfdata: a\n\n"


@pytest.mark.parametrize("first, second", [
    (b"", b"\xef\xbb\xbfdata: a\n\n"), (b"\xef", b"\xbb\xbfdata: a\n\n"), (b"\xef\xbb", b"\xbfdata: a\n\n")])
def test_a_byte_order_mark_behind_a_heartbeat_is_dropped_also_when_split(stage, first, second):
    stalled, rest, _ = stall(stage, first, second)
    assert stalled.startswith(b":\n\n") and b"\xef" not in stalled + rest
    assert rest.endswith(b"data: a\n\n")


def test_a_byte_order_mark_behind_the_opening_comment_is_dropped(stage):
    resume = [threading.Event()]
    proxy = stage.heartwire(
        stage.origin(stalling([b"\xef\xbb\xbfdata: a\n\n", b""], resume)), heartbeat="10s", opening="on")
    with Client(proxy.port) as client:
        _, body = client.open_stream()
        body.wait_for(b"data: a\n\n")
        resume[0].set()
        assert body.read_to_end() == b":\n\ndata: a\n\n"


def test_what_only_looks_like_the_beginning_of_a_mark_is_not_lost(stage):
    stalled, rest, _ = stall(stage, b"\xef\xbb", b"\xbedata: odd\ndata: a\n\n", opening="on", beats=1)
    assert (stalled + rest).replace(b":\n\n", b"").startswith(b"\xef\xbb\xbedata: odd\n")


def test_a_named_event_waits_for_the_event_boundary(stage):
    stalled, rest, _ = stall(stage, b"data: half\n", b"data: rest\n\n", heartbeat="200ms both beat", beats=2)
    assert b"event:" not in stalled
    assert eventsource.read(stalled + rest).events[0].data == "half\nrest"


def test_between_events_the_comment_is_followed_by_a_blank_line_for_naive_clients(stage):
    stalled, _, _ = stall(stage, b"data: a\n\n", b"data: b\n\n")
    assert stalled.startswith(b"data: a\n\n:\n\n:\n\n")
