"""Servers on UNIX sockets: the same streams as over TCP, uvicorn's too, and each way in which such a server can be missing."""

import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import textwrap
import time

import pytest

from support import eventsource
from support.client import Client, exchange, get
from support.logs import check_ending
from support.ports import reserve_port


@pytest.fixture
def folder():
    """A short path: a UNIX socket's has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="hw", dir="/tmp") as path:
        yield pathlib.Path(path)


def hello(connection, request):
    connection.respond(200, request.target + b" " + request.body[:20])


def stream(connection, request):
    connection.start_stream()
    connection.chunk(b"id: 1\ndata: first\n\n")
    time.sleep(0.5)
    connection.chunk(b"id: 2\ndata: second\n\n")
    connection.last_chunk()


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_a_stream_flows_and_its_log_names_the_socket(stage, folder, kind):
    path = f"{folder}/app.sock" if kind == "path" else f"@heartwire-{os.getpid()}-{time.monotonic_ns()}"
    origin = stage.origin(stream, path=path)
    proxy = stage.heartwire(origin, heartbeat="100ms", opening="on")
    with Client(proxy.port) as client:
        _, body = client.open_stream("/events")
        reading = eventsource.read(body.read_to_end())
    assert [event.data for event in reading.events] == ["first", "second"]
    assert len(reading.comments) >= 4
    record = proxy.stream_log.ending("/events")
    check_ending(record, "upstream_finished")
    assert record["server"] == f"unix:{path}" and record.get("upstream_tcp") is None
    assert proxy.stream_log.opening("/events")["server"] == f"unix:{path}"


def test_connections_are_kept_and_bodies_of_any_size_pass(stage, folder):
    def echo(connection, request):
        connection.respond(200, request.body)

    origin = stage.origin(echo, path=f"{folder}/app.sock")
    proxy = stage.heartwire(origin)
    body = os.urandom(3_000_000)
    with Client(proxy.port) as client:
        for path in ("/first", "/second"):
            client.get(path)
            assert client.read_response().status == 200
        client.send(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert client.read_response().body == body
    assert proxy.access_log.access("/second")["reused_connection"] is True
    assert len(origin.connections) == 2, "the second request uses the first one's connection, a POST one of its own"


@pytest.mark.parametrize("host, expected", [("preserve", b"Host: test.example\r\n"), ("server", b"Host: localhost\r\n")])
def test_the_host_is_the_clients_or_localhost(stage, folder, host, expected):
    origin = stage.origin(hello, path=f"{folder}/app.sock")
    proxy = stage.heartwire(origin, route=f"host {host}")
    assert get(proxy.port, "/x").body.startswith(b"/x")
    assert expected in origin.everything_received()


def test_the_command_line_takes_one_too(stage, folder):
    origin = stage.origin(hello, path=f"{folder}/app.sock")
    port = reserve_port()
    stage.command(["proxy", "--listen", f"127.0.0.1:{port}", "--upstream", origin.address], port)
    assert get(port, "/y").body.startswith(b"/y")


def test_a_socket_that_is_missing_dead_or_of_another_kind_is_a_502_with_its_errno(stage, folder):
    (folder / "file").write_text("no socket")
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(f"{folder}/dead")
    dead.close()
    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagrams.bind(f"{folder}/datagrams")
    for name, errno, cause in [("none", "ENOENT", "connect_failed"), ("dead", "ECONNREFUSED", "connection_refused"),
                               ("file", "ECONNREFUSED", "connection_refused"), ("datagrams", "EPROTOTYPE", "connect_failed")]:
        proxy = stage.heartwire(f"unix:{folder}/{name}")
        response = get(proxy.port, "/z")
        record = proxy.access_log.access("/z")
        assert (response.status, record["cause"], record["errno"]) == (502, cause, errno), record
        assert record["server"] == f"unix:{folder}/{name}"
    datagrams.close()


def test_permission_is_told_as_what_it_is(stage, folder):
    """The proxy runs as another user, which has no permission for the socket."""
    origin = stage.origin(hello, path=f"{folder}/app.sock")
    os.chmod(folder, 0o755)
    os.chmod(origin.path, 0o600)
    if os.getuid() == 0:
        proxy = stage.heartwire(origin, prefix=["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--securebits=+noroot,+noroot_locked"])
        os.chown(origin.path, 65534, 65534)
    else:
        os.chmod(origin.path, 0o000)
        proxy = stage.heartwire(origin)
    assert get(proxy.port, "/closed").status == 502
    record = proxy.access_log.access("/closed")
    assert (record["cause"], record["errno"]) == ("connect_failed", "EACCES")


def test_a_full_backlog_is_a_503_and_holds_an_eventsource_until_there_is_room(stage, folder):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{folder}/app.sock")
    listener.listen(0)
    filling = socket.socket(socket.AF_UNIX)
    filling.connect(f"{folder}/app.sock")
    proxy = stage.heartwire(f"unix:{folder}/app.sock", outage="retry 30s", heartbeat="200ms", upstream="failure_cooldown 100ms")
    assert get(proxy.port, "/busy").status == 503
    record = proxy.access_log.access("/busy")
    assert (record["cause"], record["errno"]) == ("connect_failed", "EAGAIN") and "backlog" in record["evidence"]
    with Client(proxy.port) as client:
        response, body = client.open_stream("/held")
        assert response.status == 200
        # There is room as soon as a waiting client is accepted.
        listener.accept()[0].close()
        served, _ = listener.accept()
        served.recv(65536)
        served.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: late\n\n")
        body.wait_for(b"data: late\n\n")
        served.close()
    assert proxy.stream_log.opening("/held")["held_because"] == "connect_failed"
    listener.close()
    filling.close()


def test_of_two_servers_the_one_that_is_there_answers(stage, folder):
    origin = stage.origin(hello)
    proxy = stage.heartwire(f"unix:{folder}/none", origin)
    for _ in range(4):
        assert get(proxy.port).status == 200


def test_a_server_that_breaks_off_and_one_that_comes_back_under_the_same_path(stage, folder):
    def breaks_off(connection, request):
        connection.start_stream()
        connection.chunk(b"data: 1\n\n")
        time.sleep(0.1)
        connection.close()

    path = f"{folder}/app.sock"
    origin = stage.origin(breaks_off, path=path)
    proxy = stage.heartwire(origin)
    with Client(proxy.port) as client:
        _, body = client.open_stream("/broken")
        body.wait_for(b"data: 1\n\n")
        client.wait_for_end()
    check_ending(proxy.stream_log.ending("/broken"), "upstream_cut_off")
    origin.stop_listening()
    os.unlink(path)
    stage.origin(hello, path=path)
    assert get(proxy.port, "/again").body.startswith(b"/again")


def test_a_reload_moves_a_route_from_tcp_to_a_socket(stage, folder):
    first, second = stage.origin(hello), stage.origin(hello, path=f"{folder}/app.sock")
    proxy = stage.heartwire(first)
    assert get(proxy.port).status == 200
    path = proxy.folder / "heartwire.conf"
    path.write_text(path.read_text().replace(f"server {first.address}", f"server {second.address}"))
    proxy.send_signal(signal.SIGHUP)
    assert "upstream origin changed" in proxy.wait_for_words("SIGHUP: done")
    assert get(proxy.port).status == 200
    assert (len(first.requests), len(second.requests)) == (1, 1)


APPLICATION = """
import asyncio, time

async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/events":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"id: %d\\ndata: event %d\\n\\n" % (number, number), "more_body": True})
            await asyncio.sleep(0.4)
        return await send({"type": "http.response.body", "body": b""})
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body[::-1]})

def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/events":
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        def numbers():
            for number in range(3):
                yield b"id: %d\\ndata: event %d\\n\\n" % (number, number)
                time.sleep(0.4)
        return numbers()
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()[::-1]]
"""

# As Debian has them, with the system's own Python.
SERVERS = {
    "uvicorn": ["uvicorn", "application:asgi", "--lifespan", "off", "--log-level", "warning", "--uds"],
    "gunicorn": ["gunicorn", "application:wsgi", "--threads", "4", "--log-level", "warning", "--bind"],
}


@pytest.mark.parametrize("name", SERVERS)
def test_real_servers(stage, folder, name):
    (folder / "application.py").write_text(textwrap.dedent(APPLICATION))
    path = f"{folder}/app.sock"
    command, *arguments = SERVERS[name]
    environment = {**os.environ, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder), "VIRTUAL_ENV": ""}
    process = subprocess.Popen([f"/usr/bin/{command}", *arguments, path if name == "uvicorn" else f"unix:{path}"], cwd=folder, env=environment)
    try:
        deadline = time.monotonic() + 30
        while not os.path.exists(path):
            assert time.monotonic() < deadline and process.poll() is None, f"{name} does not listen"
            time.sleep(0.05)
        proxy = stage.heartwire(f"unix:{path}", heartbeat="100ms")
        with Client(proxy.port) as client:
            response, body = client.open_stream("/events")
            assert response.status == 200
            reading = eventsource.read(body.read_to_end(15))
        assert [event.data for event in reading.events] == ["event 0", "event 1", "event 2"]
        assert len(reading.comments) >= 4
        assert exchange(proxy.port, b"POST /reverse HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").body == b"cba"
        assert get(proxy.port, "/reverse").status == 200
    finally:
        process.terminate()
        process.wait(10)
    assert get(proxy.port, "/gone").status == 502
