"""SIGHUP reads the file again. New requests use the new configuration, running ones keep the old one."""

import re
import time

import pytest

from support.client import Client, get
from support.heartwire import configuration
from support.ports import reserve_port
from support.reloading import File, origin_named, silent_stream
from support.storm import Storm


# What changes for whom


def test_a_route_changes_for_new_requests_and_an_old_stream_goes_on_untouched(stage):
    old, new = stage.origin(origin_named(b"old")), stage.origin(origin_named(b"new"))
    proxy = stage.heartwire(old, heartbeat="10s")
    file = File(proxy)
    with Client(proxy.port) as streaming, Client(proxy.port) as kept:
        _, stream = streaming.open_stream("/stream/old")
        stream.wait_for(b"data: old")
        kept.get("/before")
        assert kept.read_response().body == b"old"
        file.edit((f"server {old.address}", f"server {new.address}"))
        said = file.reload()
        assert "upstream origin changed" in said
        assert get(proxy.port).body == b"new"
        # A connection between two requests is served by the new configuration.
        kept.get("/after")
        assert kept.read_response().body == b"new"
        seen = len(stream.data)
        stream.wait_for(lambda data: len(data) > seen + 200)
        assert b"new" not in stream.data
    assert proxy.stream_log.ending("/stream/old")["server"] == old.address


def test_a_heartbeat_changes_for_new_streams_only(stage):
    proxy = stage.heartwire(stage.origin(silent_stream), heartbeat="10s")
    file = File(proxy)
    with Client(proxy.port) as first, Client(proxy.port) as second:
        _, old = first.open_stream("/old")
        old.wait_for(b"first")
        file.edit(("heartbeat 10s", "heartbeat 200ms"))
        assert "route /* changed" in file.reload()
        _, new = second.open_stream("/new")
        new.wait_for(lambda data: data.count(b":\n") >= 5)
        old.collect(0.1)
        assert b":" not in bytes(old.data).replace(b"data: first", b"")
        # The way back: a stream keeps its pace.
        file.edit(("heartbeat 200ms", "heartbeat off"))
        file.reload()
        count = new.data.count(b":\n")
        new.wait_for(lambda data: data.count(b":\n") >= count + 5)


def test_a_timeout_of_a_running_exchange_is_the_one_that_it_began_with(stage):
    proxy = stage.heartwire(stage.origin(lambda connection, request: connection.respond()), timeouts="request_body 900ms")
    file = File(proxy)

    def begin(client):
        client.send(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        time.sleep(0.1)
        return time.monotonic()
    with Client(proxy.port) as early, Client(proxy.port) as late:
        started = begin(early)
        file.edit(("request_body 900ms", "request_body 20s"))
        assert "timeouts request_body 20s (was 900ms)" in file.reload()
        begin(late)
        assert early.read_response().status == 408
        assert 0.5 < time.monotonic() - started < 3
        file.edit(("request_body 20s", "request_body 200ms"))
        file.reload()
        assert not late.receive_once(1)
        late.send(b"1234567")
        assert late.read_response().status == 200
        started = begin(late)
        assert late.read_response().status == 408
        assert time.monotonic() - started < 3


def test_limits_change_at_once(stage):
    proxy = stage.heartwire(stage.origin(silent_stream), limits="connections_per_client 100", heartbeat="5s")
    file = File(proxy)
    with Client(proxy.port) as first, Client(proxy.port) as second:
        for client in (first, second):
            client.open_stream("/")[1].wait_for(b"first")
        file.edit(("connections_per_client 100", "connections_per_client 2"))
        assert "limits connections_per_client 2 (was 100)" in file.reload()
        assert get(proxy.port).status == 503
        file.edit(("connections_per_client 2", "connections_per_client 0"))
        file.reload()
        with Client(proxy.port) as third:
            third.open_stream("/")[1].wait_for(b"first")
    # Clients that left while nothing was counted are not subtracted later.
    file.edit(("connections_per_client 0", "connections_per_client 1"))
    file.reload()
    with Client(proxy.port) as only:
        only.open_stream("/")[1].wait_for(b"first")
        assert get(proxy.port).status == 503


def test_whose_word_is_taken_changes_with_the_next_request(stage):
    origin = stage.origin(lambda connection, request: connection.respond())
    proxy = stage.heartwire(origin)
    file = File(proxy)
    with Client(proxy.port) as client:
        for number, (old, new) in enumerate([("", ""), ("workers 1\n", "workers 1\ntrusted_proxies 127.0.0.0/8\n")]):
            if old:
                file.edit((old, new))
                assert "trusted_proxies changed" in file.reload()
            client.get("/", "X-Forwarded-For: 192.0.2.77\r\n")
            client.read_response()
            request = origin.wait_for_requests(number + 1)[-1]
            assert (b"192.0.2.77" in request.value("X-Forwarded-For")) == bool(old)


def test_idle_connections_stay_with_servers_whose_description_stays(stage):
    kept, changed = stage.origin(origin_named(b"kept")), stage.origin(origin_named(b"changed"))
    text = "\n".join([
        f"upstream kept {{\nserver {kept.address}\nkeep_alive 1m\n}}", f"upstream changed {{\nserver {changed.address}\nkeep_alive 1m\n}}",
        "route /kept {\nupstream kept\n}", "route /changed {\nupstream changed\n}", ""])
    proxy = stage.heartwire(extra=text)
    file = File(proxy)
    for path in ("/kept", "/changed"):
        get(proxy.port, path)
    file.edit((f"server {changed.address}\nkeep_alive 1m", f"server {changed.address}\nkeep_alive 30s"))
    assert "upstream changed changed" in file.reload()
    # The pool of the changed upstream is closed at once.
    deadline = time.monotonic() + 5
    while not changed.connections[0].closed:
        assert time.monotonic() < deadline, "the idle connection to a server that is gone was kept"
        time.sleep(0.01)
    for path in ("/kept", "/changed"):
        get(proxy.port, path)
    assert len(kept.connections) == 1 and len(changed.connections) == 2


# Logs


def test_logs_go_where_the_new_file_says_and_no_line_is_lost(stage):
    proxy = stage.heartwire(stage.origin(origin_named(b"a")), heartbeat="10s", workers=2)
    file = File(proxy)
    with Client(proxy.port) as client:
        _, stream = client.open_stream("/stream/across")
        stream.wait_for(b"data: a")
        with Storm(proxy.port, wanted=b"a", threads=2) as storm:
            for number in range(1, 6):
                storm.wait_for(50)
                file.put(re.sub(r"(stream|access)[0-9]*\.log", rf"\g<1>{number}.log", file.path.read_text()))
                assert f"access_log {proxy.folder}/access{number}.log" in file.reload()
        storm.check()
    deadline = time.monotonic() + 5
    while not (proxy.folder / "stream5.log").exists() or b"stream_end" not in (proxy.folder / "stream5.log").read_bytes():
        assert time.monotonic() < deadline, "a stream that began before ends in the log of now"
        time.sleep(0.01)
    proxy.stop()
    lines = [line for number in ["", *range(1, 6)] for line in (proxy.folder / f"access{number}.log").read_bytes().splitlines(True)]
    assert all(line.endswith(b"}\n") for line in lines)
    assert len(lines) == storm.answers
    open_files = b"".join((proxy.folder / f"stream{number}.log").read_bytes() for number in range(1, 5))
    assert b"stream_end" not in open_files


# All of it, again and again


@pytest.mark.heavy
def test_two_hundred_reloads_under_load_lose_nothing_and_leave_nothing(stage):
    origins = [stage.origin(origin_named(b"whole")) for _ in range(2)]
    ports = [reserve_port() for _ in range(3)]
    main = reserve_port()

    def text(number, folder):
        """One of many configurations; what it serves is the same."""
        return configuration(
            main, folder, [origins[number % 2].address], workers=2, heartbeat=f"{100 + number % 3 * 50}ms",
            top="".join(f"listen 127.0.0.1:{port}\n" for place, port in enumerate(ports) if number >> place & 1),
            limits=f"connections {5000 + number % 7}", timeouts=f"keep_alive {10 + number % 5}s").replace(
                "access.log", f"access{number % 4}.log")
    proxy = stage.heartwire(text=lambda port, folder: text(0, folder), port=main)
    file = File(proxy)
    clients = [Client(main) for _ in range(10)]
    for client in clients:
        client.keep_bytes = False
    streams = [client.open_stream(f"/stream/{place}")[1] for place, client in enumerate(clients)]
    figures = []
    with Storm(main, threads=2, pause=0.002) as storm:
        for number in range(1, 221):
            file.put(text(number, proxy.folder))
            file.reload()
            if number in (20, 220):
                storm.wait_for(20)
                file.put(text(0, proxy.folder))
                file.reload()
                # A connection of the storm may be in progress; the streams stay open all the time.
                time.sleep(0.5)
                figures.append((proxy.descriptors(), proxy.memory()["Pss_Anon"]))
            if number % 10 == 0:
                for body in streams:
                    body.collect(0.001)
    storm.check()
    for body in streams:
        body.data.clear()
        body.wait_for(b"data: whole")
        assert not body.ended
    for client in clients:
        client.close()
    (descriptors, memory), (descriptors_after, memory_after) = figures
    print(f"220 reloads, {storm.answers} connections: descriptors {descriptors} -> {descriptors_after}, "
          f"anonymous memory {memory} -> {memory_after}")
    assert abs(descriptors_after - descriptors) <= 8
    assert memory_after - memory < 2 << 20
    for place in range(10):
        proxy.stream_log.ending(f"/stream/{place}")
    proxy.stop()
    lines = sum(len((proxy.folder / f"access{number}.log").read_bytes().splitlines()) for number in range(4))
    assert lines == storm.answers
