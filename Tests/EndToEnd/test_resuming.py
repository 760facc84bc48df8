"""A client that comes back goes on where it was: each block once, or a gap event where something is missing."""

import re
import time

import pytest

from support.client import Client
from support.scripted import Script, events, gaps, last_id, resume, wait_for
from support.sockets import wait_until_read


def history(*lines):
    return "\n".join(["history {", *lines, "}"])


HISTORY = history("away 20s")


@pytest.fixture(params=[1, 4], ids=["one worker", "four workers"])
def workers(request):
    return request.param


def test_a_client_gets_what_it_missed_from_a_server_without_ids(stage, workers):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=HISTORY, workers=workers)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"data: 1\n\ndata: 2\n\n")
        body.wait_for(b"data: 2")
        id = last_id(body.data)
        assert id.startswith("hw1.")
    for number in range(3, 9):
        script.stream(0).chunk(b"data: %d\n\n" % number)
        # A block that came after the client would be no block that it missed.
        wait_until_read(script.stream(0).socket)
        with Client(proxy.port) as client:
            body = resume(client, "/s", id)
            assert body.wait_for(b"data: %d" % number).startswith(b"id: %s\n\n" % id.encode())
            assert events(body.data) == [str(number)] and not gaps(body.data)
            id = last_id(body.data)
    assert len(script.requests) == 1
    lines = proxy.stream_log.lines
    wait_for(lambda: [line["event"] for line in lines()].count("stream_end") == 7)
    assert "resumed_from" not in lines()[0]
    resumed = [line for line in proxy.stream_log.lines() if line.get("resumed_from")]
    assert len([line for line in resumed if line["event"] == "stream_open"]) == 6
    assert [line["replayed"] for line in resumed if line["event"] == "stream_end"] == [1] * 6


def test_a_client_gets_what_it_missed_from_a_server_with_ids(stage, workers):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=HISTORY, workers=workers)
    with Client(proxy.port) as client:
        body = resume(client, "/s", fields="Cookie: who=me\r\n")
        script.stream(0).chunk(b"id: a\ndata: 1\n\nid: b\ndata: 2\n\n")
        body.wait_for(b"data: 2")
    script.stream(0).chunk(b"id: c\ndata: 3\n\n")
    wait_until_read(script.stream(0).socket)
    with Client(proxy.port) as client:
        # Another cookie is another identity.
        body = resume(client, "/s", "a", "Cookie: who=other\r\n")
        script.stream(1).chunk(b"id: z\ndata: theirs\n\n")
        body.wait_for(b"data: theirs")
        assert events(body.data)[-1] == "theirs" and [gap["reason"] for gap in gaps(body.data)] == ["unknown"]
    with Client(proxy.port) as client:
        body = resume(client, "/s", "a", "Cookie: who=me\r\n")
        body.wait_for(b"data: 3")
        assert bytes(body.data) == b"id: a\n\nid: b\ndata: 2\n\nid: c\ndata: 3\n\n"
    assert len(script.requests) == 2
    assert script.requests[1].value("last-event-id") == b"a"


def test_an_id_that_nobody_knows_is_told_and_goes_to_no_server(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=HISTORY)
    with Client(proxy.port) as client:
        body = resume(client, "/s", "hw1.AAAAAAAA.1q7")
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        assert gaps(body.data) == [{"reason": "unknown", "certain": False, "missed": None}]
        assert last_id(body.data).startswith("hw1.") and "AAAAAAAA" not in last_id(body.data)
    assert script.requests[0].value("last-event-id") is None
    proxy.stream_log.ending("/s")
    lines = [line for line in proxy.stream_log.lines() if line["event"] == "stream_gap"]
    assert [(line["reason"], line["certain"], line["missed"]) for line in lines] == [("unknown", False, None)]


def test_a_client_that_is_away_for_too_long_gets_the_rest_then_a_gap_then_what_comes(stage, workers):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=history("away 1s"), workers=workers)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        id = last_id(body.data)
    script.stream(0).chunk(b"data: 2\n\n")
    assert script.stream(0).wait_until_gone(5)
    with Client(proxy.port) as client:
        body = resume(client, "/s", id)
        body.read_to_end()
        assert body.complete and events(body.data) == ["2"] and re.search(rb"(?m)^retry: ?\d+$", body.data)
        id = last_id(body.data)
    with Client(proxy.port) as client:
        body = resume(client, "/s", id)
        script.stream(1).chunk(b"data: 3\n\n")
        body.wait_for(b"data: 3")
        assert [(gap["reason"], gap["certain"]) for gap in gaps(body.data)] == [("upstream", False)]


def test_the_rest_of_an_answer_that_ended_while_its_client_was_away(stage, workers):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=HISTORY, workers=workers)
    with Client(proxy.port) as client:
        body = resume(client, "/answer")
        script.stream(0).chunk(b"data: Once\n\n")
        body.wait_for(b"Once")
        id = last_id(body.data)
    script.stream(0).chunk(b"data: upon\n\ndata: a time\n\n")
    script.stream(0).last_chunk()
    wait_until_read(script.stream(0).socket)
    with Client(proxy.port) as client:
        body = resume(client, "/answer", id)
        body.read_to_end()
        assert body.complete and events(body.data) == ["upon", "a time"] and b"retry" not in body.data
    assert len(script.requests) == 1


def test_the_first_connection_ends_when_the_client_comes_back_over_another(stage, workers):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=HISTORY, workers=workers)
    with Client(proxy.port) as first, Client(proxy.port) as second:
        body = resume(first, "/s")
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        again = resume(second, "/s", last_id(body.data))
        script.stream(0).chunk(b"data: 2\n\n")
        again.wait_for(b"data: 2")
        assert events(again.data) == ["2"]
        body.read_to_end()
        assert events(body.data) == ["1"]
    wait_for(lambda: "superseded" in [line.get("cause") for line in proxy.stream_log.lines()])


@pytest.mark.parametrize("trusted, kept", [("", 1), ("trusted_proxies 127.0.0.1", 3)], ids=["client", "trusted proxy"])
def test_one_client_has_no_more_streams_kept_than_the_limit_says(stage, trusted, kept):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=HISTORY, workers=1, top=trusted + "\nlimits {\nkept_per_client 1\n}")
    ids = []
    for number in range(3):
        with Client(proxy.port) as client:
            body = resume(client, f"/{number}")
            script.stream(number).chunk(b"data: 1\n\n")
            body.wait_for(b"data: 1")
            ids.append(last_id(body.data))
        proxy.stream_log.ending(f"/{number}")
    for number in range(3 - kept):
        assert script.stream(number).wait_until_gone(5)
    for number in range(3 - kept, 3):
        script.stream(number).chunk(b"data: 2\n\n")
        with Client(proxy.port) as client:
            body = resume(client, f"/{number}", ids[number])
            body.wait_for(b"data: 2")
            assert gaps(body.data) == []
    assert len(script.requests) == 3


def test_a_slow_client_misses_nothing(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=history("events 50", "size 64KiB"))
    with Client(proxy.port, receive_buffer=4096) as client:
        body = resume(client, "/s")
        text = b"x" * 1000

        def send():
            for number in range(3000):
                script.stream(0).chunk(b"data: %d %s\n\n" % (number, text))
        import threading
        thread = threading.Thread(target=send)
        thread.start()
        time.sleep(1)
        body.wait_for(b"data: 2999 ", timeout=30)
        thread.join()
        assert [int(event.split()[0]) for event in events(body.data)] == list(range(3000)) and not gaps(body.data)


def test_a_client_that_missed_more_than_is_kept_is_told_how_much(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=history("events 10"))
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"data: 0\n\n")
        body.wait_for(b"data: 0")
        id = last_id(body.data)
    for number in range(1, 31):
        script.stream(0).chunk(b"data: %d\n\n" % number)
    wait_until_read(script.stream(0).socket)
    with Client(proxy.port) as client:
        body = resume(client, "/s", id)
        body.wait_for(b"data: 30")
        assert gaps(body.data) == [{"reason": "expired", "certain": True, "missed": 20}]
        assert [event for event in events(body.data) if event[0] != "{"] == [str(number) for number in range(21, 31)]


def test_heartbeats_stand_between_the_blocks_of_a_kept_stream(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=HISTORY, heartbeat="200ms")
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"data: 1\n\nda")
        body.wait_for(lambda data: data.count(b":\n") >= 2)
        script.stream(0).chunk(b"ta: 2\n\n")
        body.wait_for(b"data: 2")
        assert events(body.data) == ["1", "2"]


def test_an_event_above_the_limit_reaches_a_client_that_is_there(stage, workers):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=HISTORY, top="limits {\n event 1KiB\n}", workers=workers)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        # A whole event and the beginning of the large one come in one piece.
        script.stream(0).chunk(b"data: small\n\ndata: " + b"x" * 3000)
        body.wait_for(b"x" * 3000)
        script.stream(0).chunk(b"y\n\ndata: last\n\n")
        body.wait_for(b"data: last")
        assert events(body.data) == ["small", "x" * 3000 + "y", "last"] and not gaps(body.data)
        before = re.findall(rb"(?m)^id: (.+)\ndata: small", body.data)[0].decode()
    # It is not kept: a client that comes back to the event before it is told.
    with Client(proxy.port) as client:
        body = resume(client, "/s", before)
        body.wait_for(b"data: last")
        assert gaps(body.data) == [{"reason": "oversize", "certain": True, "missed": 1}]
        assert events(body.data)[-1] == "last"


def test_long_ids_that_are_replaced_do_not_add_up(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=history("ids own"), limits="pending_per_stream 4KiB")
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        for number in range(100):
            script.stream(0).chunk(b"id: %s\ndata: %d\n\n" % (b"x" * 200, number))
            body.wait_for(b"data: %d\n" % number)


@pytest.mark.parametrize("ids", ["suffix", "own"])
def test_an_id_with_a_dead_place_gets_no_other_stream(stage, ids):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=f"history {{\nids {ids}\n}}\nidentity public", limits="kept_streams 1", workers=1)
    with Client(proxy.port) as a:
        body = resume(a, "/s")
        script.stream(0).chunk(b"id: 1\ndata: of a\n\n")
        body.wait_for(b"of a")
        mine = last_id(bytes(body.data))
    with Client(proxy.port) as b:
        body = resume(b, "/s")
        script.stream(1).chunk(b"id: 1\ndata: of b\n\n")
        body.wait_for(b"of b")
    time.sleep(0.5)
    script.stream(1).chunk(b"id: 2\ndata: secret of b\n\n")
    time.sleep(0.3)
    with Client(proxy.port) as a:
        body = resume(a, "/s", mine)
        body.collect(1)
        assert b"secret of b" not in body.data, bytes(body.data)
        assert gaps(bytes(body.data)) or len(script.streams) == 3
