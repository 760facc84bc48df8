"""An event costs no allocation: counted by our own `malloc`, which replaces the C library's for Swift too."""

import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from support.certificates import Authority
from support.client import Client
from support.http2 import HTTP2Client
from support.tls import tls_block

COUNTER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static atomic_long count;
static void *(*next)(size_t);
void *malloc(size_t size) {
    if (!next) next = dlsym(RTLD_NEXT, "malloc");
    atomic_fetch_add(&count, 1);
    return next(size);
}
static void tell(int number) {
    char line[64];
    int length = snprintf(line, sizeof line, "allocations: %ld\n", atomic_load(&count));
    if (write(2, line, length) < 0) _exit(1);
}
__attribute__((constructor)) static void begin(void) { signal(SIGURG, tell); }
"""

EVENTS = 2000


def compiler() -> str | None:
    swift = shutil.which("swift")
    beside = pathlib.Path(os.path.realpath(swift)).parent / "clang" if swift else None
    return str(beside) if beside and beside.exists() else shutil.which("cc")


def allocations(proxy) -> int:
    known = len(re.findall(r"allocations: \d+\n", proxy.stderr()))
    proxy.process.send_signal(signal.SIGURG)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        found = re.findall(r"allocations: (\d+)\n", proxy.stderr())
        if len(found) > known:
            return int(found[-1])
        time.sleep(0.01)
    raise AssertionError(f"no count came; standard error: {proxy.stderr()}")


pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler for the counter")


@pytest.fixture
def library(tmp_path):
    (tmp_path / "counter.c").write_text(COUNTER)
    subprocess.run([compiler(), "-shared", "-fPIC", "-o", tmp_path / "counter.so", tmp_path / "counter.c", "-ldl"], check=True)
    return tmp_path / "counter.so"


@pytest.mark.parametrize("logs_events", [False, True])
def test_an_event_allocates_nothing(stage, library, logs_events):
    def script(connection, request):
        connection.start_stream()
        connection.chunk(b"id: 1\ndata: first\n\n")
        time.sleep(1.5)
        for number in range(EVENTS):
            connection.chunk(b"id: %d\nevent: tick\ndata: one of many events\n\n" % (number % 10))
            if number % 5 == 0:
                time.sleep(0.0005)
        connection.wait_until_left(20)

    proxy = stage.heartwire(stage.origin(script), workers=1, environment={"LD_PRELOAD": str(library)}, logs_events=logs_events)
    with Client(proxy.port) as client:
        _, body = client.open_stream("/many")
        body.wait_for(b"data: first\n\n")
        before = allocations(proxy)
        body.wait_for(lambda data: data.count(b"event: tick") == EVENTS, 20)
        if logs_events:
            proxy.event_log.events(proxy.stream_log.opening("/many"), EVENTS + 1)
        after = allocations(proxy)
    print(f"allocations for {EVENTS} events: {after - before}")
    # The process itself makes a few; one for each event would be thousands.
    assert after - before <= 10


def test_events_and_heartbeats_over_http2_allocate_nothing(stage, library, identity):
    """Twenty streams share a connection with TLS; each has events and then heartbeats, and the client gives window back."""
    def script(connection, request):
        connection.start_stream()
        connection.chunk(b"data: first\n\n")
        connection.origin.go_on.wait(20)
        for number in range(EVENTS // 20):
            connection.chunk(b"id: %d\nevent: tick\ndata: one of many events\n\n" % (number % 10))
            time.sleep(0.002)
        connection.wait_until_left(30)

    origin = stage.origin(script)
    origin.go_on = threading.Event()
    proxy = stage.heartwire(origin, workers=1, heartbeat="100ms", environment={"LD_PRELOAD": str(library)},
                            listen=tls_block(identity, listen="protocols h2 http/1.1"))
    with HTTP2Client(proxy.port, secured=True) as client:
        streams = [client.request("/many") for _ in range(20)]
        client.wait(lambda: all(b"data: first" in stream.data for stream in streams))
        client.read_for(1)
        before = allocations(proxy)
        origin.go_on.set()
        client.wait(lambda: all(stream.data.count(b"event: tick") == EVENTS // 20 for stream in streams), 20)
        client.read_for(2)
        after = allocations(proxy)
    endings = proxy.stream_log.endings(20)
    assert sum(record["heartbeats"] for record in endings) > 300, "too few heartbeats came to prove anything"
    print(f"allocations for {EVENTS} events and some 400 heartbeats over HTTP/2: {after - before}")
    # One for each stream, once.
    assert after - before <= 20 + 10


def test_a_heartbeat_over_tls_allocates_nothing(stage, library, tmp_path):
    authority = Authority(tmp_path / "certificates")

    def script(connection, request):
        connection.start_stream()
        connection.chunk(b"data: first\n\n")
        connection.wait_until_left(30)

    certificate, key = authority.issue("localhost")
    proxy = stage.heartwire(stage.origin(script), workers=1, heartbeat="100ms", environment={"LD_PRELOAD": str(library)},
                            listen=f"tls {{\ncertificate {certificate} {key}\n}}")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    streams = []
    for _ in range(20):
        secured = context.wrap_socket(socket.create_connection(("127.0.0.1", proxy.port)), server_hostname="localhost")
        secured.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        streams.append(secured)
    time.sleep(1)
    before = allocations(proxy)
    time.sleep(3)
    after = allocations(proxy)
    for secured in streams:
        secured.close()
    endings = proxy.stream_log.endings(20)
    assert all(record["heartbeats"] > 30 for record in endings), "too few heartbeats came to prove anything"
    print(f"allocations for about 600 heartbeats over TLS: {after - before}")
    assert after - before <= 10
