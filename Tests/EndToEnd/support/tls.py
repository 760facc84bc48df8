"""Clients and servers of the tests about TLS."""

import socket
import ssl
import time


def tls_block(*identities, extra="", listen=""):
    lines = "\n".join(f"certificate {certificate} {key}" for certificate, key in identities)
    return f"tls {{\n{lines}\n{extra}\n}}\n{listen}"


def trusting(authority, **options) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    for name, value in options.items():
        setattr(context, name, value)
    return context


def connect(proxy, context, name="localhost", session=None):
    plain = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
    return context.wrap_socket(plain, server_hostname=name, session=session)


def ask(secured, path="/", fields="", wanted=b"\r\n\r\n", timeout=10) -> bytes:
    secured.settimeout(timeout)
    secured.sendall(f"GET {path} HTTP/1.1\r\nHost: test.example\r\n{fields}\r\n".encode())
    received = b""
    while wanted not in received:
        data = secured.recv(65536)
        assert data, f"ended before {wanted!r}: {received!r}"
        received += data
    return received


def answer(connection, request):
    connection.respond(200, b"hello")


def stream_for(seconds):
    def script(connection, request):
        connection.start_stream()
        connection.chunk(b"id: 1\ndata: first\n\n")
        connection.wait_until_left(seconds)
    return script


def wait_for_words(proxy, words, count=1):
    deadline = time.monotonic() + 10
    while proxy.stderr().count(words) < count:
        assert time.monotonic() < deadline, f"{words!r} did not come: {proxy.stderr()}"
        time.sleep(0.02)
