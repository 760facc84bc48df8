"""What TLS keeps in memory: of a large body, of handshakes that failed, of idle streams."""

import socket
import ssl
import time

import pytest

from support.tls import answer, ask, connect, tls_block, trusting


def test_a_large_body_arrives_whole_at_a_client_that_pauses_and_is_not_kept_in_memory(stage, authority, identity):
    size = 64 << 20
    block = bytes(range(256)) * 256

    def script(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(block)):
            connection.send(block)

    proxy = stage.heartwire(stage.origin(script), listen=tls_block(identity))
    with connect(proxy, trusting(authority)) as secured:
        secured.settimeout(20)
        secured.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        before = proxy.memory()["Pss_Anon"]
        time.sleep(0.5)
        received = b""
        while b"\r\n\r\n" not in received:
            received += secured.recv(65536)
        body = received.split(b"\r\n\r\n", 1)[1]
        count = len(body)
        assert body == (block * (len(body) // len(block) + 1))[: len(body)]
        while count < size:
            data = secured.recv(1 << 20)
            assert data, f"ended after {count} bytes"
            start = count % len(block)
            assert data == (block * (len(data) // len(block) + 2))[start: start + len(data)]
            count += len(data)
        assert proxy.memory()["Pss_Anon"] - before < 2 << 20


@pytest.mark.heavy
def test_ten_thousand_failed_handshakes_leave_nothing_behind(stage, authority, identity):
    # A small log queue, so that lines that wait for a busy disk do not look like a leak.
    proxy = stage.heartwire(stage.origin(answer), listen=tls_block(identity), workers=2, limits="log_queue 64KiB")
    strict = ssl.create_default_context()  # The client trusts no authority, so it refuses the certificate.
    hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"

    def fail(number):
        if number % 2:
            peer = socket.create_connection(("127.0.0.1", proxy.port))
            peer.sendall(hello)
            peer.settimeout(5)
            peer.recv(100)
            peer.close()
        else:
            with pytest.raises(ssl.SSLError):
                connect(proxy, strict)

    for number in range(1000):
        fail(number)
    settle(proxy)
    before, descriptors = proxy.memory()["Pss_Anon"], proxy.descriptors()
    for number in range(10_000):
        fail(number)
    settle(proxy)
    grown = proxy.memory()["Pss_Anon"] - before
    print(f"10000 failed handshakes: memory grew by {grown} bytes")
    assert grown < 256 * 1024 and proxy.descriptors() == descriptors


def settle(proxy):
    time.sleep(1)
    assert proxy.process.poll() is None


@pytest.mark.heavy
def test_memory_of_idle_tls_streams(stage, authority, identity):
    streams = 400

    def script(connection, request):
        connection.start_stream()
        connection.chunk(b"data: a\n\n")
        connection.wait_until_left(110)

    proxy = stage.heartwire(stage.origin(script), listen=tls_block(identity), heartbeat="1s", workers=2, limits="log_queue 64KiB")
    context = trusting(authority)
    open_streams = []

    def open_some(count):
        for _ in range(count):
            secured = connect(proxy, context)
            ask(secured, wanted=b"data: a")
            open_streams.append(secured)

    open_some(40)
    time.sleep(2)
    before = proxy.memory()["Pss_Anon"]
    open_some(streams)
    time.sleep(2.5)
    each = (proxy.memory()["Pss_Anon"] - before) / streams
    print(f"memory per idle TLS stream: {each:.0f} bytes ({streams} streams, TLS 1.3, ECDSA P-256)")
    assert each < 18.9 * 1024, f"{each:.0f} bytes: more than HAProxy's 18.9 KiB"
    for secured in open_streams:
        secured.close()
