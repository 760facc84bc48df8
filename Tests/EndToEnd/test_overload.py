"""Hostile and slow clients, limits that are reached: all other clients are served as before, and afterwards everything is released."""

import itertools
import threading
import time

import pytest

from support.bystander import Bystander
from support.client import Client, get

pytestmark = pytest.mark.heavy


def server(connection, request):
    if request.target == b"/tick":
        connection.start_stream()
        while True:
            connection.chunk(b"data: tick\n\n")
            time.sleep(0.05)
    if request.target == b"/flood":
        connection.start_stream()
        while True:
            connection.chunk(b"data: " + b"x" * 30_000 + b"\n\n")
    connection.respond(200, b"ok")


def settles(proxy, descriptors, memory, allowance=2 << 20):
    """The proxy releases what the trouble took."""
    deadline = time.monotonic() + 10
    while proxy.descriptors() > descriptors and time.monotonic() < deadline:
        time.sleep(0.05)
    assert proxy.descriptors() <= descriptors
    assert proxy.memory()["Pss_Anon"] < memory + allowance


def start(stage, **options):
    origin = stage.origin(server)
    proxy = stage.heartwire(origin, workers=2, **options)
    for _ in range(20):
        get(proxy.port, "/quick")
    time.sleep(0.2)
    return proxy, origin, proxy.descriptors() + 8, proxy.memory()["Pss_Anon"]


def test_a_thousand_slow_heads(stage):
    proxy, origin, descriptors, memory = start(stage, timeouts="request_head 2s")
    with Bystander(proxy.port, origin) as bystander:
        slow = [Client(proxy.port) for _ in range(1000)]
        for piece in (b"GET / HT", b"TP/1.1\r\n", b"Host: a\r\n", b"X-A: ", b"b", b"c", b"d", b"e"):
            for client in slow:
                client.send(piece)
            time.sleep(0.2)
        for client in slow:
            assert client.read_head(10).status == 408
            client.close()
    bystander.check()
    settles(proxy, descriptors, memory)


def test_a_thousand_connections_that_say_nothing(stage):
    proxy, origin, descriptors, memory = start(stage, timeouts="request_head 1s")
    with Bystander(proxy.port, origin) as bystander:
        silent = [Client(proxy.port) for _ in range(1000)]
        for client in silent:
            assert client.wait_for_end(10) == "fin"
            client.close()
    bystander.check()
    settles(proxy, descriptors, memory)


def test_slow_bodies(stage):
    proxy, origin, descriptors, memory = start(stage, timeouts="request_body 1s")
    with Bystander(proxy.port, origin) as bystander:
        slow = [Client(proxy.port) for _ in range(300)]
        for client in slow:
            client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(6):
            for client in slow:
                client.send(b"x")
            time.sleep(0.3)
        # Each byte restarts the time; a second without a byte does not.
        for client in slow:
            assert client.read_head(10).status == 408
            client.close()
    bystander.check()
    settles(proxy, descriptors, memory)


def test_endless_heads(stage):
    proxy, origin, descriptors, memory = start(stage)
    field = b"X-Endless: " + b"a" * 100 + b"\r\n"
    with Bystander(proxy.port, origin) as bystander:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            with Client(proxy.port) as client:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + field * 200)
                assert client.read_response().status == 431
        with Client(proxy.port) as client:
            client.send(b"GET /" + b"a" * 100_000)
            assert client.read_response().status in (414, 431)
    bystander.check()
    settles(proxy, descriptors, memory)


def test_clients_that_never_read(stage):
    proxy, origin, descriptors, memory = start(stage, timeouts="client_stall 2s", limits="pending 4MiB")
    with Bystander(proxy.port, origin) as bystander:
        deaf = [Client(proxy.port, receive_buffer=4096) for _ in range(100)]
        for client in deaf:
            client.get("/flood", "Accept: text/event-stream\r\n")
        time.sleep(1)
        assert proxy.memory()["Pss_Anon"] < memory + (16 << 20)
        endings = []
        deadline = time.monotonic() + 15
        while len(endings) < 100:
            assert time.monotonic() < deadline, f"{len(endings)} of 100 were closed"
            time.sleep(0.1)
            endings = [r for r in proxy.stream_log.records() if r["event"] == "stream_end" and r["path"] == "/flood"]
        for client in deaf:
            client.close()
    bystander.check()
    assert {r["cause"] for r in endings} <= {"client_stalled", "refused_by_limit"}
    settles(proxy, descriptors, memory, allowance=8 << 20)


def test_clients_that_send_far_ahead_of_their_turn(stage):
    """Bytes behind a request that is still being answered count like all waiting bytes."""
    proxy, origin, descriptors, memory = start(stage, limits="pending 1MiB")
    with Bystander(proxy.port, origin) as bystander:
        ahead = [Client(proxy.port) for _ in range(400)]
        for client in ahead:
            client.open_stream("/tick")
            client.send(b"x" * 60_000)
        time.sleep(1)
        assert proxy.memory()["Pss_Anon"] < memory + (6 << 20)
        mark = len(ahead[-1].received)
        deadline = time.monotonic() + 5
        while len(ahead[-1].received) < mark + 20:
            assert ahead[-1].receive_once(0.1) or ahead[-1].end is None and time.monotonic() < deadline
        for client in ahead:
            client.close()
    bystander.check()
    settles(proxy, descriptors, memory, allowance=6 << 20)


def test_a_flood_of_connections_above_the_limit(stage):
    proxy, origin, descriptors, memory = start(stage, limits="connections 200", outage="retry 5s")
    held = [Client(proxy.port) for _ in range(150)]
    for client in held:
        client.open_stream("/tick")[1].wait_for(b"tick")
    stop = threading.Event()
    answers = {"served": 0, "sent back": 0, "closed": 0}

    def flood():
        while not stop.is_set():
            try:
                with Client(proxy.port) as client:
                    client.get("/flood", "Accept: text/event-stream\r\n")
                    head = client.read_head()
                    assert head.status == 200
                    answers["sent back" if head.value("content-length") else "served"] += 1
            except (OSError, AssertionError):
                answers["closed"] += 1
    threads = [threading.Thread(target=flood) for _ in range(8)]
    before = [len(client.received) for client in held]
    silent = [Client(proxy.port) for _ in range(200)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    stop.set()
    for thread in threads:
        thread.join()
    for client in silent:
        client.close()
    for client, count in zip(held, before):
        while client.receive_once(0.001):
            pass
        assert client.end is None and len(client.received) > count, "a stream that was there before was harmed"
    print(f"flood above the limit: {answers}")
    assert answers["sent back"] + answers["closed"] > 0
    said = proxy.wait_for_words("the limit connections is")
    assert said.count("\n") < 20, "told, and not too often"
    time.sleep(0.5)
    with Client(proxy.port) as client:
        client.open_stream("/tick")[1].wait_for(b"tick")
    for client in held:
        client.close()
    settles(proxy, descriptors, memory)


def test_no_descriptor_is_left(stage):
    """The limit of connections is higher than descriptors allow: a client without a descriptor waits or is refused, and others go on."""
    proxy = stage.heartwire(stage.origin(server), limits="connections 10000", outage="retry 5s", prefix=["prlimit", "--nofile=120:120"])
    streams = [Client(proxy.port) for _ in range(30)]
    for client in streams:
        client.open_stream("/tick")[1].wait_for(b"tick")
    crowd = [Client(proxy.port) for _ in range(150)]
    time.sleep(1)
    for client in streams:
        mark = len(client.received)
        deadline = time.monotonic() + 10
        while len(client.received) < mark + 50:
            client.receive_once(0.1)
            assert client.end is None and time.monotonic() < deadline
    proxy.wait_for_words("no connection can be accepted for the moment")
    for peer in crowd:
        peer.close()
    deadline = time.monotonic() + 10
    for attempt in itertools.count():
        try:
            with Client(proxy.port) as client:
                client.get("/quick")
                if client.read_response().status == 200:
                    break
        except (OSError, AssertionError):
            pass
        assert time.monotonic() < deadline, f"not served again after {attempt} attempts"
        time.sleep(0.1)
    for client in streams:
        client.close()
