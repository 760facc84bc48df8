"""Bodies of any size, both ways, with flat memory; and backpressure: the proxy sends nothing to a peer that does not read."""

import threading
import time
import zlib

import pytest

from support.client import Client

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(180)]

GIBIBYTE = 1 << 30
PIECE = bytes(range(256)) * 4096  # 1 MiB
MEMORY_ALLOWED = 12 << 20


@pytest.fixture(scope="module")
def gibibyte_checksum() -> int:
    checksum = 0
    for _ in range(GIBIBYTE // len(PIECE)):
        checksum = zlib.crc32(PIECE, checksum)
    return checksum


class MemoryWatch:
    """Samples the proxy's resident memory while a body passes."""

    def __init__(self, proxy):
        self.proxy, self.before, self.most = proxy, proxy.resident_bytes(), 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._stop.wait(0.02):
            self.most = max(self.most, self.proxy.resident_bytes())

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def growth(self) -> int:
        return self.most - self.before


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_gibibyte_comes_down_with_flat_memory(stage, framing, gibibyte_checksum):
    pieces = GIBIBYTE // len(PIECE)

    def handler(connection, request):
        head = {"length": b"Content-Length: %d\r\n" % GIBIBYTE, "chunked": b"Transfer-Encoding: chunked\r\n", "close": b""}
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n" + head[framing] + b"\r\n")
        for _ in range(pieces):
            connection.chunk(PIECE) if framing == "chunked" else connection.send(PIECE)
        if framing == "chunked":
            connection.last_chunk()
        elif framing == "close":
            connection.close()
    proxy = stage.heartwire(stage.origin(handler))
    with Client(proxy.port) as client, MemoryWatch(proxy) as watch:
        client.keep_bytes = False
        client.get("/big")
        body = client.body(client.read_head())
        checksum, total, started = 0, 0, time.monotonic()
        while True:
            checksum = zlib.crc32(body.data, checksum)
            total += len(body.data)
            body.data.clear()
            body.pieces.clear()
            if body.ended:
                break
            body.pump(30)
    assert body.complete and total == GIBIBYTE and checksum == gibibyte_checksum
    print(f"1 GiB down ({framing}) in {time.monotonic() - started:.1f} s, memory grew by {watch.growth()} bytes")
    assert watch.growth() < MEMORY_ALLOWED


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_gibibyte_goes_up_with_flat_memory(stage, framing, gibibyte_checksum):
    def handler(connection):
        request = connection.read_request(with_body=False)
        checksum, total = 0, 0
        for piece in connection.stream_body(request):
            checksum = zlib.crc32(piece, checksum)
            total += len(piece)
        connection.respond(200, b"%d %d" % (total, checksum))
    proxy = stage.heartwire(stage.origin(handler, raw=True))
    with Client(proxy.port) as client, MemoryWatch(proxy) as watch:
        field = f"Content-Length: {GIBIBYTE}" if framing == "length" else "Transfer-Encoding: chunked"
        client.send(f"POST /up HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n".encode())
        chunk = b"%x\r\n" % len(PIECE)
        for _ in range(GIBIBYTE // len(PIECE)):
            client.send(chunk + PIECE + b"\r\n" if framing == "chunked" else PIECE)
        if framing == "chunked":
            client.send(b"0\r\n\r\n")
        response = client.read_response(timeout=60)
    assert response.body == b"%d %d" % (GIBIBYTE, gibibyte_checksum)
    print(f"1 GiB up ({framing}): memory grew by {watch.growth()} bytes")
    assert watch.growth() < MEMORY_ALLOWED


def test_a_server_that_does_not_read_holds_its_client_up_and_nothing_is_hoarded(stage):
    go_on = threading.Event()

    def handler(connection):
        request = connection.read_request(with_body=False)
        go_on.wait(30)
        total = sum(len(piece) for piece in connection.stream_body(request))
        connection.respond(200, b"%d" % total)
    proxy = stage.heartwire(stage.origin(handler, raw=True))
    with Client(proxy.port) as client, MemoryWatch(proxy) as watch:
        client.send(b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent, chunk = 0, b"100000\r\n" + PIECE + b"\r\n"
        client.socket.settimeout(1.0)
        pending = memoryview(b"")
        try:
            while sent < 200 << 20:
                pending = memoryview(chunk)
                while pending:
                    count = client.socket.send(pending)
                    sent += count
                    pending = pending[count:]
        except TimeoutError:
            pass
        # Four kernel buffers of a few MiB each lie between the client and the server.
        assert sent < 64 << 20, f"{sent >> 20} MiB went into the proxy though the server read nothing"
        assert watch.growth() < MEMORY_ALLOWED
        go_on.set()
        client.socket.settimeout(30)
        client.socket.sendall(bytes(pending) + b"0\r\n\r\n")
        assert int(client.read_response(timeout=30).body) % len(PIECE) == 0


def test_a_client_that_does_not_read_holds_its_server_up_and_nothing_is_hoarded(stage):
    progress = {"sent": 0}

    def handler(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (200 << 20))
        for _ in range(200):
            connection.send(PIECE)
            progress["sent"] += len(PIECE)
    proxy = stage.heartwire(stage.origin(handler))
    with Client(proxy.port, receive_buffer=65536) as client, MemoryWatch(proxy) as watch:
        client.keep_bytes = False
        client.get("/big")
        time.sleep(1.5)
        assert progress["sent"] < 64 << 20, f"{progress['sent'] >> 20} MiB were taken from the server"
        assert watch.growth() < MEMORY_ALLOWED
        response = client.read_head()
        body, total = client.body(response), 0
        while True:
            total += len(body.data)
            body.data.clear()
            body.pieces.clear()
            if body.ended:
                break
            body.pump(30)
        assert total == 200 << 20 and body.complete


def test_a_client_that_pipelines_and_does_not_read_is_slowed_down_and_loses_nothing(stage):
    """Answers that wait for a client are bounded, however much the client asks for."""
    origin = stage.origin(lambda connection, request: connection.respond(200, b"x" * 60_000))
    proxy = stage.heartwire(origin)
    with Client(proxy.port) as client:
        before = proxy.memory()["Pss_Anon"]
        requests = 200
        client.send(b"GET /pipelined HTTP/1.1\r\nHost: a\r\n\r\n" * requests)
        time.sleep(1)
        assert proxy.memory()["Pss_Anon"] - before < 4 << 20
        assert len(origin.requests) < requests, "the server was asked for everything, though nobody reads"
        for _ in range(requests):
            response = client.read_response()
            assert response.complete and len(response.body) == 60_000
