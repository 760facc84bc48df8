"""What a later review found where two features of continued streams are used at once."""

import contextlib
import threading
import time

import pytest

from support.client import Client
from support.origin import Left
from support.reloading import File
from support.scripted import Script, events, gaps, last_id, resume
from test_publishing import Published

MINE = "Cookie: who=me\r\n"


def route(*lines, history="", identity="cookie who"):
    return "\n".join(["history {", history, "}", "identity " + identity, *lines])


def texts(data):
    return [t for t in events(bytes(data)) if t[0] != "{"]


def test_joiner_with_replay_is_not_sent_back_again_and_again(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("share replay 10", "mask 20s", "gap reconnect"))
    with Client(proxy.port) as opener:
        body = resume(opener, "/s", None, MINE)
        script.stream(0).close()
        script.stream(1).chunk(b"id: 1\ndata: one\n\n")
        body.read_to_end()
    # One page has the stream and stays. A new one joins, and comes back with the id that it has, if any.
    with Client(proxy.port) as idle:
        keep = resume(idle, "/s", "1", MINE)
        keep.collect(0.2)
        assert not keep.ended
        id, got = None, []
        for _ in range(6):
            with Client(proxy.port) as page:
                joined = resume(page, "/s", id, MINE)
                joined.collect(0.7)
                got.append(bytes(joined.data))
                if not joined.ended:
                    return
                if b"\nid: " in b"\n" + joined.data:
                    id = last_id(joined.data)
        assert False, got


def test_reader_is_not_sent_back_again_and_again_where_greetings_have_no_id(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("mask 20s", "gap reconnect"))
    id, n, results = None, 0, []
    client = Client(proxy.port)
    body = resume(client, "/s", None, MINE)
    script.stream(0).chunk(b"event: hello\ndata: hi\n\nid: 1\ndata: one\n\n")
    body.wait_for(b"data: one")
    script.stream(0).close()
    script.stream(1).chunk(b"event: hello\ndata: hi\n\n")
    body.read_to_end()
    client.close()
    client = Client(proxy.port)
    body = resume(client, "/s", "1", MINE)
    body.wait_for(b"data: hi")
    script.stream(1).close()
    script.stream(2).chunk(b"event: hello\ndata: hi\n\nid: 2\ndata: two\n\n")
    body.read_to_end()
    client.close()
    for _ in range(6):
        with Client(proxy.port) as client:
            body = resume(client, "/s", "1", MINE)
            body.collect(0.7)
            results.append((body.ended, bytes(body.data)))
            if b"data: two" in body.data:
                return
    assert False, results


@pytest.mark.parametrize("how", ["veto", "503 first"])
@pytest.mark.parametrize("workers", [1, 3])
def test_who_waits_with_an_id_for_a_stream_that_is_not_shared_is_told_of_the_gap(stage, how, workers):
    requests = []

    def serve(connection, request):
        requests.append(request)
        first = len(requests) == 1
        if first:
            time.sleep(1)
        if how == "503 first" and first:
            return connection.respond(404, b"not yet")
        fields = [("Set-Cookie", "sid=1")] if how == "veto" else []
        with contextlib.suppress(Left, OSError):
            connection.start_stream(fields=fields)
            connection.chunk(b"id: 50\ndata: fifty\n\n")
            connection.wait_until_left(30)

    proxy = stage.heartwire(stage.origin(serve), workers=workers, route=route("share live"))
    with Client(proxy.port) as one, Client(proxy.port) as two:
        one.get("/s", "Accept: text/event-stream\r\nLast-Event-ID: 41\r\n" + MINE)
        time.sleep(0.3)
        body = resume(two, "/s", "41", MINE)
        body.wait_for(b"data: fifty")
        body.collect(0.3)
        assert [g["reason"] for g in gaps(bytes(body.data))] == ["unknown"], bytes(body.data)


def test_a_new_page_is_not_told_of_the_gap_of_the_one_that_opened(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("share replay 10"))
    with Client(proxy.port) as opener, Client(proxy.port) as page:
        body = resume(opener, "/s", "41", MINE)
        script.stream(0).chunk(b"id: 50\ndata: fifty\n\n")
        body.wait_for(b"data: fifty")
        assert len(gaps(bytes(body.data))) == 1
        joined = resume(page, "/s", None, MINE)
        joined.wait_for(b"data: fifty")
        assert not gaps(bytes(joined.data)), bytes(joined.data)


def test_published_events_keep_their_order_when_the_reader_of_parts_leaves(stage):
    published = Published(stage, route=route("share live", "filter query types"), limits="event 1KiB")
    with Client(published.proxy.port) as big, Client(published.proxy.port) as small:
        body = resume(big, "/s", None, MINE)
        published.script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        other = resume(small, "/s?types=message,notice", None, MINE)
        published.script.stream(0).chunk(b"data: 2\n\n")
        other.wait_for(b"data: 2")
        published.script.stream(0).chunk(b"data: " + b"x" * 4096)
        body.wait_for(b"x" * 2048)
        published.publish("route=/*&type=notice", b"first")
        big.close()
        time.sleep(0.5)
        other.collect(1)
        published.publish("route=/*&type=notice", b"second")
        other.collect(1)
        published.script.stream(0).chunk(b"y\n\ndata: 3\n\n")
        other.wait_for(b"data: 3")
        assert texts(other.data) == ["2", "first", "second", "3"]


@pytest.mark.parametrize("resumable", ["off", "on"])
def test_a_pod_that_is_removed_and_comes_back_goes_on_where_it_was(stage, resumable):
    scripts = [Script(stage), Script(stage)]
    terms = f"history {{\n}}\nmerge all\nresumable {resumable}"
    proxy = stage.heartwire(*[script.origin for script in scripts], route=terms, workers=1)
    file = File(proxy)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        scripts[0].stream(0).chunk(b"id: a1\ndata: a1\n\n")
        scripts[1].stream(0).chunk(b"id: b1\ndata: b1\n\n")
        body.wait_for(lambda data: len(texts(data)) == 2)
        line = f"server {scripts[1].origin.address}"
        file.edit((line, "# gone"))
        file.reload()
        scripts[1].stream(0).close()
        # Its response broke, and it may never come back.
        body.wait_for(b"event: stream_gap")
        time.sleep(2)
        file.edit(("# gone", line))
        file.reload()
        scripts[1].stream(1).chunk(b"id: b3\ndata: b3\n\n")
        body.wait_for(b"data: b3")
        assert scripts[1].requests[1].value("last-event-id") == b"b1"
        # The second one is for what it has said since, where nobody knows whether it begins behind its last id.
        assert [gap["reason"] for gap in gaps(bytes(body.data))] == ["upstream"] * (1 if resumable == "on" else 2)


def test_mask_ends_where_all_pods_are_gone(stage):
    scripts = [Script(stage), Script(stage)]
    proxy = stage.heartwire(*[s.origin for s in scripts], route="history {\n}\nmerge all\nmask 5s", workers=1)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        scripts[0].stream(0).chunk(b"data: a\n\n")
        scripts[1].stream(0).chunk(b"data: b\n\n")
        body.wait_for(lambda d: len(texts(d)) == 2)
        for s in scripts:
            s.origin.stop_listening()
        scripts[1].stream(0).reset()
        time.sleep(2.5)
        scripts[0].stream(0).reset()
        began = time.monotonic()
        body.collect(25)
        assert body.ended and time.monotonic() - began < 9


def test_a_pods_event_is_not_taken_for_anothers_after_it_came_back(stage):
    scripts = [Script(stage), Script(stage)]
    proxy = stage.heartwire(*[s.origin for s in scripts], route="history {\n}\nmerge all\nresumable on", workers=1)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        scripts[1].stream(0).chunk(b"id: 10\ndata: refresh\n\n")
        body.wait_for(lambda d: len(texts(d)) == 1)
        scripts[0].stream(0).chunk(b"id: 11\ndata: refresh\n\n")
        body.wait_for(lambda d: len(texts(d)) == 2)
        scripts[1].stream(0).close()
        scripts[1].stream(1).chunk(b"id: 11\ndata: refresh\n\n")
        body.collect(1)
        scripts[1].stream(1).chunk(b"id: 12\ndata: next\n\n")
        body.wait_for(b"next")
        assert scripts[1].requests[1].value("last-event-id") == b"10"
        assert texts(body.data).count("refresh") == 3 or gaps(bytes(body.data)), bytes(body.data)


def test_a_pods_event_is_not_taken_for_anothers_while_it_is_recycled(stage):
    scripts = [Script(stage), Script(stage)]
    proxy = stage.heartwire(*[s.origin for s in scripts], route="history {\n}\nmerge all\nmask 10s\nrecycle 3s overlap", workers=1)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        scripts[1].stream(0).chunk(b"id: 10\ndata: refresh\n\n")
        body.wait_for(lambda d: len(texts(d)) == 1)
        scripts[0].stream(0).chunk(b"id: 11\ndata: refresh\n\n")
        body.wait_for(lambda d: len(texts(d)) == 2)
        scripts[1].stream(1)
        body.collect(0.9)
        scripts[1].stream(1).chunk(b"id: 11\ndata: refresh\n\n")
        body.collect(1)
        scripts[1].stream(1).chunk(b"id: 12\ndata: next\n\n")
        body.wait_for(b"next")
        assert texts(body.data).count("refresh") == 3 or gaps(bytes(body.data)), bytes(body.data)


@pytest.mark.parametrize("manner", ["overlap", "break"])
def test_an_address_that_is_gone_is_read_until_its_stream_ends_also_with_recycle(stage, manner):
    scripts = [Script(stage), Script(stage)]
    proxy = stage.heartwire(
        *[s.origin for s in scripts], route=f"history {{\n}}\nmerge all\nmask 10s\nrecycle 4s {manner}", workers=1)
    file = File(proxy)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        scripts[0].stream(0).chunk(b"data: a1\n\n")
        scripts[1].stream(0).chunk(b"data: b1\n\n")
        body.wait_for(lambda d: len(texts(d)) == 2)
        file.edit((f"server {scripts[1].origin.address}", "# gone"))
        file.reload()
        body.collect(4.5)
        with contextlib.suppress(Left, OSError):
            scripts[1].stream(0).chunk(b"data: b2\n\n")
        body.collect(1)
        assert "b2" in texts(body.data) or gaps(bytes(body.data)), bytes(body.data)


def test_mask_ends_in_time_where_an_old_response_ends_late(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("mask 1s", "recycle 1s overlap"))
    with Client(proxy.port) as client:
        body = resume(client, "/s", None, MINE)
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        script.origin.stop_listening()
        time.sleep(14)
        script.stream(0).reset()
        began = time.monotonic()
        body.read_to_end()
        took = time.monotonic() - began
        assert took < 2


@pytest.mark.parametrize("emptied", [False, True])
def test_lag_close_does_not_send_a_client_back_that_has_no_id(stage, emptied):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("share live", "lag close", history="events 5"), limits="pending_per_stream 4KiB")
    with Client(proxy.port) as opener, Client(proxy.port, receive_buffer=4096) as slow:
        first = resume(opener, "/s", None, MINE)
        script.stream(0).chunk(b"id: 1\ndata: one\n\n")
        first.wait_for(b"data: one")
        body = resume(slow, "/s", None, MINE)
        if emptied:
            script.stream(0).chunk(b"id: 1a\ndata: has one\n\nid\ndata: has none\n\n")
            body.wait_for(b"data: has none")
        pad = b"x" * 2000
        reader = threading.Thread(target=lambda: first.wait_for(b"data: 4000 ", timeout=30))
        reader.start()
        for n in range(1, 4001):
            script.stream(0).chunk(b"data: %d %s\n\n" % (n, pad))
        reader.join()
        body.wait_for(b"data: 4000 ", timeout=30)
        script.stream(0).chunk(b"id: 2\ndata: two\n\n")
        body.wait_for(b"data: two")
        read = [int(event.split()[0]) for event in events(body.data) if event[0].isdigit()]
        missed = [gap["missed"] for gap in gaps(body.data)]
        assert missed and len(read) + sum(missed) == 4000 and not body.ended
