"""Clients with the same key read one stream of the server's: joined at any time, filtered, and never slowed by each other."""

import re
import signal
import threading
import time

import pytest

from support.client import Client
from support.scripted import Readers, Script, events, gaps, last_id, resume, wait_for


def route(share, *more):
    return "\n".join(["history {", "}", "identity cookie who", f"share {share}", *more])


@pytest.fixture(params=[1, 4], ids=["one worker", "four workers"])
def workers(request):
    return request.param


def test_clients_of_one_key_read_one_stream_of_the_server(stage, workers):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("live"), workers=workers)
    with Readers(proxy) as crowd:
        bodies = [crowd.open()]
        script.stream(0).chunk(b"data: early\n\n")
        bodies[0].wait_for(b"early")
        bodies += [crowd.open() for _ in range(12)]
        script.stream(0).chunk(b"data: 1\n\n")
        script.stream(0).chunk(b"data: 2\n\n")
        for body in bodies:
            body.wait_for(b"data: 2")
        assert [events(body.data) for body in bodies] == [["early", "1", "2"]] + [["1", "2"]] * 12
        # Another identity has a stream of its own.
        other = crowd.open(fields="Cookie: who=you\r\n")
        script.stream(1).chunk(b"data: yours\n\n")
        other.wait_for(b"yours")
        assert len(script.requests) == 2
        # The one that opened it is not needed.
        crowd.clients[0].close()
        time.sleep(0.1)
        script.stream(0).chunk(b"data: 3\n\n")
        for body in bodies[1:]:
            body.wait_for(b"data: 3")
    wait_for(lambda: [line["event"] for line in proxy.stream_log.lines()].count("stream_end") == 14)
    ends = [line for line in proxy.stream_log.lines() if line["event"] == "stream_end"]
    assert len({line["shared_with"] for line in ends if "shared_with" in line}) == 1
    assert len([line for line in ends if "shared_with" in line]) == 12


def test_the_request_holds_what_is_the_same_for_all_and_nothing_else(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("live", "vary X-Tenant", "ignore_query t"))
    mine = "Cookie: a=1; who=me; b=2\r\nX-Tenant: x\r\nUser-Agent: Browser/%d\r\nAccept-Language: de\r\nX-Other: %d\r\n"
    with Readers(proxy) as crowd:
        for number in (1, 2):
            body = crowd.open(f"/s?a=1&t={number}", mine % (number, number) + ("Authorization: Basic eA==\r\n" if number == 1 else ""))
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1")
    assert len(script.requests) == 1
    request = script.requests[0]
    names = sorted(bytes(name).lower() for name, _ in request.fields)
    assert names == sorted([b"host", b"accept", b"accept-encoding", b"cookie", b"x-tenant", b"via"])
    assert request.value("cookie") == b"who=me" and request.value("x-tenant") == b"x" and request.target == b"/s?a=1"


def test_all_who_come_before_the_head_wait_for_it(stage, workers):
    heads = []

    def serve(connection, request):
        heads.append(connection)
        time.sleep(1)
        connection.start_stream()
        connection.chunk(b"data: 1\n\n")
        connection.wait_until_left(60)

    proxy = stage.heartwire(stage.origin(serve), route=route("live"), workers=workers)
    clients = [Client(proxy.port) for _ in range(10)]
    for client in clients:
        client.get("/s", "Accept: text/event-stream\r\nCookie: who=me\r\n")
    for client in clients:
        head = client.read_head(timeout=10)
        assert head.status == 200
    wait_for(lambda: len(heads) == 1)
    heads[0].chunk(b"data: 2\n\n")
    for client in clients:
        client.close()
    assert len(heads) == 1


def test_late_clients_begin_with_what_the_route_says(stage, workers):
    script = Script(stage)
    proxies = {
        name: stage.heartwire(script.origin, route=route(name), workers=workers) for name in ("live", "latest", "replay 2")
    }
    wanted = {"live": [], "latest": ["p2", "m2"], "replay 2": ["p2", "m2"]}
    for number, (name, proxy) in enumerate(proxies.items()):
        with Readers(proxy) as crowd:
            first = crowd.open()
            script.stream(number).chunk(
                b"event: price\ndata: p1\n\ndata: m1\n\nevent: price\ndata: p2\n\ndata: m2\n\n")
            first.wait_for(b"m2")
            late = crowd.open()
            late.collect(0.2)
            script.stream(number).chunk(b"data: m3\n\n")
            late.wait_for(b"m3")
            assert events(late.data) == wanted[name] + ["m3"], name
            # What it has seen is a place like any other.
            id = last_id(late.data)
            script.stream(number).chunk(b"data: m4\n\n")
            late.wait_for(b"m4")
            back = crowd.open(id=id)
            back.wait_for(b"m4")
            assert events(back.data) == ["m4"]


def test_a_filter_lets_some_types_pass(stage, workers):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("live", "filter query types"), workers=workers)
    with Readers(proxy) as crowd:
        everything = crowd.open("/s?x=1")
        prices = crowd.open("/s?x=1&types=price")
        both = crowd.open("/s?types=message%2Cprice&x=1")
        script.stream(0).chunk(b"retry: 700\n\nevent: price\ndata: p1\n\nevent: news\ndata: n1\n\ndata: m1\n\nevent: price\ndata: p2\n\n")
        for body in (everything, prices, both):
            body.wait_for(b"p2")
        assert events(everything.data) == ["p1", "n1", "m1", "p2"]
        assert events(prices.data) == ["p1", "p2"] and b"retry: 700" in prices.data
        assert events(both.data) == ["p1", "m1", "p2"]
    assert [request.target for request in script.requests] == [b"/s?x=1"]


def test_a_client_that_wants_little_does_not_fall_out_of_the_history(stage, workers):
    script = Script(stage)
    terms = "history {\nevents 10\n}\nidentity cookie who\nshare live\nfilter query types"
    proxy = stage.heartwire(script.origin, route=terms, workers=workers, heartbeat="1s")
    with Readers(proxy) as crowd:
        bodies = [crowd.open("/s?types=rare") for _ in range(4)]
        for number in range(100):
            script.stream(0).chunk(b"data: %d\n\n" % number)
        for count, body in enumerate(bodies):
            body.wait_for(lambda data: int(last_id(data).rpartition(".")[2], 36) >= 100 + count and len(events(data)) == count)
            back = crowd.open("/s?types=rare", id=last_id(body.data))
            script.stream(0).chunk(b"event: rare\ndata: r\n\n")
            back.wait_for(b"data: r")
            assert events(back.data) == ["r"]


@pytest.mark.parametrize("status", [401, 404, 503])
def test_another_answer_than_a_stream_reaches_all(stage, workers, status):
    def serve(connection, request):
        time.sleep(0.5)
        connection.respond(status, b"no")

    proxy = stage.heartwire(stage.origin(serve), route=route("live"), workers=workers)
    clients = [Client(proxy.port) for _ in range(6)]
    for client in clients:
        client.get("/s", "Accept: text/event-stream\r\nCookie: who=me\r\n")
    assert [client.read_head(timeout=10).status for client in clients] == [status] * 6
    for client in clients:
        client.close()


@pytest.mark.parametrize("lag", ["gap", "close"])
def test_a_slow_client_falls_behind_and_stops_nobody(stage, lag):
    script = Script(stage)
    terms = "history {\nevents 50\n}\nidentity cookie who\nshare live\nlag " + lag
    proxy = stage.heartwire(script.origin, route=terms)
    with Readers(proxy) as crowd:
        fast = crowd.open()
        slow = Client(proxy.port, receive_buffer=4096)
        crowd.clients.append(slow)
        body = resume(slow, "/s", fields="Cookie: who=me\r\n")
        text = b"x" * 10_000
        for number in range(1_500):
            script.stream(0).chunk(b"event: n\ndata: %d %s\n\n" % (number, text))
            fast.pump(0.001)
        fast.wait_for(b"data: 1499 ", timeout=30)
        assert [int(data.split()[0]) for data in events(fast.data)] == list(range(1_500))
        if lag == "close":
            body.read_to_end(timeout=30)
            assert proxy.stream_log.ending("/s")["cause"] == "lagged"
        else:
            body.wait_for(b"data: 1499 ", timeout=30)
            told = gaps(body.data)
            assert told and all(gap["reason"] == "expired" and gap["certain"] for gap in told)
            seen = [int(data.split()[0]) for data in events(body.data) if data[0] != "{"]
            assert seen == sorted(set(seen)) and len(seen) + sum(gap["missed"] for gap in told) == 1_500


def test_a_slow_client_is_sent_back_for_a_gap_behind_what_is_no_longer_kept(stage):
    script = Script(stage)
    terms = "history {\nevents 50\nsize 64MiB\n}\nidentity cookie who\nshare replay 50\ngap reconnect"
    proxy = stage.heartwire(script.origin, route=terms)
    text = b"x" * 120_000
    with Readers(proxy) as crowd:
        fast = crowd.open()

        def send(numbers):
            for number in numbers:
                script.stream(0).chunk(b"data: %d %s\n\n" % (number, text))
                fast.wait_for(lambda data, least=(number + 1) * len(text): len(data) > least)

        send(range(50))
        slow = Client(proxy.port, receive_buffer=4096)
        crowd.clients.append(slow)
        body = resume(slow, "/s", fields="Cookie: who=me\r\n")
        send(range(50, 120))
        # It has an id of an event by now, so it may come back and fetch everything again.
        body.read_to_end(timeout=30)
        assert proxy.stream_log.ending("/s")["cause"] == "sent_back"
        seen = [int(data.split()[0]) for data in events(body.data)]
        assert 0 < len(seen) < 50 and seen == list(range(len(seen)))


def test_the_last_client_that_leaves_ends_the_servers_stream_after_away(stage):
    script = Script(stage)
    terms = "history {\naway 1s\n}\nidentity cookie who\nshare live"
    proxy = stage.heartwire(script.origin, route=terms)
    with Readers(proxy) as crowd:
        bodies = [crowd.open() for _ in range(3)]
        script.stream(0).chunk(b"data: 1\n\n")
        for body in bodies:
            body.wait_for(b"data: 1")
        for client in crowd.clients[:2]:
            client.close()
        time.sleep(1.5)
        script.stream(0).chunk(b"data: 2\n\n")
        bodies[2].wait_for(b"data: 2")
    script.stream(0).wait_until_left(5)
    with Readers(proxy) as crowd:
        body = crowd.open()
        script.stream(1).chunk(b"data: 3\n\n")
        body.wait_for(b"data: 3")
        assert events(body.data) == ["3"]


def test_an_unknown_id_joins_with_a_gap(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("replay 5"))
    with Readers(proxy) as crowd:
        first = crowd.open()
        script.stream(0).chunk(b"data: 1\n\n")
        first.wait_for(b"data: 1")
        body = crowd.open(id="hw1.AAAAAAAA.5")
        script.stream(0).chunk(b"data: 2\n\n")
        body.wait_for(b"data: 2")
        assert [gap["reason"] for gap in gaps(body.data)] == ["unknown"] and events(body.data)[-1] == "2"
    assert [request.value("last-event-id") for request in script.requests] == [None]


def test_the_gap_of_the_client_that_opened_a_stream_is_told_to_no_other(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("replay 5"))
    with Readers(proxy) as crowd:
        first = crowd.open(id="hw1.AAAAAAAA.5")
        script.stream(0).chunk(b"data: 1\n\n")
        first.wait_for(b"data: 1")
        assert [gap["reason"] for gap in gaps(first.data)] == ["unknown"] and events(first.data)[-1] == "1"
        later = crowd.open()
        script.stream(0).chunk(b"data: 2\n\n")
        later.wait_for(b"data: 2")
        assert events(later.data) == ["1", "2"]
        place = re.search(rb"(?m)^id: (.*)\nevent: stream_gap$", first.data)[1].decode()
        assert events(crowd.open(id=place).wait_for(b"data: 2")) == ["1", "2"]


def test_who_joins_behind_a_gap_has_the_servers_last_id(stage):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("live"))
    with Readers(proxy) as crowd:
        first = crowd.open()
        script.stream(0).chunk(b"id: one\ndata: 1\n\n")
        first.wait_for(b"data: 1")
        second = crowd.open(id="unknown")
        assert b"id: one\nevent: stream_gap\n" in second.wait_for(lambda data: gaps(data))
        script.stream(0).chunk(b"id: two\ndata: 2\n\n")
        first.wait_for(b"data: 2")
        assert events(crowd.open(id="one").wait_for(b"data: 2")) == ["2"]


def test_who_comes_back_while_another_opens_a_stream_in_vain_gets_what_it_missed(stage):
    asked = threading.Event()
    streams = []

    def serve(connection, _):
        streams.append(connection)
        if len(streams) == 2:
            asked.set()
            time.sleep(1)
            return connection.respond(500, b"no")
        connection.start_stream()
        connection.chunk(b"id: %d-1\ndata: %d-1\n\n" % (len(streams), len(streams)))
        connection.wait_until_left(60)

    proxy = stage.heartwire(stage.origin(serve), route=route("live"))
    with Client(proxy.port) as first, Client(proxy.port) as second:
        bodies = [resume(client, "/s", None, "Cookie: who=me\r\n") for client in (first, second)]
        bodies[0].wait_for(b"data: 1-1\n\n")
        first.close()
        streams[0].chunk(b"id: 1-2\ndata: 1-2\n\n")
        bodies[1].wait_for(b"data: 1-2\n\n")
        streams[0].close()
        bodies[1].read_to_end()
    with Client(proxy.port) as opener, Readers(proxy) as crowd:
        opener.get("/s", "Accept: text/event-stream\r\nCookie: who=me\r\n")
        asked.wait(15)
        assert events(crowd.open(id="1-1").read_to_end()) == ["1-2"]
        assert opener.read_head(timeout=10).status == 500
        body = crowd.open(id="1-2")
        assert events(body.wait_for(b"data: 3-1\n\n"))[1:] == ["3-1"] and [gap["reason"] for gap in gaps(body.data)] == ["upstream"]


def test_clients_that_are_held_in_an_outage_share_one_stream_when_it_is_over(stage):
    script = Script(stage)
    script.origin.stop_listening()
    proxy = stage.heartwire(script.origin, route=route("live"), outage="retry 20s")
    clients = [Client(proxy.port) for _ in range(5)]
    for client in clients:
        client.get("/s", "Accept: text/event-stream\r\nCookie: who=me\r\n")
    time.sleep(1)
    script.origin.listen_again()
    for client in clients:
        assert client.read_head(timeout=10).status == 200
    time.sleep(2)
    script.stream(0, timeout=15).chunk(b"data: 1\n\n")
    for client in clients:
        client.close()
    assert len(script.requests) == 1


@pytest.mark.parametrize("before", ["gap off", "gap reconnect"])
def test_who_comes_after_a_reload_is_told_of_gaps_as_the_route_says(stage, before):
    script = Script(stage)
    proxy = stage.heartwire(script.origin, route=route("live", before))
    with Client(proxy.port) as one, Client(proxy.port) as two:
        body = resume(one, "/s", None, "Cookie: who=me\r\n")
        script.stream(0).chunk(b"data: 1\n\n")
        body.wait_for(b"data: 1\n\n")
        configuration = proxy.folder / "heartwire.conf"
        configuration.write_text(configuration.read_text().replace(before, "gap event"))
        proxy.send_signal(signal.SIGHUP)
        wait_for(lambda: "SIGHUP: done" in proxy.stderr())
        body = resume(two, "/s", last_id(body.data), "Cookie: who=me\r\n")
        script.stream(1).chunk(b"data: 2\n\n")
        body.wait_for(b"data: 2\n\n")
        assert [gap["reason"] for gap in gaps(body.data)] == ["unknown"]
