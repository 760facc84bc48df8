"""What servers, publishers and readers of continued streams do to each other: found by a review."""

import contextlib
import http.client
import re
import threading
import time

import pytest

from support.client import Client
from support.origin import Left
from support.ports import reserve_port
from support.reloading import File
from support.scripted import Script, events, gaps, last_id, resume, wait_for
from test_publishing import Published

MINE = "Cookie: who=me\r\n"


def route(*lines, history="", identity="cookie who"):
    return "\n".join(["history {", history, "}", "identity " + identity, *lines])


def texts(data):
    return [t for t in events(bytes(data)) if t[0] != "{"]


def metric(port, name):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    return {m[0]: float(m[1]) for m in re.findall(rf"(?m)^({name}\S*) (\S+)", text)}


@pytest.mark.parametrize("id", ["hw1.AAAAAAAA.%d", "x%d~hw1.AAAAAAAA.%d"])
@pytest.mark.parametrize("share", ["", "share live"])
def test_ids_of_a_proxy_behind_this_one_are_found(stage, id, share):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route(share))
    ids = [id % ((n,) * id.count("%d")) for n in range(1, 4)]
    with Client(proxy.port) as client:
        body = resume(client, "/s", None, MINE)
        script.stream(0).chunk(f"id: {ids[0]}\ndata: 1\n\n".encode())
        body.wait_for(b"data: 1\n\n")
        assert last_id(body.data) == ids[0]
    proxy.stream_log.ending("/s")
    script.stream(0).chunk(f"id: {ids[1]}\ndata: 2\n\n".encode())
    with Client(proxy.port) as client:
        body = resume(client, "/s", ids[0], MINE)
        body.collect(1)
        assert texts(body.data) == ["2"] and not gaps(bytes(body.data))


def test_published_events_do_not_grow_a_log_without_limit(stage):
    published = Published(stage, route="history {\nsize 64KiB\n}", limits="history 1MiB\npending 1MiB")
    with Client(published.proxy.port, receive_buffer=4096) as client:
        body = resume(client, "/s", None)
        published.script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        before = published.proxy.resident_bytes()
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", published.port, timeout=15)
        for _ in range(600):
            connection.request("POST", "/publish?route=/*", b"x" * 65000, {"Authorization": "Bearer a-key-of-those-who-publish"})
            connection.getresponse().read()
            if time.monotonic() - began > 30:
                break
        after = published.proxy.resident_bytes()
        assert after - before < 15 << 20


@pytest.mark.parametrize("manner", ["break", "overlap"])
def test_metric_counts_each_recycling(stage, manner):
    script = Script(stage)
    console = reserve_port()
    proxy = stage.heartwire(script.origin, route=route("mask 10s", f"recycle 2s {manner}"), top=f"console 127.0.0.1:{console}")
    with Client(proxy.port) as client:
        body = resume(client, "/s", None, MINE)
        script.stream(0).chunk(b"data: 1\n\n")
        script.stream(2)
        time.sleep(0.3)
    ending = proxy.stream_log.ending("/s")
    got = metric(console, "heartwire_streams_recycled_total")
    assert sum(got.values()) >= ending["recycled"] > 0


def test_a_pod_under_another_name_is_not_read_twice(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route="history {\n}\nmerge all", workers=1)
    file = File(proxy)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        file.edit((f"server {script.origin.address}", f"server localhost:{script.origin.port}"))
        file.reload()
        body.collect(4)
        for n in range(len(script.streams)):
            with contextlib.suppress(Left, OSError):
                script.stream(n).chunk(b"data: 2\n\n")
        body.collect(1)
        assert texts(body.data) == ["1", "2"]


def test_recycling_does_not_ask_every_two_seconds(stage):
    streams = []

    def serve(connection, request):
        connection.start_stream()
        streams.append((time.monotonic(), connection))
        if len(streams) > 1:
            connection.last_chunk()
            return
        connection.wait_until_left(60)

    proxy = stage.heartwire(stage.origin(serve), route=route("mask 10s", "recycle 1s overlap"))
    with Client(proxy.port) as client:
        body = resume(client, "/s", None, MINE)
        wait_for(lambda: streams)
        streams[0][1].chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        time.sleep(14)
        pauses = [round(b[0] - a[0], 2) for a, b in zip(streams[1:], streams[2:])]
        assert len(pauses) < 5


def test_a_server_that_drops_in_a_large_event_is_masked_for_those_who_have_no_part_of_it(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("share live", "mask 10s", "filter query types"), limits="event 1KiB")
    with Client(proxy.port) as big, Client(proxy.port) as small:
        body = resume(big, "/s", None, MINE)
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        other = resume(small, "/s?types=message,notice", None, MINE)
        script.stream(0).chunk(b"data: 2\n\n")
        other.wait_for(b"data: 2")
        script.stream(0).chunk(b"data: " + b"x" * 4096)
        body.wait_for(b"x" * 2048)
        script.stream(0).reset()
        other.collect(3)
        assert not other.ended


@pytest.mark.parametrize("workers", [1, 3])
def test_openers_that_leave_do_not_part_those_who_wait(stage, workers):
    requests = []
    go = threading.Event()

    def serve(connection, request):
        requests.append(request)
        if not go.wait(0.01):
            with contextlib.suppress(Left, OSError):
                while not go.is_set():
                    with contextlib.suppress(TimeoutError):
                        connection.receive_once(0.1)
        with contextlib.suppress(Left, OSError):
            connection.start_stream()
            connection.chunk(b"data: 1\n\n")
            connection.wait_until_left(30)

    proxy = stage.heartwire(stage.origin(serve), workers=workers, route=route("share live"))
    clients = [Client(proxy.port) for _ in range(10)]
    for client in clients:
        client.get("/s", "Accept: text/event-stream\r\n" + MINE)
        time.sleep(0.1)
    for client in clients[:5]:
        client.close()
        time.sleep(0.4)
    go.set()
    for client in clients[5:]:
        head = client.read_head()
        assert head.status == 200
    time.sleep(0.5)
    for client in clients[5:]:
        client.close()
    assert len(requests) <= 6


@pytest.mark.parametrize("id", [None, "41"])
@pytest.mark.parametrize("workers", [1, 3])
def test_who_waits_for_a_stream_that_is_being_opened_is_answered_early(stage, id, workers):
    requests = []

    def serve(connection, request):
        requests.append(request)
        time.sleep(4)
        with contextlib.suppress(Left, OSError):
            connection.start_stream()
            connection.chunk(b"id: 50\ndata: fifty\n\n")
            connection.wait_until_left(30)

    proxy = stage.heartwire(stage.origin(serve), workers=workers, route=route("share live", "early 500ms"), outage="retry 30s")
    with Client(proxy.port) as one, Client(proxy.port) as two:
        one.get("/s", "Accept: text/event-stream\r\nLast-Event-ID: 40\r\n" + MINE)
        time.sleep(0.3)
        began = time.monotonic()
        body = resume(two, "/s", id, MINE)
        assert time.monotonic() - began < 2
        one.read_head()


def test_merge_unique_with_a_pod_that_is_late_says_each_event_once(stage):
    scripts = [Script(stage), Script(stage)]
    proxy = stage.heartwire(*[s.origin for s in scripts], route="history {\n}\nmerge all unique id 10s\nmask 10s\nresumable on", workers=3)
    with Client(proxy.port) as client:
        body = resume(client, "/s")
        for n in range(1, 4):
            for s in scripts:
                s.stream(0).chunk(b"id: %d\ndata: e%d\n\n" % (n, n))
        body.wait_for(b"data: e3")
        scripts[1].stream(0).close()
        scripts[0].stream(0).chunk(b"id: 4\ndata: e4\n\n")
        body.wait_for(b"data: e4")
        # The pod goes on behind its last id.
        scripts[1].stream(1).chunk(b"id: 4\ndata: e4\n\nid: 5\ndata: e5\n\n")
        scripts[0].stream(0).chunk(b"id: 5\ndata: e5\n\nid: 6\ndata: e6\n\n")
        body.wait_for(b"data: e6")
        assert texts(body.data) == ["e1", "e2", "e3", "e4", "e5", "e6"] and not gaps(bytes(body.data))
        assert scripts[1].requests[1].value("last-event-id") == b"3"


def test_two_filters_on_a_stream_that_is_over_do_not_keep_each_other_from_the_next_one(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, workers=1, route=route("share live", "filter query types"))
    with Client(proxy.port) as one, Client(proxy.port) as two:
        a = resume(one, "/s?types=a,done", None, MINE)
        wait_for(lambda: script.streams)
        b = resume(two, "/s?types=b,done", None, MINE)
        script.stream(0).chunk(b"id: 1\nevent: a\ndata: 1\n\nid: 2\nevent: b\ndata: 2\n\nevent: done\ndata: end\n\n")
        a.wait_for(b"data: end")
        b.wait_for(b"data: end")
        script.stream(0).last_chunk()
        script.stream(0).close()
        a.read_to_end()
        b.read_to_end()
    rounds = 0
    for _ in range(6):
        with Client(proxy.port) as one:
            a = resume(one, "/s?types=a,done", "1", MINE)
            a.collect(0.5)
        with Client(proxy.port) as two:
            b = resume(two, "/s?types=b,done", "2", MINE)
            b.collect(0.5)
        rounds += 1
        if len(script.streams) > 1:
            break
    assert rounds <= 3


def test_published_event_while_masked_reaches_all(stage):
    published = Published(stage, workers=3, route=route("share live", "mask 10s"))
    with Client(published.proxy.port) as one, Client(published.proxy.port) as two:
        a = resume(one, "/s", None, MINE)
        published.script.stream(0).chunk(b"data: 1\n\n")
        a.wait_for(b"data: 1")
        b = resume(two, "/s", None, MINE)
        published.script.origin.stop_listening()
        published.script.stream(0).reset()
        time.sleep(0.5)
        published.publish(body=b"pub")
        a.wait_for(b"data: pub")
        b.wait_for(b"data: pub")
        published.script.origin.listen_again()
        published.script.stream(1).chunk(b"data: 2\n\n")
        a.wait_for(b"data: 2")
        b.wait_for(b"data: 2")


def test_own_ids_in_the_url_reach_no_server(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin)
    with Client(proxy.port) as client:
        resume(client, "/s?lastEventId=hw1.AAAAAAAA.5&x=1")
    with Client(proxy.port) as client:
        resume(client, "/s?lastEventId=7~hw1.AAAAAAAA.5")
    with Client(proxy.port) as client:
        resume(client, "/s?lastEventId=hw1&y=hw1.AAAAAAAA.5")
    wait_for(lambda: len(script.requests) == 3)
    found = [(request.target, request.value("last-event-id")) for request in script.requests]
    assert found == [(b"/s?x=1", None), (b"/s", b"7"), (b"/s?lastEventId=hw1&y=hw1.AAAAAAAA.5", None)]


class LateHead:
    """A server that subscribes a client at its request, and sends the head (and what is queued) later."""

    def __init__(self, stage, delay):
        self.delay, self.lock = delay, threading.Lock()
        self.entries = []
        self.origin = stage.origin(self.serve)

    def serve(self, connection, request):
        entry = {"connection": connection, "queue": [], "open": False}
        with self.lock:
            first = not self.entries
            self.entries.append(entry)
        if not first:
            time.sleep(self.delay)
        with self.lock:
            connection.start_stream()
            for data in entry["queue"]:
                connection.chunk(data)
            entry["open"] = True
        connection.wait_until_left(60)

    def say(self, data):
        with self.lock:
            for e in self.entries:
                if e["open"]:
                    with contextlib.suppress(Left, OSError):
                        e["connection"].chunk(data)
                else:
                    e["queue"].append(data)


@pytest.mark.parametrize("end", ["last_chunk", "reset"])
def test_the_old_response_ends_before_the_head_of_the_next_one(stage, end):
    server = LateHead(stage, 0.8)
    proxy = stage.heartwire(server.origin, route=route("mask 10s", "recycle 2s overlap"))
    with Client(proxy.port) as client:
        body = resume(client, "/s", None, MINE)
        wait_for(lambda: server.entries and server.entries[0]["open"])
        server.say(b"data: 0\n\n")
        body.wait_for(b"data: 0\n\n")
        wait_for(lambda: len(server.entries) == 2)
        server.say(b"data: 1\n\n")
        server.say(b"data: 2\n\n")
        body.wait_for(b"data: 2\n\n")
        getattr(server.entries[0]["connection"], end)()
        time.sleep(0.2)
        server.say(b"data: 3\n\n")
        body.wait_for(b"data: 3\n\n")
        # Whether the server had begun to listen for this client before the old response ended cannot be known, so a gap may be told.
        assert texts(body.data) == ["0", "1", "2", "3"]


def test_drain_is_spread_also_for_distant_readers(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("share live"), workers=4, drain="10s", grace="3s")
    clients = [Client(proxy.port) for _ in range(40)]
    for client in clients:
        resume(client, "/s", None, MINE)
    proxy.stream_log.openings(40)
    # All clients of the stream's worker but one leave.
    opens = proxy.stream_log.openings(40)
    home = opens[0]["stream"].split("-")[0]
    client_at = {"%s:%d" % client.socket.getsockname(): client for client in clients}
    for line in opens[1:]:
        if line["stream"].startswith(home):
            client_at[line["client"]].close()
    time.sleep(0.5)
    began = time.monotonic()
    proxy.stop(timeout=20)
    assert time.monotonic() - began > 4
    causes = {line["cause"] for line in proxy.stream_log.endings(40)}
    assert causes <= {"drained", "client_closed", "client_reset"}


def test_the_log_names_the_server_that_failed_last(stage):
    one, two = Script(stage), Script(stage)
    console = reserve_port()
    proxy = stage.heartwire(one.origin, two.origin, route=route("mask 2s"), top=f"console 127.0.0.1:{console}")
    with Client(proxy.port) as client:
        body = resume(client, "/s", None, MINE)
        wait_for(lambda: one.streams or two.streams)
        first, second = (one, two) if one.streams else (two, one)
        first.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
        first.origin.stop_listening()
        first.stream(0).reset()
        second.stream(0).chunk(b"data: 2\n\n")
        body.wait_for(b"data: 2")
        second.origin.stop_listening()
        second.stream(0).reset()
        body.read_to_end()
    line = proxy.stream_log.ending("/s")
    assert line["server"] == second.origin.address


@pytest.mark.parametrize("manner", ["break", "overlap"])
def test_a_merged_stream_of_one_server_has_all_of_masks_time_for_the_next_response(stage, manner):
    server = LateHead(stage, 1.5)
    proxy = stage.heartwire(server.origin, route=route("merge all", "mask 2s", f"recycle 3s {manner}"))
    with Client(proxy.port) as client:
        body = resume(client, "/s", None, MINE)
        wait_for(lambda: len(server.entries) == 3)
        server.say(b"data: 1\n\n")
        body.wait_for(b"data: 1\n\n")
        assert not body.ended
