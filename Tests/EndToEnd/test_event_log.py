"""The log of events: one line for each event that reached the client, and for each heartbeat."""

import datetime
import os
import pathlib
import re
import signal
import socket
import ssl
import threading
import time

import pytest

from support import planted
from support.certificates import Authority
from support.client import Client
from support.heartwire import configuration
from support.http2 import HTTP2Client
from support.ports import reserve_port


def scripted(*pieces):
    """A stream of these pieces, each a chunk; a number is a pause."""
    def handler(connection, request):
        connection.start_stream()
        for piece in pieces:
            if isinstance(piece, bytes):
                connection.chunk(piece)
            else:
                time.sleep(piece)
        connection.last_chunk()
    return handler


def test_an_event_over_http2_is_logged_whole_where_a_byte_in_front_of_it_was_dropped(stage):
    """A heartbeat between CR and LF takes the LF's place; the frame's header is written where the LF lies."""
    pieces = (b"data: a\r\n\r", 1, b"\nid: 7\ndata: b\n\n", 0.1, b"data: c\n\n")
    proxy = stage.heartwire(
        stage.origin(scripted(*pieces)), heartbeat="200ms", logs_events=True, listen="protocols h2 http/1.1")
    with HTTP2Client(proxy.port) as client:
        # The last octet of a header is of the stream's number: with sixty of them it is CR, LF, a letter and others.
        asked = [client.request(f"/events{number}") for number in range(60)]
        client.wait(lambda: all(stream.ended for stream in asked), 20)
        assert all(b"\r:\n" in stream.data or b"\r:\r" in stream.data for stream in asked), asked[0].data
    for stream in range(60):
        opening = proxy.stream_log.opening(f"/events{stream}")
        beats = proxy.stream_log.ending(f"/events{stream}")["heartbeats"]
        lines = [line for line in proxy.event_log.events(opening, 3 + beats) if line["event"] == "stream_event"]
        assert [line.get("id") for line in lines] == [None, "7", None], lines


def read(proxy, path="/events", fields=""):
    """Reads a stream to its end; returns what came, and its opening in the log."""
    with Client(proxy.port) as client:
        _, body = client.open_stream(path, fields)
        data = body.read_to_end()
    return data, proxy.stream_log.opening(path.partition("?")[0])


def milliseconds(record):
    return datetime.datetime.fromisoformat(record["time"]).timestamp() * 1000


def test_each_event_and_each_heartbeat_has_a_line(stage):
    proxy = stage.heartwire(
        stage.origin(scripted(b"id: 1\nevent: price\ndata: secret\n\n", 0.5, b"data: b\n\ndata: c\n\n: no event\n\n")), heartbeat="200ms",
        logs_events=True)
    before = time.time() * 1000
    data, opening = read(proxy)
    beats = data.split(b"\n").count(b":")
    lines = proxy.event_log.events(opening, 3 + beats)
    assert [line["event"] for line in lines] == ["stream_event"] + ["stream_heartbeat"] * beats + ["stream_event"] * 2
    first, second, third = lines[0], lines[-2], lines[-1]
    assert (first["number"], first["type"], first["id"], first["bytes"]) == (1, "price", "1", len(b"id: 1\nevent: price\ndata: secret\n"))
    assert "since_previous_ms" not in first
    assert set(second) == {"time", "event", "stream", "number", "bytes", "since_previous_ms", "pending_bytes"}
    assert (second["number"], third["number"], second["bytes"]) == (2, 3, 8)
    assert 450 <= second["since_previous_ms"] <= 3000 and third["since_previous_ms"] == 0
    assert [line["number"] for line in lines[1:-2]] == list(range(1, beats + 1))
    assert all(line["bytes"] == 2 and 199 <= line["silence_ms"] < 2000 for line in lines[1:-2])
    assert all(line["pending_bytes"] == 0 for line in lines)
    assert before - 2 <= milliseconds(first) <= milliseconds(second) - 440 <= time.time() * 1000
    assert abs(milliseconds(second) - milliseconds(first) - second["since_previous_ms"]) <= 20
    assert b"secret" not in proxy.event_log.raw(), "data is private"
    assert proxy.stream_log.ending("/events")["events"] == 3
    assert [r["event"] for r in proxy.stream_log.records()] == ["stream_open", "stream_end"]


def test_an_event_that_comes_in_pieces_has_its_line_when_it_is_whole(stage):
    text = b"id: 7\r\nevent: tick\r\ndata: a\r\n\r\n"
    go_on = threading.Event()

    def handler(connection, request):
        connection.start_stream()
        for index in range(len(text) - 2):
            connection.chunk(text[index:index + 1])
        assert go_on.wait(10)
        connection.chunk(text[-2:-1])
        connection.chunk(text[-1:])
        connection.chunk(b"data: b\r\n\r\n")
        connection.wait_until_left(10)
    proxy = stage.heartwire(stage.origin(handler), logs_events=True)
    with Client(proxy.port) as client:
        _, body = client.open_stream("/pieces")
        body.wait_for(text[:-2])
        opening = proxy.stream_log.opening("/pieces")
        time.sleep(0.2)
        assert proxy.event_log.raw() == b""
        go_on.set()
        lines = proxy.event_log.events(opening, 2)
    assert [(line["number"], line.get("id"), line.get("type"), line["bytes"]) for line in lines] == [
        (1, "7", "tick", len(text) - 2), (2, None, None, 9)]


def test_without_the_log_and_on_routes_that_keep_out_of_it_nothing_is_written(stage):
    origin = stage.origin(scripted(b"data: a\n\n", 0.3))
    silent = stage.heartwire(origin, heartbeat="100ms")
    read(silent)
    assert not silent.event_log.path.exists()
    proxy = stage.heartwire(
        origin, heartbeat="100ms", route="log_events off", logs_events=True,
        extra="route /logged {\nupstream origin\nheartbeat off\n}\n")
    read(proxy, "/kept-out")
    _, opening = read(proxy, "/logged")
    proxy.event_log.events(opening, 1)
    assert len(proxy.event_log.records()) == 1


@pytest.mark.parametrize("text", [
    b"\x1b[31m\x07", b'"}\\', b"\xff\xfe\xc3", b"a" * 128, b"a" * 129, b"a" * (1 << 20), "žluť\u2028🐎".encode(), "🐎".encode() * 100])
def test_no_type_and_no_id_can_break_a_line(stage, text):
    event = b"event: " + text + b"\nid: " + text + b"\ndata: a\n\n"
    proxy = stage.heartwire(stage.origin(scripted(event)), logs_events=True)
    data, opening = read(proxy)
    assert data == event
    line, = proxy.event_log.events(opening, 1)
    assert line["bytes"] == len(event) - 1
    for key in ("type", "id"):
        if len(text) <= 128:
            assert line[key] == text.decode("utf-8", "replace") and f"{key}_truncated" not in line
        else:
            assert text.startswith(line[key].encode()) and 125 <= len(line[key].encode()) <= 128 and line[f"{key}_truncated"] is True


@pytest.mark.parametrize("place", ["query", "cookie", "field"])
def test_the_requests_token_is_not_logged_when_the_server_echoes_it(stage, place):
    def handler(connection, request):
        token = request.value("authorization").removeprefix(b"Bearer ")
        connection.start_stream()
        for text in (token, b"for:" + token + b":1", b"x" * 120 + token, b"x" * 250 + token, b"harmless"):
            connection.chunk(b"event: " + text + b"\nid: " + text + b"\ndata: " + token + b"\n\n")
        connection.last_chunk()
    proxy = stage.heartwire(stage.origin(handler), logs_events=True, route=["bearer_from query access_token", "bearer_from cookie session"])
    token = planted.plant()
    path, fields = {"query": (f"/echo?access_token={token}", ""), "cookie": ("/echo", f"Cookie: session={token}\r\n"),
                    "field": ("/echo", f"Authorization: Bearer {token}\r\n")}[place]
    data, opening = read(proxy, path, fields)
    assert data.count(token.encode()) == 13, "what the client reads is not touched"
    lines = proxy.event_log.events(opening, 5)
    for line in lines[:4]:
        assert line["type_withheld"] is True and line["id_withheld"] is True and "type" not in line and "id" not in line
    assert lines[4]["type"] == lines[4]["id"] == "harmless" and "id_withheld" not in lines[4]
    assert b"plan" not in proxy.event_log.raw()


def test_over_tls_the_lines_are_the_same(stage, tmp_path):
    authority = Authority(tmp_path / "certificates")
    certificate, key = authority.issue("localhost")
    proxy = stage.heartwire(
        stage.origin(scripted(b"id: 1\nevent: price\ndata: a\n\ndata: " + b"x" * 30_000 + b"\n\nid: 3\ndata: c\n\n")), logs_events=True,
        listen=f"tls {{\ncertificate {certificate} {key}\n}}")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with context.wrap_socket(socket.create_connection(("127.0.0.1", proxy.port)), server_hostname="localhost") as secured:
        secured.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        while secured.recv(65536):
            pass
    lines = proxy.event_log.events(proxy.stream_log.opening("/events"), 3)
    assert [(line["number"], line.get("id"), line.get("type"), line["bytes"]) for line in lines] == [
        (1, "1", "price", 28 - 1), (2, None, None, 30_007), (3, "3", None, 14)]


def test_a_compressed_stream_has_no_lines(stage):
    def handler(connection, request):
        connection.start_stream([("Content-Encoding", "gzip")])
        connection.chunk(b"data: a\n\n")
        connection.last_chunk()
    proxy = stage.heartwire(stage.origin(handler), logs_events=True)
    read(proxy)
    proxy.stream_log.ending("/events")
    time.sleep(0.1)
    assert proxy.event_log.raw() == b""


def test_a_line_tells_what_waits_for_a_slow_reader(stage):
    # Small, so that an event ends among whatever bytes are the first that wait: only a whole event has a line.
    event = b"data: " + b"x" * 2_000 + b"\n\n"

    has_waited = threading.Event()
    sent = []

    def handler(connection, request):
        connection.start_stream()
        # How much the kernel takes before anything waits in the proxy is the kernel's decision.
        while not has_waited.is_set():
            connection.chunk(event)
            sent.append(event)
        connection.last_chunk()
    proxy = stage.heartwire(stage.origin(handler), logs_events=True)
    with Client(proxy.port, receive_buffer=65536) as client:
        _, body = client.open_stream("/slow")
        opening = proxy.stream_log.opening("/slow")
        proxy.event_log.wait_for(lambda line: line["pending_bytes"] > 0, 20)
        assert proxy.event_log.records()[0]["pending_bytes"] == 0
        has_waited.set()
        body.read_to_end(20)
    lines = proxy.event_log.events(opening, len(sent))
    assert [line["number"] for line in lines] == list(range(1, len(sent) + 1))


def test_where_the_logs_share_a_file_there_is_one_timeline(stage):
    proxy = stage.heartwire(stage.origin(scripted(b"data: a\n\n", 0.3, b"data: b\n\n")), text=lambda port, folder: configuration(
        port, folder, [stage.origins[0].address], heartbeat="200ms", top=f"event_log {folder}/stream.log"))
    read(proxy)
    proxy.stream_log.ending("/events")
    lines = proxy.stream_log.records()
    assert [line["event"] for line in lines] == ["stream_open", "stream_event", "stream_heartbeat", "stream_event", "stream_end"]
    assert len({line["stream"] for line in lines}) == 1


def test_the_option_of_proxy_writes_to_standard_output(stage):
    origin, port = stage.origin(scripted(b"id: 9\ndata: a\n\n")), reserve_port()
    proxy = stage.command(["proxy", "--upstream", origin.address, "--listen", f"127.0.0.1:{port}", "--event-log", "-"], port)
    with Client(port) as client:
        _, body = client.open_stream("/out")
        body.read_to_end()
    deadline = time.monotonic() + 5
    while '"event":"stream_event"' not in proxy.stdout():
        assert time.monotonic() < deadline, proxy.stdout()
        time.sleep(0.02)
    assert '"id":"9"' in proxy.stdout()


class Ticks:
    """A stream of numbered events, one at a time, each on the test's command."""

    def __init__(self):
        self.more, self.count = threading.Semaphore(0), 0

    def __call__(self, connection, request):
        connection.start_stream()
        number = 0
        while self.more.acquire(timeout=10):
            number += 1
            connection.chunk(b"id: %d\ndata: a\n\n" % number)

    def tick(self, body):
        self.count += 1
        self.more.release()
        body.wait_for(b"id: %d\n" % self.count)


def reload(proxy, *changes) -> str:
    path = proxy.folder / "heartwire.conf"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    said = proxy.stderr().count("SIGHUP: ")
    proxy.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while len(told := re.findall("SIGHUP: .*\n", proxy.stderr())) <= said:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return told[-1]


def identifiers(path: pathlib.Path, count):
    deadline = time.monotonic() + 5
    while True:
        found = re.findall(r'"number":(\d+),"id":"(\d+)"', path.read_text() if path.exists() else "")
        if len(found) >= count or time.monotonic() > deadline:
            assert all(number == identifier for number, identifier in found)
            return [int(number) for number, _ in found]
        time.sleep(0.02)


def test_a_reload_switches_the_log_on_and_off_under_a_running_stream(stage):
    ticks = Ticks()
    proxy = stage.heartwire(stage.origin(ticks), top="event_log off")
    first, second = proxy.folder / "events.log", proxy.folder / "second.log"
    with Client(proxy.port) as client:
        _, body = client.open_stream("/ticks")
        ticks.tick(body)
        assert f"event_log {first}" in reload(proxy, ("event_log off", f"event_log {first}"))
        for _ in range(3):
            ticks.tick(body)
        # The log follows the stream from the first piece after the switch.
        assert identifiers(first, 2) == [3, 4]
        reload(proxy, (f"event_log {first}", f"event_log {second}"))
        ticks.tick(body)
        assert identifiers(second, 1) == [5]
        assert "event_log off" in reload(proxy, (f"event_log {second}", "event_log off"))
        ticks.tick(body)
        reload(proxy, ("event_log off", f"event_log {first}"))
        for _ in range(3):
            ticks.tick(body)
        assert identifiers(first, 4) == [3, 4, 8, 9], "what passed while nobody looked is not followed"
        assert identifiers(second, 1) == [5]
        # A stream that begins now has a line for its first event.
        other = Ticks()
        stage.origins[0].handler = other
        with Client(proxy.port) as late:
            _, body = late.open_stream("/late")
            other.tick(body)
            proxy.event_log.events(proxy.stream_log.opening("/late"), 1)


def test_sigusr1_reopens_the_file(stage):
    ticks = Ticks()
    proxy = stage.heartwire(stage.origin(ticks), logs_events=True)
    with Client(proxy.port) as client:
        _, body = client.open_stream("/ticks")
        ticks.tick(body)
        assert identifiers(proxy.event_log.path, 1) == [1]
        moved = proxy.folder / "events.log.1"
        proxy.event_log.path.rename(moved)
        ticks.tick(body)
        assert identifiers(moved, 2) == [1, 2]
        proxy.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 5
        while not proxy.event_log.path.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        ticks.tick(body)
        assert identifiers(proxy.event_log.path, 1) == [3] and identifiers(moved, 2) == [1, 2]


def test_a_full_disk_costs_lines_and_no_events_and_the_log_says_how_many(stage, tmp_path):
    count = 3000
    go_on = threading.Event()

    def handler(connection, request):
        connection.start_stream()
        for number in range(count):
            connection.chunk(b"id: %d\ndata: a\n\n" % number)
        assert go_on.wait(20)
        connection.chunk(b"id: after\ndata: a\n\n")
        connection.last_chunk()
    link = tmp_path / "events.log"
    link.symlink_to("/dev/full")
    proxy = stage.heartwire(stage.origin(handler), top=f"event_log {link}", limits="log_queue 64KiB")
    with Client(proxy.port) as client:
        _, body = client.open_stream("/full")
        body.wait_for(lambda data: data.count(b"\n\n") == count, 20)
        link.unlink()
        proxy.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 5
        while not link.exists() or b"log_dropped" not in link.read_bytes():
            assert time.monotonic() < deadline, "lost lines are not told"
            time.sleep(0.02)
        go_on.set()
        body.read_to_end()
    while b'"id":"after"' not in link.read_bytes():
        assert time.monotonic() < deadline + 5
        time.sleep(0.02)
    log = type(proxy.event_log)(link)
    records = log.records()
    dropped = sum(record["lines"] for record in records if record["event"] == "log_dropped")
    written = [record for record in records if record["event"] == "stream_event"]
    assert dropped > 1000 and dropped + len(written) == count + 1
    assert link.read_bytes().endswith(b"\n")
    assert proxy.stream_log.ending("/full")["events"] == count + 1


def test_a_disk_that_is_full_to_the_end_is_told_of_with_how_many_lines_it_cost(stage, tmp_path):
    link = tmp_path / "events.log"
    link.symlink_to("/dev/full")
    proxy = stage.heartwire(stage.origin(scripted(*([b"id: 1\ndata: a\n\n"] * 10))), top=f"event_log {link}")
    read(proxy, "/full")
    proxy.wait_for_words(f"the log file {link} takes no lines: No space left on device (ENOSPC)")
    proxy.stop()
    said = proxy.stderr()
    lost = re.search(r"(\d+) lines? (?:is|are) lost: the log file", said)
    assert lost and int(lost[1]) >= 1, said


def test_a_reader_of_the_log_that_does_not_read_holds_no_stream_up(stage, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    count = 5000
    proxy = stage.heartwire(
        stage.origin(scripted(*([b"id: 1\ndata: a\n\n" * 10] * (count // 10)))), top=f"event_log {pipe}", limits="log_queue 64KiB")
    data, _ = read(proxy, "/deaf")
    assert data.count(b"\n\n") == count
    assert proxy.stream_log.ending("/deaf")["duration_ms"] < 4000
    # Without a reader the pipe breaks, and the proxy still ends in time.
    os.close(reader)


def test_a_held_stream_that_is_joined_has_the_lines_of_its_server(stage):
    proxy = stage.heartwire(
        stage.origin(scripted(b"data: a\n\n", b"data: b\n\n")), logs_events=True, heartbeat="100ms",
        outage="retry 10s", upstream="failure_cooldown 100ms")
    stage.origins[0].stop_listening()
    with Client(proxy.port) as client:
        client.get("/held", "Accept: text/event-stream\r\n")
        opening = proxy.stream_log.opening("/held")
        time.sleep(0.4)
        stage.origins[0].listen_again()
        body = client.body(client.read_head())
        body.read_to_end()
    lines = proxy.event_log.events(opening, 2 + body.data.count(b":\n\n"))
    assert [(line["event"], line["number"]) for line in lines][-2:] == [("stream_event", 1), ("stream_event", 2)]
    assert lines[0]["event"] == "stream_heartbeat"
