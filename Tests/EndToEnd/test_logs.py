"""The stream log and the access log: their fields, hostile strings, reopening, destinations."""

import contextlib
import os
import signal
import subprocess
import time

import pytest

from support.client import Client, get
from support.heartwire import configuration
from support.logs import check_ending, check_transport
from support.paths import binary
from support.ports import reserve_port
from support.sockets import wait_for_connections


def short_stream(connection, request):
    connection.start_stream()
    connection.chunk(b"id: 1\ndata: a\n\n")
    time.sleep(0.4)
    connection.chunk(b"id: 2\ndata: b\n\ndata: c\n\n")
    connection.last_chunk()


def answer(connection, request):
    connection.respond(200, b"hello", [("Content-Type", "text/plain")])


def test_a_stream_has_one_opening_and_one_ending_that_belong_together(stage):
    origin = stage.origin(short_stream)
    proxy = stage.heartwire(origin, heartbeat="150ms", opening="on")
    with Client(proxy.port) as client:
        _, body = client.open_stream("/orders?secret=1", "Last-Event-ID: 0\r\n")
        data = body.read_to_end()
        local = "%s:%d" % client.socket.getsockname()
    opening, ending = proxy.stream_log.opening("/orders"), proxy.stream_log.ending("/orders")
    assert opening["stream"] == ending["stream"] and opening["stream"]
    for record in (opening, ending):
        assert record["client"] == local
        assert record["server"] == origin.address
        assert record["upstream"] == "origin"
        assert record["host"] == "test.example"
        assert record["path"] == "/orders" and "secret" not in str(record)
        assert record["method"] == "GET" and record["status"] == 200
        assert record["route"] == "/*"
    check_ending(ending, "upstream_finished")
    assert ending["events"] == 3 and ending["last_event_id"] == "2"
    assert ending["heartbeats"] == data.count(b":\n") - 1 or ending["heartbeats"] == data.count(b":\n")
    assert ending["heartbeats"] >= 1
    assert ending["bytes_from_upstream"] == len(b"id: 1\ndata: a\n\nid: 2\ndata: b\n\ndata: c\n\n")
    assert ending["bytes_to_client"] >= len(data)
    assert 350 <= ending["duration_ms"] <= 3000
    assert 350 <= ending["longest_upstream_silence_ms"] <= 2000
    # Heartbeats divided the server's silence, which began behind the first event.
    assert 100 <= ending["longest_client_silence_ms"] < ending["longest_upstream_silence_ms"]
    assert 0 <= ending["first_event_ms"] <= ending["duration_ms"] - 350
    assert ending["woven"] is True and ending["mid_line"] is False
    assert [r["event"] for r in proxy.access_log.records() if r.get("path") == "/orders"] == [], (
        "the access log is for every other exchange")


def test_every_other_exchange_has_an_access_line(stage):
    origin = stage.origin(answer)
    proxy = stage.heartwire(origin)
    with Client(proxy.port) as client:
        client.send(b"POST /upload?x=1 HTTP/1.1\r\nHost: shop.example:81\r\nContent-Length: 5\r\n\r\n12345")
        client.read_response()
        client.get("/second")
        client.read_response()
    first, second = proxy.access_log.access("/upload"), proxy.access_log.access("/second")
    assert (first["method"], first["status"], first["path"]) == ("POST", 200, "/upload")
    assert first["host"].startswith("shop.example")
    assert (first["request_bytes"], first["response_bytes"]) == (5, 5)
    assert first["server"] == origin.address and first["duration_ms"] >= 0
    assert first["reused_connection"] is False and second["reused_connection"] is True
    assert first["attempts"] == 1
    assert not first.get("cause")
    assert proxy.stream_log.records() == []


def test_a_refused_request_has_a_line_too(stage):
    proxy = stage.heartwire(stage.origin(answer))
    with Client(proxy.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n")
        assert client.read_response().status == 400
    records = proxy.access_log.wait_for(lambda r: r["event"] == "access" and r.get("status") == 400)
    assert len(records) == 1 and records[0]["cause"] == "client_protocol_error"


@pytest.mark.parametrize("identity", [b"\x1b[31m\x07", b'"}\\', b"\xff\xfe\xc3", b"a" * 255, b"a" * 8192, "žluť\u2028🐎".encode()])
def test_no_event_id_can_break_a_log_line(stage, identity):
    def handler(connection, request):
        connection.start_stream()
        connection.chunk(b"id: " + identity + b"\ndata: a\n\n")
        connection.last_chunk()
    proxy = stage.heartwire(stage.origin(handler))
    with Client(proxy.port) as client:
        _, body = client.open_stream("/ids")
        assert identity in body.read_to_end()
    logged = proxy.stream_log.ending("/ids")["last_event_id"]
    expected = identity.decode("utf-8", "replace")
    if len(identity) <= 255:
        assert logged == expected
    else:
        assert len(logged) >= 250 and expected.startswith(logged)
        assert proxy.stream_log.ending("/ids")["last_event_id_truncated"] is True


def test_no_request_can_break_a_log_line(stage):
    proxy = stage.heartwire(stage.origin(answer))
    with Client(proxy.port) as client:
        client.send(b'GET /"\\{}%0a%1b[31m/ HTTP/1.1\r\nHost: a\r\nReferer: \xff\xfe\r\nUser-Agent: "}\r\n\r\n')
        client.read_response()
    proxy.access_log.wait_for(lambda r: r.get("status") is not None)


def test_sigusr1_reopens_the_log_files(stage):
    proxy = stage.heartwire(stage.origin(answer))
    get(proxy.port, "/before")
    proxy.access_log.access("/before")
    moved = proxy.folder / "access.log.1"
    proxy.access_log.path.rename(moved)
    get(proxy.port, "/meanwhile")
    deadline = time.monotonic() + 5
    while b"/meanwhile" not in moved.read_bytes():
        assert time.monotonic() < deadline, "the moved file is not written to"
        time.sleep(0.02)
    proxy.send_signal(signal.SIGUSR1)
    while not proxy.access_log.path.exists():
        assert time.monotonic() < deadline, "SIGUSR1 opened no new file"
        time.sleep(0.02)
    get(proxy.port, "/after")
    proxy.access_log.access("/after")
    assert b"/meanwhile" in moved.read_bytes() and b"/after" not in moved.read_bytes()


def test_the_stream_log_of_proxy_goes_to_standard_output_by_default(stage):
    origin = stage.origin(short_stream)
    port = reserve_port()
    proxy = stage.command(
        ["proxy", "--upstream", f"http://{origin.address}", "--listen", f"127.0.0.1:{port}"], port)
    with Client(port) as client:
        _, body = client.open_stream("/out")
        body.read_to_end()
    deadline = time.monotonic() + 5
    while proxy.stdout().count("/out") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert '"stream_open"' in proxy.stdout() and '"stream_end"' in proxy.stdout()


def test_the_kernels_view_is_of_this_connection(stage):
    proxy = stage.heartwire(stage.origin(short_stream))
    with Client(proxy.port) as client:
        _, body = client.open_stream("/tcp")
        body.read_to_end()
        record = proxy.stream_log.ending("/tcp")
    check_transport(record)
    assert 0 < record["tcp"]["rtt_us"] < 1_000_000
    assert record["tcp"]["state"] in ("established", "ESTABLISHED"), "the view is of the moment of the ending"


def test_a_standard_error_that_nobody_reads_holds_nobody_up(stage):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    folder, port = stage.new_folder(), reserve_port()
    (folder / "heartwire.conf").write_text(configuration(port, folder, [stage.origin(answer).address], limits="connections 2"))
    proxy = subprocess.Popen([binary(), "run", "--config", folder / "heartwire.conf"], stdout=subprocess.DEVNULL, stderr=writing)
    try:
        assert b"listening" in os.read(reading, 4096)
        # Full to the last byte; the process shares the pipe's description, which blocks again.
        for size in (4096, 1):
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(writing, b"x" * size)
        os.set_blocking(writing, True)
        # A limit is reached, and the worker reports it.
        held = [Client(port) for _ in range(12)]
        time.sleep(0.2)
        for client in held:
            client.close()
        wait_for_connections(port)
        assert get(port, timeout=3).body == b"hello"
        proxy.send_signal(signal.SIGTERM)
        assert proxy.wait(8) == 0
    finally:
        proxy.kill()
        proxy.wait()
        os.close(reading)
        os.close(writing)


def test_a_named_pipe_that_nobody_reads_is_an_error_and_nothing_is_held_up(stage, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    proxy = stage.heartwire(stage.origin(answer))
    path = proxy.folder / "heartwire.conf"
    path.write_text(path.read_text().replace(f"stream_log {proxy.folder}/stream.log", f"stream_log {pipe}"))
    proxy.send_signal(signal.SIGHUP)
    assert f"cannot open the log file {pipe}: No such device or address" in proxy.wait_for_words("nothing has changed")
    assert get(proxy.port).body == b"hello"
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    proxy.send_signal(signal.SIGHUP)
    proxy.wait_for_words("SIGHUP: done")
    os.close(reader)


def test_a_log_that_cannot_be_reopened_is_reported(stage, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    proxy = stage.heartwire(stage.origin(answer), text=lambda port, folder: configuration(
        port, folder, [stage.origins[0].address]).replace(f"{folder}/access.log", f"{logs}/access.log"))
    get(proxy.port, "/before")
    logs.rename(tmp_path / "moved")
    proxy.send_signal(signal.SIGUSR1)
    proxy.wait_for_words(f"the log file {logs}/access.log cannot be reopened: No such file or directory")
    get(proxy.port, "/after")
    deadline = time.monotonic() + 5
    while "/after" not in (tmp_path / "moved" / "access.log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
