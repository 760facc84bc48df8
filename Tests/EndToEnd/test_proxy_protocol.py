"""The PROXY protocol in front of Heartwire: real HAProxy and nginx, TLS behind the header, and headers by hand, good and bad."""

import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time

import pytest

from support import eventsource
from support.client import Client, get
from support.heartwire import Heartwire
from support.paths import binary
from support.ports import reserve_port

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LINE = b"PROXY TCP4 192.0.2.7 10.0.0.1 50000 443\r\n"
REQUEST = b"GET %s HTTP/1.1\r\nHost: test.example\r\n\r\n"


def binary_header(command=0x21, family=0x11, payload=socket.inet_aton("192.0.2.7") + socket.inet_aton("10.0.0.1") + struct.pack(">HH", 50000, 443)):
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(payload)) + payload


def hello(connection, request):
    connection.respond(200, b"hello")


def start(stage, origin, listen="", trusted="127.0.0.1", **options) -> Heartwire:
    return stage.heartwire(origin, listen=f"proxy_protocol on\n{listen}", top=f"trusted_proxies {trusted}" if trusted else "", **options)


def forwarded_for(origin) -> list:
    return [" | ".join(value if isinstance(value, str) else value.decode() for value in request.values("x-forwarded-for"))
            for request in origin.requests]


@pytest.mark.parametrize("header", [
    LINE, binary_header(), binary_header(payload=binary_header()[16:] + b"\x04\0\x03abc\x20\0\x01x")], ids=["line", "binary", "binary-tlvs"])
@pytest.mark.parametrize("pace", ["whole", "apart", "bytewise"])
def test_the_client_of_the_header_is_the_client_everywhere(stage, header, pace):
    origin = stage.origin(hello)
    proxy = start(stage, origin)
    request = b"GET /x HTTP/1.1\r\nHost: test.example\r\nX-Forwarded-For: 203.0.113.66\r\nX-Real-IP: 203.0.113.67\r\n\r\n"
    with Client(proxy.port) as client:
        pieces = {"whole": [header + request], "apart": [header, request], "bytewise": [bytes([byte]) for byte in header + request]}[pace]
        for piece in pieces:
            client.send(piece)
            if pace == "apart":
                time.sleep(0.1)
        assert client.read_response().body == b"hello"
        # The connection is kept, and still belongs to that client.
        client.send(REQUEST % b"/y")
        assert client.read_response().status == 200
    assert forwarded_for(origin) == ["192.0.2.7", "192.0.2.7"]
    assert b"203.0.113.6" not in origin.everything_received()
    for path in ("/x", "/y"):
        assert proxy.access_log.access(path)["client"] == "192.0.2.7:50000"


def test_ipv6_and_a_stream_with_heartbeats(stage):
    def stream(connection, request):
        connection.start_stream()
        time.sleep(0.5)
        connection.chunk(b"data: 1\n\n")
        connection.last_chunk()

    origin = stage.origin(stream)
    proxy = start(stage, origin, heartbeat="100ms")
    with Client(proxy.port) as client:
        client.send(b"PROXY TCP6 2001:db8::7 2001:db8::1 50000 443\r\n")
        _, body = client.open_stream("/s")
        assert len(eventsource.read(body.read_to_end()).comments) >= 3
    assert forwarded_for(origin) == ["2001:db8::7"]
    assert proxy.stream_log.ending("/s")["client"] == "[2001:db8::7]:50000"


def test_what_a_client_says_is_believed_only_where_the_client_is_a_trusted_proxy_itself(stage):
    origin = stage.origin(hello)
    proxy = start(stage, origin, trusted="127.0.0.1 10.0.0.0/8")
    fields = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.66\r\n\r\n"
    for header in (b"PROXY TCP4 10.1.2.3 10.0.0.1 1 2\r\n", LINE, b"PROXY UNKNOWN\r\n", binary_header(family=0, payload=b""),
                   binary_header(family=0x31, payload=b"/a" + bytes(214)), binary_header(command=0x20, family=0, payload=b"")):
        with Client(proxy.port) as client:
            client.send(header + fields)
            assert client.read_response().status == 200
    assert forwarded_for(origin) == ["203.0.113.66, 10.1.2.3", "192.0.2.7", "127.0.0.1", "127.0.0.1", "127.0.0.1", "203.0.113.66, 127.0.0.1"]


def test_a_client_that_cannot_be_named_is_not_believed_after_a_reload_either(stage):
    origin = stage.origin(hello)
    proxy = start(stage, origin)
    fields = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.66\r\n\r\n"
    with Client(proxy.port) as client:
        client.send(b"PROXY UNKNOWN\r\n" + fields)
        client.read_response()
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_for_words("SIGHUP: done")
        client.send(fields)
        client.read_response()
    assert forwarded_for(origin) == ["127.0.0.1", "127.0.0.1"]


@pytest.mark.parametrize("sent, evidence", [
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "does not begin with"), (b"PROXY TCP4 1.2.3.4\r\n" + bytes(20), "malformed"),
    (b"PROXY " + b"x" * 200, "107 bytes"), (binary_header(command=0x31), "unknown"), (binary_header(payload=b"x"), "too small"),
    (binary_header(payload=bytes(5000)), "4096"), (b"\x16\x03\x01" + bytes(30), "does not begin with"),
    (LINE[:20], None)])
def test_a_malformed_header_closes_the_connection_and_is_told(stage, sent, evidence):
    origin = stage.origin(hello)
    proxy = start(stage, origin)
    with Client(proxy.port) as client:
        client.send(sent)
        if evidence is None:
            client.socket.shutdown(socket.SHUT_WR)
        client.wait_for_end()
        assert not client.received
    record = proxy.access_log.wait_for(lambda record: record.get("cause") == "client_protocol_error")[0]
    assert (evidence or "in the middle of the PROXY header") in record["evidence"] and record["client"].startswith("127.0.0.1:")
    if evidence:
        assert evidence in proxy.wait_for_words("PROXY header")
    assert not origin.requests


def test_a_header_has_as_much_time_as_a_request_head(stage):
    proxy = start(stage, stage.origin(hello), timeouts="request_head 500ms")
    with Client(proxy.port) as silent, Client(proxy.port) as slow:
        slow.send(LINE[:30])
        began = time.monotonic()
        assert silent.wait_for_end() and slow.wait_for_end()
        assert 0.3 < time.monotonic() - began < 3
    assert len(proxy.access_log.wait_for(lambda record: record.get("cause") == "request_timeout")) >= 1


def test_nobody_else_is_let_in_with_or_without_a_header(stage):
    origin = stage.origin(hello)
    proxy = start(stage, origin, trusted="127.0.0.1")
    for sent in (LINE + REQUEST % b"/", REQUEST % b"/", b""):
        with Client(proxy.port, source="127.0.0.2") as client:
            client.send(sent)
            client.wait_for_end()
            assert not client.received
    assert not origin.requests
    records = proxy.access_log.wait_for(lambda record: record.get("client", "").startswith("127.0.0.2:"))
    assert records[0]["cause"] == "client_protocol_error" and "trusted_proxies" in records[0]["evidence"]
    proxy.wait_for_words("come from none of trusted_proxies")
    with Client(proxy.port) as client:
        client.send(LINE + REQUEST % b"/")
        assert client.read_response().status == 200


def test_without_the_directive_a_header_is_no_request(stage):
    proxy = stage.heartwire(stage.origin(hello), top="trusted_proxies 127.0.0.1")
    with Client(proxy.port) as client:
        client.send(LINE + REQUEST % b"/")
        assert client.read_response().status == 400


def test_check_warns_where_nobody_could_connect(tmp_path):
    path = tmp_path / "heartwire.conf"
    path.write_text("listen 127.0.0.1:8080 {\n    proxy_protocol on\n}\nroute /* {\n    upstream 127.0.0.1:9000\n}\n")
    result = subprocess.run([binary(), "check", "--config", path], capture_output=True, text=True, timeout=20)
    assert result.returncode == 0 and "nobody can connect here" in result.stdout + result.stderr


def test_the_limit_for_each_client_counts_those_of_the_header(stage):
    proxy = start(stage, stage.origin(hello), limits="connections_per_client 2")

    def ask(address):
        client = Client(proxy.port)
        client.send(b"PROXY TCP4 %s 10.0.0.1 50000 443\r\n" % address + REQUEST % b"/")
        return client, client.read_response().status

    clients = [ask(b"192.0.2.7") for _ in range(2)] + [ask(b"192.0.2.8") for _ in range(2)]
    assert [status for _, status in clients] == [200] * 4
    refused, status = ask(b"192.0.2.7")
    assert status == 503
    for client, _ in clients:
        client.close()
    refused.close()
    deadline = time.monotonic() + 5
    while True:
        client, status = ask(b"192.0.2.7")
        client.close()
        if status == 200:
            break
        assert time.monotonic() < deadline, "the connections are still counted"
        time.sleep(0.05)


def test_an_end_does_not_wait_for_a_header_that_does_not_come(stage):
    proxy = start(stage, stage.origin(hello), grace="10s")
    with Client(proxy.port) as client, Client(proxy.port) as late:
        late.send(LINE[:10])
        time.sleep(0.2)
        began = time.monotonic()
        proxy.send_signal(signal.SIGTERM)
        late.send(LINE[10:] + REQUEST % b"/")
        assert late.read_response().status == 200, "who has just connected may still ask"
        client.wait_for_end()
        assert proxy.wait() == 0 and time.monotonic() - began < 5


def tls(authority) -> str:
    certificate, key = authority.issue("localhost")
    return f"tls {{\ncertificate {certificate} {key}\n}}"


@pytest.mark.parametrize("header", [LINE, binary_header()], ids=["line", "binary"])
def test_tls_begins_behind_the_header(stage, authority, header):
    origin = stage.origin(hello)
    proxy = start(stage, origin, listen=tls(authority))
    context = ssl.create_default_context(cafile=str(authority.certificate))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    engine = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        engine.do_handshake()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as plain:
        # In the very same segment.
        plain.sendall(header + outgoing.read())
        while True:
            try:
                engine.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(outgoing.read())
                incoming.write(plain.recv(65536))
        engine.write(REQUEST % b"/secured")
        plain.sendall(outgoing.read())
        incoming.write(plain.recv(65536))
        received = b""
        while b"hello" not in received:
            try:
                received += engine.read(65536)
            except ssl.SSLWantReadError:
                incoming.write(plain.recv(65536))
    assert forwarded_for(origin) == ["192.0.2.7"]
    assert proxy.access_log.access("/secured")["client"] == "192.0.2.7:50000"


def wait_for_port(port):
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, f"nobody listens on {port}"
            time.sleep(0.02)


def haproxy(folder, port, target, option) -> list:
    (folder / "haproxy.cfg").write_text(f"""
global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen front
    bind 127.0.0.1:{port}
    server heartwire 127.0.0.1:{target} {option} check inter 200ms
""")
    return [shutil.which("haproxy") or "/usr/sbin/haproxy", "-f", str(folder / "haproxy.cfg"), "-db"]


def nginx(folder, port, target, _) -> list:
    (folder / "nginx.conf").write_text(f"""
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
events {{}}
stream {{
    server {{ listen 127.0.0.1:{port}; proxy_pass 127.0.0.1:{target}; proxy_protocol on; }}
}}
""")
    return [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)]


@pytest.mark.parametrize("is_secured", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("front, option", [(haproxy, "send-proxy"), (haproxy, "send-proxy-v2"), (haproxy, "send-proxy-v2-ssl"), (nginx, "")],
                         ids=["haproxy-1", "haproxy-2", "haproxy-2-ssl", "nginx"])
def test_real_proxies_in_front(stage, authority, tmp_path, front, option, is_secured):
    origin = stage.origin(hello)
    proxy = start(stage, origin, listen=tls(authority) if is_secured else "")
    port = reserve_port()
    process = subprocess.Popen(front(tmp_path, port, proxy.port, option), stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        context = ssl.create_default_context(cafile=str(authority.certificate))
        for number in (3, 4):
            client = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(f"127.0.0.{number}", 0))
            name = "%s:%d" % client.getsockname()
            if is_secured:
                client = context.wrap_socket(client, server_hostname="localhost")
            client.sendall(REQUEST % b"/%d" % number)
            received = b""
            while b"hello" not in received:
                received += client.recv(65536) or pytest.fail(f"ended with {received!r}")
            client.close()
            assert proxy.access_log.access(f"/{number}")["client"] == name
        assert forwarded_for(origin) == ["127.0.0.3", "127.0.0.4"]
        time.sleep(0.5)
        # HAProxy's own health checks are no errors.
        assert not [r for r in proxy.access_log.records() if r.get("cause") == "client_protocol_error" and not r["client"].startswith("127.0.0.1:")]
        assert "PROXY header" not in proxy.stderr()
    finally:
        process.terminate()
        process.wait(10)
