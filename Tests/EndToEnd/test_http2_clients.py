"""Programs that choose HTTP/2 by themselves, over TLS as it is by default: Node's http2, Java's HttpClient, nghttp, and Chromium."""

import json
import pathlib
import re
import shutil
import subprocess
import threading
import time

import pytest
import websockets.sync.server

from support.browser import Browser
from support.client import exchange
from support.ports import reserve_port
from support.tls import tls_block

CLIENTS = pathlib.Path(__file__).parent / "clients"


def serve(connection, request):
    """Streams with an event each half second, or as fast as they are taken; uploads are answered with their length."""
    if request.method == b"POST":
        return connection.respond(200, b"%d" % len(request.body))
    if request.target == b"/page":
        return connection.respond(200, b"<!doctype html><title>page</title>", [("Content-Type", "text/html")])
    if request.target == b"/quick":
        return connection.respond(200, b"quick")
    if request.target == b"/favicon.ico":
        # Chromium asks for it by itself; a stream would take the place of another one.
        return connection.respond(404)
    connection.start_stream()
    if request.target.startswith(b"/unread"):
        while True:
            connection.chunk(b"data: " + b"x" * 8000 + b"\n\n")
    number = 0
    while True:
        number += 1
        connection.chunk(b"id: %d\ndata: %d\n\n" % (number, number))
        time.sleep(0.5)


def connections(proxy, count) -> set:
    """The connections (worker and number) of that many streams."""
    deadline = time.monotonic() + 10
    while len(opened := [record for record in proxy.stream_log.records() if record["event"] == "stream_open"]) < count:
        assert time.monotonic() < deadline, f"{len(opened)} of {count} streams opened"
        time.sleep(0.05)
    assert {record["http"] for record in opened} == {"2"}
    return {(record["stream"].split("-")[0], record["connection"]) for record in opened}


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed here")
@pytest.mark.parametrize("unread", [0, 1, 4])
def test_nodes_streams_share_a_connection_of_64_kib_and_those_that_it_does_not_read_stop_no_other(stage, identity, unread):
    """Node has the standard's windows, but gives that of the connection back whether the page of a stream reads or not."""
    proxy = stage.heartwire(stage.origin(serve), listen=tls_block(identity), heartbeat="300ms", opening="on", workers=2)
    said = subprocess.run(["node", CLIENTS / "streams.mjs", f"https://localhost:{proxy.port}", str(unread), "30", "4"], capture_output=True, text=True, timeout=30)
    report = json.loads(said.stdout)
    assert (report["protocol"], report["window"], report["opened"], report["errors"]) == ("h2", 65_535, unread + 30, []), report
    for stream in report["streams"]:
        # An event each half second and a heartbeat between two of them.
        assert stream["pieces"] >= 10 and stream["longestSilence"] < 1500, report
    assert len(connections(proxy, unread + 30)) == 1


@pytest.mark.skipif(not shutil.which("java"), reason="java is not installed here")
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_javas_client_has_streams_and_an_upload_on_one_connection(stage, identity, version):
    proxy = stage.heartwire(stage.origin(serve), listen=tls_block(identity), heartbeat="300ms", workers=2)
    said = subprocess.run(["java", CLIENTS / "Streams.java", f"https://localhost:{proxy.port}", version, "30", "4"], capture_output=True, text=True, timeout=60)
    opened, events, comments, versions, answer = said.stdout.split() or pytest.fail(said.stderr)
    assert (opened, versions, answer) == ("30", "HTTP_2", "300000") and int(events) >= 30 * 6 and int(comments) >= 30 * 6, said.stdout
    assert {record["tls"] for record in proxy.stream_log.records()} == {version}
    assert len(connections(proxy, 30)) == 1


@pytest.mark.skipif(not shutil.which("nghttp"), reason="nghttp is not installed here")
def test_nghttp_opens_several_streams(stage, identity):
    proxy = stage.heartwire(stage.origin(serve), listen=tls_block(identity))
    said = subprocess.run(["timeout", "3", "nghttp", "-v", *(f"https://localhost:{proxy.port}/s{number}" for number in range(3))],
                          capture_output=True, text=True, timeout=20).stdout
    assert "The negotiated protocol: h2" in said and said.count(":status: 200") == 3 and "recv RST_STREAM" not in said, said


@pytest.mark.heavy
def test_chromium_has_forty_streams_a_websocket_and_a_fetch_on_one_connection(stage, identity, tmp_path):
    def echo(connection):
        for message in connection:
            connection.send(f"echo of {message}")

    server = websockets.sync.server.serve(echo, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever).start()
    origin = stage.origin(serve)
    proxy = stage.heartwire(origin, listen=tls_block(identity), heartbeat="300ms", workers=2,
                            extra=f"route /chat {{\n    upstream 127.0.0.1:{server.socket.getsockname()[1]}\n}}\n")
    try:
        with Browser(tmp_path, "--ignore-certificate-errors") as browser:
            browser.open(f"https://localhost:{proxy.port}/page")
            browser.evaluate("""window.seen = { open: 0, events: 0, errors: 0 };
                window.sources = Array.from({ length: 40 }, (_, number) => {
                    const source = new EventSource("/s" + number);
                    source.onopen = () => seen.open += 1;
                    source.onmessage = () => seen.events += 1;
                    source.onerror = () => seen.errors += 1;
                    return source;
                }); 1""")
            browser.wait_for("seen.open == 40 && seen.events >= 200", 30)
            answer = browser.evaluate("""new Promise((resolve, reject) => {
                const socket = new WebSocket("wss://" + location.host + "/chat");
                socket.onopen = () => socket.send("hello");
                socket.onmessage = event => { socket.close(); resolve(event.data); };
                socket.onerror = () => reject("the WebSocket failed");
            })""")
            assert answer == "echo of hello"
            assert browser.evaluate("fetch('/quick').then(answer => answer.text())") == "quick"
            assert browser.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
            assert browser.evaluate("seen.errors") == 0 and not browser.page_errors()
            streams = connections(proxy, 40)
            assert len(streams) == 1
            browser.evaluate("sources.forEach(source => source.close()); 1")
            ends = [proxy.stream_log.ending(f"/s{number}") for number in range(40)]
            assert {record["evidence"] for record in ends} == {"RST_STREAM(CANCEL) received"}
    finally:
        server.shutdown()
    chat = proxy.access_log.access("/chat")
    assert chat["http"] == "2" and (chat["stream"].split("-")[0], chat["connection"]) in streams, chat


@pytest.mark.heavy
def test_where_a_connection_has_all_its_streams_chromium_waits_silently_and_the_metric_says_so(stage, identity, tmp_path):
    port = reserve_port()
    proxy = stage.heartwire(stage.origin(serve), listen=tls_block(identity), limits="streams_per_connection 10", top=f"console 127.0.0.1:{port}")

    def full() -> bytes:
        return re.search(rb"(?m)^heartwire_connections_full (\d+)$", exchange(port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").body)[1]

    with Browser(tmp_path, "--ignore-certificate-errors") as browser:
        browser.open(f"https://localhost:{proxy.port}/page")
        browser.evaluate("""window.seen = { open: 0, errors: 0, answer: null };
            window.sources = Array.from({ length: 12 }, (_, number) => {
                const source = new EventSource("/s" + number);
                source.onopen = () => seen.open += 1;
                source.onerror = () => seen.errors += 1;
                return source;
            }); 1""")
        browser.wait_for("seen.open == 10", 20)
        assert full() == b"1"
        browser.evaluate("fetch('/quick').then(answer => answer.text()).then(text => { seen.answer = text; }); 1")
        time.sleep(2)
        assert browser.evaluate("JSON.stringify(seen)") == '{"open":10,"errors":0,"answer":null}'
        browser.evaluate("sources.slice(0, 3).forEach(source => source.close()); 1")
        browser.wait_for("seen.open == 12 && seen.answer == 'quick'", 20)
        browser.evaluate("sources.forEach(source => source.close()); 1")
        deadline = time.monotonic() + 5
        while full() != b"0":
            assert time.monotonic() < deadline
            time.sleep(0.1)
